//! Both forms of a container trust its keys: they are of types that the runtime knows.
use dsu_runtime::error::HeapFull;
use dsu_runtime::heap::delta::DeltaKey;
use dsu_runtime::prelude::*;

#[derive(Shared, PartialEq, Eq, Debug)]
#[shared(inline)]
struct Id(u64);

impl DeltaKey for Id {
    fn copy(&self) -> Result<Self, HeapFull> {
        Ok(Id(self.0 + 1))
    }
}

fn main() {}
