//! The live demo.
fn main() {}
