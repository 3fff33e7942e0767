//! The program behind `host-harness serve`.

fn main() {}
