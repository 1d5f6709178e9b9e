//! Boxes between two forms of a type and a third: reading, editing, failing, dropping.

use super::super::{
    Element, Inline, Shared, SharedBytes, SharedMap, Versioned, Visitor, live,
    transaction::{self, Transaction},
};
use super::{Owned, failing_after, worker};
use crate::abi::{Conversion, ConversionStatus, Converter, Representation, TagCell, TypeSchema};
use crate::error::AccessError;
use crate::ids::Tag;
use std::ffi::c_void;
use std::ptr;

const OLD: Tag = Tag(100);
const NEW: Tag = Tag(101);
const LAST: Tag = Tag(102);

macro_rules! element {
    ($ty:ident, $tag:ident, {$($field:ident: $of:ty),*}) => {
        #[derive(Default, PartialEq, Eq, Debug)]
        #[repr(C)]
        struct $ty { $($field: $of),* }

        // SAFETY: made of shared types.
        unsafe impl Shared for $ty {
            type Cell = Versioned<Self>;
            fn schema() -> TypeSchema { TypeSchema::leaf::<Self>(stringify!($ty)) }
            fn visit(&mut self, visitor: &mut dyn Visitor) { $(self.$field.visit(visitor);)* }
        }

        // SAFETY: bound below.
        unsafe impl Element for $ty {
            fn tag() -> &'static TagCell {
                static TAG: TagCell = TagCell::new();
                TAG.set($tag);
                &TAG
            }
        }
    };
}

element!(Old, OLD, {count: u64, name: SharedBytes});
element!(New, NEW, {count: u64, name: SharedBytes, extra: u32, note: SharedBytes});
element!(Last, LAST, {name: SharedBytes});

/// What an `Old` cannot hold.
#[derive(Default)]
#[repr(C)]
struct Rest {
    extra: u32,
    note: SharedBytes,
}

unsafe extern "C" fn drop_value<T>(value: *mut u8) {
    // SAFETY: the runtime passes a value of this type.
    unsafe { value.cast::<T>().drop_in_place() };
}

unsafe extern "C" fn visit_value<T: Shared>(value: *mut u8, visitor: *mut c_void) {
    // SAFETY: the runtime passes a value of this type and its visitor.
    unsafe { (*value.cast::<T>()).visit(super::super::visitor_of(visitor)) };
}

unsafe extern "C" fn drop_rest(_: *const c_void, value: *mut u8) {
    // SAFETY: the runtime passes a `Rest` that nobody uses afterwards.
    unsafe { drop_value::<Rest>(value) };
}

unsafe extern "C" fn visit_rest(_: *const c_void, value: *mut u8, visitor: *mut c_void) {
    // SAFETY: as above.
    unsafe {
        (*value.cast::<Rest>())
            .note
            .visit(super::super::visitor_of(visitor))
    };
}

/// A name that starts with "bad" fails, one that starts with "worse" has no new form.
unsafe extern "C" fn forward(_: *const c_void, call: &mut Conversion) -> ConversionStatus {
    // SAFETY: the runtime passes an `Old`, its complement or null, and room for the results.
    unsafe {
        let old = call.source.cast::<Old>().read();
        let rest = match call.complement_in.is_null() {
            true => Rest {
                extra: 7,
                note: SharedBytes::new(),
            },
            false => call.complement_in.cast::<Rest>().read(),
        };
        if old.name.starts_with(b"bad") {
            call.error.set("bad name");
            return ConversionStatus::Failed;
        }
        let mut name = old.name;
        if name.append(b" (new)").is_err() {
            return ConversionStatus::HeapFull;
        }
        let new = New {
            count: old.count,
            name,
            extra: rest.extra,
            note: rest.note,
        };
        call.target.cast::<New>().write(new);
        call.complement_out.cast::<Rest>().write(Rest::default());
        ConversionStatus::Done
    }
}

/// An `extra` of 666 has no old form.
unsafe extern "C" fn backward(_: *const c_void, call: &mut Conversion) -> ConversionStatus {
    // SAFETY: as above, the other way.
    unsafe {
        let new = call.source.cast::<New>().read();
        if !call.complement_in.is_null() {
            drop(call.complement_in.cast::<Rest>().read());
        }
        if new.extra == 666 {
            return ConversionStatus::Unrepresentable;
        }
        let mut name = new.name;
        name.truncate(name.strip_suffix(b" (new)").map_or(name.len(), <[u8]>::len));
        call.target.cast::<Old>().write(Old {
            count: new.count,
            name,
        });
        call.complement_out.cast::<Rest>().write(Rest {
            extra: new.extra,
            note: new.note,
        });
        ConversionStatus::Done
    }
}

unsafe extern "C" fn to_last(_: *const c_void, call: &mut Conversion) -> ConversionStatus {
    // SAFETY: as above.
    unsafe {
        let new = call.source.cast::<New>().read();
        call.target.cast::<Last>().write(Last { name: new.name });
        ConversionStatus::Done
    }
}

