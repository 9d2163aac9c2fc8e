//! backline-supervisor
