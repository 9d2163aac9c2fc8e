//! backline-hypermedia
