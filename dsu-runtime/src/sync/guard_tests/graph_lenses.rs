//! Lenses and destructors of shared nodes that do more than their own node asks for: read others, make
//! handles, convert. What is dropped may lead back to what is being converted.
#![allow(unsafe_code)] // counts that processes share

use super::graph::too_many;
use super::rooms::ALL_GUARDS;
use super::world::*;
use crate::abi::{Parked, SUPERBLOCK_SIZE, WorkerRecord};
use crate::error::{AccessError, RcError};
use crate::heap::stepping::at_every_store_there;
use crate::heap::testing::{shared_zeroed, test_name};
use crate::heap::{
    self, Element, SharedBytes, SharedMap, SharedOrderedMap, SharedRc, SharedVec, SharedWeak, live,
    rc,
};
use crate::ids::{SweepId, Tag, WorkerSlot};
use crate::sync::flip::leaving_it_sound;
use crate::sync::recover_worker;
use crate::update::{check_guards, sweep_guards};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};
use xform::{Lens, LensError};

/// What is dropped with a word.
#[derive(Shared)]
pub struct Ghost {
    id: u64,
    /// Whom it looks at when it goes.
    seen: Option<SharedWeak<NewActor>>,
}

/// An actor of version 1.
#[derive(Shared)]
#[shared(frozen = 1, name = "GraphActor")]
pub struct OldActor {
    id: u64,
    text: SharedBytes,
    ghost: Option<SharedRc<Ghost>>,
    crowd: SharedVec<SharedRc<Ghost>>,
    partner: Option<SharedRc<OldActor>>,
    idol: Option<SharedWeak<OldActor>>,
}

/// An actor of version 2.
#[derive(Shared)]
#[shared(name = "GraphActor")]
pub struct NewActor {
    /// What the lens makes of `idol` and `partner`, if it is told to.
    also: Option<SharedRc<NewActor>>,
    idol: Option<SharedWeak<NewActor>>,
    partner: Option<SharedRc<NewActor>>,
    ghost: Option<SharedRc<Ghost>>,
    crowd: SharedVec<SharedRc<Ghost>>,
    text: SharedBytes,
    id: u64,
}

/// What the lens of an actor does beside moving fields, either way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Plain,
    /// Reads the partner in the form that it makes.
    ReadPartner,
    /// The same, and goes on if that fails.
    GlancePartner,
    /// Makes a strong handle of the weak one.
    UpgradeIdol,
    /// Drops the ghost.
    DropGhost,
    /// Makes a ghost and drops it, then fails.
    ConjureAndFail,
    /// Clones the partner's handle, and drops the ghost.
    CloneAndDropGhost,
    /// Has two handles of its own for each of the crowd, and drops those that were there.
    DoubleCrowd,
}

/// What a ghost does when it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wail {
    Silent,
    /// Reads whom it looks at, in version 2's form.
    Read,
    /// Brings whom it looks at into version 1's form.
    TurnBack,
    /// Edits whom it looks at: between its first and its last store the value is not whole.
    Haunt,
}

