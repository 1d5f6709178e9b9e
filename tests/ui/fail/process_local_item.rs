//! An item must be `Shared`; the error points at its type.
use dsu_runtime::prelude::*;

#[guards(names: Vec<String>)]
static NAMES: GuardMutex;

fn main() {}
