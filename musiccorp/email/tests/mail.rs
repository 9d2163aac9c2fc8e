//! The welcome letter, over real processes and, for SMTP, a real socket.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use backline_testkit::{Service, http, wait_for};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);

fn new_customer(customers: &Service, email: &str) -> String {
    let body = json!({ "firstname": "Ada", "lastname": "Lovelace", "email": email });
    let answer = http::post_json(&customers.url("/customers"), &body, &[]).expect(201);
    answer.header("location").expect("a Location").to_owned()
}

fn mails_of(email: &Service, customer: &str) -> Vec<Value> {
    let query = customer.replace('/', "%2F");
    let found = http::get(&email.url(&format!("/email/mails?customer={query}")));
    found.expect(200).json()["_embedded"]["mails"].as_array().expect("a list").clone()
}

#[test]
fn a_new_customer_gets_one_letter_in_our_mailbox() {
    let customers = Service::start("customers").start();
    let email =
        Service::start("email").static_discovery(&[("customers", customers.address())]).start();
    let customer = new_customer(&customers, "ada@example.com");
    let mail = wait_for("the letter", SOON, || mails_of(&email, &customer).pop());
    assert_eq!(mail["to"], "ada@example.com");
    assert_eq!(mail["state"], "sent");
    let whole = http::get(&email.url(mail["_links"]["self"]["href"].as_str().expect("a link")));
    assert!(
        whole.expect(200).json()["body"].as_str().is_some_and(|body| body.starts_with("Dear Ada,"))
    );
    let sent = email.events().pop().expect("an event");
    assert_eq!(sent["type"], "welcome-mail.sent");
    assert_eq!(sent["causationid"], customers.events()[0]["id"]);
}

#[test]
fn a_letter_goes_to_the_address_that_holds_when_it_is_written() {
    let customers = Service::start("customers").start();
    let customer = new_customer(&customers, "old@example.com");
    let change = json!({ "email": "new@example.com" });
    http::post_json(&customers.url(&format!("{customer}/change")), &change, &[]).expect(200);
    let email =
        Service::start("email").static_discovery(&[("customers", customers.address())]).start();
    let mail = wait_for("the letter", SOON, || mails_of(&email, &customer).pop());
    assert_eq!(mail["to"], "new@example.com");
}

#[test]
fn the_whole_feed_again_sends_no_second_letter() {
    let customers = Service::start("customers").start();
    let mut email =
        Service::start("email").static_discovery(&[("customers", customers.address())]).start();
    let customer = new_customer(&customers, "ada@example.com");
    wait_for("the letter", SOON, || mails_of(&email, &customer).pop());
    email.kill9();
    rusqlite::Connection::open(email.store())
        .expect("the store")
        .execute_batch("DELETE FROM backline_cursor; DELETE FROM backline_inbox;")
        .expect("the consumer's tables");
    email.restart();
    let other = new_customer(&customers, "bea@example.com");
    wait_for("the other letter", SOON, || mails_of(&email, &other).pop());
    assert_eq!(mails_of(&email, &customer).len(), 1);
    assert_eq!(email.events().len(), 2);
}

#[test]
fn wrong_settings_are_told_together() {
    let failed = backline_testkit::run(
        std::process::Command::new(backline_testkit::bin("email"))
            .env("EMAIL_SMTP", "pigeon://loft")
            .env("EMAIL_FROM", "nobody")
            .env("BACKLINE_LISTEN", "nowhere"),
        SOON,
    );
    assert_eq!(failed.status.code(), Some(2), "{failed:?}");
    for part in
        ["EMAIL_SMTP is 'pigeon://loft'", "EMAIL_FROM is 'nobody'", "BACKLINE_LISTEN is 'nowhere'"]
    {
        assert!(failed.stderr.contains(part), "{part} is missing: {}", failed.stderr);
    }
}

