//! Feed and consumers over real sockets and real stores.

mod consumer;
mod feed;
mod producer;
