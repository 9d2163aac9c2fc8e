//! backline-store
