//! backline-events