#[test]
fn a_mail_server_that_fails_gets_the_same_message_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = format!("smtp://{}", listener.local_addr().expect("an address"));
    let (taken, messages) = mpsc::channel();
    // The first time the connection is cut after the message is taken and before that is said.
    thread::spawn(move || {
        for (attempt, stream) in listener.incoming().take(2).enumerate() {
            if let Ok(stream) = stream {
                let _ = taken.send(mail_session(&stream, attempt > 0));
            }
        }
    });
    let customers = Service::start("customers").start();
    let email = Service::start("email")
        .static_discovery(&[("customers", customers.address())])
        .env("EMAIL_SMTP", &server)
        .start();
    let customer = new_customer(&customers, "ada@example.com");
    let first = messages.recv_timeout(SOON).expect("a first message");
    assert!(mails_of(&email, &customer)[0]["state"] == "queued");
    let second = messages.recv_timeout(SOON * 2).expect("a second message");
    let id = |message: &str| {
        message.lines().find(|line| line.starts_with("Message-ID:")).expect("an id").to_owned()
    };
    assert_eq!(id(&first), id(&second));
    assert!(second.contains("To: \"Ada Lovelace\" <ada@example.com>"), "{second}");
    wait_for("the mark", SOON, || {
        (mails_of(&email, &customer)[0]["state"] == "sent").then_some(())
    });
    let sent = email.events();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["causationid"], customers.events()[0]["id"]);
    assert_eq!(sent[0]["correlationid"], customers.events()[0]["correlationid"]);
}

#[test]
fn mails_that_a_server_refuses_do_not_hold_up_others() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = format!("smtp://{}", listener.local_addr().expect("an address"));
    let (taken, messages) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let taken = taken.clone();
            thread::spawn(move || picky_session(&stream, &taken));
        }
    });
    let customers = Service::start("customers").start();
    for n in 0..5 {
        new_customer(&customers, &format!("bad{n}@example.com"));
    }
    let good = new_customer(&customers, "good@example.com");
    let email = Service::start("email")
        .static_discovery(&[("customers", customers.address())])
        .env("EMAIL_SMTP", &server)
        .start();
    messages.recv_timeout(SOON).expect("the good one is sent");
    wait_for("the mark", SOON, || (mails_of(&email, &good)[0]["state"] == "sent").then_some(()));
}

#[test]
fn a_mail_server_that_says_nothing_does_not_keep_the_service_from_ending() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = format!("smtp://{}", listener.local_addr().expect("an address"));
    let customers = Service::start("customers").start();
    let mut email = Service::start("email")
        .static_discovery(&[("customers", customers.address())])
        .env("EMAIL_SMTP", &server)
        .start();
    new_customer(&customers, "ada@example.com");
    // Accepted, and left without a word.
    let _silent = listener.accept().expect("the service connects");
    assert!(email.terminate().success());
}

/// Refuses recipients that begin with `bad`, tells of each message that it takes.
fn picky_session(stream: &TcpStream, taken: &mpsc::Sender<()>) {
    let mut out = stream;
    let mut say = |line: &str| out.write_all(format!("{line}\r\n").as_bytes());
    let mut in_data = false;
    let _ = say("220 test");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let answer = match line.as_str() {
            "." if in_data => {
                in_data = false;
                let _ = taken.send(());
                "250 taken"
            }
            _ if in_data => continue,
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            line if line.starts_with("RCPT TO:<bad") => "550 nobody here",
            _ => "250 ok",
        };
        let _ = say(answer);
    }
}

/// A mail server for one message, just true enough (RFC 5321) for a client to send it.
fn mail_session(stream: &TcpStream, says_taken: bool) -> String {
    let mut out = stream;
    let mut say = |line: &str| out.write_all(format!("{line}\r\n").as_bytes());
    let mut message = String::new();
    let mut in_data = false;
    let _ = say("220 test");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if in_data && line == "." {
            if !says_taken {
                let _ = stream.shutdown(std::net::Shutdown::Both);
                break;
            }
            in_data = false;
            let _ = say("250 taken");
        } else if in_data {
            message.push_str(&line);
            message.push('\n');
        } else if line == "DATA" {
            in_data = true;
            let _ = say("354 go on");
        } else if line == "QUIT" {
            let _ = say("221 bye");
            break;
        } else {
            let _ = say("250 ok");
            // The client keeps its connection: what was taken is taken.
        }
        if says_taken && !in_data && !message.is_empty() {
            break;
        }
    }
    message
}
