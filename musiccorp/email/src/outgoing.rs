//! Mail on its way to a mail server. It waits in the store until the server has taken it.
//!
//! A crash between the server's answer and our mark sends a mail again, with the same Message-ID:
//! SMTP can do no better than at least once (RFC 5321, 4.5.5).

use std::time::Duration;

use axum::http::Uri;
use backline_chassis::{App, StoreError, Work, later, now};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
};

use crate::{
    events::WelcomeMailSent,
    store::{self, Mail},
};

/// `smtp://host:port` of a mail server. Without it, mail goes to our own mailbox.
pub const SERVER: &str = "EMAIL_SMTP";
/// Whom mail comes from.
const SENDER: &str = "EMAIL_FROM";
const DEFAULT_SENDER: &str = "MusicCorp <hello@musiccorp.example>";
/// A mail server gets this long for one mail.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// After this time another instance may try: well past [`SEND_WITHIN`].
const LEASE: Duration = Duration::from_secs(30);
/// A mail that could not be sent waits this long while others are tried.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

type Server = AsyncSmtpTransport<Tokio1Executor>;

pub fn check_server(url: &str) -> Result<(), String> {
    server(url).map(drop).ok_or_else(|| "give smtp://host:port".to_owned())
}

pub fn check_sender(sender: &str) -> Result<(), String> {
    sender
        .parse::<Mailbox>()
        .map(drop)
        .map_err(|error| format!("{error}: give an address such as '{DEFAULT_SENDER}'"))
}

/// A relay in our own network, without TLS and without a login.
fn server(url: &str) -> Option<Server> {
    let url: Uri = url.parse().ok()?;
    let (host, port) = (url.host()?, url.port_u16()?);
    (url.scheme_str() == Some("smtp"))
        .then(|| Server::builder_dangerous(host).port(port).timeout(Some(SEND_WITHIN)).build())
}

/// Sends what waits, one mail after another, until the service drains.
pub async fn send(app: App) {
    // The settings were checked at the start.
    let Some(server) = app.setting(SERVER).and_then(server) else { return };
    let drain = app.drain().clone();
    let mut commits = app.commits();
    let mut pause = Duration::from_millis(200);
    loop {
        commits.borrow_and_update();
        let wait = match send_next(&app, &server).await {
            Ok(true) => {
                pause = Duration::from_millis(200);
                continue;
            }
            // The lease of a sibling that died runs out without any commit.
            Ok(false) => AGAIN_AFTER,
            Err(Unsent::Refused(error)) => {
                tracing::warn!(error, "a mail was refused; others go on");
                continue;
            }
            Err(Unsent::Away(error)) => {
                pause = (pause * 2).min(LONGEST_PAUSE);
                let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(error, retry_in_ms, "a mail could not be sent");
                tokio::select! {
                    () = tokio::time::sleep(pause) => continue,
                    () = drain.cancelled() => return,
                }
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(wait, commits.changed()) => {}
            () = drain.cancelled() => return,
        }
    }
}

/// Why a mail is not sent.
enum Unsent {
    /// The mail itself: it waits, and others are tried.
    Refused(String),
    /// The server or the store: nothing can be sent at present.
    Away(String),
}

/// Returns false when nothing waits.
async fn send_next(app: &App, server: &Server) -> Result<bool, Unsent> {
    let text = |error: StoreError| Unsent::Away(error.to_string());
    let root = backline_chassis::Cause::root();
    let leased =
        app.write(&root, async |work: Work| store::lease(&work, &now(), &later(LEASE)).await);
    let Some(mail) = leased.await.map_err(text)? else { return Ok(false) };
    let sender = app.setting(SENDER).unwrap_or(DEFAULT_SENDER);
    let sent = match message(&mail, sender) {
        Ok(message) => deliver(app, server, message).await,
        Err(error) => Err(Unsent::Refused(error)),
    };
    let id = mail.id.clone();
    if let Err(error) = sent {
        app.write(&root, async move |work: Work| {
            store::hold(&work, &id, &later(AGAIN_AFTER)).await
        })
        .await
        .map_err(text)?;
        let whose = |what: String| format!("{}: {what}", mail.href());
        return Err(match error {
            Unsent::Refused(what) => Unsent::Refused(whose(what)),
            Unsent::Away(what) => Unsent::Away(whose(what)),
        });
    }
    let cause = mail.cause();
    let (href, event) = (mail.href(), WelcomeMailSent::of(&mail));
    app.write(&cause, async move |work: Work| {
        if store::mark_sent(&work, &id, &now()).await? {
            work.emit(&href, &event).await?;
        }
        Ok::<_, StoreError>(())
    })
    .await
    .map_err(text)?;
    Ok(true)
}

/// Gives a message to the server, within a limit over the whole conversation.
async fn deliver(app: &App, server: &Server, message: Message) -> Result<(), Unsent> {
    let sending = tokio::time::timeout(SEND_WITHIN, server.send(message));
    let sent = tokio::select! {
        sent = sending => sent,
        () = app.drain().cancelled() => return Err(Unsent::Away("the service ends".into())),
    };
    match sent {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.is_permanent() => Err(Unsent::Refused(error.to_string())),
        Ok(Err(error)) => Err(Unsent::Away(error.to_string())),
        Err(_) => Err(Unsent::Away(format!("no answer within {} s", SEND_WITHIN.as_secs()))),
    }
}

fn message(mail: &Mail, sender: &str) -> Result<Message, String> {
    let sender: Mailbox = sender.parse().map_err(|error| format!("{sender}: {error}"))?;
    let address = mail.recipient.parse().map_err(|error| format!("{}: {error}", mail.recipient))?;
    Message::builder()
        .message_id(Some(format!("<{}@musiccorp.example>", mail.id)))
        .from(sender)
        .to(Mailbox::new(Some(mail.name.clone()), address))
        .subject(&mail.subject)
        .header(ContentType::TEXT_PLAIN)
        .body(mail.body.clone())
        .map_err(|error| error.to_string())
}
