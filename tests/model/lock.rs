//! The lock's source files as they ship, over the simulated platform.

// The model uses what a guard uses, and not the rest.
#![allow(dead_code, missing_docs)]

use crate::platform;

#[path = "../../dsu-runtime/src/sync/party.rs"]
pub mod party;
#[path = "../../dsu-runtime/src/sync/recovery.rs"]
pub mod recovery;
#[path = "../../dsu-runtime/src/sync/waiter.rs"]
pub mod waiter;
#[path = "../../dsu-runtime/src/sync/word.rs"]
pub mod word;
