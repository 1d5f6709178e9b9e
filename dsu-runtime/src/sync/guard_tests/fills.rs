//! What is made ahead of a flip: in slices, in whichever form a guard is, given up by the sweep, and left
//! by a worker that dies.

use super::world::*;
use crate::abi::{FillingWord, GuardCell, Parked, TWIN_NAME, TypeRegistration, WorkerRecord};
use crate::error::AccessError;
use crate::heap::delta::{Hashed, PartitionedItems, Peek, Route};
use crate::heap::stepping::at_every_store;
use crate::heap::testing::test_name;
use crate::heap::{self, Activity, HeapAccount, SharedMap, live};
use crate::ids::{SweepId, WorkerSlot};
use crate::sync::{GuardSlot, Root, recover_worker};
use crate::sys::time::Nanos;
use crate::update::{FillSlice, SweepSlice, check_guards, fill_guards, sweep_guards};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Of a shelf.
#[derive(Shared)]
pub struct Book {
    pages: u64,
}

/// Books with an even number, and the others.
struct ByParity;

impl Route<u64, Book> for ByParity {
    fn part(key: &u64, book: &Peek<'_, Book>) -> Result<usize, AccessError> {
        let until = Nanos::now().after(LAG.get());
        while Nanos::now() < until {
            std::hint::spin_loop();
        }
        if book.get()?.pages == BAD {
            return Err(AccessError::Failed("as it was told".to_owned()));
        }
        Ok((*key % 2) as usize)
    }
}

thread_local! {
    /// How long the lens takes for each.
    static LAG: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// A book that has no place in either part.
const BAD: u64 = 666;
/// More than two segments of a map.
const BOOKS: u64 = 400;

type Parting = PartitionedItems<ByParity, Hashed, u64, Book, Book, 2>;
crate::transformer!(prepared Parting, FILLED_NEW: (books) => (even, odd));

/// One map, as version 1 has it.
#[guards(books: SharedMap<u64, Book>, aside: Option<SharedMap<u64, Book>>)]
pub static FILLED_OLD: GuardMutex;

/// Two, as version 2 has them.
#[guards(
    even: SharedMap<u64, Book>,
    odd: SharedMap<u64, Book>,
    aside: Option<SharedMap<u64, Book>>,
    renamed_from = "FILLED_OLD"
)]
pub static FILLED_NEW: GuardMutex;

fn old_cells() -> Vec<&'static GuardCell> {
    FILLED_OLD.cells().iter().collect()
}

fn new_cells() -> Vec<&'static GuardCell> {
    FILLED_NEW.cells().iter().collect()
}

/// The shelf in the old form.
fn make_books(cx: &Worker) {
    let mut guard = FILLED_OLD.lock(cx).unwrap();
    for number in 0..BOOKS {
        guard.books.insert(number, Book { pages: number }).unwrap();
    }
}

/// Twins that live.
fn twins() -> i64 {
    inventory::iter::<TypeRegistration>
        .into_iter()
        .filter(|ty| ty.name.starts_with(TWIN_NAME))
        .map(|ty| live::count(ty.tag.get()))
        .sum()
}

/// One pass, in slices of a nanosecond each; how many there were.
fn pass(fill: SweepId, cells: fn() -> Vec<&'static GuardCell>) -> (FillSlice, u32) {
    let (mut pass, mut slices) = (FillSlice::default(), 0);
    while !pass.is_done {
        pass.add(fill_guards(fill, cells, 1));
        slices += 1;
    }
    (pass, slices)
}

/// A whole filling, as the supervisor would have it.
fn filling(fill: u32, cells: fn() -> Vec<&'static GuardCell>) -> (FillSlice, u32) {
    FillingWord::get().store(Some(SweepId(fill)));
    pass(SweepId(fill), cells)
}

