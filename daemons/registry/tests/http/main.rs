//! The registry over real HTTP: endpoints, blocking queries, checks of real servers.

mod api;
mod blocking;
mod checks;
mod keys;
mod support;
