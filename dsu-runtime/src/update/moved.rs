//! Items that move between guards (R4): all of them at once, while all workers stand at a barrier.
//!
//! One worker runs this, in the newer library, with the locks of all guards that give or get. What they
//! become is made first, in one transaction, so that whatever fails leaves everything as it was. Then
//! the roots are published, those of guards that get before those that give, and last the old
//! tuples are freed. So a death leaves each move in one of three states, told by the tags of the roots
//! alone, and whoever does the moves next, either way, goes on from there:
//!
//! ```text
//! giver   getter
//! before  before   nothing has happened
//! before  after    the getter has the item; what the giver's tuple says of it is nobody's
//! after   after    done
//! ```
//! (Forward; back it is the newer's giver that gets.) While all stand at the barrier both tuples of the
//! middle state are whole, for nothing of the old ones was freed. But moves back can be given up there,
//! and then the version before goes on with the giver's item: so what the getter has is not touched any
//! more, and forward the middle state is first taken back, then gone on from. Back, the getter gives up
//! what it has. What only the dead knew of is lost to the heap, as with any flip.
//!
//! Guards that nobody has acquired yet stay so, unless one that they give to or get from is there:
//! then they are made first, as the version that is left says: without items, where that does not have
//! the guard (`version::moves`). Knows nothing of who else runs.
#![allow(unsafe_code)] // tuples by address

use super::tuple::{Moving, Plan, Source, Taken};
use crate::abi::{
    ConversionStatus, ErrorText, GuardCell, GuardRegistration, Representation, TwinTask,
};
use crate::error::{AccessError, LockError};
use crate::heap::{self, Together};
use crate::ids::{GuardIndex, Tag};
use crate::sync::{self, GuardMutex, GuardSlot, Root};
use crate::worker::Worker;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ptr;
use std::time::Duration;

/// Nobody else runs, so that a lock that is not free for this long is not free at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// A guard, or a family, that gives items to others or gets some from them.
pub(super) struct Mover {
    /// As this library knows it.
    pub(super) guard: &'static GuardRegistration,
    /// To this library's form.
    pub(super) forward: &'static Plan,
    /// Back, where all lenses go both ways.
    pub(super) backward: Option<&'static Plan>,
    /// The form of the version before, and where its items are.
    pub(super) older: (Tag, Vec<u64>),
    /// This library's form.
    pub(super) newer: (Tag, Vec<u64>),
}

thread_local! {
    static MOVERS: RefCell<Vec<Mover>> = RefCell::default();
}

/// What this library moves between itself and the version before, in place of what was said before.
pub(super) fn set_movers(movers: Vec<Mover>) {
    MOVERS.set(movers);
}

/// Moves all items that are to move: to this library's guards, or back. To be called while no other
/// worker runs. What is done already is left, so it may be called again, and by another worker after a
/// death. Forward either all of it is done or nothing more; on the way back each guard that can has what
/// it had.
///
/// # Errors
/// Which guard and item cannot, and why.
pub fn move_items(forward: bool) -> Result<(), String> {
    MOVERS.with_borrow(|movers| {
        let order = getters_first(movers.iter().collect(), forward);
        let sets = match forward {
            true => vec![order],
            false => connected(&order),
        };
        let done = sets.iter().map(|set| move_set(set, forward));
        let failures: Vec<String> = done.filter_map(Result::err).collect();
        match failures.is_empty() {
            true => Ok(()),
            false => Err(failures.join("; ")),
        }
    })
}

