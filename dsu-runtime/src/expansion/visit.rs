//! Visits the fields of a value in the order of its table, so that a walk can stop in the middle and go on (R29).
#![allow(unsafe_code)] // reaches fields by the offsets that the derive states

use super::shape::Shaped;
use crate::heap::Visitor;

/// Shows every field of `value`.
///
/// Where the walk stops inside a field, the place is that field's; where it stops after one, the next field's.
/// A place names the variant as well: an enum that has changed its variant since is visited from the beginning.
pub fn visit_fields<T: Shaped>(value: &mut T, visitor: &mut dyn Visitor) {
    let variant = value.variant();
    let fields = T::SHAPE.fields(variant);
    let start = Place::unpack(visitor.enter());
    let first = if start.variant == variant {
        start.field
    } else {
        visitor.begin_anew();
        0
    };
    let base = std::ptr::from_mut(value).cast::<u8>();
    let mut stopped_at = None;
    for (index, field) in fields.iter().enumerate().skip(first) {
        // SAFETY: `Shaped` promises that a field of this type lies at this offset in this variant, and
        // `value` is borrowed exclusively; no other reference into it lives.
        unsafe { (field.visit)(base.add(field.offset), visitor) };
        if visitor.stopped_inside() {
            stopped_at = Some(index);
            break;
        }
        if index + 1 < fields.len() && visitor.is_spent() {
            stopped_at = Some(index + 1);
            break;
        }
    }
    visitor.leave(stopped_at.map(|field| Place { variant, field }.pack()));
}

/// A field of a variant, as the number that a visitor keeps. The first field of the first variant is 0.
#[derive(Clone, Copy, PartialEq)]
struct Place {
    variant: usize,
    field: usize,
}

impl Place {
    fn pack(self) -> u64 {
        (self.variant as u64) << 32 | self.field as u64
    }

    fn unpack(place: u64) -> Place {
        Place {
            variant: (place >> 32) as usize,
            field: (place & u64::from(u32::MAX)) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::{Body, Field, Shape, schema_of};
    use super::*;
    use crate::abi::TypeSchema;
    use crate::heap::{Inline, Shared};
    use crate::ids::Tag;
    use std::alloc::Layout;
    use std::ptr::NonNull;

    /// A container of numbers that shows each as damage, since that is the only thing a visitor is told in words.
    struct Numbers(Vec<u32>);

    // SAFETY: never leaves this process.
    unsafe impl Shared for Numbers {
        type Cell = Inline<Self>;

        fn schema() -> TypeSchema {
            TypeSchema::leaf::<Self>("Numbers")
        }

        fn visit(&mut self, visitor: &mut dyn Visitor) {
            let start = visitor.enter() as usize;
            for (index, number) in self.0.iter().enumerate().skip(start) {
                visitor.damage(&number.to_string());
                if visitor.is_spent() && index + 1 < self.0.len() {
                    return visitor.leave(Some(index as u64 + 1));
                }
            }
            visitor.leave(None);
        }
    }

    struct Both {
        first: Numbers,
        second: Numbers,
    }

    // SAFETY: the offsets are taken from the type, which has one variant.
    unsafe impl Shaped for Both {
        const SHAPE: Shape = Shape {
            name: "Both",
            meaning: 3,
            body: Body::Struct {
                fields: &[
                    Field::of::<Numbers>("first", std::mem::offset_of!(Both, first)),
                    Field::of::<Numbers>("second", std::mem::offset_of!(Both, second)),
                ],
            },
        };

        fn variant(&self) -> usize {
            0
        }
    }

    // SAFETY: never leaves this process.
    unsafe impl Shared for Both {
        type Cell = Inline<Self>;

        fn schema() -> TypeSchema {
            schema_of::<Self>()
        }

        fn visit(&mut self, visitor: &mut dyn Visitor) {
            visit_fields(self, visitor);
        }
    }

    /// Stops after a number of elements and keeps the places, innermost first.
    struct Slice {
        resume: Vec<u64>,
        places: Vec<u64>,
        budget: usize,
        seen: Vec<String>,
    }

    // SAFETY: it looks, and leaves words and blocks as they are.
    unsafe impl Visitor for Slice {
        fn block(&mut self, _: NonNull<u8>, _: Layout) {}
        fn versioned(&mut self, _: &mut u64, _: Tag) {}
        fn damage(&mut self, what: &str) {
            self.seen.push(what.to_owned());
        }
        fn enter(&mut self) -> u64 {
            self.resume.pop().unwrap_or(0)
        }
        fn begin_anew(&mut self) {
            self.resume.clear();
        }
        fn is_spent(&self) -> bool {
            self.seen.len() >= self.budget
        }
        fn stopped_inside(&self) -> bool {
            !self.places.is_empty()
        }
        fn leave(&mut self, stopped_at: Option<u64>) {
            self.places.extend(stopped_at);
        }
    }

    // R29
    #[test]
    fn a_walk_in_slices_shows_every_element_once() {
        let mut value = Both {
            first: Numbers((0..4).collect()),
            second: Numbers((4..9).collect()),
        };
        for budget in 1..=10 {
            let (mut seen, mut resume, mut slices) = (Vec::new(), Vec::new(), 0);
            loop {
                let mut slice = Slice {
                    resume,
                    places: Vec::new(),
                    budget,
                    seen: Vec::new(),
                };
                value.visit(&mut slice);
                seen.append(&mut slice.seen);
                resume = slice.places;
                slices += 1;
                if resume.is_empty() {
                    break;
                }
            }
            let expected: Vec<String> = (0..9).map(|n| n.to_string()).collect();
            assert_eq!(seen, expected, "in slices of {budget}");
            assert_eq!(slices, 9_usize.div_ceil(budget), "in slices of {budget}");
        }
    }

    // R29
    #[test]
    fn a_place_in_another_variant_starts_from_the_beginning() {
        let mut value = Both {
            first: Numbers(vec![0]),
            second: Numbers(vec![1, 2]),
        };
        let place = Place {
            variant: 5,
            field: 1,
        };
        let mut slice = Slice {
            resume: vec![1, place.pack()],
            places: Vec::new(),
            budget: 10,
            seen: Vec::new(),
        };
        value.visit(&mut slice);
        assert_eq!(slice.seen, ["0", "1", "2"]);
    }
}
