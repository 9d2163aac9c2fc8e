//! backline-monitor
