//! The two versions of a small application, bound to the same slots, and the lens between them.
#![allow(unsafe_code)] // binds itself as a library

use crate::abi::{GuardRegistration, TypeRegistration, TypeSchema, WorkerRecord};
use crate::heap::stepping::at_every_store;
use crate::heap::testing::{Actor, ROOMY, with_regions};
use crate::heap::{Activity, HeapAccount, SharedBytes};
use crate::ids::{GuardIndex, Tag, VersionId, WorkerSlot};
use crate::sync::{self, GuardSlot, Name, recover_worker};
use crate::update;
use crate::version::{
    Binding, CarryManifest, GuardBinding, GuardManifest, Manifest, RepresentationBinding, digest,
    fields,
};
use crate::worker::Worker;
use dsu_macros::{Shared, guards};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use xform::{Lens, LensError};

/// Totals of version 1.
#[derive(Shared)]
#[shared(inline)]
pub struct OldTotals {
    pub hits: u64,
    pub label: SharedBytes,
}

/// Totals of version 2.
#[derive(Shared)]
#[shared(inline)]
pub struct NewTotals {
    pub label: SharedBytes,
    pub hits: u64,
    pub note: SharedBytes,
}

impl Default for OldTotals {
    fn default() -> Self {
        OldTotals {
            hits: 0,
            label: SharedBytes::from_slice(LABEL).expect("a fresh heap has room"),
        }
    }
}

impl Default for NewTotals {
    fn default() -> Self {
        unreachable!("version 1 runs first")
    }
}

pub const LABEL: &[u8] = b"a label too long to be kept in place of a pointer to it";
pub const NOTE: &[u8] = b"a note that is as long as the label, and longer, for a block";

/// What the lens does once it has begun to build the other side.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Manner {
    Succeed,
    Fail,
    Panic,
    Die,
    /// Succeeds when the deadline that a test gave for waiting has passed.
    Dawdle,
}

static MANNER: AtomicU32 = AtomicU32::new(0);

/// From here on the lens of this process does this.
pub fn lens_shall(manner: Manner) {
    MANNER.store(manner as u32, Ordering::Relaxed);
}

/// Bounds the wait, not the transformer, of the test of R21.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_millis(20);

#[derive(Default)]
struct TotalsLens;

