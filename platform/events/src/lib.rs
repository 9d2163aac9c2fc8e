//! Events that can be trusted: written in the business transaction, read from a feed, applied once.
//!
//! A service that changes something others may care about appends an event to its **outbox** in the
//! same transaction ([`outbox::append`]). The outbox *is* the **feed**: `GET /events` serves it in
//! the order of commit, as Atom (RFC 4287) or as a CloudEvents batch, with a long poll for low delay.
//! A **consumer** ([`Consumer`]) follows another service's feed and hands each event to a reaction,
//! whose effect, inbox mark and own events commit in one transaction: killed at any point, it
//! loses nothing and repeats no effect.
//!
//! What this crate refuses to do: publish after commit, acknowledge before commit, or drop an event
//! that failed. In this form a failing event is tried again for ever, with backoff; events of other
//! aggregates overtake it, events of its own wait behind it.
//!
//! The wire is specified in `docs/wire/events.md`.

mod consumer;
mod cursor;
mod envelope;
mod feed;
pub mod inbox;
pub mod outbox;
mod reader;

pub use consumer::{Consumer, Failure, Handler};
pub use cursor::{Cursor, InvalidCursor};
pub use envelope::{CloudEvent, Emit};
pub use feed::{Feed, routes};
pub use reader::{FeedReader, Page, ReadError};

use backline_store::Migration;

/// The tables of outbox and inbox. A service's own migrations come after this one.
pub const MIGRATION: Migration =
    Migration { name: "backline-events-1", sql: include_str!("tables.sql") };
