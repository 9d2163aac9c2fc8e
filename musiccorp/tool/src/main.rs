//! musiccorp-tool

fn main() {}
