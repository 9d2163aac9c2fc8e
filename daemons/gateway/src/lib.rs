//! backline-gateway
