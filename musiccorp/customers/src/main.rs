//! musiccorp-customers

fn main() {}
