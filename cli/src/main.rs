//! backline-cli

fn main() {}
