//! What this service tells others. Each event is a snapshot with a reference to the customer.

use backline_chassis::Emit;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::Customer;

/// A customer as it was when the event happened.
#[derive(Serialize, ToSchema)]
pub struct Snapshot {
    /// Reference of the customer.
    customer: String,
    firstname: String,
    lastname: String,
    email: String,
    /// `active`, `suspended` or `closed`.
    state: &'static str,
}

impl From<&Customer> for Snapshot {
    fn from(customer: &Customer) -> Self {
        Self {
            customer: customer.href(),
            firstname: customer.details.firstname.clone(),
            lastname: customer.details.lastname.clone(),
            email: customer.details.email.clone(),
            state: customer.state.as_str(),
        }
    }
}

macro_rules! customer_event {
    ($(#[$doc:meta] $name:ident = $kind:literal;)*) => {$(
        #[$doc]
        #[derive(Serialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub Snapshot);

        impl Emit for $name {
            const TYPE: &'static str = $kind;
        }
    )*};
}

customer_event! {
    /// A customer was created.
    Created = "customer.created";
    /// A customer's details were changed.
    Changed = "customer.changed";
    /// A customer was suspended.
    Suspended = "customer.suspended";
    /// A suspended customer is active again.
    Reinstated = "customer.reinstated";
    /// A customer was closed for good.
    Closed = "customer.closed";
}