/// Whether a tuple still has what this plan of the way back gives to others: not where they have it
/// already, for then moves back were given up in the middle, and what is in the tuple is nobody's.
pub(super) fn still_has_what_it_gives(plan: &Plan, tuple: *const u8) -> bool {
    let goes_by = |mover: &&Mover| {
        let backward = mover.backward;
        backward.is_some_and(|backward| ptr::eq(backward, plan))
    };
    let form = |mover: &Mover, member: usize| {
        let cell = mover.guard.cells.get(member)?;
        let root = sync::erased(cell).slot().root();
        root.items().map(|items| (root.tag(), items))
    };
    MOVERS.with_borrow(|movers| {
        let Some(giver) = movers.iter().find(goes_by) else {
            return false;
        };
        let is_there = |member: &usize| {
            let found = form(giver, *member);
            found.is_some_and(|(_, items)| ptr::eq(items.as_ptr(), tuple))
        };
        let Some(member) = (0..giver.guard.cells.len()).find(is_there) else {
            return false;
        };
        let takes_from_it = |mover: &&Mover| {
            let mut takes = mover.takes(false).iter();
            takes.any(|source| source.guard == giver.guard.name)
        };
        let has_it = |getter: &Mover| {
            let found = form(getter, member);
            found.is_some_and(|(tag, _)| tag != getter.newer.0)
        };
        !movers.iter().filter(takes_from_it).any(has_it)
    })
}

impl Mover {
    fn plan(&self, forward: bool) -> Result<&'static Plan, String> {
        let plan = if forward {
            Some(self.forward)
        } else {
            self.backward
        };
        plan.ok_or_else(|| format!("guard {}: a lens goes forward only", self.guard.name))
    }

    /// What it takes, also where a lens does not go this way.
    fn takes(&self, forward: bool) -> &'static [Source] {
        let plan = if forward {
            Some(self.forward)
        } else {
            self.backward
        };
        plan.map_or(&[], |plan| &plan.takes)
    }

    fn source(&self, forward: bool) -> &(Tag, Vec<u64>) {
        if forward { &self.older } else { &self.newer }
    }

    fn target(&self, forward: bool) -> Tag {
        if forward { self.newer.0 } else { self.older.0 }
    }
}

/// So that each comes before those that it takes from. Moves do not go round (`version::moves`).
fn getters_first(movers: Vec<&Mover>, forward: bool) -> Vec<&Mover> {
    let mut left = movers;
    let mut order = Vec::new();
    while !left.is_empty() {
        let is_taken_from = |name: &str| {
            let mut takes = left.iter().flat_map(|other| other.takes(forward));
            takes.any(|source| source.guard == name)
        };
        let (later, next): (Vec<&Mover>, Vec<&Mover>) = left
            .iter()
            .partition(|mover| is_taken_from(mover.guard.name));
        if next.is_empty() {
            order.extend(later);
            return order;
        }
        order.extend(next);
        left = later;
    }
    order
}

/// Guards between which nothing moves, apart; each in the order given.
fn connected<'m>(order: &[&'m Mover]) -> Vec<Vec<&'m Mover>> {
    let mut sets: Vec<Vec<&'m Mover>> = Vec::new();
    for &mover in order {
        let gives_or_gets = |other: &&Mover| {
            let between = |a: &Mover, b: &Mover| {
                let mut takes = a.forward.takes.iter();
                takes.any(|source| source.guard == b.guard.name)
            };
            between(mover, other) || between(other, mover)
        };
        let (mut own, others): (Vec<_>, Vec<_>) = sets
            .into_iter()
            .partition(|set| set.iter().any(gives_or_gets));
        sets = others;
        let mut set: Vec<&Mover> = own.drain(..).flatten().collect();
        set.push(mover);
        set.sort_by_key(|one| order.iter().position(|other| ptr::eq(*one, *other)));
        sets.push(set);
    }
    sets
}

/// One member of a mover.
#[derive(Clone, Copy)]
struct Place<'m> {
    mover: &'m Mover,
    member: usize,
    cell: &'static GuardCell,
}

impl Place<'_> {
    fn guard(&self) -> &'static GuardMutex<()> {
        sync::erased(self.cell)
    }

    fn slot(&self) -> &'static GuardSlot {
        self.guard().slot()
    }

    fn index(&self) -> GuardIndex {
        self.slot().index()
    }

    fn root(&self) -> Root {
        self.slot().root()
    }

    /// The form of its items, if there are any.
    fn form(&self) -> Option<Tag> {
        self.root().items().map(|_| self.root().tag())
    }

    fn fails(&self, error: &AccessError) -> String {
        let reason = match error {
            AccessError::HeapFull => "the heap is full: delete something".to_owned(),
            AccessError::Foreign => "no lens leads there".to_owned(),
            AccessError::Failed(reason) => reason.clone(),
        };
        format!("guard {}, {reason}", self.guard().name())
    }
}

