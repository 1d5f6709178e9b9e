//! What a library does when it is told its tags and slots: fills in its cells, tells the process what
//! it knows of each representation, and lays out the transformers between it and its neighbour.
#![allow(unsafe_code)] // writes the table of representations

use super::emptied;
use super::items;
use super::layout::{Passing, Traffic, TupleLayout};
use super::moved::{self, Mover};
use super::tuple::Plan;
use crate::abi::{
    CONTROL_ADDR, Conversion, ConversionStatus, Converter, ErrorText, GUARD_STRIDE, GUARDS_OFFSET,
    GuardCell, GuardRegistration, LensDirections, LensPolicy, MAX_CONVERTERS, Node, PrepareStatus,
    Representation, TransformerRegistration, TwinFn, TwinTask, TypeRegistration, TypeSchema,
};
use crate::heap;
use crate::ids::{GuardIndex, Tag, VersionId};
use crate::sync;
use crate::version::{Binding, GuardBinding, GuardManifest, digest, fields, guard_manifest, moves};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::Ordering;

/// Binds this library. May be done again, with another neighbour.
///
/// # Errors
/// A sentence about what the binding lacks; nothing of the application runs then.
///
/// # Safety
/// The binding is of this library: each slot and tag is of the guard or type of its name, in all workers,
/// and no guard is held.
pub unsafe fn bind(binding: &Binding) -> Result<(), String> {
    heap::ask_for_guards(sync::whereabouts);
    let tags = Tags::of(binding);
    bind_types(&tags, binding.version)?;
    bind_lenses(&tags, binding.version)?;
    let declared: Vec<&'static GuardRegistration> = inventory::iter.into_iter().collect();
    let manifests: Vec<GuardManifest> = declared.iter().map(|g| guard_manifest(g)).collect();
    for guard in &declared {
        bind_guard(guard, &binding.guards)?;
    }
    let emptied = bind_emptied(binding)?;
    let all = [declared, emptied].concat();
    let mut movers = Vec::new();
    for guard in &all {
        movers.extend(bind_way(guard, binding, &tags, (&all, &manifests))?);
    }
    moved::set_movers(movers);
    sync::record_into(binding.order_table);
    Ok(())
}

/// Tags by name and digest.
struct Tags<'a>(HashMap<(&'a str, &'a str), (Tag, &'a [Tag])>);

impl<'a> Tags<'a> {
    fn of(binding: &'a Binding) -> Tags<'a> {
        Tags(
            binding
                .representations
                .iter()
                .map(|r| ((r.name.as_str(), r.digest.as_str()), (r.tag, &r.same[..])))
                .collect(),
        )
    }

    fn get(&self, name: &str, schema: &TypeSchema) -> Option<Tag> {
        self.0
            .get(&(name, digest(schema).as_str()))
            .map(|(tag, _)| *tag)
    }

    /// Other ids of the same shape.
    fn same(&self, name: &str, schema: &TypeSchema) -> &[Tag] {
        self.0
            .get(&(name, digest(schema).as_str()))
            .map_or(&[], |(_, same)| same)
    }
}

fn guard_name(name: &str) -> String {
    format!("guard:{name}")
}

/// The entry of `tag`, to be filled in.
fn entry(tag: Tag) -> &'static mut Representation {
    // SAFETY: the table is mapped and only `bind` writes it, on the worker's one thread, with nobody
    // holding a reference across the call (see `Representation::of`); the borrow ends in each caller.
    unsafe { &mut *Representation::pointer(tag) }
}

/// A value in a form of the same shape becomes one of this form bit by bit.
unsafe extern "C" fn take_as_it_is(
    size: *const c_void,
    conversion: &mut Conversion,
) -> ConversionStatus {
    // SAFETY: `bind_types` gives the size of the shape in place of an environment.
    unsafe {
        conversion
            .target
            .copy_from_nonoverlapping(conversion.source, size as usize);
    }
    ConversionStatus::Done
}

