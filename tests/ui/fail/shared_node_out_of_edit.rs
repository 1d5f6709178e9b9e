//! A value of a shared node is lent for the length of the call.
use dsu_runtime::prelude::*;

#[derive(Shared)]
pub struct Person {
    visits: u64,
}

fn keep<'p>(person: &'p SharedRc<Person>) -> Result<&'p mut Person, RcError> {
    person.edit(|value| value)
}

fn main() {}
