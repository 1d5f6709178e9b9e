//! Which step takes each item of a guard from one version's tuple to its neighbour's (R3): laid out from
//! the two schemas and the lenses of this library.
//!
//! Owns the places of items and of what is kept of them; `tuple` runs the steps.

use super::items::PartCalls;
use super::tuple::{ALIGN, Given, Lensed, Part, Piece, Plan, Source, Step, Twin, TwinPlace};
use crate::abi::{
    FieldSchema, GuardRegistration, LensDirections, TransformerRegistration, TypeRegistration,
    TypeSchema,
};
use crate::ids::Tag;
use crate::version::{Move, digest, fields, is_tuple_of, lens_key};

/// One item, as it is on either side.
struct Pair<'a> {
    name: &'a str,
    older: Option<&'a FieldSchema>,
    newer: Option<&'a FieldSchema>,
    lens: Option<&'static TransformerRegistration>,
    complement: usize,
    elsewhere: Elsewhere,
}

/// Which side of a pair is an item of another guard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    Neither,
    /// It has come from the guard of this name.
    Older(&'static str),
    /// It has gone to the guard of this name.
    Newer(&'static str),
}

/// An item that this guard has from another one, or gives to another one, and the name that the other
/// has in the newer version.
pub(super) struct Passing<'a> {
    pub(super) item: Move<'a>,
    pub(super) other: &'static str,
}

impl<'a> Passing<'a> {
    fn named(&self) -> (&'a str, &'a str) {
        (&self.item.to.name, &self.item.newer.name)
    }
}

/// Items that a guard gets from others with this version, and those that others get from it.
#[derive(Default)]
pub(super) struct Traffic<'a> {
    pub(super) arriving: Vec<Passing<'a>>,
    pub(super) leaving: Vec<Passing<'a>>,
}

/// Items that become others by a lens between tuples of them.
struct Group {
    lens: &'static TransformerRegistration,
    /// The older items' places in the guard's tuple and in the lens's.
    older: Vec<Piece>,
    newer: Vec<Piece>,
    complement: usize,
}

/// Both layouts of a guard's tuple and of the complement between them.
pub(super) struct TupleLayout<'a> {
    groups: Vec<Group>,
    pairs: Vec<Pair<'a>>,
    parts: Vec<Part>,
    complement_size: usize,
    pub(super) both_ways: bool,
}

fn lens_between(
    older: &TypeSchema,
    newer: &TypeSchema,
) -> Option<&'static TransformerRegistration> {
    inventory::iter::<TransformerRegistration>
        .into_iter()
        .find(|lens| lens.items.is_none() && (lens.left)() == *older && (lens.right)() == *newer)
}

/// As the manifest orders them: the linker says in which order lenses are registered, and what each keeps
/// is to lie in the same place in all builds (I14).
fn in_order_of_rooms(
    lenses: impl IntoIterator<Item = &'static TransformerRegistration>,
) -> Vec<&'static TransformerRegistration> {
    let mut lenses: Vec<_> = lenses.into_iter().collect();
    lenses.sort_by_cached_key(|lens| lens_key(&(lens.left)(), &(lens.right)()));
    lenses
}

/// Where the named items lie in a guard's tuple, and in the tuple that a lens takes or gives.
fn places(tuple: &TypeSchema, names: &[&str], items: &TypeSchema) -> Vec<Piece> {
    let item = |name: &str| fields(items).iter().find(|item| item.name == name);
    let parts = fields(tuple).iter().zip(names);
    let pieces = parts.filter_map(|(part, name)| {
        Some(Piece {
            from: item(name)?.offset as usize,
            to: part.offset as usize,
            size: part.ty.size as usize,
        })
    });
    pieces.collect()
}