/// Values of another build in a form of the same shape, whose complements this one cannot read (R1), are
/// this form's without them.
fn bind_same(registration: &TypeRegistration, tag: Tag, same: &[Tag]) {
    for other in same {
        let own = Representation::of(tag);
        let (size, align, holds_boxes) = (own.size, own.align, own.holds_boxes);
        let entry = entry(*other);
        (entry.size, entry.align, entry.holds_boxes) = (size, align, holds_boxes);
        entry.drop = Some(registration.drop);
        entry.visit = Some(registration.visit);
        let converter = Converter {
            target: tag.0,
            forward: true,
            complement_size: 0,
            complement_align: 1,
            call: Some(take_as_it_is),
            environment: size as usize as *const c_void,
            twin: None,
            drop_complement: None,
            visit_complement: None,
        };
        add_converter(*other, converter);
    }
}

fn bind_types(tags: &Tags<'_>, version: VersionId) -> Result<(), String> {
    for registration in inventory::iter::<TypeRegistration> {
        let schema = (registration.schema)();
        match tags.get(registration.name, &schema) {
            Some(tag) => {
                registration.tag.set(tag);
                let entry = entry(tag);
                entry.size = schema.size as u32;
                entry.align = schema.align as u32;
                entry.holds_boxes = schema.holds_boxes();
                entry.drop = Some(registration.drop);
                entry.visit = Some(registration.visit);
                if registration.frozen_from == 0 {
                    bind_same(registration, tag, tags.same(registration.name, &schema));
                }
            }
            // A frozen copy of a version that is long gone: nothing live is in its form.
            None if registration.frozen_from != 0 => {}
            None => return Err(format!("{} of {version} has no tag", registration.name)),
        }
    }
    Ok(())
}

/// Makes walks of this process expect what this library does inside every shape that it knows.
///
/// A shape whose schema stops at a name, as a map of boxes does, is one entry for all libraries, and
/// whichever was bound last has left its own walk there. It expects the elements in its own form, so
/// that the sweep of another version would convert them the wrong way.
pub(super) fn walk_as_this_library() {
    for registration in inventory::iter::<TypeRegistration> {
        let tag = registration.tag.get();
        if tag != Tag::NONE {
            entry(tag).visit = Some(registration.visit);
        }
    }
    for guard in inventory::iter::<GuardRegistration> {
        if let Some(cell) = guard.cells.first()
            && cell.slot.load(Ordering::Relaxed) != 0
        {
            entry(cell.expected()).visit = Some(guard.visit);
        }
    }
}

/// Puts a converter into the entry of `from`, before the others, in place of one of the same lens or the
/// oldest. Two lenses may lead to one target: what a version splits off the next may merge away again, and
/// then the older end of one is the newer end of the other.
fn add_converter(from: Tag, converter: Converter) {
    let entry = entry(from);
    entry.has_twins |= converter.twin.is_some();
    let is_replaced = |known: &Converter| {
        known.target == 0
            || (known.target == converter.target && known.forward == converter.forward)
    };
    let place = entry.converters.iter().position(is_replaced);
    let place = place.unwrap_or(MAX_CONVERTERS - 1);
    entry.converters[..=place].rotate_right(1);
    entry.converters[0] = converter;
}

fn bind_lenses(tags: &Tags<'_>, version: VersionId) -> Result<(), String> {
    for lens in inventory::iter::<TransformerRegistration> {
        if lens.items.is_some() {
            continue;
        }
        let (left, right) = ((lens.left)(), (lens.right)());
        let (Some(older), Some(newer)) =
            (tags.get(&left.name, &left), tags.get(&right.name, &right))
        else {
            // Between items of a tuple, or from a version that is long gone.
            continue;
        };
        let environment = std::ptr::from_ref(lens).cast();
        if (lens.policy)() == LensPolicy::Forbid {
            forbid(lens, &right, version);
        }
        let converter = |target: Tag, forward| Converter {
            target: target.0,
            forward,
            complement_size: (lens.complement)().size as u32,
            complement_align: (lens.complement)().align as u32,
            call: Some(if forward { lens.forward } else { lens.backward }),
            environment,
            twin: lens
                .prepare
                .map(|_| if forward { twin_of_left } else { twin_of_right } as TwinFn),
            drop_complement: Some(drop_complement),
            visit_complement: Some(visit_complement),
        };
        add_converter(older, converter(newer, true));
        if (lens.directions)() == LensDirections::Both {
            add_converter(newer, converter(older, false));
        } else if lens.prepare.is_some() {
            add_converter(newer, converter(older, false).of_twin_only());
        }
    }
    Ok(())
}

