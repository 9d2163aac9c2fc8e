//! What this service tells others.

use backline_chassis::Emit;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::Pack;

/// A welcome pack was posted.
#[derive(Serialize, ToSchema)]
pub struct WelcomePackPosted {
    /// Reference of the pack.
    pack: String,
    /// Reference of the customer who gets it.
    customer: String,
}

impl WelcomePackPosted {
    pub fn of(pack: &Pack) -> Self {
        Self { pack: pack.href(), customer: pack.customer.clone() }
    }
}

impl Emit for WelcomePackPosted {
    const TYPE: &'static str = "welcome-pack.posted";
}
