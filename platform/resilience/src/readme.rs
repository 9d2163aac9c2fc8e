//! The examples of the README, so that they are compiled and run with the other tests.

#[doc = include_str!("../README.md")]
struct Readme;
