//! What this library calls its guards, and places in their items: for errors, by cell, slot, declaration or
//! address.

use super::flip::erased;
use super::object;
use super::party::Name;
use super::slot::GuardSlot;
use crate::abi::{GuardCell, GuardRegistration, Node, TypeKind, WorkerContext};
use crate::ids::GuardIndex;
use std::cell::RefCell;
use std::sync::atomic::Ordering;

thread_local! {
    static EMPTIED: RefCell<Vec<&'static GuardRegistration>> = RefCell::default();
}

/// Guards that this library does not have and moves items out of (R4), in place of those before.
pub(crate) fn set_emptied(guards: Vec<&'static GuardRegistration>) {
    EMPTIED.set(guards);
}

/// What was [set](set_emptied).
pub(crate) fn emptied() -> Vec<&'static GuardRegistration> {
    EMPTIED.with_borrow(Vec::clone)
}

/// All guards that can be named here.
fn known() -> impl Iterator<Item = &'static GuardRegistration> {
    inventory::iter::<GuardRegistration>
        .into_iter()
        .chain(emptied())
}

fn slot_of(cell: &'static GuardCell) -> &'static GuardSlot {
    erased(cell).slot()
}

/// The name of a declaration. One of the other version's may be unknown here.
pub(super) fn declaration(node: Node) -> String {
    known()
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
    known()
        .flat_map(|guard| guard.cells)
        .find(|cell| slot_of(cell).index() == index)
        .map_or_else(|| format!("guard slot {}", index.0), describe)
}

/// The registration that `cell` belongs to, and its place in the family.
pub(super) fn registration(cell: &GuardCell) -> Option<(&'static GuardRegistration, usize)> {
    known().find_map(|guard| {
        let place = guard
            .cells
            .iter()
            .position(|other| std::ptr::eq(other, cell))?;
        Some((guard, place))
    })
}

/// The guard's name, `NAME` or `NAME[3]`; of an object made at run time, its type and slot.
pub(super) fn describe(cell: &GuardCell) -> String {
    match registration(cell) {
        Some((guard, place)) if guard.family.is_some() => format!("{}[{place}]", guard.name),
        Some((guard, _)) => guard.name.to_owned(),
        None => object::describe_at(cell),
    }
}

/// Where an address lies: `in GUARD.item`, or `under GUARD, OTHER`, the guards of this library that the worker holds.
/// Looks at every guard: for what has failed.
pub(crate) fn whereabouts(address: Option<usize>) -> String {
    let owner = WorkerContext::current().owner();
    let is_held = |cell: &&'static GuardCell| {
        let is_bound = cell.slot.load(Ordering::Relaxed) != 0;
        is_bound && owner != 0 && {
            let lock = &erased(cell).slot().lock;
            lock.owner() == Some(Name::of_owner(owner))
        }
    };
    let guards = inventory::iter::<GuardRegistration>.into_iter();
    let held = guards.flat_map(|guard| {
        guard
            .cells
            .iter()
            .filter(is_held)
            .map(move |cell| (guard, cell))
    });
    let held: Vec<_> = held.collect();
    let item = address.and_then(|address| {
        held.iter()
            .find_map(|(guard, cell)| item_at(guard, cell, address))
    });
    let names: Vec<String> = held.iter().map(|(_, cell)| describe(cell)).collect();
    match (item, names.is_empty()) {
        (Some(item), _) => format!("in {item}"),
        (None, true) => String::new(),
        (None, false) => format!("under {}", names.join(", ")),
    }
}

/// `GUARD.item`, if the address lies in the items of this guard, which is held.
fn item_at(guard: &GuardRegistration, cell: &'static GuardCell, address: usize) -> Option<String> {
    let mutex = erased(cell);
    let root = mutex.slot().root();
    // In another form, other items lie there.
    let items = root.items().filter(|_| root.tag() == mutex.expected())?;
    let schema = (guard.schema)();
    let TypeKind::Struct(fields) = &schema.kind else {
        return None;
    };
    let offset = address.checked_sub(items.addr().get())? as u64;
    let field = fields
        .iter()
        .find(|field| (field.offset..field.offset + field.ty.size).contains(&offset))?;
    Some(format!("{}.{}", describe(cell), field.name))
}
