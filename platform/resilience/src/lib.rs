//! Safety measures for calls to anything that can be slow, broken or overloaded.
//!
//! Each measure is a small handle that decides about one call at a time, and a `tower` layer on top
//! of it. None of them knows of HTTP, and none needs the rest of Backline.

mod outcome;

pub use outcome::Outcome;
