//! The store of one service: transactions as closures, migrations, and word of every commit.
//!
//! A service changes its state with [`Store::write`] and looks at it with [`Store::read`]. Both take
//! a closure that gets a [`Tx`] and awaits nothing but that `Tx`; a write may run more than once and
//! has its effect once. The API is the same for every database behind it, so that a service
//! which outgrows its file changes a setting and not its code. SQL is written with `$1`, `$2` for
//! parameters, in what SQLite and Postgres have in common.
//!
//! With SQLite (the only database so far) one thread per process writes. It takes all closures that
//! wait into one transaction, each in a savepoint of its own, and syncs the disk once for all of
//! them: durable writes cost one sync per batch instead of one each. A closure that fails, panics or
//! breaks a constraint takes back its own changes only. Several processes may share one file; each
//! leaves the others their turn, and [`Store::commits`] tells of the siblings' commits too.
//!
//! What this crate refuses to do: hold a transaction open across anything but the store, let SQL
//! begin or end a transaction by itself, hide an error that happened inside one, or open the file by
//! any way but SQLite's (closing a descriptor of it would drop SQLite's locks).

mod error;
mod migrate;
mod row;
mod sqlite;
mod store;
mod tx;
mod value;

pub use error::Error;
pub use migrate::Migration;
pub use row::{FromValue, Row};
pub use store::Store;
pub use tx::Tx;
pub use value::Value;