/// # Safety
/// See [`TwinFn`]; `environment` is the registration of a prepared lens, and `value` one of its left type.
unsafe extern "C" fn twin_of_left(
    environment: *const c_void,
    task: TwinTask,
    value: *mut u8,
    until_ns: u64,
    error: &mut ErrorText,
) -> PrepareStatus {
    // SAFETY: `bind_lenses` pairs this function with a registration, which is a static.
    let lens = unsafe { &*environment.cast::<TransformerRegistration>() };
    match lens.prepare.map(|calls| calls.on_left(task)) {
        // SAFETY: by the caller.
        Some(call) => unsafe { call(value, until_ns, error) },
        None => PrepareStatus::Done,
    }
}

/// # Safety
/// As for [`twin_of_left`], of the right type.
unsafe extern "C" fn twin_of_right(
    environment: *const c_void,
    task: TwinTask,
    value: *mut u8,
    until_ns: u64,
    error: &mut ErrorText,
) -> PrepareStatus {
    // SAFETY: as for `twin_of_left`.
    let lens = unsafe { &*environment.cast::<TransformerRegistration>() };
    match lens.prepare.map(|calls| calls.on_right(task)) {
        // SAFETY: by the caller.
        Some(call) => unsafe { call(value, until_ns, error) },
        None => PrepareStatus::Done,
    }
}

/// From here on boxes of this type are made only as the lens allows (R12).
fn forbid(lens: &TransformerRegistration, right: &TypeSchema, version: VersionId) {
    let types = inventory::iter::<TypeRegistration>.into_iter();
    let mut own = types.filter(|ty| ty.frozen_from == 0 && ty.name == right.name);
    if let Some(cell) = own.find_map(|ty| ty.forbid) {
        cell.forbid(version, lens.represents);
    }
}

/// # Safety
/// `environment` is the registration whose complement it is.
unsafe extern "C" fn drop_complement(environment: *const c_void, complement: *mut u8) {
    // SAFETY: `bind_lenses` pairs this function with a registration, which is a static.
    unsafe { ((*environment.cast::<TransformerRegistration>()).drop_complement)(complement) }
}

/// # Safety
/// As for [`drop_complement`].
unsafe extern "C" fn visit_complement(
    environment: *const c_void,
    complement: *mut u8,
    visitor: *mut c_void,
) {
    // SAFETY: as for `drop_complement`.
    unsafe {
        ((*environment.cast::<TransformerRegistration>()).visit_complement)(complement, visitor);
    }
}

/// What this guard gives to others of this library, or gets from them (R4). `own` are all of them, those
/// without items included, and what the library says of those that it has.
fn traffic<'a>(
    guard: &GuardRegistration,
    older: &'a [GuardManifest],
    own: (&[&'static GuardRegistration], &'a [GuardManifest]),
) -> Traffic<'a> {
    let named = |name: &str| {
        let mut guards = own.0.iter();
        let found = guards.find(|other| other.name == name);
        found.map(|other| other.name)
    };
    let mut traffic = Traffic::default();
    for item in moves(older, own.1).0 {
        let Some(from) = named(item.giver) else {
            continue;
        };
        if item.to.name == guard.name {
            traffic.arriving.push(Passing { item, other: from });
        } else if from == guard.name
            && let Some(other) = named(&item.to.name)
        {
            traffic.leaving.push(Passing { item, other });
        }
    }
    traffic.sort();
    traffic
}

