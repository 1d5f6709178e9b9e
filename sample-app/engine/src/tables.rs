//! The command lists of the versions: version 2 is version 1's list with what it overrides
//! and adds, and so will every later one be.

mod administration;
mod transactions;
mod v1;
mod v2;
mod v3;

use crate::store::{ExpiringStore, Store};
use crate::table::CommandTable;
use crate::typed::TypedStore;

pub use transactions::commands as transaction_commands;
pub use v1::commands as v1_commands;
pub use v2::commands as v2_commands;
pub use v3::commands as v3_commands;

/// Version 1: strings.
pub fn v1<S: Store>() -> CommandTable<S> {
    CommandTable::new([v1_commands()])
}

/// Version 2: strings that expire.
pub fn v2<S: ExpiringStore>() -> CommandTable<S> {
    CommandTable::new([v1_commands(), v2_commands()])
}

/// Version 3: lists and hashes beside them.
pub fn v3<S: TypedStore>() -> CommandTable<S> {
    CommandTable::new([v1_commands(), v2_commands(), v3_commands()])
}
