//! backline-testkit