/// Says where a guard is, and what its items are in this library.
fn bind_guard(guard: &'static GuardRegistration, bound: &[GuardBinding]) -> Result<(), String> {
    let mut bound = bound.iter();
    let bound = bound
        .find(|bound| bound.name == guard.name)
        .ok_or_else(|| format!("guard {} has no slot", guard.name))?;
    if bound.count as usize != guard.cells.len() {
        return Err(format!(
            "guard {} has {} slots instead of {}",
            guard.name,
            bound.count,
            guard.cells.len()
        ));
    }
    for (index, cell) in (u64::from(bound.first.0)..).zip(guard.cells) {
        let address = (CONTROL_ADDR + GUARDS_OFFSET) as u64 + index * GUARD_STRIDE as u64;
        cell.bind(address, bound.tag);
        // All versions say the same.
        sync::GuardSlot::at(GuardIndex(index as u32)).set_node(Node(bound.node));
    }
    let schema = (guard.schema)();
    let entry = entry(bound.tag);
    entry.size = schema.size as u32;
    entry.align = schema.align as u32;
    entry.holds_boxes = schema.holds_boxes();
    entry.drop = Some(guard.drop);
    entry.visit = Some(guard.visit);
    items::offer(entry, guard);
    Ok(())
}

/// Guards of the version before that items move out of and that this library lacks, in the form that it
/// has them in.
fn bind_emptied(binding: &Binding) -> Result<Vec<&'static GuardRegistration>, String> {
    let older = binding.older.iter().flat_map(|older| &older.guards);
    let mut emptied = Vec::new();
    for bound in &binding.emptied {
        let before = older.clone().find(|guard| guard.name == bound.name);
        let family = before.and_then(|guard| guard.family);
        let guard = emptied::declaration(&bound.name, bound.count, family);
        bind_guard(guard, &binding.emptied)?;
        emptied.push(guard);
    }
    sync::set_emptied(emptied.clone());
    Ok(emptied)
}

/// The form of a guard that the version before does not have, if any version has left it so.
fn empty_form(guard: &GuardRegistration, tags: &Tags<'_>) -> Option<(Tag, TypeSchema)> {
    let schema = TypeSchema::no_items();
    let tag = tags.get(&guard_name(guard.name), &schema)?;
    let entry = entry(tag);
    (entry.size, entry.align) = (schema.size as u32, schema.align as u32);
    entry.drop = Some(emptied::drop_nothing);
    entry.visit = Some(emptied::show_nothing);
    Some((tag, schema))
}

