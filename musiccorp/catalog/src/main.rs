//! musiccorp-catalog

fn main() {}