fn sweep(number: u32, cells: fn() -> Vec<&'static GuardCell>) -> (SweepSlice, u32) {
    FillingWord::get().store(None);
    let (mut pass, mut slices) = (SweepSlice::default(), 0);
    while !pass.is_done {
        pass.add(sweep_guards(SweepId(number), Parked::Kept, cells, 1));
        slices += 1;
    }
    (pass, slices)
}

fn root() -> Root {
    GuardSlot::at(FILLED).root()
}

/// All books as version 1 sees them.
fn assert_books_old(cx: &Worker, pages: impl Fn(u64) -> u64) {
    let guard = FILLED_OLD.lock(cx).unwrap();
    assert_eq!(guard.books.len() as u64, BOOKS);
    for number in 0..BOOKS {
        let book = guard.books.get(&number).unwrap().expect("on the shelf");
        assert_eq!(book.pages, pages(number), "book {number}");
    }
}

/// All books as version 2 sees them.
fn assert_books_new(cx: &Worker, pages: impl Fn(u64) -> u64) {
    let guard = FILLED_NEW.lock(cx).unwrap();
    assert_eq!((guard.even.len() + guard.odd.len()) as u64, BOOKS);
    for number in 0..BOOKS {
        let part = [&guard.even, &guard.odd][(number % 2) as usize];
        let book = part.get(&number).unwrap().expect("on its shelf");
        assert_eq!(book.pages, pages(number), "book {number}");
    }
}

fn is_sound(cells: fn() -> Vec<&'static GuardCell>) {
    assert_eq!(check_guards(cells()).findings, [""; 0]);
}

// R5, R28: each slice has a number of its own, by which the supervisor sees that it goes on.
#[test]
fn what_a_flip_makes_for_long_is_not_taken_for_what_never_ends() {
    let name = test_name!("what_a_flip_makes_for_long_is_not_taken_for_what_never_ends");
    with_world(name, || {
        play(0, |cx| {
            make_books(cx);
            let number = |cx: &Worker| cx.context().record().transformers.load(Ordering::Relaxed);
            let flip = |cx: &Worker| {
                let before = number(cx);
                drop(FILLED_NEW.lock(cx).unwrap());
                let numbers = number(cx) - before;
                drop(FILLED_OLD.lock(cx).unwrap());
                sweep(2, old_cells);
                assert_eq!(twins(), 0);
                numbers
            };
            let quick = flip(cx);
            LAG.set(Duration::from_millis(1));
            let slow = flip(cx);
            LAG.set(Duration::ZERO);
            assert!(slow >= quick + 2, "{quick} and {slow}");
        });
    });
}

// R5, R29
#[test]
fn a_form_is_made_ahead_in_slices_taken_up_by_the_flip_and_discarded_by_the_sweep() {
    let name = test_name!(
        "a_form_is_made_ahead_in_slices_taken_up_by_the_flip_and_discarded_by_the_sweep"
    );
    with_world(name, || {
        play(0, |cx| {
            make_books(cx);
            let before = root();
            let (filled, slices) = filling(1, new_cells);
            assert!(filled.is_whole() && slices > 3, "{filled:?} in {slices}");
            assert_eq!(root(), before, "nobody has flipped it");
            assert_eq!(twins(), 1);
            // What is written now is marked, and brought up by the next pass or the flip.
            let mut guard = FILLED_OLD.lock(cx).unwrap();
            guard.books.get_mut(&7).unwrap().expect("there").pages = 70;
            drop(guard);
            let (again, slices) = pass(SweepId(1), new_cells);
            assert!(again.is_whole() && slices <= 2, "{again:?} in {slices}");
            let mut guard = FILLED_OLD.lock(cx).unwrap();
            guard.books.insert(8, Book { pages: 80 }).unwrap();
            drop(guard);
            let pages = |number| {
                if matches!(number, 7 | 8) {
                    number * 10
                } else {
                    number
                }
            };
            assert_books_new(cx, pages);
            // Now the older form hangs on the newer one, and the other way round again.
            assert!(twins() >= 1);
            FILLED_NEW
                .lock(cx)
                .unwrap()
                .even
                .get_mut(&8)
                .unwrap()
                .unwrap()
                .pages = 8;
            assert_books_old(cx, |number| if number == 7 { 70 } else { number });
            assert_books_new(cx, |number| if number == 7 { 70 } else { number });
            let (swept, slices) = sweep(2, new_cells);
            assert_eq!((swept.failed, &swept.poisoned), (0, &Vec::new()));
            assert!(slices > 3, "all at once");
            assert_eq!(twins(), 0);
            assert_books_new(cx, |number| if number == 7 { 70 } else { number });
            is_sound(new_cells);
        });
    });
}

