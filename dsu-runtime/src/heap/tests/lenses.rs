//! Four forms of a type and the lenses between them, as loaded libraries would bind them.

use super::super::{Element, Shared, SharedBytes, Versioned, Visitor, visitor_of};
use crate::abi::{Conversion, ConversionStatus, Converter, Representation, TagCell, TypeSchema};
use crate::ids::Tag;
use std::ffi::c_void;
use std::ptr;

pub(in crate::heap) const OLD: Tag = Tag(100);
pub(in crate::heap) const NEW: Tag = Tag(101);
pub(in crate::heap) const LAST: Tag = Tag(102);
pub(in crate::heap) const AFTER: Tag = Tag(103);

macro_rules! element {
    ($ty:ident, $tag:ident, {$($field:ident: $of:ty),*}) => {
        #[derive(Default, PartialEq, Eq, Debug)]
        #[repr(C)]
        pub(in crate::heap) struct $ty { $(pub(in crate::heap) $field: $of),* }

        // SAFETY: made of shared types.
        unsafe impl Shared for $ty {
            type Cell = Versioned<Self>;
            fn schema() -> TypeSchema { TypeSchema::leaf::<Self>(stringify!($ty)) }
            fn visit(&mut self, visitor: &mut dyn Visitor) { $(self.$field.visit(visitor);)* }
        }

        // SAFETY: bound below.
        unsafe impl Element for $ty {
            type Refusal = crate::error::HeapFull;

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
element!(Last, LAST, {count: u64, name: SharedBytes});
element!(After, AFTER, {count: u64, name: SharedBytes});

/// What `Old` and `Last` cannot hold of a `New`.
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
    unsafe { (*value.cast::<T>()).visit(visitor_of(visitor)) };
}

unsafe extern "C" fn drop_rest(_: *const c_void, value: *mut u8) {
    // SAFETY: the runtime passes a complement of this type.
    unsafe { value.cast::<Rest>().drop_in_place() };
}

unsafe extern "C" fn visit_rest(_: *const c_void, value: *mut u8, visitor: *mut c_void) {
    // SAFETY: as above.
    unsafe { (*value.cast::<Rest>()).note.visit(visitor_of(visitor)) };
}

/// A name that starts with "bad" fails; after one that starts with "whole" the complement is vacant.
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
        call.is_vacant = old.name.starts_with(b"whole");
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
        let New {
            count,
            name,
            extra,
            note,
        } = call.source.cast::<New>().read();
        if !call.complement_in.is_null() {
            drop(call.complement_in.cast::<Rest>().read());
        }
        call.target.cast::<Last>().write(Last { count, name });
        call.complement_out
            .cast::<Rest>()
            .write(Rest { extra, note });
        ConversionStatus::Done
    }
}

unsafe extern "C" fn from_last(_: *const c_void, call: &mut Conversion) -> ConversionStatus {
    // SAFETY: as above.
    unsafe {
        let Last { count, name } = call.source.cast::<Last>().read();
        let Rest { extra, note } = match call.complement_in.is_null() {
            true => Rest::default(),
            false => call.complement_in.cast::<Rest>().read(),
        };
        call.target.cast::<New>().write(New {
            count,
            name,
            extra,
            note,
        });
        call.complement_out.cast::<Rest>().write(Rest::default());
        ConversionStatus::Done
    }
}

/// Nothing is lost on the way, so there is no complement.
unsafe extern "C" fn to_after(_: *const c_void, call: &mut Conversion) -> ConversionStatus {
    // SAFETY: as above.
    unsafe {
        let Last { count, name } = call.source.cast::<Last>().read();
        call.target.cast::<After>().write(After { count, name });
        ConversionStatus::Done
    }
}

pub(in crate::heap) fn bind() {
    const NONE: Converter = Converter {
        target: 0,
        forward: false,
        complement_size: 0,
        complement_align: 1,
        call: None,
        environment: ptr::null(),
        twin: None,
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
        twin: None,
        drop_complement: Some(drop_rest),
        visit_complement: Some(visit_rest),
    };
    fn entry<T: Shared>(tag: Tag, converters: [Converter; 4]) {
        // SAFETY: the table is mapped and this thread is the worker.
        unsafe {
            Representation::pointer(tag).write(Representation {
                size: size_of::<T>() as u32,
                align: align_of::<T>() as u32,
                holds_boxes: false,
                has_twins: false,
                drop: Some(drop_value::<T>),
                visit: Some(visit_value::<T>),
                converters,
                init_item: None,
                drop_item: None,
                visit_item: None,
                items: std::ptr::null(),
            });
        }
    }
    let after = Converter {
        complement_size: 0,
        ..lens(AFTER, true, to_after)
    };
    entry::<Old>(OLD, [lens(NEW, true, forward), NONE, NONE, NONE]);
    entry::<New>(
        NEW,
        [
            lens(OLD, false, backward),
            lens(LAST, true, to_last),
            NONE,
            NONE,
        ],
    );
    entry::<Last>(LAST, [lens(NEW, false, from_last), after, NONE, NONE]);
    entry::<After>(AFTER, [NONE; 4]);
}

pub(in crate::heap) fn text(of: &str) -> SharedBytes {
    SharedBytes::from_slice(of.as_bytes()).expect("room")
}

pub(in crate::heap) fn new(extra: u32, note: &str) -> Versioned<New> {
    let name = text("a name that lies in a block of its own (new)");
    Versioned::new(New {
        count: 1,
        name,
        extra,
        note: text(note),
    })
    .expect("room")
}

pub(in crate::heap) fn old(name: &str) -> Versioned<Old> {
    Versioned::new(Old {
        count: 1,
        name: text(name),
    })
    .expect("room")
}

pub(in crate::heap) const NOTE: &str = "what the older version knows nothing of";
