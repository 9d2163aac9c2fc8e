//! musiccorp-email

fn main() {}
