//! musiccorp-postal

fn main() {}
