//! E-mail: letters to customers, by reference. It asks who the customer is when it writes, so that a
//! letter goes to the address of that moment and not to that of the event.
//!
//! Letters go to our own mailbox (`/email/mails`), where each exists exactly once; with `EMAIL_SMTP`
//! to a mail server, which SMTP can only do at least once: the Message-ID stays the same, so that
//! the recipient's side can tell.

mod api;
mod domain;
mod events;
mod outgoing;
mod reactions;
mod store;

use std::process::ExitCode;

use backline_chassis::Service;

fn main() -> ExitCode {
    Service::named("email")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Letters to customers: our own mailbox, or a mail server.")
        .owner("customer contact team")
        .store(&store::MIGRATIONS)
        .resources(api::routes())
        .calls("customers", "mails wait until the customer can be asked, and are sent then")
        .on("customers", "customer.created", reactions::welcome)
        .emits::<events::WelcomeMailSent>()
        .setting("EMAIL_SMTP", outgoing::check_server)
        .setting("EMAIL_FROM", outgoing::check_sender)
        .job("send", outgoing::send)
        .run()
}