impl<'a> TupleLayout<'a> {
    pub(super) fn of(
        guard: &GuardRegistration,
        (older_tag, older): (Tag, &'a TypeSchema),
        newer: &'a TypeSchema,
        traffic: &Traffic<'a>,
    ) -> Result<TupleLayout<'a>, String> {
        let mut layout = TupleLayout {
            groups: Vec::new(),
            pairs: Vec::new(),
            parts: Vec::new(),
            complement_size: 0,
            both_ways: true,
        };
        let lenses = inventory::iter::<TransformerRegistration>.into_iter();
        let of_items = lenses.filter(|lens| {
            let items = lens.items.as_ref();
            items.is_some_and(|items| items.guard == guard.name)
        });
        for lens in in_order_of_rooms(of_items) {
            layout.group(lens, older, newer);
        }
        for (passing, is_arriving) in traffic.both() {
            layout.pass(guard, passing, is_arriving)?;
        }
        let (mut from_group, mut to_group) = layout.grouped();
        from_group.extend(
            traffic
                .leaving
                .iter()
                .map(|gone| gone.item.older.name.as_str()),
        );
        to_group.extend(
            traffic
                .arriving
                .iter()
                .map(|come| come.item.newer.name.as_str()),
        );
        let own = fields(newer).iter().zip(guard.items);
        for (field, calls) in own.filter(|(field, _)| !to_group.contains(&field.name.as_str())) {
            let mut ungrouped = fields(older)
                .iter()
                .filter(|old| !from_group.contains(&old.name.as_str()));
            let old = ungrouped.find(|old| old.name == field.name);
            let lens = match old {
                Some(old) if old.ty != field.ty => {
                    Some(lens_between(&old.ty, &field.ty).ok_or_else(|| {
                        format!(
                            "item {}.{} changed and has no transformer",
                            guard.name, field.name
                        )
                    })?)
                }
                _ => None,
            };
            let complement = match (old, lens) {
                (_, Some(lens)) => layout.room_of(lens),
                (None, None) => layout.room(
                    field.ty.size as usize,
                    PartCalls::here(calls.drop, calls.visit),
                ),
                (Some(_), None) => 0,
            };
            layout.pairs.push(Pair {
                name: &field.name,
                older: old,
                newer: Some(field),
                lens,
                complement,
                elsewhere: Elsewhere::Neither,
            });
        }
        for old in fields(older) {
            if from_group.contains(&old.name.as_str()) {
                continue;
            }
            let is_there = |field: &&FieldSchema| {
                field.name == old.name && !to_group.contains(&field.name.as_str())
            };
            if !fields(newer).iter().any(|field| is_there(&field)) {
                // Its type is known here only if it was frozen; else to the version that has it.
                let known = inventory::iter::<TypeRegistration>
                    .into_iter()
                    .find(|t| t.frozen_from != 0 && (t.schema)() == old.ty);
                let calls = match known {
                    Some(ty) => PartCalls::here(ty.drop, ty.visit),
                    None => PartCalls::OfItem {
                        tuple: older_tag,
                        offset: old.offset,
                    },
                };
                let complement = layout.room(old.ty.size as usize, calls);
                layout.pairs.push(Pair {
                    name: &old.name,
                    older: Some(old),
                    newer: None,
                    lens: None,
                    complement,
                    elsewhere: Elsewhere::Neither,
                });
            }
        }
        Ok(layout)
    }

    /// Takes in an item that comes from another guard, or goes to one.
    fn pass(
        &mut self,
        guard: &GuardRegistration,
        passing: &Passing<'a>,
        is_arriving: bool,
    ) -> Result<(), String> {
        let (older, newer) = (passing.item.older, passing.item.newer);
        let lens = match older.ty == newer.ty {
            true => None,
            false => Some(lens_between(&older.ty, &newer.ty).ok_or_else(|| {
                let (guard, item) = (guard.name, &newer.name);
                format!(
                    "item {item}, which moves to or from {guard}, changes and has no transformer"
                )
            })?),
        };
        let complement = lens.map_or(0, |lens| self.room_of(lens));
        self.pairs.push(Pair {
            name: if is_arriving {
                &newer.name
            } else {
                &older.name
            },
            older: Some(older),
            newer: Some(newer),
            lens,
            complement,
            elsewhere: match is_arriving {
                true => Elsewhere::Older(passing.other),
                false => Elsewhere::Newer(passing.other),
            },
        });
        Ok(())
    }

    /// Takes a lens in if it is one between items of these tuples.
    fn group(
        &mut self,
        lens: &'static TransformerRegistration,
        older: &TypeSchema,
        newer: &TypeSchema,
    ) {
        let Some(items) = lens.items else {
            return;
        };
        let (left, right) = ((lens.left)(), (lens.right)());
        if !is_tuple_of(&left, items.older, older) || !is_tuple_of(&right, items.newer, newer) {
            return;
        }
        let complement = self.room_of(lens);
        self.groups.push(Group {
            lens,
            older: places(&left, items.older, older),
            newer: places(&right, items.newer, newer),
            complement,
        });
    }