/// Moves what moves among these, all or nothing.
fn move_set(set: &[&Mover], forward: bool) -> Result<(), String> {
    sync::leaving_all_sound(|| {
        let cx = &Worker::of_runtime();
        let mut in_order = Set::of(set, forward).places;
        in_order.sort_by_key(Place::index);
        let mut guards = Vec::with_capacity(in_order.len());
        for place in &in_order {
            let guard = place.guard().lock_to_move(cx, PATIENCE);
            guards.push(guard.map_err(|error: LockError| error.to_string())?);
        }
        if forward {
            for some in connected(&getters_first(set.to_vec(), false)) {
                Set::of(&some, false).take_back_what_is_half_done()?;
            }
        }
        let set = Set::of(set, forward);
        set.bring_to_source()?;
        set.make_missing()?;
        set.prepare()?;
        set.convert()
    })
}

/// Guards that are locked, those that get before those that give.
struct Set<'m> {
    places: Vec<Place<'m>>,
    /// Where the members of each guard begin in `places`.
    firsts: HashMap<&'static str, usize>,
    forward: bool,
}

impl<'m> Set<'m> {
    fn of(movers: &[&'m Mover], forward: bool) -> Set<'m> {
        let mut places: Vec<Place<'m>> = Vec::new();
        let mut firsts = HashMap::new();
        for &mover in movers {
            firsts.entry(mover.guard.name).or_insert(places.len());
            let cells = mover.guard.cells.iter().enumerate();
            places.extend(cells.map(|(member, cell)| Place {
                mover,
                member,
                cell,
            }));
        }
        Set {
            places,
            firsts,
            forward,
        }
    }

    fn is_in_source(&self, place: &Place<'_>) -> bool {
        place.form() == Some(place.mover.source(self.forward).0)
    }

    /// The member of the same number that gives it.
    fn giver(&self, source: &Source, member: usize) -> Option<&Place<'m>> {
        let first = self.firsts.get(source.guard)?;
        self.places.get(first + member)
    }

    /// Where somebody stopped between two of the roots: everything back to the older form. Nothing is
    /// made ahead, for that would look at items that may be nobody's. Where a lens goes forward only it is
    /// gone on from as it is.
    fn take_back_what_is_half_done(&self) -> Result<(), String> {
        let has = |place: &Place<'_>, end: Tag| place.form() == Some(end);
        let is_half_done = self.places.iter().any(|getter| {
            let mut takes = getter.mover.forward.takes.iter();
            has(getter, getter.mover.newer.0)
                && takes.any(|source| {
                    let giver = self.giver(source, getter.member);
                    giver.is_some_and(|giver| has(giver, giver.mover.older.0))
                })
        });
        let goes_back = self.places.iter().all(|p| p.mover.backward.is_some());
        match is_half_done && goes_back {
            true => self.convert(),
            false => Ok(()),
        }
    }

    /// Values that are older than either version, as those that a rollback had to leave.
    fn bring_to_source(&self) -> Result<(), String> {
        for place in &self.places {
            let (source, target) = (
                place.mover.source(self.forward).0,
                place.mover.target(self.forward),
            );
            if place
                .form()
                .is_none_or(|form| form == source || form == target)
            {
                continue;
            }
            // SAFETY: the root is a live box whose lock this worker holds.
            let brought = unsafe {
                let slot = place.slot();
                heap::convert_root(slot.root().word(), source, slot.root_address(), |word| {
                    slot.publish(Root::from_word(word));
                })
            };
            brought.map_err(|error| place.fails(&error))?;
        }
        Ok(())
    }

    /// Guards that nobody has acquired, where one that they give to or get from has been.
    fn make_missing(&self) -> Result<(), String> {
        let mut missing = BTreeSet::new();
        loop {
            let before = missing.len();
            let is_there = |missing: &BTreeSet<GuardIndex>, place: &Place<'_>| {
                self.is_in_source(place) || missing.contains(&place.index())
            };
            for getter in &self.places {
                for source in getter.mover.takes(self.forward) {
                    let Some(giver) = self.giver(source, getter.member) else {
                        continue;
                    };
                    for (one, other) in [(getter, giver), (giver, getter)] {
                        if one.form().is_none() && is_there(&missing, other) {
                            missing.insert(one.index());
                        }
                    }
                }
            }
            if missing.len() == before {
                break;
            }
        }
        for place in &self.places {
            if missing.contains(&place.index()) {
                let (tag, items) = place.mover.source(self.forward);
                let slot = place.slot();
                let made = heap::make_root(
                    *tag,
                    slot.root_address(),
                    |tuple| fill(*tag, items, tuple.as_ptr()),
                    |word| slot.publish(Root::from_word(word)),
                );
                made.map_err(|error| place.fails(&error))?;
            }
        }
        Ok(())
    }