// R5: nothing is made behind a sweep that has passed by.
#[test]
fn who_has_not_heard_that_a_filling_is_over_fills_nothing() {
    let name = test_name!("who_has_not_heard_that_a_filling_is_over_fills_nothing");
    with_world(name, || {
        play(0, |cx| {
            make_books(cx);
            FillingWord::get().store(Some(SweepId(1)));
            assert!(!fill_guards(SweepId(1), new_cells, 1).is_done);
            assert_eq!(twins(), 1);
            let (swept, _) = sweep(2, old_cells);
            assert_eq!((swept.failed, twins()), (0, 0));
            for _ in 0..8 {
                assert!(!fill_guards(SweepId(1), new_cells, u64::MAX >> 1).is_done);
            }
            assert_eq!(twins(), 0);
            assert_books_old(cx, |number| number);
            is_sound(old_cells);
        });
    });
}

// R5, R29, D4: also where no lens looks for it, in either version.
#[test]
fn what_was_made_ahead_of_a_map_that_is_laid_aside_goes_with_the_sweep() {
    let name = test_name!("what_was_made_ahead_of_a_map_that_is_laid_aside_goes_with_the_sweep");
    with_world(name, || {
        play(0, |cx| {
            make_books(cx);
            filling(1, new_cells);
            let mut guard = FILLED_OLD.lock(cx).unwrap();
            guard.aside = Some(std::mem::take(&mut guard.books));
            drop(guard);
            assert_eq!(twins(), 1);
            let (swept, _) = sweep(2, old_cells);
            assert_eq!((swept.failed, twins()), (0, 0));
            let mut guard = FILLED_OLD.lock(cx).unwrap();
            guard.books = guard.aside.take().expect("it was laid aside");
            drop(guard);
            // A part, with the whole of the older form, goes into the place that the older map had.
            let mut guard = FILLED_NEW.lock(cx).unwrap();
            guard.aside = Some(std::mem::take(&mut guard.even));
            drop(guard);
            assert!(twins() > 0);
            let (swept, _) = sweep(3, new_cells);
            assert_eq!((swept.failed, twins()), (0, 0));
            let mut guard = FILLED_NEW.lock(cx).unwrap();
            guard.even = guard.aside.take().expect("it was laid aside");
            drop(guard);
            assert_books_new(cx, |number| number);
            is_sound(new_cells);
        });
    });
}

// R5: on the way back the older form is filled, whichever form each guard is in.
#[test]
fn the_older_form_is_filled_by_the_version_that_has_it() {
    let name = test_name!("the_older_form_is_filled_by_the_version_that_has_it");
    with_world(name, || {
        play(0, |cx| {
            make_books(cx);
            // Nothing is to be made of what is in that form already.
            let (filled, _) = filling(1, old_cells);
            assert!(filled.is_whole());
            assert_eq!((filled.visits, twins()), (0, 0));
            assert_books_new(cx, |number| number);
            sweep(2, new_cells);
            assert_eq!(twins(), 0);
            let (filled, slices) = filling(3, old_cells);
            assert!(filled.is_whole() && slices > 3);
            assert_books_old(cx, |number| number);
            sweep(4, old_cells);
            assert_eq!(twins(), 0);
            is_sound(old_cells);
        });
    });
}