    /// Names of the older and of the newer items that a group takes care of.
    fn grouped<'n>(&self) -> (Vec<&'n str>, Vec<&'n str>) {
        let items = || self.groups.iter().filter_map(|group| group.lens.items);
        (
            items().flat_map(|items| items.older).copied().collect(),
            items().flat_map(|items| items.newer).copied().collect(),
        )
    }

    /// For what a lens keeps, which is a step of the tuple's.
    fn room_of(&mut self, lens: &TransformerRegistration) -> usize {
        self.both_ways &= (lens.directions)() == LensDirections::Both;
        let calls = PartCalls::here(lens.drop_complement, lens.visit_complement);
        self.room((lens.complement)().size as usize, calls)
    }

    fn room(&mut self, size: usize, calls: PartCalls) -> usize {
        let offset = self.complement_size;
        if size > 0 {
            self.parts.push(Part { offset, calls });
            self.complement_size += size.next_multiple_of(ALIGN);
        }
        offset
    }

    /// One direction, towards tuples of tag `target`.
    pub(super) fn plan(&self, forward: bool, target: Tag) -> Plan {
        let groups = self.groups.iter();
        let grouped = groups.clone().map(|group| group.step(forward));
        let of_pairs = self
            .pairs
            .iter()
            .map(|pair| (pair.step(forward), pair.name.to_owned()));
        let mut steps: Vec<_> = grouped
            .zip(groups.clone().map(Group::name))
            .chain(of_pairs)
            .collect();
        // What is made may be made of the others: last, in the order of its declaration.
        steps.sort_by_key(|(step, _)| matches!(step, Step::Make { .. }));
        let (steps, names) = steps.into_iter().unzip();
        // A part is in the complement only while its item is not in the tuple.
        let kept = self
            .pairs
            .iter()
            .filter(|pair| pair.room() > 0 && pair.is_kept(forward));
        let of_groups = groups.filter(|group| (group.lens.complement)().size > 0);
        let offsets = of_groups.map(|group| group.complement);
        let parts = offsets
            .chain(kept.map(|pair| pair.complement))
            .filter_map(|offset| self.parts.iter().find(|part| part.offset == offset))
            .copied()
            .collect();
        let of_groups = self.groups.iter().filter_map(|group| group.twin(forward));
        let of_pairs = self.pairs.iter().filter_map(|pair| pair.twin(forward));
        let takes = self.pairs.iter().filter_map(|pair| pair.source(forward));
        let gives = self.pairs.iter().filter_map(|pair| pair.given(forward));
        Plan {
            takes: takes.collect(),
            gives: gives.collect(),
            steps,
            forward,
            twins: of_groups.chain(of_pairs).collect(),
            names,
            parts,
            complement_size: self.complement_size,
            target,
        }
    }
}

impl<'a> Traffic<'a> {
    /// By what the items are called in the newer version: their rooms in the complement lie in this order,
    /// and two builds of a version read each other's complements, however each declares its guards (I14).
    pub(super) fn sort(&mut self) {
        for some in [&mut self.arriving, &mut self.leaving] {
            some.sort_by(|a, b| a.named().cmp(&b.named()));
        }
    }

    /// All of it, and what of it comes.
    fn both(&self) -> impl Iterator<Item = (&Passing<'a>, bool)> {
        let arriving = self.arriving.iter().map(|passing| (passing, true));
        arriving.chain(self.leaving.iter().map(|passing| (passing, false)))
    }

    /// What the tags of a guard do not say of it: where in the version before each item lies, and what
    /// it is. Empty where nothing moves.
    pub(super) fn sources(&self) -> String {
        let source = |Move { from, older, .. }: &Move<'_>| {
            let (guard, item) = (&from.name, &older.name);
            format!("{guard}.{item} {} {};", older.offset, digest(&older.ty))
        };
        self.both()
            .map(|(passing, _)| source(&passing.item))
            .collect()
    }
}

impl Group {
    fn name(&self) -> String {
        let items = self.lens.items.map_or(&[][..], |items| items.older);
        format!("({})", items.join(", "))
    }

    /// What its lens can make ahead in tuples of the side that is left.
    fn twin(&self, forward: bool) -> Option<Twin> {
        let pieces = if forward { &self.older } else { &self.newer };
        Some(Twin {
            name: self.name(),
            calls: self.lens.prepare?,
            place: TwinPlace::Items(pieces.iter().map(|piece| piece.from).collect()),
        })
    }

    fn step(&self, forward: bool) -> Step {
        let reversed = |pieces: &[Piece]| {
            let turn = |piece: &Piece| Piece {
                from: piece.to,
                to: piece.from,
                size: piece.size,
            };
            pieces.iter().map(turn).collect()
        };
        let lens = self.lens;
        let older = (&self.older, (lens.left)().size as usize);
        let newer = (&self.newer, (lens.right)().size as usize);
        let ((gather, gathered), (spread, given)) = match forward {
            true => (older, newer),
            false => (newer, older),
        };
        Step::Regroup {
            gather: gather.clone(),
            gathered,
            spread: reversed(spread),
            given,
            lens: Lensed {
                call: if forward { lens.forward } else { lens.backward },
                complement: self.complement,
                has_complement: (lens.complement)().size > 0,
            },
        }
    }
}