    fn left(&self) -> Vec<&Place<'m>> {
        let places = self.places.iter();
        places.filter(|place| self.is_in_source(place)).collect()
    }

    /// In place, before anything is converted.
    fn prepare(&self) -> Result<(), String> {
        for place in self.left() {
            // Not of whichever lens leads there: two may (`bind::add_converter`).
            let plan = place.mover.plan(self.forward)?;
            let (word, way) = (place.root().word(), plan.converter(plan.target));
            // SAFETY: the root is a live box whose lock this worker holds, in the form that the plan takes.
            let prepared = unsafe { heap::prepare_way(word, &way, TwinTask::Prepare) };
            prepared.map_err(|error| place.fails(&error))?;
        }
        Ok(())
    }

    fn convert(&self) -> Result<(), String> {
        let left = self.left();
        let together = Together::begin();
        let mut words = Vec::with_capacity(left.len());
        for place in &left {
            let moving = Moving {
                plan: place.mover.plan(self.forward)?,
                taken: self.taken(place)?,
            };
            let way = moving.converter();
            // SAFETY: as above; the way is the one from the form that the root is in.
            let word = unsafe { together.convert(place.root().word(), &way) };
            words.push(word.map_err(|error| place.fails(&error))?);
        }
        together.stand(|| {
            for (place, word) in left.iter().zip(words) {
                place.slot().publish(Root::from_word(word));
            }
        });
        Ok(())
    }

    /// What this guard takes, where it lies now.
    fn taken(&self, getter: &Place<'_>) -> Result<Vec<Taken>, String> {
        let takes = getter.mover.takes(self.forward).iter();
        takes.map(|source| self.one_taken(getter, source)).collect()
    }

    fn one_taken(&self, getter: &Place<'_>, source: &Source) -> Result<Taken, String> {
        let giver = self
            .giver(source, getter.member)
            .filter(|giver| self.is_in_source(giver));
        let giver = giver.ok_or_else(|| {
            let getter = getter.guard().name();
            format!(
                "guard {getter}: what it is to have of {} is not there",
                source.guard
            )
        })?;
        let plan = giver.mover.plan(self.forward)?;
        let given = plan
            .gives
            .iter()
            .find(|given| given.offset == source.offset);
        let part = given.and_then(|given| given.complement);
        let root = giver.root();
        let items = root.items().expect("what is in a form is there");
        // SAFETY: the root is a live box whose lock this worker holds, in the form that the plan takes.
        let kept = unsafe { heap::complement_of_root(root.word(), &plan.converter(plan.target)) };
        let complement = match part {
            Some(part) if !kept.is_null() => kept.wrapping_add(part),
            _ => ptr::null(),
        };
        Ok(Taken {
            source: *source,
            value: items.as_ptr().wrapping_add(source.offset),
            complement,
        })
    }
}

/// The first tuple of form `tag`, as the version that has it says.
fn fill(tag: Tag, items: &[u64], tuple: *mut u8) -> Result<(), AccessError> {
    let entry = Representation::of(tag);
    let mut error = ErrorText::default();
    for offset in items {
        let init = entry.init_item.ok_or(AccessError::Foreign)?;
        // SAFETY: the tuple has the layout of that version's schema, and the items before are made.
        match unsafe { init(entry.items, *offset, tuple, &mut error) } {
            ConversionStatus::Done => {}
            ConversionStatus::HeapFull => return Err(AccessError::HeapFull),
            _ => return Err(AccessError::Failed(error.get().to_owned())),
        }
    }
    Ok(())
}
