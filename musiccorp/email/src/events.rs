//! What this service tells others.

use backline_chassis::Emit;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::Mail;

/// A welcome mail is in our mailbox, or a mail server has taken it.
#[derive(Serialize, ToSchema)]
pub struct WelcomeMailSent {
    /// Reference of the mail.
    mail: String,
    /// Reference of the customer.
    customer: String,
}

impl WelcomeMailSent {
    pub fn of(mail: &Mail) -> Self {
        Self { mail: mail.href(), customer: mail.customer.clone() }
    }
}

impl Emit for WelcomeMailSent {
    const TYPE: &'static str = "welcome-mail.sent";
}