// R28: the report names guard, item and key; the shelf stays as it is.
#[test]
fn what_cannot_be_made_ahead_is_named_by_filling_and_flip_and_harms_nothing() {
    let name =
        test_name!("what_cannot_be_made_ahead_is_named_by_filling_and_flip_and_harms_nothing");
    with_world(name, || {
        play(0, |cx| {
            make_books(cx);
            let set = |pages| {
                let mut guard = FILLED_OLD.lock(cx).unwrap();
                guard.books.get_mut(&33).unwrap().expect("there").pages = pages;
            };
            set(BAD);
            let (filled, _) = filling(1, new_cells);
            assert!(!filled.is_whole());
            let failure = filled.failure.expect("one cannot be made");
            for part in ["FILLED_NEW", "(books)", "33", "as it was told"] {
                assert!(failure.contains(part), "{part} in {failure}");
            }
            assert!(!GuardSlot::at(FILLED).is_swept(SweepId(1)));
            let error = FILLED_NEW.lock(cx).map(|_| ()).unwrap_err().to_string();
            for part in ["(books)", "33", "as it was told"] {
                assert!(error.contains(part), "{part} in {error}");
            }
            set(33);
            assert_books_new(cx, |number| number);
            assert_books_old(cx, |number| number);
            sweep(2, old_cells);
            assert_eq!(twins(), 0);
            is_sound(old_cells);
        });
    });
}

const DEAD: WorkerSlot = WorkerSlot(1);

// I5, R3: in a filling, before and in a flip, and while what is left is discarded.
#[test]
fn a_worker_may_die_at_every_store_of_a_filling_a_flip_and_a_discard() {
    let name = test_name!("a_worker_may_die_at_every_store_of_a_filling_a_flip_and_a_discard");
    with_world(name, || {
        play(0, make_few);
        let points = at_every_store(
            DEAD.0,
            || {
                let cx = &Worker::of_runtime();
                filling(1, new_cells);
                FILLED_OLD
                    .lock(cx)
                    .unwrap()
                    .books
                    .insert(3, Book { pages: 30 })
                    .unwrap();
                drop(FILLED_NEW.lock(cx).unwrap());
                sweep(2, new_cells);
            },
            || {
                let flipping = WorkerRecord::at(DEAD).flipping.load(Ordering::Acquire);
                for dead in [DEAD, WorkerSlot(0)] {
                    recover_worker(dead, GUARDS);
                    heap::recover(dead);
                }
                let slot = GuardSlot::at(FILLED);
                assert!(slot.lock.is_at_rest());
                if flipping == FILLED.0 + 1 {
                    assert!(!slot.is_poisoned(), "what is made ahead harms nothing");
                }
                let account = HeapAccount::take(Activity::Quiescent);
                assert_eq!(account.findings, [""; 0]);
                if slot.is_poisoned() {
                    return;
                }
                play(5, |cx| {
                    let new = FILLED_NEW.lock(cx).unwrap();
                    assert_eq!((new.even.len(), new.odd.len()), (2, 2));
                    let third = new.odd.get(&3).unwrap().expect("there").pages;
                    assert!(matches!(third, 3 | 30), "{third}");
                    drop(new);
                    assert_eq!(FILLED_OLD.lock(cx).unwrap().books.len(), 4);
                    sweep(3, old_cells);
                    // What was in the hands of the dead is lost, and nothing else.
                    let findings = check_guards(old_cells()).findings;
                    let is_lost = |finding: &String| finding.contains("nobody reaches");
                    assert!(findings.iter().all(is_lost), "{findings:?}");
                });
            },
        );
        assert!(points > 50, "{points}");
    });
}

fn make_few(cx: &mut Worker) {
    let mut guard = FILLED_OLD.lock(cx).unwrap();
    for number in 0..4 {
        guard.books.insert(number, Book { pages: number }).unwrap();
    }
}
