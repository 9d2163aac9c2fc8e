//! The war stories of *Building Microservices* as scenarios that run: `backline gameday run NAME`.
//!
//! Each has services of its own, which are no part of the shop and never start with it, and a
//! program that starts them, does to them what the story tells, measures, and writes a report.

pub mod ads;
pub mod cascade;
pub mod classifieds;
