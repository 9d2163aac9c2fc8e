//! Journeys through the whole company, and what they have in common.
//!
//! Everything here runs real processes, brought up by `backline up` in a folder and on ports of its
//! own, and looks at them as their callers do. It knows no crate of a service.

mod chinook;
mod company;

pub use chinook::small_chinook;
pub use company::Company;
