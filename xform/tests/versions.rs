//! Three versions in a row, each with an incompatible change, and elements that were last touched at different ones.
//!
//! The harness holds each element as a server does: in the form of whoever had it last, with what was kept beside it.
//! An element that nobody touches stays behind, two versions if need be. However the work is spread over versions, the
//! final state must be the one that comes of transforming everything at every step.

use proptest::prelude::*;
use xform::{Lens, LensError, chain};

mod v1 {
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct Entry {
        pub value: i64,
        pub millis: u64,
        pub name: String,
        pub kind: Kind,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub enum Kind {
        Text(u8),
        Legacy,
    }
}

mod v2 {
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = super::v1::Entry)]
    #[lens(split(name => (first, last), |name: &String| {
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        Ok((first.to_owned(), last.to_owned()))
    }, |(first, last): &(String, String)| Ok(format!("{first} {last}"))))]
    pub struct Entry {
        #[lens(exact(|x: i64| Ok(-x), |x: i64| Ok(-x)))]
        pub value: i64,
        #[lens(rename = millis, convert(|ms| Ok(ms / 1000), |s| Ok(s * 1000)))]
        pub seconds: u64,
        pub first: String,
        pub last: String,
        #[lens(nested)]
        pub kind: Kind,
        #[lens(add = 5)]
        pub flags: u8,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = super::v1::Kind, drop(Legacy = Kind::Plain(0)))]
    pub enum Kind {
        #[lens(rename = Text)]
        Plain(u8),
    }
}

mod v3 {
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = super::v2::Entry, drop(seconds))]
    pub struct Entry {
        #[lens(wrap = 0)]
        pub value: Vec<i64>,
        pub first: String,
        pub last: String,
        #[lens(convert(|kind: &super::v2::Kind| Ok(match kind {
            super::v2::Kind::Plain(byte) => u32::from(*byte),
        }), |kind| Ok(super::v2::Kind::Plain(*kind as u8))))]
        pub kind: u32,
        #[lens(exact(|flags: u8| Ok(u16::from(flags)), |flags: u16| Ok(flags as u8)))]
        pub flags: u16,
        #[lens(add = |old| old.flags)]
        pub flags_at_update: u8,
    }
}

type Kept12 = <v2::EntryLens as Lens>::Complement;
type Kept23 = <v3::EntryLens as Lens>::Complement;

/// An element, and what lies beside it.
#[derive(Clone, Debug)]
enum Held {
    V1(v1::Entry, Option<Kept12>),
    V2(v2::Entry, Option<Kept12>, Option<Kept23>),
    V3(v3::Entry, Option<Kept12>, Option<Kept23>),
}

impl Held {
    fn at(self, version: u8) -> Result<Held, LensError> {
        let next = match (&self, version) {
            (Held::V1(..), 1) | (Held::V2(..), 2) | (Held::V3(..), 3) => return Ok(self),
            _ => self.step(version)?,
        };
        next.at(version)
    }

    fn step(self, version: u8) -> Result<Held, LensError> {
        Ok(match self {
            Held::V1(value, kept) => {
                let (value, kept) = v2::EntryLens.forward(value, kept)?;
                Held::V2(value, Some(kept), None)
            }
            Held::V2(value, first, second) if version == 3 => {
                let (value, second) = v3::EntryLens.forward(value, second)?;
                Held::V3(value, first, Some(second))
            }
            Held::V2(value, first, _) => {
                let (value, first) = v2::EntryLens.backward(value, first)?;
                Held::V1(value, Some(first))
            }
            Held::V3(value, first, second) => {
                let (value, second) = v3::EntryLens.backward(value, second)?;
                Held::V2(value, first, Some(second))
            }
        })
    }

    /// What every version can do to an element, each in its own words.
    fn edit(&mut self, edit: &Edit) {
        match (self, edit) {
            (Held::V1(entry, _), Edit::Add(by)) => entry.value -= by,
            (Held::V2(entry, ..), Edit::Add(by)) => entry.value += by,
            (Held::V3(entry, ..), Edit::Add(by)) => match entry.value.first_mut() {
                Some(value) => *value += by,
                None => entry.value.push(*by),
            },
            (Held::V1(entry, _), Edit::Own(by)) => entry.millis += u64::from(*by),
            (Held::V2(entry, ..), Edit::Own(by)) => entry.flags = *by,
            (Held::V3(entry, ..), Edit::Own(by)) => entry.value.push(i64::from(*by)),
        }
    }

