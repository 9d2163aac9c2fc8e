//! The store as its users see it, in one process and in several.

mod opening;
mod siblings;
mod statements;
mod support;
mod transactions;
