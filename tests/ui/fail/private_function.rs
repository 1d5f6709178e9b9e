//! The mark is for statics.
use dsu_runtime::prelude::*;

#[dsu::private]
fn not_a_static() {}

fn main() {}
