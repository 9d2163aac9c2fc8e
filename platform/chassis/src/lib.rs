//! backline-chassis
