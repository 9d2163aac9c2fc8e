//! backline-e2e
