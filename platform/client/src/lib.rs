//! backline-client