impl Pair<'_> {
    /// Bytes that it may have in the complement. Without any, its place there is that of the next pair.
    fn room(&self) -> u64 {
        match (self.lens, self.older, self.newer) {
            (Some(lens), ..) => (lens.complement)().size,
            (None, Some(_), Some(_)) => 0,
            (None, older, newer) => older.or(newer).map_or(0, |field| field.ty.size),
        }
    }

    /// As [`Group::twin`].
    fn twin(&self, forward: bool) -> Option<Twin> {
        // Where it is another guard's, that guard has the twin.
        match self.elsewhere {
            Elsewhere::Newer(_) if !forward => return None,
            Elsewhere::Older(_) if forward => return None,
            _ => {}
        }
        let item = if forward { self.older } else { self.newer };
        Some(Twin {
            name: self.name.to_owned(),
            calls: self.lens?.prepare?,
            place: TwinPlace::Item(item?.offset as usize),
        })
    }

    /// Whether going this way puts the item, or what its lens keeps, into the complement. What the lens
    /// of an item that moves keeps goes where the item goes (R6).
    fn is_kept(&self, forward: bool) -> bool {
        match self.elsewhere {
            Elsewhere::Older(_) => forward,
            Elsewhere::Newer(_) => !forward,
            Elsewhere::Neither if self.lens.is_some() => true,
            Elsewhere::Neither if forward => self.newer.is_none(),
            Elsewhere::Neither => self.older.is_none(),
        }
    }

    /// Where the item is that this way brings from another guard.
    fn source(&self, forward: bool) -> Option<Source> {
        let (guard, item) = match self.elsewhere {
            Elsewhere::Older(guard) if forward => (guard, self.older),
            Elsewhere::Newer(guard) if !forward => (guard, self.newer),
            _ => return None,
        };
        Some(Source {
            guard,
            offset: item?.offset as usize,
        })
    }

    /// What another guard finds of the item that this way takes from here.
    fn given(&self, forward: bool) -> Option<Given> {
        let item = match self.elsewhere {
            Elsewhere::Older(_) if !forward => self.newer,
            Elsewhere::Newer(_) if forward => self.older,
            _ => return None,
        };
        Some(Given {
            offset: item?.offset as usize,
            complement: (self.room() > 0).then_some(self.complement),
        })
    }

    fn lensed(&self, forward: bool) -> Option<Lensed> {
        let lens = self.lens?;
        Some(Lensed {
            call: if forward { lens.forward } else { lens.backward },
            complement: self.complement,
            has_complement: (lens.complement)().size > 0,
        })
    }

    fn step(&self, forward: bool) -> Step {
        let older = self
            .older
            .map(|field| (field.offset as usize, field.ty.size as usize));
        let newer = self
            .newer
            .map(|field| (field.offset as usize, field.ty.size as usize));
        let (source, target) = if forward {
            (older, newer)
        } else {
            (newer, older)
        };
        let complement = self.complement;
        let lens = self.lensed(forward);
        if self.given(forward).is_some() {
            return Step::Leave;
        }
        if let (Some(source), Some((to, size))) = (self.source(forward), target) {
            return Step::Take {
                source,
                to,
                size,
                lens,
            };
        }
        match (source, target) {
            (Some((from, size)), Some((to, _))) => match lens {
                None => Step::Move { from, to, size },
                Some(lens) => Step::Convert { from, to, lens },
            },
            (Some((from, size)), None) => Step::Keep {
                from,
                size,
                complement,
            },
            (None, Some((to, size))) => Step::Make {
                to,
                size,
                complement,
            },
            (None, None) => unreachable!("an item is on one side at least"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // I14
    #[test]
    fn rooms_lie_in_one_order_however_lenses_are_registered() {
        let all: Vec<_> = inventory::iter::<TransformerRegistration>
            .into_iter()
            .collect();
        assert!(all.len() > 2, "those of all tests");
        let names = |lenses: Vec<&TransformerRegistration>| -> Vec<_> {
            let sides = lenses.iter().map(|lens| ((lens.left)(), (lens.right)()));
            sides.map(|(left, right)| (left.name, right.name)).collect()
        };
        let sorted = names(in_order_of_rooms(all.iter().copied()));
        assert_eq!(sorted, names(in_order_of_rooms(all.into_iter().rev())));
    }
}