/// Lays out the way between a guard's form in the version before and this library's; what is to be known
/// of it where items move between it and others.
fn bind_way(
    guard: &'static GuardRegistration,
    binding: &Binding,
    tags: &Tags<'_>,
    own: (&[&'static GuardRegistration], &[GuardManifest]),
) -> Result<Option<Mover>, String> {
    let Some(older_version) = &binding.older else {
        return Ok(None);
    };
    let former = if guard.renamed_from.is_empty() {
        guard.name
    } else {
        guard.renamed_from
    };
    let mut before = older_version.guards.iter();
    let (older_tag, older) = match before.find(|g| g.name == former || g.name == guard.name) {
        // Under the name that it had: a renamed guard has another representation even if nothing else
        // changed.
        Some(older) => {
            let tag = tags.get(&guard_name(&older.name), &older.items);
            let tag = tag.ok_or_else(|| format!("the older {} has no tag", older.name))?;
            (tag, older.items.clone())
        }
        None => match empty_form(guard, tags) {
            Some(empty) => empty,
            None => return Ok(None),
        },
    };
    let own_tag = guard.cells.first().map_or(Tag::NONE, GuardCell::expected);
    if older_tag == own_tag {
        return Ok(None);
    }
    let schema = (guard.schema)();
    let traffic = traffic(guard, &older_version.guards, own);
    let layout = TupleLayout::of(guard, (older_tag, &older), &schema, &traffic)?;
    let sources = traffic.sources();
    let plan = |from: Tag, to: Tag, forward| {
        kept_plan((from, to, sources.clone()), || layout.plan(forward, to))
    };
    let convert = |from: Tag, to: Tag, forward| {
        add_converter(from, plan(from, to, forward).converter(to));
    };
    convert(older_tag, own_tag, true);
    let back = || plan(own_tag, older_tag, false);
    if layout.both_ways {
        convert(own_tag, older_tag, false);
    } else if back().has_twins() {
        let back = back().converter(older_tag);
        add_converter(own_tag, back.of_twin_only());
    }
    let forward = plan(older_tag, own_tag, true);
    Ok(forward.is_moving().then(|| Mover {
        guard,
        forward,
        backward: layout.both_ways.then(back),
        older: (older_tag, offsets(&older)),
        newer: (own_tag, offsets(&schema)),
    }))
}

/// Where the items of a tuple are, in the order of their declaration.
fn offsets(items: &TypeSchema) -> Vec<u64> {
    fields(items).iter().map(|item| item.offset).collect()
}

/// The tags between which a plan leads, and where what moves lies in the guards that give it.
type PlanKey = (Tag, Tag, String);

thread_local! {
    /// A tag stands for one schema for the life of the server, so a library that is bound again has the
    /// same plans; but another build of the version before may have what moves in another place.
    static PLANS: RefCell<HashMap<PlanKey, &'static Plan>> = RefCell::default();
}

/// The plan of this key, made once: converters point to it for good.
fn kept_plan(key: PlanKey, make: impl FnOnce() -> Plan) -> &'static Plan {
    PLANS.with_borrow_mut(|plans| {
        *plans
            .entry(key)
            .or_insert_with(|| Box::leak(Box::new(make())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str) -> &'static GuardRegistration {
        let mut all = inventory::iter::<GuardRegistration>.into_iter();
        all.find(|guard| guard.name == name).expect("of a test")
    }

    // I14: an item goes to each of two guards, and each has its room in what is kept of the giver.
    #[test]
    fn rooms_lie_in_one_order_however_guards_are_declared() {
        let older = ["ROOT_OLD", "HEIR_OLD", "LEAVER_OLD"].map(|name| {
            let guard = guard_manifest(declared(name));
            let name = name.replace("LEAVER_OLD", "LEAVER");
            GuardManifest { name, ..guard }
        });
        let leaver = emptied::declaration("LEAVER", 1, None);
        let mut own = vec![declared("HEIR_NEW"), declared("FRESH_NEW"), leaver];
        let mut sources = || {
            own.reverse();
            let has = |guard: &&&GuardRegistration| guard.name != leaver.name;
            let manifests = own.iter().filter(has).map(|guard| guard_manifest(guard));
            let manifests: Vec<GuardManifest> = manifests.collect();
            let traffic = traffic(leaver, &older, (&own, &manifests));
            assert_eq!(traffic.leaving.len(), 2);
            traffic.sources()
        };
        assert_eq!(sources(), sources());
    }

    const ONE: Tag = Tag(60_021);
    const OTHER: Tag = Tag(60_023);

    // I14, R4: what a version splits off the next one merges away.
    #[test]
    fn two_lenses_between_the_same_ends_are_told_apart_by_which_is_the_older() {
        let way = |forward, complement_size| Converter {
            target: OTHER.0,
            forward,
            complement_size,
            complement_align: 1,
            call: None,
            environment: std::ptr::null(),
            twin: None,
            drop_complement: None,
            visit_complement: None,
        };
        let size_of = |forward| {
            let way = Representation::of(ONE).converter_of(OTHER, forward);
            way.map(|way| way.complement_size)
        };
        let of_the_last = || {
            let way = Representation::of(ONE).converter_to(OTHER);
            way.map(|way| way.complement_size)
        };
        for round in 1..4 {
            add_converter(ONE, way(true, 10 * round));
            assert_eq!(size_of(true), Some(10 * round));
            assert_eq!(of_the_last(), Some(10 * round));
            add_converter(ONE, way(false, round));
            assert_eq!(
                (size_of(true), size_of(false)),
                (Some(10 * round), Some(round))
            );
            assert_eq!(of_the_last(), Some(round));
        }
        let ways = Representation::of(ONE).converters.iter();
        assert_eq!(ways.filter(|way| way.target != 0).count(), 2);
    }
}