impl TotalsLens {
    fn behave() -> Result<(), LensError> {
        const FAIL: u32 = Manner::Fail as u32;
        const PANIC: u32 = Manner::Panic as u32;
        const DIE: u32 = Manner::Die as u32;
        const DAWDLE: u32 = Manner::Dawdle as u32;
        match MANNER.load(Ordering::Relaxed) {
            FAIL => return Err(LensError::failed("as it was told")),
            PANIC => panic!("as it was told"),
            DIE => die(),
            DAWDLE => {
                let start = std::time::Instant::now();
                while start.elapsed() <= PATIENCE {
                    std::thread::yield_now();
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Lens for TotalsLens {
    type Left = OldTotals;
    type Right = NewTotals;
    type Complement = u64;

    fn forward(
        &self,
        mut left: OldTotals,
        kept: Option<u64>,
    ) -> Result<(NewTotals, u64), LensError> {
        // Edits the source in place as well, which a failure has to undo.
        let full = |_| LensError::no_room("no room");
        left.label.append(b", seen").map_err(full)?;
        let note = SharedBytes::from_slice(NOTE).map_err(full)?;
        Self::behave()?;
        let right = NewTotals {
            label: left.label,
            hits: left.hits,
            note,
        };
        Ok((right, kept.unwrap_or(0) + 1))
    }

    fn backward(&self, right: NewTotals, kept: Option<u64>) -> Result<(OldTotals, u64), LensError> {
        Self::behave()?;
        let mut label = right.label;
        label.truncate(LABEL.len());
        let left = OldTotals {
            hits: right.hits,
            label,
        };
        Ok((left, kept.unwrap_or(0)))
    }
}

crate::transformer!(TotalsLens);

/// The totals and a plain item, as version 1 knows them.
#[guards(totals: OldTotals, count: u64 = 5)]
pub static WORLD_OLD: GuardMutex;

/// The same slot, as version 2 knows it.
#[guards(totals: NewTotals, count: u64, renamed_from = "WORLD_OLD")]
pub static WORLD_NEW: GuardMutex;

/// Guards that both versions know alike.
#[guards(count: u64)]
pub static WORLD_FAMILY: [GuardMutex; 3];

/// A guard whose item cannot be made while `lens_shall(Fail)` holds.
#[guards(label: SharedBytes = SharedBytes::from_slice(LABEL).expect("room"), hard: u64 = reluctant())]
pub static WORLD_HARD: GuardMutex;

fn reluctant() -> u64 {
    assert!(
        MANNER.load(Ordering::Relaxed) != Manner::Fail as u32,
        "no such file"
    );
    9
}

/// Where the guards are.
pub const TOTALS: GuardIndex = GuardIndex(0);
pub const FAMILY: GuardIndex = GuardIndex(1);
pub const HARD: GuardIndex = GuardIndex(4);
pub const PARTS: GuardIndex = GuardIndex(5);
pub const GROWN: GuardIndex = GuardIndex(6);
pub const SPLIT: GuardIndex = GuardIndex(7);
pub const PARKED: GuardIndex = GuardIndex(8);
pub const LONE: GuardIndex = GuardIndex(9);
pub const GRAPH: GuardIndex = GuardIndex(10);
pub const FILLED: GuardIndex = GuardIndex(11);
pub const GIVER: GuardIndex = GuardIndex(12);
pub const PASSER: GuardIndex = GuardIndex(13);
pub const GETTER: GuardIndex = GuardIndex(14);
pub const GIVERS: GuardIndex = GuardIndex(15);
pub const GETTERS: GuardIndex = GuardIndex(18);
pub const HOUSE: GuardIndex = GuardIndex(21);
pub const PURSE: GuardIndex = GuardIndex(22);
pub const BASKET: GuardIndex = GuardIndex(23);
pub const SHELF: GuardIndex = GuardIndex(24);
pub const ROOT: GuardIndex = GuardIndex(25);
pub const HEIR: GuardIndex = GuardIndex(26);
pub const LEAVER: GuardIndex = GuardIndex(27);
pub const FRESH: GuardIndex = GuardIndex(28);
pub const LOTS: GuardIndex = GuardIndex(29);
pub const SHEDS: GuardIndex = GuardIndex(32);
pub const BARNS: GuardIndex = GuardIndex(35);
pub const LATE: GuardIndex = GuardIndex(38);
pub const YARD: GuardIndex = GuardIndex(39);
pub const STALL: GuardIndex = GuardIndex(40);
pub const FOLD: GuardIndex = GuardIndex(41);
pub const MEADOW: GuardIndex = GuardIndex(42);
pub const SHEAR: GuardIndex = GuardIndex(43);
pub const GUARDS: u32 = 44;

/// Guards, and families, that each version has under a name of its own, and where they are. The first has
/// tags that differ in their classes.
const PAIRS: [(&str, &str, GuardIndex); 22] = [
    ("WORLD_OLD", "WORLD_NEW", TOTALS),
    ("PARTS_OLD", "PARTS_NEW", PARTS),
    ("GROWN_OLD", "GROWN_NEW", GROWN),
    ("SPLIT_OLD", "SPLIT_NEW", SPLIT),
    ("PARKED_OLD", "PARKED_NEW", PARKED),
    ("LONE_OLD", "LONE_NEW", LONE),
    ("GRAPH_OLD", "GRAPH_NEW", GRAPH),
    ("FILLED_OLD", "FILLED_NEW", FILLED),
    ("GIVER_OLD", "GIVER_NEW", GIVER),
    ("PASSER_OLD", "PASSER_NEW", PASSER),
    ("GETTER_OLD", "GETTER_NEW", GETTER),
    ("GIVERS_OLD", "GIVERS_NEW", GIVERS),
    ("GETTERS_OLD", "GETTERS_NEW", GETTERS),
    ("HOUSE_OLD", "HOUSE_NEW", HOUSE),
    ("PURSE_OLD", "PURSE_NEW", PURSE),
    ("BASKET_OLD", "BASKET_NEW", BASKET),
    ("SHELF_OLD", "SHELF_NEW", SHELF),
    ("ROOT_OLD", "ROOT_NEW", ROOT),
    ("HEIR_OLD", "HEIR_NEW", HEIR),
    ("LOTS_OLD", "LOTS_NEW", LOTS),
    ("YARD_OLD", "YARD_NEW", YARD),
    ("FOLD_OLD", "FOLD_NEW", FOLD),
];
/// Those that the newer version alone has.
const NEW: [(&str, GuardIndex); 5] = [
    ("FRESH_NEW", FRESH),
    ("BARNS_NEW", BARNS),
    ("LATE_NEW", LATE),
    ("STALL_NEW", STALL),
    ("MEADOW_NEW", MEADOW),
];

/// The tag of a new guard's tuple in the older version, which does not have the guard. See `bind`.
pub fn empty_tag(name: &str) -> Tag {
    let place = NEW.iter().position(|(new, _)| *new == name);
    Tag(FIRST_EMPTY + place.expect("a new guard") as u16)
}
const FIRST_EMPTY: u16 = 2 * PAIRS.len() as u16 + 1;

/// Those that the older version alone has, as it calls them and as they are declared here.
const GONE: [(&str, &str, GuardIndex); 3] = [
    ("LEAVER", "LEAVER_OLD", LEAVER),
    ("SHEDS", "SHEDS_OLD", SHEDS),
    ("SHEAR", "SHEAR_OLD", SHEAR),
];
/// Of another build of the older version, in the place of the one of that name.
const GONE_ELSEWHERE: (&str, &str, GuardIndex) = ("LEAVER", "LEAVER_OTHER", LEAVER);

fn all_gone() -> impl Iterator<Item = (&'static str, &'static str, GuardIndex)> {
    GONE.into_iter().chain([GONE_ELSEWHERE])
}

/// Which build of the older version this one knows.
#[derive(Clone, Copy, PartialEq)]
pub enum Older {
    First,
    Other,
}

/// Where this process records the order of its locks.
pub const ORDER_TABLE: u32 = 7;

/// What this binary declares under that name.
pub fn registration(guard: &str) -> &'static GuardRegistration {
    let mut all = inventory::iter::<GuardRegistration>.into_iter();
    all.find(|registration| registration.name == guard)
        .expect("declared in these tests")
}

/// Binds every guard and type that this test binary declares; those of this file to known slots.
pub fn bind(older: Older) {
    bind_to(&binding(older));
}

/// As [`bind`], to slots and tags that this gives: those of [`binding`], but for what differs.
pub fn bind_to(binding: &Binding) {
    // SAFETY: slots and tags of this test's own guards and types, before any is held.
    unsafe { update::bind(binding) }.expect("everything has a slot and a tag");
}

/// What [`bind`] binds to.
pub fn binding(older: Older) -> Binding {
    let mut tags = 1_u16..;
    let mut representations = Vec::new();
    let mut represent = |name: String, schema: &TypeSchema| {
        let tag = Tag(tags.next().expect("few types"));
        representations.push(RepresentationBinding {
            name,
            digest: digest(schema),
            tag,
            same: Vec::new(),
        });
        tag
    };
    let names = PAIRS.iter().flat_map(|(older, newer, _)| [*older, *newer]);
    let in_pairs: HashMap<&str, Tag> = names
        .map(|name| {
            let schema = (registration(name).schema)();
            (name, represent(format!("guard:{name}"), &schema))
        })
        .collect();
    let mut empty = |name: &str| represent(format!("guard:{name}"), &TypeSchema::no_items());
    for (name, _) in NEW {
        assert_eq!(empty(name), empty_tag(name));
    }
    let emptied: Vec<GuardBinding> = GONE
        .iter()
        .map(|(name, declared, first)| GuardBinding {
            name: (*name).into(),
            first: *first,
            count: registration(declared).cells.len() as u32,
            tag: empty(name),
            node: first.0 as u16,
        })
        .collect();
    let mut gone: HashMap<&str, Tag> = HashMap::new();
    for (name, declared, _) in all_gone() {
        let schema = (registration(declared).schema)();
        gone.insert(declared, represent(format!("guard:{name}"), &schema));
    }
    for registration in inventory::iter::<TypeRegistration> {
        represent(registration.name.into(), &(registration.schema)());
    }
    let mut others = GUARDS..;
    let guards = inventory::iter::<GuardRegistration>
        .into_iter()
        .map(|guard| {
            let tag = in_pairs.get(guard.name).or(gone.get(guard.name)).copied();
            let tag = tag
                .unwrap_or_else(|| represent(format!("guard:{}", guard.name), &(guard.schema)()));
            let pair = PAIRS
                .iter()
                .find(|(older, newer, _)| [*older, *newer].contains(&guard.name));
            let new = NEW.iter().find(|(name, _)| *name == guard.name);
            let gone = all_gone().find(|(_, name, _)| *name == guard.name);
            let alone = new.map(|(_, first)| *first).or(gone.map(|gone| gone.2));
            let first = match (guard.name, pair.map(|(.., first)| *first).or(alone)) {
                (_, Some(first)) => first,
                ("WORLD_FAMILY", _) => FAMILY,
                ("WORLD_HARD", _) => HARD,
                _ => GuardIndex(others.nth(guard.cells.len() - 1).expect("few guards")),
            };
            GuardBinding {
                name: guard.name.into(),
                first,
                count: guard.cells.len() as u32,
                tag,
                node: first.0 as u16,
            }
        })
        .collect();
    Binding {
        version: VersionId(2),
        guards,
        emptied,
        representations,
        lenses: Vec::new(),
        order_table: Some(ORDER_TABLE),
        older: Some(version_1(older)),
        forgets: Vec::new(),
    }
}

fn version_1(build: Older) -> Manifest {
    let gone = GONE.map(|gone| match build {
        Older::Other if gone.0 == GONE_ELSEWHERE.0 => GONE_ELSEWHERE,
        _ => gone,
    });
    Manifest {
        app: "world".into(),
        version: VersionId(1),
        from: None,
        build_id: String::new(),
        rustc: String::new(),
        guards: PAIRS
            .iter()
            .map(|(name, ..)| (*name, *name))
            .chain(gone.iter().map(|(name, declared, _)| (*name, *declared)))
            .map(|(name, declared)| GuardManifest {
                name: name.into(),
                renamed_from: String::new(),
                family: registration(declared).family,
                items: (registration(declared).schema)(),
                moved: Vec::new(),
            })
            .collect(),
        types: Vec::new(),
        frozen: Vec::new(),
        lenses: Vec::new(),
        keys: Vec::new(),
        functions: Vec::new(),
        removed: Vec::new(),
        update_points: Vec::new(),
        carry: CarryManifest {
            worker: "serve".into(),
            path: String::new(),
            schema: <() as crate::worker::Carried>::schema(),
        },
        carry_lenses: Vec::new(),
        statics: Default::default(),
        paths: Vec::new(),
    }
}

/// Runs `body` in a process of its own with regions and both versions bound. Nobody is attached: it
/// lets workers be played, by [`play`], or forks them. Should it hang, it is killed.
pub fn with_world(name: &str, body: impl FnOnce()) {
    with_regions(name, ROOMY, || {
        watch();
        bind(Older::First);
        body();
    });
}

/// The end of this process if it takes too long; children set their own.
#[allow(unsafe_code)] // a system call
pub fn watch() {
    const SECONDS: u32 = 120;
    // SAFETY: asks for a signal whose default action ends the process.
    unsafe { libc::alarm(SECONDS) };
}

/// Kills this process at once.
#[allow(unsafe_code)] // a system call
pub fn die() -> ! {
    // SAFETY: ends this process.
    unsafe { libc::raise(libc::SIGKILL) };
    unreachable!("SIGKILL cannot be survived")
}

/// Ends this process with a code of the test's own.
#[allow(unsafe_code)] // a system call
pub fn leave(code: i32) -> ! {
    // SAFETY: ends this process without running what is the parent's to run.
    unsafe { libc::_exit(code) }
}

/// Lets a new worker of this slot do something.
pub fn play<R>(slot: u32, body: impl FnOnce(&mut Worker) -> R) -> R {
    Actor::start(slot).act(|| body(&mut Worker::of_runtime()))
}

/// Makes the totals in the old form, with five hits; `hits` and label are then known.
pub fn make_totals(cx: &Worker) {
    let mut guard = WORLD_OLD.lock(cx).expect("free and sound");
    guard.totals.hits = 5;
}

/// All that a failed flip must leave as it was.
pub fn state() -> (u64, HeapAccount) {
    let slot = GuardSlot::at(TOTALS);
    assert!(slot.lock.is_at_rest(), "the lock was not released");
    let mut account = HeapAccount::take(Activity::Live);
    assert_eq!(account.findings, [""; 0]);
    // Superblocks and committed memory may stay with the worker.
    account.committed_bytes = 0;
    for class in &mut account.classes {
        class.superblocks = 0;
    }
    account
        .slots
        .retain(|slot| slot.used_bytes != 0 || slot.refused_frees != 0);
    for slot in &mut account.slots {
        slot.superblocks = 0;
    }
    (slot.root().word(), account)
}

/// Writes over an item of a guard that nobody holds, which is in the form of the guard of this name.
#[allow(unsafe_code)] // an item by its address
pub fn spoil_item(guard: &str, item: &str) {
    let guard = registration(guard);
    let schema = (guard.schema)();
    let mut fields = fields(&schema).iter();
    let field = fields.find(|field| field.name == item).expect("its item");
    let mutex = sync::erased(&guard.cells[0]);
    let root = mutex.slot().root();
    assert_eq!(root.tag(), mutex.expected());
    let items = root.items().expect("it was made");
    // SAFETY: the item lies there in a tuple of this form, and nobody else is there.
    unsafe {
        let item = items.add(field.offset as usize);
        item.write_bytes(0xa5, field.ty.size as usize);
    }
}

/// Waits until the worker of that slot is in the slow path of a guard.
pub fn await_busy(slot: u32, guard: GuardIndex) {
    let record = WorkerRecord::at(WorkerSlot(slot));
    while record.busy.load(Ordering::Acquire) != guard.0 + 1 {
        std::thread::yield_now();
    }
}

/// Waits until the worker of that slot holds a guard.
pub fn await_owner(slot: u32, guard: GuardIndex) {
    while GuardSlot::at(guard).lock.owner() != Some(Name::of_slot(slot)) {
        std::thread::yield_now();
    }
}

/// Guards that the death of this worker poisons.
pub fn poisoned_by_death_of(slot: u32) -> Vec<GuardIndex> {
    recover_worker(WorkerSlot(slot), GUARDS).poisoned
}

/// Who makes what moves, and who dies while it does.
pub const MAKER: WorkerSlot = WorkerSlot(0);
pub const DEAD: WorkerSlot = WorkerSlot(1);

/// Death at every store of the moves there and back; `judge` says how what is left is ended.
pub fn die_in_moves(name: &str, make_old: fn(&Worker), judge: impl Fn()) {
    with_world(name, || {
        play(MAKER.0, |cx| make_old(cx));
        let moves = || {
            update::move_items(true).unwrap();
            update::move_items(false).unwrap();
        };
        let points = at_every_store(DEAD.0, moves, judge);
        assert!(points > 50, "{points}");
    });
}
