//! One item that becomes two, and one again (R3): items that a lens between tuples of them regroups.

use super::world::*;
use crate::heap::SharedBytes;
use crate::heap::testing::test_name;
use crate::update::check_guards;
use dsu_macros::{Shared, guards};
use xform::{Kept, Lens, LensError};

/// All totals of version 1.
#[derive(Shared)]
#[shared(inline)]
pub struct Totals {
    pub commands: u32,
    pub bytes: u64,
    pub label: SharedBytes,
}

/// Some of them.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct Commands {
    pub label: SharedBytes,
    pub commands: u32,
}

/// The others, and one that is new.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct Traffic {
    pub bytes: u64,
    pub errors: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Totals {
            commands: 3,
            bytes: 70,
            label: SharedBytes::from_slice(LABEL).expect("room"),
        }
    }
}

#[derive(Default)]
struct SplitLens;

impl Lens for SplitLens {
    type Left = (Totals,);
    type Right = (Commands, Traffic);
    type Complement = Kept<u64>;

    fn forward(
        &self,
        (totals,): Self::Left,
        kept: Option<Kept<u64>>,
    ) -> Result<(Self::Right, Kept<u64>), LensError> {
        let Totals {
            commands,
            bytes,
            label,
        } = totals;
        if bytes == BROKEN {
            return Err(LensError::failed("as it was told"));
        }
        let errors = kept.and_then(|kept| kept.value).unwrap_or(0);
        let right = (Commands { label, commands }, Traffic { bytes, errors });
        Ok((right, Kept::empty()))
    }

    fn backward(
        &self,
        (commands, traffic): Self::Right,
        _: Option<Kept<u64>>,
    ) -> Result<(Self::Left, Kept<u64>), LensError> {
        let Commands { label, commands } = commands;
        let Traffic { bytes, errors } = traffic;
        let totals = Totals {
            commands,
            bytes,
            label,
        };
        Ok(((totals,), Kept::of(errors)))
    }

    fn is_vacant(&self, kept: &Kept<u64>) -> bool {
        kept.is_empty()
    }
}

const BROKEN: u64 = 13;

crate::transformer!(SplitLens, SPLIT_NEW: (totals) => (commands, traffic));

/// As version 1 knows it.
#[guards(before: u8 = 1, totals: Totals, after: SharedBytes)]
pub static SPLIT_OLD: GuardMutex;

/// As version 2 knows it.
#[guards(commands: Commands, after: SharedBytes, traffic: Traffic, before: u8, renamed_from = "SPLIT_OLD")]
pub static SPLIT_NEW: GuardMutex;

// R3, R6: both halves' edits are in the whole, and what only one half knows waits beside it.
#[test]
fn an_item_is_split_in_two_and_merged_again_with_all_edits() {
    let name = test_name!("an_item_is_split_in_two_and_merged_again_with_all_edits");
    with_world(name, || {
        play(0, |cx| {
            SPLIT_OLD.lock(cx).unwrap().after.append(b"+").unwrap();
            for round in 0..3_u32 {
                let mut new = SPLIT_NEW.lock(cx).unwrap();
                assert_eq!(new.commands.commands, 3 + 2 * round);
                assert_eq!(new.traffic.bytes, 70 + 10 * u64::from(round));
                assert_eq!(new.traffic.errors, u64::from(round));
                assert_eq!((new.before, new.after.as_slice()), (1, &b"+"[..]));
                assert_eq!(new.commands.label.len(), LABEL.len() + round as usize);
                new.commands.commands += 1;
                new.traffic.bytes += 10;
                new.traffic.errors += 1;
                new.commands.label.append(b"!").unwrap();
                drop(new);
                assert_eq!(
                    check_guards(SPLIT_NEW.cells().iter().collect()).findings,
                    [""; 0]
                );
                SPLIT_OLD.lock(cx).unwrap().totals.commands += 1;
                assert_eq!(
                    check_guards(SPLIT_OLD.cells().iter().collect()).findings,
                    [""; 0]
                );
            }
        });
    });
}

// R3: until the one store, the older item is what everybody sees.
#[test]
fn a_split_that_fails_names_the_items_and_leaves_them() {
    let name = test_name!("a_split_that_fails_names_the_items_and_leaves_them");
    with_world(name, || {
        play(0, |cx| {
            SPLIT_OLD.lock(cx).unwrap().totals.bytes = BROKEN;
            let error = SPLIT_NEW.lock(cx).map(|_| ()).unwrap_err();
            assert!(
                error.to_string().contains("item (totals): as it was told"),
                "{error}"
            );
            let mut old = SPLIT_OLD.lock(cx).unwrap();
            assert_eq!(
                (old.totals.commands, old.totals.label.as_slice()),
                (3, LABEL)
            );
            old.totals.bytes = 4;
            drop(old);
            assert_eq!(SPLIT_NEW.lock(cx).unwrap().traffic.bytes, 4);
        });
    });
}
