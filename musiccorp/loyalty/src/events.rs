//! What this service tells others.

use backline_chassis::Emit;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::Account;

/// A loyalty account was opened.
#[derive(Serialize, ToSchema)]
pub struct AccountOpened {
    /// Reference of the account.
    account: String,
    /// Reference of its customer.
    customer: String,
    points: i64,
}

impl AccountOpened {
    pub fn of(account: &Account) -> Self {
        Self { account: account.href(), customer: account.customer.clone(), points: account.points }
    }
}

impl Emit for AccountOpened {
    const TYPE: &'static str = "loyalty-account.opened";
}
