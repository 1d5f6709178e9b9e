//! What this library calls its guards: for errors, by cell, slot or declaration.

use super::flip;
use super::slot::GuardSlot;
use crate::abi::{GuardCell, GuardRegistration, Node};
use crate::ids::GuardIndex;

fn slot_of(cell: &'static GuardCell) -> &'static GuardSlot {
    flip::erased(cell).slot()
}

/// The name of a declaration. One of the other version's may be unknown here.
pub(super) fn declaration(node: Node) -> String {
    inventory::iter::<GuardRegistration>
        .into_iter()
        .find(|guard| {
            let first = guard.cells.first();
            first.is_some_and(|cell| slot_of(cell).node() == Some(node))
        })
        .map_or_else(
            || "a guard of its own".to_owned(),
            |guard| guard.name.to_owned(),
        )
}

/// The name of the guard in a slot. One of the other version's may be unknown here.
pub(super) fn guard_at(index: GuardIndex) -> String {
    inventory::iter::<GuardRegistration>
        .into_iter()
        .flat_map(|guard| guard.cells)
        .find(|cell| slot_of(cell).index() == index)
        .map_or_else(|| format!("guard slot {}", index.0), flip::describe)
}
