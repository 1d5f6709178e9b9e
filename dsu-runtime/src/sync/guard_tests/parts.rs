//! Tuples whose items come, go and change together: what waits in the complement, and what does not.

use super::world::*;
use crate::abi::GuardCell;
use crate::heap::testing::test_name;
use crate::heap::{self, Activity, HeapAccount, SharedBytes};
use crate::sync::{GuardSlot, Root};
use crate::update::check_guards;
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::sync::atomic::{AtomicU32, Ordering};
use xform::{Lens, LensError};

/// An item of version 1.
#[derive(Shared, Default)]
#[shared(frozen = 1, inline, name = "Plain")]
pub struct OldPlain {
    pub number: u32,
}

/// The same of version 2, which loses nothing.
#[derive(Shared, Default)]
#[shared(inline, name = "Plain")]
pub struct NewPlain {
    pub number: u64,
}

#[derive(Default)]
struct PlainLens;

impl Lens for PlainLens {
    type Left = OldPlain;
    type Right = NewPlain;
    type Complement = ();

    fn forward(&self, left: OldPlain, _: Option<()>) -> Result<(NewPlain, ()), LensError> {
        let number = left.number.into();
        Ok((NewPlain { number }, ()))
    }

    fn backward(&self, right: NewPlain, _: Option<()>) -> Result<(OldPlain, ()), LensError> {
        let number = right.number as u32;
        Ok((OldPlain { number }, ()))
    }
}

crate::transformer!(PlainLens);

/// An item whose drops are counted.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct Counted {
    pub text: SharedBytes,
}

static DROPS: AtomicU32 = AtomicU32::new(0);

impl Drop for Counted {
    fn drop(&mut self) {
        DROPS.fetch_add(1, Ordering::Relaxed);
    }
}

fn text() -> SharedBytes {
    SharedBytes::from_slice(LABEL).expect("room")
}

/// As version 1 knows it.
#[guards(plain: OldPlain)]
pub static PARTS_OLD: GuardMutex;

/// As version 2 knows it: one item changed, of which nothing has to be kept, one added, and one made of both.
#[guards(
    plain: NewPlain,
    added: Counted = Counted { text: text() },
    sum: u64 = |plain: &NewPlain, added| plain.number + added.text.len() as u64,
    renamed_from = "PARTS_OLD"
)]
pub static PARTS_NEW: GuardMutex;

/// A guard that begins in this version.
#[guards(one: u64 = 20 + 1, two: u64 = |one| one * 2)]
pub static FRESH: GuardMutex;

/// As version 1 knows it.
#[guards(gone: SharedBytes = text(), number: u64)]
pub static GROWN_OLD: GuardMutex;

/// As version 2 knows it: one item gone, one added.
#[guards(number: u64, added: SharedBytes = text(), renamed_from = "GROWN_OLD")]
pub static GROWN_NEW: GuardMutex;

fn assert_sound(cells: &'static [GuardCell]) {
    assert_eq!(check_guards(cells.iter().collect()).findings, [""; 0]);
}

fn play_alone(name: &str, body: impl FnOnce(&Worker)) {
    with_world(name, || play(0, |cx| body(cx)));
}

// R3
#[test]
fn an_item_that_was_added_beside_a_changed_one_is_dropped_by_no_conversion() {
    let name =
        test_name!("an_item_that_was_added_beside_a_changed_one_is_dropped_by_no_conversion");
    play_alone(name, |cx| {
        PARTS_OLD.lock(cx).unwrap().plain.number = 3;
        for round in 0..3 {
            let mut new = PARTS_NEW.lock(cx).unwrap();
            assert_eq!(new.plain.number, 3);
            assert_eq!(new.added.text.len(), LABEL.len() + round);
            assert_eq!(new.sum, LABEL.len() as u64 + 3, "as it was made");
            new.added.text.append(b"!").unwrap();
            drop(new);
            assert_eq!(DROPS.load(Ordering::Relaxed), 0);
            assert_sound(PARTS_NEW.cells());
            assert_eq!(PARTS_OLD.lock(cx).unwrap().plain.number, 3);
            assert_sound(PARTS_OLD.cells());
        }
        assert_eq!(DROPS.load(Ordering::Relaxed), 0);
    });
}

// R3
#[test]
fn an_initialiser_reads_the_items_declared_before_its_own() {
    let name = test_name!("an_initialiser_reads_the_items_declared_before_its_own");
    play_alone(name, |cx| assert_eq!(FRESH.lock(cx).unwrap().two, 42));
}

// R3, R6: which items wait in the complement is another question on each side.
#[test]
fn the_complement_of_a_tuple_shows_what_its_last_conversion_kept() {
    let name = test_name!("the_complement_of_a_tuple_shows_what_its_last_conversion_kept");
    play_alone(name, |cx| {
        GROWN_OLD.lock(cx).unwrap().number = 3;
        assert_sound(GROWN_OLD.cells());
        for round in 0..3 {
            let mut new = GROWN_NEW.lock(cx).unwrap();
            assert_eq!(new.added.len(), LABEL.len() + round);
            new.added.append(b"!").unwrap();
            drop(new);
            assert_sound(GROWN_NEW.cells());
            let mut old = GROWN_OLD.lock(cx).unwrap();
            assert_eq!(old.gone.len(), LABEL.len() + round);
            old.gone.append(b"?").unwrap();
            drop(old);
            assert_sound(GROWN_OLD.cells());
        }
    });
}

// R10: an item whose type the newer version does not know is dropped by the code of the version that has it.
#[test]
#[allow(unsafe_code)] // drops a root, which no guard does
fn what_only_the_older_tuple_has_ends_with_its_complement() {
    let name = test_name!("what_only_the_older_tuple_has_ends_with_its_complement");
    play_alone(name, |cx| {
        drop(FRESH.lock(cx).unwrap());
        let used = || HeapAccount::take(Activity::Live).used_bytes;
        let before = used();
        let mut old = GROWN_OLD.lock(cx).unwrap();
        old.gone = SharedBytes::from_slice(&[7; 4_000]).expect("room");
        drop(old);
        drop(GROWN_NEW.lock(cx).unwrap());
        assert!(used() > before + 4_000);
        let slot = GuardSlot::at(GROWN);
        let word = slot.root().word();
        slot.publish(Root::from_word(0));
        // SAFETY: the word of a root that nobody finds any more.
        unsafe { heap::drop_box(word) };
        assert_eq!(used(), before);
    });
}