fn bind() {
    const NONE: Converter = Converter {
        target: 0,
        forward: false,
        complement_size: 0,
        complement_align: 1,
        call: None,
        environment: ptr::null(),
        drop_complement: None,
        visit_complement: None,
    };
    let lens = |target: Tag, forward, call| Converter {
        target: target.0,
        forward,
        complement_size: size_of::<Rest>() as u32,
        complement_align: align_of::<Rest>() as u32,
        call: Some(call),
        environment: ptr::null(),
        drop_complement: Some(drop_rest),
        visit_complement: Some(visit_rest),
    };
    fn entry<T: Shared>(tag: Tag, converters: [Converter; 4]) {
        // SAFETY: the table is mapped and this thread is the worker.
        unsafe {
            Representation::pointer(tag).write(Representation {
                size: size_of::<T>() as u32,
                align: align_of::<T>() as u32,
                drop: Some(drop_value::<T>),
                visit: Some(visit_value::<T>),
                converters,
                init_item: None,
                items: ptr::null(),
            });
        }
    }
    let last = Converter {
        complement_size: 0,
        ..lens(LAST, true, to_last)
    };
    entry::<Old>(OLD, [lens(NEW, true, forward), NONE, NONE, NONE]);
    entry::<New>(NEW, [lens(OLD, false, backward), last, NONE, NONE]);
    entry::<Last>(LAST, [NONE; 4]);
}

fn text(of: &str) -> SharedBytes {
    SharedBytes::from_slice(of.as_bytes()).expect("room")
}

fn new(extra: u32, note: &str) -> Versioned<New> {
    let name = text("a name that lies in a block of its own (new)");
    Versioned::new(New {
        count: 1,
        name,
        extra,
        note: text(note),
    })
    .expect("room")
}

fn old(name: &str) -> Versioned<Old> {
    Versioned::new(Old {
        count: 1,
        name: text(name),
    })
    .expect("room")
}

const NOTE: &str = "what the older version knows nothing of";

// R6, R10
#[test]
fn there_and_back_restores_what_the_older_side_cannot_hold() {
    let _turn = worker();
    bind();
    let before = (live::count(OLD), live::count(NEW));
    let mut box_of_old = new(5, NOTE).rebind::<Old>();
    box_of_old.get_mut().expect("has an old form").count += 1;
    assert_eq!(live::count(OLD), before.0 + 1);
    assert_eq!(live::count(NEW), before.1);
    assert_eq!(Owned::of(&mut box_of_old).blocks.len(), 4); // value, name, complement, note
    let mut box_of_new = box_of_old.rebind::<New>();
    for _ in 0..3 {
        let value = box_of_new.get_mut().expect("has a new form");
        assert_eq!(
            (value.count, value.extra, &value.note[..]),
            (2, 5, NOTE.as_bytes())
        );
        let mut back = box_of_new.rebind::<Old>();
        back.get_mut().expect("has an old form");
        box_of_new = back.rebind();
    }
    drop(box_of_new);
    assert_eq!((live::count(OLD), live::count(NEW)), before);
}

// R20
#[test]
fn reading_another_form_changes_nothing() {
    let _turn = worker();
    bind();
    let mut stored = new(5, NOTE);
    let blocks = Owned::of(&mut stored);
    let bytes = blocks.bytes();
    let counts = (live::count(OLD), live::count(NEW));
    let stored = stored.rebind::<Old>();
    let first = stored.get().expect("has an old form");
    let second = stored.get().expect("has an old form");
    assert_eq!(first, second);
    assert_eq!(&first.name[..], b"a name that lies in a block of its own");
    assert_eq!(stored.tag(), NEW);
    transaction::release_scratch();
    let mut stored = stored.rebind::<New>();
    assert_eq!(Owned::of(&mut stored).bytes(), bytes);
    assert_eq!((live::count(OLD), live::count(NEW)), counts);
}

// R6
#[test]
fn overwriting_drops_the_complement_and_editing_keeps_it() {
    let _turn = worker();
    bind();
    for (overwrites, extra) in [(true, 7), (false, 5)] {
        let mut stored = new(5, NOTE).rebind::<Old>();
        stored.get_mut().expect("has an old form").count = 9;
        if overwrites {
            stored
                .replace(Old {
                    count: 9,
                    name: text("other"),
                })
                .expect("room");
        }
        let mut stored = stored.rebind::<New>();
        let value = stored.get_mut().expect("has a new form");
        assert_eq!((value.count, value.extra), (9, extra));
    }
}