    fn replace_by_older(&mut self, entry: v1::Entry) {
        // R6: what belonged to the value that was there is gone
        *self = Held::V1(entry, None);
    }
}

#[derive(Clone, Debug)]
enum Edit {
    /// The same to all versions.
    Add(i64),
    /// Of something that the other versions have not.
    Own(u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (-9..9_i64).prop_map(Edit::Add),
        any::<u8>().prop_map(Edit::Own),
    ]
}

prop_compose! {
    fn entry()(value in -99..99_i64, millis in 0..9999_u64, name in "[a-b]{0,2} ?[a-b]{0,2}",
        kind in prop_oneof![any::<u8>().prop_map(v1::Kind::Text), Just(v1::Kind::Legacy)]) -> v1::Entry
    {
        v1::Entry { value, millis, name, kind }
    }
}

/// A touch of an element while a version is being rolled out: by the one that is new, or by the one before.
type Touch = (prop::sample::Index, bool, Edit);

fn touches() -> impl Strategy<Value = Vec<Touch>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), edit()), 0..12)
}

/// All elements in the form of the last version.
fn ended(all: Vec<Held>) -> Result<Vec<v3::Entry>, LensError> {
    all.into_iter()
        .map(|held| match held.at(3)? {
            Held::V3(entry, ..) => Ok(entry),
            other => panic!("{other:?} is not of version 3"),
        })
        .collect()
}

fn touch_all(all: &mut [Held], version: u8, touches: &[Touch]) -> Result<(), LensError> {
    for (index, by_newest, edit) in touches {
        let index = index.index(all.len());
        let mut held = all[index]
            .clone()
            .at(if *by_newest { version } else { version - 1 })?;
        held.edit(edit);
        all[index] = held;
    }
    Ok(())
}

fn all_at(all: &mut [Held], version: u8) -> Result<(), LensError> {
    for held in all {
        *held = held.clone().at(version)?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn elements_left_at_different_versions_end_as_if_all_had_been_transformed_at_every_step(
        entries in prop::collection::vec(entry(), 1..6),
        during_first in touches(), during_second in touches(),
    ) {
        let start: Vec<Held> = entries.into_iter().map(|entry| Held::V1(entry, None)).collect();

        let mut lazy = start.clone();
        touch_all(&mut lazy, 2, &during_first)?;
        touch_all(&mut lazy, 3, &during_second)?;

        let mut eager = start;
        all_at(&mut eager, 1)?;
        touch_all(&mut eager, 2, &during_first)?;
        all_at(&mut eager, 2)?;
        touch_all(&mut eager, 3, &during_second)?;
        all_at(&mut eager, 3)?;

        prop_assert_eq!(ended(lazy)?, ended(eager)?);
    }

    #[test]
    fn every_element_left_at_another_version_ends_as_a_chain_of_lenses_has_it(
        entries in prop::collection::vec(entry(), 3), edits in prop::collection::vec(edit(), 3),
    ) {
        let both = chain!(v2::EntryLens, v3::EntryLens);
        for (entry, edit) in entries.into_iter().zip(edits) {
            // Touched at version 1 last: the chain takes it over at once.
            let mut held = Held::V1(entry, None);
            held.edit(&edit);
            let Held::V1(touched, _) = held.clone() else { unreachable!() };
            let by_chain = both.forward(touched, None)?.0;
            prop_assert_eq!(ended(vec![held.clone()])?, [by_chain]);
            // And one that went to version 3 and back to 1, untouched, is what it was.
            let Held::V1(before, _) = held.clone() else { unreachable!() };
            let Held::V1(after, _) = held.at(3)?.at(1)? else { unreachable!() };
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn a_replaced_element_keeps_nothing_of_the_one_before(old in entry(), new in entry(), flags: u8) {
        // R6
        let mut held = Held::V1(old, None).at(2)?;
        if let Held::V2(entry, ..) = &mut held {
            entry.flags = flags;
        }
        let mut held = held.at(1)?;
        held.replace_by_older(new.clone());
        prop_assert_eq!(ended(vec![held])?, ended(vec![Held::V1(new, None)])?);
    }
}
