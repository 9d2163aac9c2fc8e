//! backline-registry