// R20
#[test]
fn failing_conversion_leaves_the_element_untouched() {
    let _turn = worker();
    bind();
    let mut bad = old("bad, and too long to lie inline").rebind::<New>();
    let before = Owned::of(&mut bad).bytes();
    let counts = (live::count(OLD), live::count(NEW));
    let failed = AccessError::Failed("bad name".to_owned());
    assert_eq!(bad.get().map(drop), Err(failed.clone()));
    assert_eq!(bad.get_mut().map(drop), Err(failed));
    assert_eq!(Owned::of(&mut bad).bytes(), before);

    let mut foreign = new(666, NOTE).rebind::<Old>();
    assert_eq!(foreign.get_mut().map(drop), Err(AccessError::Foreign));
    assert_eq!(
        foreign.rebind::<New>().get().expect("its own form").extra,
        666
    );

    let mut full = new(5, NOTE).rebind::<Old>();
    full.get_mut().expect("has an old form");
    let mut full = full.rebind::<New>();
    let bytes = Owned::of(&mut full).bytes();
    let mut allocations = 0;
    while failing_after(allocations, || full.get_mut().is_err()) {
        assert_eq!(Owned::of(&mut full).bytes(), bytes);
        assert_eq!(full.tag(), OLD);
        allocations += 1;
    }
    assert!(allocations >= 2);
    assert_eq!(full.get().expect("its own form").extra, 5);
    drop(full);
    assert_eq!((live::count(OLD), live::count(NEW)), counts);
}

// R11
#[test]
fn foreign_elements_are_counted_listed_replaced_and_removed() {
    let _turn = worker();
    bind();
    let counts = (live::count(OLD), live::count(NEW));
    let mut map: SharedMap<u64, New> = SharedMap::new();
    for n in 0..300 {
        let value = New {
            count: n,
            name: text("n"),
            extra: 666,
            note: text(NOTE),
        };
        map.insert(n, value).expect("room");
    }
    let mut map = map.rebind::<Old>();
    assert_eq!((map.len(), map.contains(&5)), (300, true));
    assert_eq!(map.get(&5).map(|_| ()), Err(AccessError::Foreign));
    assert_eq!(map.remove(&5).map(|_| ()), Err(AccessError::Foreign));
    assert_eq!(
        map.iter().filter(|(_, cell)| cell.get().is_err()).count(),
        300
    );
    map.replace(
        &5,
        Old {
            count: 1,
            name: text("mine"),
        },
    )
    .expect("room")
    .expect("was there");
    assert_eq!(map.get(&5).expect("own form").expect("there").count, 1);
    let (key, cell) = map.remove_entry(&6).expect("room").expect("there");
    map.insert_cell(key + 1_000, cell).expect("room");
    assert!(map.contains(&1_006) && !map.contains(&6));
    Owned::of(&mut map);
    drop(map);
    assert_eq!((live::count(OLD), live::count(NEW)), counts);
}

#[test]
fn chain_of_lenses_leads_where_no_single_one_does() {
    let _turn = worker();
    bind();
    let mut stored = old("x").rebind::<Last>();
    assert_eq!(&stored.get().expect("by way of New").name[..], b"x (new)");
    assert_eq!(
        &stored.get_mut().expect("by way of New").name[..],
        b"x (new)"
    );
    Owned::of(&mut stored);
    let stored = stored.rebind::<Old>();
    assert_eq!(stored.get().map(|_| ()), Err(AccessError::Foreign));
    transaction::release_scratch();
}

#[test]
fn edits_inside_an_aborted_transformer_leave_the_box_as_it_was() {
    let _turn = worker();
    bind();
    let mut stored = new(5, NOTE).rebind::<Old>();
    let before = Owned::of(&mut stored).bytes();
    let counts = (live::count(OLD), live::count(NEW));
    let transaction = Transaction::begin();
    // SAFETY: as a lens does it: moved out bit by bit, the source is live again after the abort.
    let mut moved = unsafe { ptr::read(&stored) };
    moved
        .get_mut()
        .expect("has an old form")
        .name
        .append(b"changed")
        .expect("room");
    moved.get_mut().expect("has an old form").count = 77;
    let mut moved = moved.rebind::<New>();
    moved.get_mut().expect("has a new form").extra = 8;
    drop(moved);
    drop(old("made and dropped inside"));
    transaction.abort();
    assert_eq!(Owned::of(&mut stored).bytes(), before);
    assert_eq!((live::count(OLD), live::count(NEW)), counts);
}

#[test]
fn value_of_an_unknown_version_is_neither_read_nor_dropped() {
    let _turn = worker();
    bind();
    let mut stored = old("x").rebind::<New>();
    // SAFETY: as if the library that knows the tag had never been loaded.
    unsafe { Representation::pointer(OLD).write_bytes(0, 1) };
    assert_eq!(stored.get().map(|_| ()), Err(AccessError::Foreign));
    let mut owned = Owned::default();
    Shared::visit(&mut stored, &mut owned);
    assert_eq!(owned.damage.len(), 1);
    drop(stored);
    bind();
}

#[test]
fn schema_of_a_box_stops_at_the_name() {
    // R2
    assert_ne!(Old::schema(), New::schema());
    let of = <Versioned<Old> as Shared>::schema();
    assert_eq!(of.kind, crate::abi::TypeKind::Versioned("Old".to_owned()));
    assert_eq!(
        <Inline<u64> as super::super::Cell<u64>>::schema(),
        u64::schema()
    );
}
