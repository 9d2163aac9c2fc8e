//! backline-console
