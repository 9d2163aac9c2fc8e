//! musiccorp-loyalty

fn main() {}