thread_local! {
    static PART: Cell<Part> = const { Cell::new(Part::Plain) };
    static WAIL: Cell<Wail> = const { Cell::new(Wail::Silent) };
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn say(what: String) {
    SAID.with_borrow_mut(|said| said.push(what));
}

fn said() -> Vec<String> {
    SAID.take()
}

impl Drop for Ghost {
    fn drop(&mut self) {
        say(format!("ghost {}", self.id));
        let Some(Ok(Some(seen))) = self.seen.as_ref().map(SharedWeak::upgrade) else {
            return;
        };
        match WAIL.get() {
            Wail::Silent => {}
            Wail::Read => {
                let read = seen.read(|actor| (actor.id, actor.text.as_slice() == TEXT));
                say(format!("sees {read:?}"));
                if form(&seen) == NewActor::tag().get() {
                    say("as it is now".into());
                }
            }
            Wail::Haunt => {
                let haunted = seen.edit(|actor| {
                    let id = std::mem::replace(&mut actor.id, HAUNTED);
                    actor.text = SharedBytes::from_slice(TEXT).expect("room");
                    actor.id = id;
                });
                haunted.expect("its own form");
            }
            Wail::TurnBack => {
                let turned = seen.rebind::<OldActor>().edit(|actor| actor.id);
                let why = turned.map_err(|error| {
                    let text = error.to_string();
                    text.rsplit(": ").next().map(str::to_owned)
                });
                say(format!("turns {why:?}"));
            }
        }
    }
}

/// Nobody's number.
const HAUNTED: u64 = u64::MAX;
const TEXT: &[u8] = b"a text that is too long to be kept in place of its address";

#[derive(Default)]
struct ActorLens;

/// A ghost of nobody, which goes at once.
fn conjure() -> Result<(), LensError> {
    say("lens begins".into());
    let ghost = Ghost { id: 99, seen: None };
    drop(SharedRc::new(ghost)?);
    say("lens fails".into());
    Err(LensError::failed("as it was told"))
}

impl Lens for ActorLens {
    type Left = OldActor;
    type Right = NewActor;
    type Complement = u64;

    fn forward(&self, mut left: OldActor, kept: Option<u64>) -> Result<(NewActor, u64), LensError> {
        let partner = left.partner.map(SharedRc::rebind::<NewActor>);
        let idol = left.idol.map(SharedWeak::rebind::<NewActor>);
        let read = || match &partner {
            Some(partner) => partner.read(|partner| partner.id),
            None => Ok(0),
        };
        let mut also = None;
        match PART.get() {
            Part::Plain => {}
            Part::ReadPartner => drop(read()?),
            Part::GlancePartner => drop(read()),
            Part::DoubleCrowd => {}
            Part::UpgradeIdol => {
                also = idol
                    .as_ref()
                    .map(SharedWeak::upgrade)
                    .transpose()?
                    .flatten();
            }
            Part::DropGhost => left.ghost = None,
            Part::ConjureAndFail => conjure()?,
            Part::CloneAndDropGhost => {
                also = partner.as_ref().map(SharedRc::try_clone).transpose()?;
                left.ghost = None;
            }
        }
        let mut crowd = SharedVec::new();
        if PART.get() == Part::DoubleCrowd {
            for one in left.crowd.iter() {
                let one = one?;
                crowd.push(one.try_clone()?)?;
                crowd.push(one.try_clone()?)?;
            }
        } else {
            crowd = left.crowd;
        }
        let right = NewActor {
            also,
            idol,
            partner,
            ghost: left.ghost,
            crowd,
            text: left.text,
            id: left.id,
        };
        Ok((right, kept.unwrap_or(0)))
    }

    fn backward(&self, mut right: NewActor, _: Option<u64>) -> Result<(OldActor, u64), LensError> {
        match PART.get() {
            Part::ConjureAndFail => conjure()?,
            Part::DropGhost => right.ghost = None,
            _ => {}
        }
        let left = OldActor {
            id: right.id,
            text: right.text,
            ghost: right.ghost,
            crowd: right.crowd,
            partner: right.partner.map(SharedRc::rebind),
            idol: right.idol.map(SharedWeak::rebind),
        };
        Ok((left, 0))
    }
}

crate::transformer!(ActorLens);

#[guards(stage: Option<SharedRc<NewActor>>)]
static GRAPH_STAGE: GuardMutex;

type Actor = SharedRc<NewActor>;

fn actor(id: u64) -> Actor {
    let text = SharedBytes::from_slice(TEXT).expect("room");
    let value = NewActor {
        also: None,
        idol: None,
        partner: None,
        ghost: None,
        crowd: SharedVec::new(),
        text,
        id,
    };
    SharedRc::new(value).expect("room")
}

fn clone(actor: &Actor) -> Actor {
    actor.try_clone().expect("held")
}

fn partners(one: &Actor, other: &Actor) {
    let partner = clone(other);
    one.edit(|value| value.partner = Some(partner))
        .expect("has a form");
}

fn ghost(of: &Actor, id: u64, seen: &Actor) {
    let seen = Some(seen.downgrade().expect("held"));
    let ghost = SharedRc::new(Ghost { id, seen }).expect("room");
    of.edit(|value| value.ghost = Some(ghost))
        .expect("has a form");
}

/// Brings it into version 1's form, by its plain lens.
fn turn_back(actor: &Actor) {
    let part = PART.replace(Part::Plain);
    let old = clone(actor).rebind::<OldActor>();
    old.edit(|_| ()).expect("has a form");
    PART.set(part);
    assert_eq!(form(actor), OldActor::tag().get());
}

/// The form that its value is in.
fn form(actor: &Actor) -> Tag {
    let as_new = actor.node.holds();
    as_new.expect("it has a value")
}

/// Runs `body` under the guard; all that it made must be gone at the end, and every count right.
fn on_stage(name: &str, body: impl FnOnce(&Worker)) {
    with_world(name, || {
        play(0, |cx| {
            body(cx);
            PART.set(Part::Plain);
            WAIL.set(Wail::Silent);
            GRAPH_STAGE.lock(cx).expect("free and sound").stage = None;
            assert_eq!(
                check_guards(GRAPH_STAGE.cells().iter().collect()).findings,
                [""; 0]
            );
            let counts = [OldActor::tag(), NewActor::tag(), Ghost::tag()];
            assert_eq!(counts.map(|tag| live::count(tag.get())), [0; 3]);
        });
    });
}

fn is_circle(error: &RcError) -> bool {
    match error {
        RcError::Access(AccessError::Failed(reason)) | RcError::Circle(reason) => {
            reason.contains("GraphActor")
        }
        _ => false,
    }
}

// R20: whoever reads, edits or sweeps.
#[test]
fn lenses_that_read_each_other_in_a_circle_are_an_error_that_names_the_type() {
    let name =
        test_name!("lenses_that_read_each_other_in_a_circle_are_an_error_that_names_the_type");
    on_stage(name, |cx| {
        let mut guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        let (one, other) = (actor(1), actor(2));
        partners(&one, &other);
        partners(&other, &one);
        turn_back(&one);
        turn_back(&other);
        PART.set(Part::ReadPartner);
        let error = one.read(|_| ()).expect_err("a circle");
        assert!(is_circle(&error), "{error}");
        let error = one.edit(|_| ()).expect_err("a circle");
        assert!(is_circle(&error), "{error}");
        assert_eq!(form(&one), OldActor::tag().get(), "as it was");
        guard.stage = Some(clone(&one));
        drop(guard);
        let swept = sweep_guards(
            SweepId(1),
            Parked::Kept,
            || GRAPH_STAGE.cells().iter().collect(),
            u64::MAX / 2,
        );
        // What the value of the first one leads to is shown in the form that it has.
        assert_eq!((swept.converted, swept.failed), (0, 1));
        // A lens that can do without has its form.
        PART.set(Part::GlancePartner);
        let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        assert_eq!(one.read(|value| value.id), Ok(1));
        assert_eq!(one.edit(|value| value.id), Ok(1));
        assert_eq!(other.edit(|value| value.partner = None), Ok(()));
        drop((one, other));
        drop(guard);
    });
}

// R20, I35: what a lens clones for a copy is there as long as the copy.
#[test]
fn handles_that_a_lens_makes_for_a_readers_copy_keep_what_they_lead_to() {
    let name = test_name!("handles_that_a_lens_makes_for_a_readers_copy_keep_what_they_lead_to");
    on_stage(name, |cx| {
        let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        let (fan, idol) = (actor(1), actor(2));
        let weak = idol.downgrade().expect("held");
        fan.edit(|value| value.idol = Some(weak)).expect("form");
        turn_back(&fan);
        PART.set(Part::UpgradeIdol);
        let mut idol = Some(idol);
        fan.read(|value| {
            let also = value.also.as_ref().expect("upgraded");
            assert_eq!(also.strong_count(), Ok(2));
            drop(idol.take());
            assert_eq!(live::count(NewActor::tag().get()), 1, "the copy keeps it");
            let whole = also.read(|value| (value.id, value.text.as_slice() == TEXT));
            assert_eq!(whole, Ok((2, true)));
        })
        .expect("has a form");
        assert_eq!(form(&fan), OldActor::tag().get());
        drop(guard);
        assert_eq!(
            live::count(NewActor::tag().get()),
            0,
            "gone with the section"
        );
        let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        assert!(fan.read(|value| value.also.is_none()).expect("form"));
        drop(fan);
        drop(guard);
    });
}

// I35: what goes with the old value of a swept node finds the new one.
#[test]
fn what_a_sweep_drops_finds_the_node_in_its_new_form() {
    let name = test_name!("what_a_sweep_drops_finds_the_node_in_its_new_form");
    on_stage(name, |cx| {
        let mut guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        let one = actor(1);
        ghost(&one, 7, &one);
        turn_back(&one);
        guard.stage = Some(one);
        drop(guard);
        PART.set(Part::DropGhost);
        WAIL.set(Wail::Read);
        let swept = sweep_guards(
            SweepId(1),
            Parked::Kept,
            || GRAPH_STAGE.cells().iter().collect(),
            u64::MAX / 2,
        );
        assert_eq!((swept.converted, swept.failed), (1, 0));
        assert_eq!(said(), ["ghost 7", "sees Ok((1, true))", "as it is now"]);
    });
}

// I35: what dies in a conversion is gone before that ends, also where a destructor began it.
#[test]
fn what_dies_in_a_conversion_that_fails_is_not_left_to_who_clears_further_out() {
    let name =
        test_name!("what_dies_in_a_conversion_that_fails_is_not_left_to_who_clears_further_out");
    on_stage(name, |cx| {
        let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        let (one, other) = (actor(1), actor(2));
        ghost(&one, 7, &other);
        PART.set(Part::ConjureAndFail);
        WAIL.set(Wail::TurnBack);
        // The ghost goes with its last handle, and converts the other one when it does.
        one.edit(|value| value.ghost = None).expect("form");
        let failed = "turns Err(Some(\"as it was told\"))";
        assert_eq!(
            said(),
            ["ghost 7", "lens begins", "ghost 99", "lens fails", failed]
        );
        drop((one, other));
        drop(guard);
    });
}

// I35: a destructor that converts while a conversion's old value goes.
#[test]
fn a_destructor_that_converts_in_a_commit_counts_nothing_twice() {
    let name = test_name!("a_destructor_that_converts_in_a_commit_counts_nothing_twice");
    on_stage(name, |cx| {
        let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        let (one, partner, third) = (actor(1), actor(2), actor(3));
        partners(&one, &partner);
        ghost(&one, 7, &third);
        turn_back(&one);
        PART.set(Part::CloneAndDropGhost);
        WAIL.set(Wail::TurnBack);
        assert_eq!(one.edit(|value| value.also.is_some()), Ok(true));
        assert_eq!(said(), ["ghost 7", "turns Ok(3)"]);
        assert_eq!(partner.strong_count(), Ok(3));
        assert_eq!(form(&third), OldActor::tag().get());
        drop((one, partner, third));
        drop(guard);
    });
}

// R20: an edit in the node's own form is seen by who reads it in another one after that.
#[test]
fn a_copy_made_before_an_edit_is_not_given_after_it() {
    let name = test_name!("a_copy_made_before_an_edit_is_not_given_after_it");
    on_stage(name, |cx| {
        let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        let one = actor(1);
        let old = clone(&one).rebind::<OldActor>();
        assert_eq!(old.read(|value| value.id), Ok(1));
        let longer = SharedBytes::from_slice(&[TEXT, TEXT].concat()).expect("room");
        one.edit(|value| (value.id, value.text) = (9, longer))
            .expect("its own form");
        let seen = old.read(|value| (value.id, value.text.len()));
        assert_eq!(seen, Ok((9, 2 * TEXT.len())));
        drop((one, old));
        drop(guard);
    });
}

// R5: whatever type their handles have, containers lead to the same nodes.
#[test]
fn vectors_and_maps_of_handles_take_another_type_at_once() {
    let name = test_name!("vectors_and_maps_of_handles_take_another_type_at_once");
    on_stage(name, |cx| {
        let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
        let one = actor(1);
        let mut map: SharedMap<u64, Actor> = SharedMap::new();
        let mut ordered: SharedOrderedMap<u64, Actor> = SharedOrderedMap::new();
        map.insert(1, clone(&one)).expect("room");
        ordered.insert(1, clone(&one)).expect("room");
        let sorted = ordered.rebind::<OldActor>();
        let first = sorted.get(&1).expect("inline").expect("there");
        assert_eq!(first.edit(|value| value.id += 1), Ok(()));
        assert_eq!(form(&one), OldActor::tag().get());
        let old = map.rebind::<OldActor>();
        let same = old.get(&1).expect("inline").expect("there");
        assert_eq!(same.read(|value| value.id), Ok(2));
        assert_eq!(one.strong_count(), Ok(3));
        let again = old.rebind::<NewActor>();
        assert!(again.get(&1).expect("inline").expect("there").ptr_eq(&one));
        drop((one, again, sorted));
        drop(guard);
    });
}

// I5, R3: a conversion of a flip leaves its guard sound wherever its worker dies, a destructor that it runs
// when it is done does not: that may be in the middle of an edit.
#[test]
fn whoever_dies_in_a_destructor_that_a_flip_runs_leaves_nothing_torn_to_be_read() {
    let name =
        test_name!("whoever_dies_in_a_destructor_that_a_flip_runs_leaves_nothing_torn_to_be_read");
    const DEAD: WorkerSlot = WorkerSlot(1);
    with_world(name, || {
        play(2, |cx| {
            let mut guard = GRAPH_STAGE.lock(cx).expect("free and sound");
            let (one, partner) = (actor(1), actor(2));
            ghost(&one, 7, &partner);
            partners(&one, &partner);
            turn_back(&one);
            guard.stage = Some(one);
        });
        // SAFETY: atomics.
        let seen: &[AtomicU32; 2] = unsafe { shared_zeroed() };
        let points = at_every_store_there(
            DEAD.0,
            0..0,
            || {
                let cx = &Worker::of_runtime();
                let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
                let one = guard.stage.as_ref().expect("there");
                PART.set(Part::DropGhost);
                WAIL.set(Wail::Haunt);
                // As a flip does.
                leaving_it_sound(guard.index(), || one.edit(|_| ())).expect("has a form");
                drop(guard);
            },
            || {
                let flipping = WorkerRecord::at(DEAD).flipping.load(Ordering::Relaxed);
                for dead in [DEAD, WorkerSlot(2)] {
                    recover_worker(dead, ALL_GUARDS);
                    heap::recover(dead);
                }
                let is_sound = play(DEAD.0, |cx| {
                    rc::inherit();
                    let Ok(guard) = GRAPH_STAGE.lock(cx) else {
                        return false;
                    };
                    let one = guard.stage.as_ref().expect("there");
                    let partner = one.edit(|one| one.partner.as_ref().map(clone));
                    let partner = partner.expect("has a form").expect("there");
                    assert_eq!(partner.read(|partner| partner.id), Ok(2), "torn");
                    true
                });
                if flipping != 0 {
                    seen[usize::from(is_sound)].fetch_add(1, Ordering::Relaxed);
                }
            },
        );
        let [poisoned, sound] = seen.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert!(
            poisoned > 2 && sound > 20,
            "{points} points, {poisoned} poisoned and {sound} sound"
        );
    });
}

// I35, I6: what a conversion did to the counts, wherever its worker dies: whoever takes the slot of the dead
// counts down what they were to, but for the handle that they had in hand.
#[test]
fn whoever_takes_the_slot_of_the_dead_counts_down_what_their_conversion_owed() {
    let name =
        test_name!("whoever_takes_the_slot_of_the_dead_counts_down_what_their_conversion_owed");
    const CROWD: u64 = 5;
    const DEAD: WorkerSlot = WorkerSlot(1);
    let stage = || GRAPH_STAGE.cells().iter().collect();
    with_world(name, || {
        let nodes = play(2, |cx| {
            let mut guard = GRAPH_STAGE.lock(cx).expect("free and sound");
            let (one, partner) = (actor(1), actor(2));
            for id in 0..CROWD {
                let ghost = SharedRc::new(Ghost { id, seen: None }).expect("room");
                for actor in [&one, &partner] {
                    let ghost = ghost.try_clone().expect("held");
                    actor
                        .edit(|value| value.crowd.push(ghost))
                        .expect("its own form")
                        .expect("room");
                }
            }
            partners(&one, &partner);
            turn_back(&one);
            let nodes = one.node.address() / SUPERBLOCK_SIZE * SUPERBLOCK_SIZE;
            guard.stage = Some(one);
            nodes
        });
        // SAFETY: atomics.
        let seen: &[AtomicU32; 2] = unsafe { shared_zeroed() };
        let points = at_every_store_there(
            DEAD.0,
            nodes..nodes + SUPERBLOCK_SIZE,
            || {
                let cx = &Worker::of_runtime();
                let guard = GRAPH_STAGE.lock(cx).expect("free and sound");
                let one = guard.stage.as_ref().expect("there");
                PART.set(Part::DoubleCrowd);
                // As a flip does.
                leaving_it_sound(guard.index(), || one.edit(|_| ())).expect("has a form");
                drop(guard);
            },
            || {
                for dead in [DEAD, WorkerSlot(2)] {
                    recover_worker(dead, ALL_GUARDS);
                    heap::recover(dead);
                }
                let counted = play(DEAD.0, |cx| {
                    rc::inherit();
                    let guard = GRAPH_STAGE.lock(cx).ok()?;
                    let form = form(guard.stage.as_ref().expect("there"));
                    drop(guard);
                    let findings = check_guards(stage()).findings;
                    let too_many: u64 = findings.iter().map(|finding| too_many(finding)).sum();
                    assert!(too_many <= 1, "{findings:?}");
                    GRAPH_STAGE.lock(cx).expect("sound").stage = None;
                    Some((form == NewActor::tag().get(), too_many))
                });
                if let Some((is_new, too_many)) = counted {
                    seen[usize::from(is_new)].fetch_add(1, Ordering::Relaxed);
                    let ghosts = live::count(Ghost::tag().get());
                    assert_eq!(ghosts, too_many as i64, "all but what counts too many");
                }
            },
        );
        let [before, after] = seen.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert!(
            before > 20 && after > 20,
            "{points} points, {before} before and {after} after"
        );
    });
}
