#![allow(unsafe_code)] // shared memory, fork and pthread locks to measure against
//! The lock word against its peers, in the same run: `parking_lot::Mutex` and a robust,
//! process-shared pthread mutex.
//!
//! - `cargo bench -p dsu-runtime --bench lock` prints all tables. Rounds are interleaved, because
//!   a machine's speed drifts; compare within a line only.
//! - `… --bench lock -- uncontended`, `-- contended` or `-- mixed` prints one table; the last is
//!   about workers of two versions against as many of one.
//! - `… --bench lock -- loop ours 100000` only locks and unlocks, for a count of instructions
//!   that no noise disturbs: `valgrind --tool=cachegrind --cache-sim=no` before the executable
//!   (`cargo bench … --no-run` names it), or `perf stat -e instructions:u`; the difference
//!   between two counts of pairs is exact. Peers: `ours`, `parking_lot`, `robust`, and `nothing`
//!   for the loop itself.

use dsu_runtime::sync::{CellIndex, Class, LockCell, Name, Seat};
use dsu_runtime::sys::time::Nanos;
use std::cell::{RefCell, UnsafeCell};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, mem, ptr, thread};

/// Short rounds, and many: on a busy machine most of them are undisturbed.
const UNCONTENDED_ROUNDS: usize = 1501;
const UNCONTENDED_PAIRS: u64 = 4000;
const CONTENDED_ROUNDS: usize = 7;
const CONTENDED_TIME: Duration = Duration::from_millis(120);
const MOST_WORKERS: usize = 16;
const THINK: Duration = Duration::from_nanos(20);

/// What the workers share: a lock of each kind, and the count that each guards.
#[repr(C)]
struct Arena {
    ours: Ours,
    robust: Robust,
    stop: AtomicBool,
    transformations: AtomicU64,
    done: [AtomicU64; MOST_WORKERS],
}

#[repr(C, align(64))]
struct Ours {
    cell: LockCell,
    count: UnsafeCell<u64>,
    /// The class of the form that the count is in.
    form: AtomicU32,
}

#[repr(C, align(64))]
struct Robust {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    count: UnsafeCell<u64>,
}

static PARKING_LOT: parking_lot::Mutex<u64> = parking_lot::Mutex::new(0);

/// What a worker finds at its fixed address: the table of locks, and itself.
struct Context {
    arena: *const Arena,
    me: Name,
    class: Class,
    busy: AtomicU32,
}

/// As a guard reaches it: through memory, at each acquisition.
static CONTEXT: AtomicPtr<Context> = AtomicPtr::new(ptr::null_mut());

fn context() -> &'static Context {
    // SAFETY: `enter` stored a leaked context before any work began in this process.
    unsafe { &*CONTEXT.load(Relaxed) }
}

/// Makes this process the worker in `slot`.
fn enter(arena: *const Arena, slot: usize, class: Class) {
    let me = Name::of_slot(slot as u32);
    let context = Context {
        arena,
        me,
        class,
        busy: AtomicU32::new(0),
    };
    CONTEXT.store(Box::into_raw(Box::new(context)), Relaxed);
}

fn arena() -> &'static Arena {
    // SAFETY: the arena is never unmapped.
    unsafe { &*context().arena }
}

/// One way to lock, count and unlock.
trait Peer {
    fn with_lock(inside: impl FnOnce(&mut u64));
}

enum OursPeer {}
enum ParkingLotPeer {}
enum RobustPeer {}
enum NothingPeer {}
/// Our lock, and an item that is brought into the form of whoever acquires it.
enum VersionedPeer {}

impl Peer for OursPeer {
    #[inline(always)]
    fn with_lock(inside: impl FnOnce(&mut u64)) {
        const AT: CellIndex = CellIndex(0);
        const CLASS: Class = Class::Even;
        let context = context();
        // SAFETY: the arena is never unmapped.
        let lock = unsafe { &(*context.arena).ours };
        let seat = || Seat {
            name: context.me,
            busy: &context.busy,
        };
        if !lock.cell.try_acquire_fast(context.me) {
            let taken = lock.cell.acquire_slow(&seat(), AT, CLASS, None);
            taken.expect("no deadline was given");
        }
        // SAFETY: the lock is held.
        inside(unsafe { &mut *lock.count.get() });
        if !lock.cell.release_fast(context.me) {
            lock.cell.release_slow(&seat(), AT, CLASS);
        }
    }
}

impl Peer for VersionedPeer {
    #[inline(always)]
    fn with_lock(inside: impl FnOnce(&mut u64)) {
        const AT: CellIndex = CellIndex(0);
        let context = context();
        let lock = &arena().ours;
        let class = context.class;
        let seat = Seat {
            name: context.me,
            busy: &context.busy,
        };
        let taken = if !lock.cell.try_acquire_fast(seat.name) {
            lock.cell.acquire_slow(&seat, AT, class, None)
        } else if lock.form.load(Relaxed) != class as u32 {
            lock.cell.await_turn(&seat, AT, class, None)
        } else {
            Ok(())
        };
        taken.expect("no deadline was given");
        if lock.form.load(Relaxed) != class as u32 {
            let start = Nanos::now();
            lock.cell.transforming(class);
            pause(TRANSFORMATION.load(Relaxed));
            lock.form.store(class as u32, Relaxed);
            lock.cell.transformed(class, Nanos::now().since(start));
            arena().transformations.fetch_add(1, Relaxed);
        }
        // SAFETY: the lock is held.
        inside(unsafe { &mut *lock.count.get() });
        if !lock.cell.release_fast(seat.name) {
            lock.cell.release_slow(&seat, AT, class);
        }
    }
}

/// Pauses of the processor that a transformation takes. Set before workers start.
static TRANSFORMATION: AtomicU64 = AtomicU64::new(0);

impl Peer for ParkingLotPeer {
    #[inline(always)]
    fn with_lock(inside: impl FnOnce(&mut u64)) {
        inside(&mut PARKING_LOT.lock());
    }
}

impl Peer for RobustPeer {
    #[inline(always)]
    fn with_lock(inside: impl FnOnce(&mut u64)) {
        let lock = &arena().robust;
        // SAFETY: `arena_with_locks` initialised the mutex; the count is touched while it is held.
        unsafe {
            assert_eq!(libc::pthread_mutex_lock(lock.mutex.get()), 0);
            inside(&mut *lock.count.get());
            libc::pthread_mutex_unlock(lock.mutex.get());
        }
    }
}

impl Peer for NothingPeer {
    #[inline(always)]
    fn with_lock(inside: impl FnOnce(&mut u64)) {
        // SAFETY: one process, one thread, and the count is nobody else's.
        inside(unsafe { &mut *arena().ours.count.get() });
    }
}

fn new_arena() -> &'static Arena {
    // SAFETY: a fresh, zeroed, shared mapping that is never unmapped. All members are valid when
    // all bytes are 0, but for the pthread mutex, which is initialised before anybody else sees it.
    unsafe {
        let address = libc::mmap(
            ptr::null_mut(),
            size_of::<Arena>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(address, libc::MAP_FAILED, "no memory to share");
        let arena = &*address.cast::<Arena>();
        let mut attributes = mem::zeroed();
        libc::pthread_mutexattr_init(&raw mut attributes);
        libc::pthread_mutexattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED);
        libc::pthread_mutexattr_setrobust(&raw mut attributes, libc::PTHREAD_MUTEX_ROBUST);
        assert_eq!(
            libc::pthread_mutex_init(arena.robust.mutex.get(), &raw const attributes),
            0
        );
        arena
    }
}

#[inline(never)]
fn pairs<P: Peer>(count: u64) {
    for _ in 0..count {
        P::with_lock(|value| *value = black_box(*value + 1));
    }
}

fn ns_per_pair<P: Peer>() -> f64 {
    let start = Instant::now();
    pairs::<P>(UNCONTENDED_PAIRS);
    start.elapsed().as_nanos() as f64 / UNCONTENDED_PAIRS as f64
}

/// Pauses of the processor in `span`, by the fastest of a few probes: the others were disturbed.
fn pauses_in(span: Duration) -> u64 {
    const PROBE: u64 = 100_000;
    let probe = || {
        let start = Instant::now();
        pause(PROBE);
        start.elapsed().as_nanos() as u64
    };
    let fastest = (0..20).map(|_| probe()).min().unwrap_or(1);
    (span.as_nanos() as u64 * PROBE / fastest).max(1)
}

fn pause(pauses: u64) {
    (0..pauses).for_each(|_| spin_loop());
}

/// Locks until told to stop, with pauses inside and outside.
fn contend<P: Peer>(worker: usize, load: Load) {
    let arena = arena();
    let mut done = 0;
    while !arena.stop.load(Relaxed) {
        P::with_lock(|value| {
            *value += 1;
            pause(load.section);
        });
        pause(load.think);
        done += 1;
    }
    arena.done[worker].store(done, Relaxed);
}

/// Pauses of the processor inside a section, and between two.
#[derive(Clone, Copy)]
struct Load {
    section: u64,
    think: u64,
}

/// Lets workers contend for a while; a million sections a second.
fn throughput(start: impl FnOnce(), join: impl FnOnce()) -> f64 {
    let arena = arena();
    arena.stop.store(false, Relaxed);
    start();
    let begin = Instant::now();
    thread::sleep(CONTENDED_TIME);
    arena.stop.store(true, Relaxed);
    let time = begin.elapsed();
    join();
    let done: u64 = arena.done.iter().map(|done| done.swap(0, Relaxed)).sum();
    done as f64 / time.as_secs_f64() / 1e6
}

/// Workers are processes.
fn processes<P: Peer>(workers: usize, load: Load, class_of: fn(usize) -> Class) -> f64 {
    let children = RefCell::new(Vec::new());
    let start = || {
        for worker in 0..workers {
            // SAFETY: no other thread runs now: those of `threads` were joined.
            let pid = unsafe { libc::fork() };
            assert!(pid >= 0, "cannot fork");
            if pid == 0 {
                enter(context().arena, worker, class_of(worker));
                contend::<P>(worker, load);
                // SAFETY: ends the child without the parent's destructors.
                unsafe { libc::_exit(0) };
            }
            children.borrow_mut().push(pid);
        }
    };
    throughput(start, || {
        for &child in children.borrow().iter() {
            // SAFETY: awaits a child of this process and wants no status.
            unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
        }
    })
}

/// Workers are threads: parking_lot knows no other.
fn threads<P: Peer>(workers: usize, load: Load) -> f64 {
    let handles = RefCell::new(Vec::new());
    let start = || {
        handles
            .borrow_mut()
            .extend((0..workers).map(|worker| thread::spawn(move || contend::<P>(worker, load))));
    };
    throughput(start, || {
        for handle in handles.take() {
            handle.join().expect("a worker failed");
        }
    })
}

/// A ratio per round: median, first and ninth decile.
struct Ratio(Vec<f64>);

impl Ratio {
    fn of(ours: &[f64], theirs: &[f64]) -> Self {
        let mut ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        Self(ratios)
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (low, high) = (self.0[self.0.len() / 10], self.0[self.0.len() * 9 / 10]);
        write!(f, "{:.2} ({low:.2} to {high:.2})", median(&self.0))
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn uncontended() {
    let (mut ours, mut parking_lot, mut robust) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..UNCONTENDED_ROUNDS {
        ours.push(ns_per_pair::<OursPeer>());
        parking_lot.push(ns_per_pair::<ParkingLotPeer>());
        robust.push(ns_per_pair::<RobustPeer>());
    }
    println!("uncontended lock and unlock, ns, median of {UNCONTENDED_ROUNDS} rounds:");
    for (name, times) in [
        ("ours", &ours),
        ("parking_lot", &parking_lot),
        ("robust", &robust),
    ] {
        println!("  {name:12} {:.1}", median(times));
    }
    println!(
        "  ours / parking_lot  {}   (goal: at most 1.00)",
        Ratio::of(&ours, &parking_lot)
    );
    println!(
        "  ours / robust       {}   (goal: at most 0.85)",
        Ratio::of(&ours, &robust)
    );
}

fn contended() {
    println!("contended, million sections a second, median of {CONTENDED_ROUNDS} rounds:");
    println!("  section  workers     ours  parking_lot  robust  ours/parking_lot, ours/robust");
    let think = pauses_in(THINK);
    for span in [Duration::from_nanos(10), Duration::from_micros(1)] {
        let load = Load {
            section: pauses_in(span),
            think,
        };
        for workers in [2, 4, MOST_WORKERS] {
            let (mut ours, mut parking_lot, mut robust) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..CONTENDED_ROUNDS {
                ours.push(processes::<OursPeer>(workers, load, one_class));
                parking_lot.push(threads::<ParkingLotPeer>(workers, load));
                robust.push(processes::<RobustPeer>(workers, load, one_class));
            }
            println!(
                "  {span:>7?}  {workers:7}  {:7.2}  {:11.2}  {:6.2}  {}, {}",
                median(&ours),
                median(&parking_lot),
                median(&robust),
                Ratio::of(&ours, &parking_lot),
                Ratio::of(&ours, &robust),
            );
        }
    }
}

fn one_class(_: usize) -> Class {
    Class::Even
}

fn two_classes(worker: usize) -> Class {
    Class::of_tag(worker as u64)
}

fn mixed() {
    println!("two versions, half of the workers each, median of {CONTENDED_ROUNDS} rounds:");
    println!("  section  workers  transformation  against one version  transformations/1000");
    let think = pauses_in(Duration::from_nanos(100));
    for span in [Duration::from_nanos(10), Duration::from_micros(1)] {
        let load = Load {
            section: pauses_in(span),
            think,
        };
        for workers in [2, 4, MOST_WORKERS] {
            for cost in [Duration::from_micros(1), Duration::from_micros(100)] {
                TRANSFORMATION.store(pauses_in(cost), Relaxed);
                let (mut one, mut two, mut share) = (Vec::new(), Vec::new(), Vec::new());
                for _ in 0..CONTENDED_ROUNDS {
                    one.push(processes::<VersionedPeer>(workers, load, one_class));
                    arena().transformations.store(0, Relaxed);
                    two.push(processes::<VersionedPeer>(workers, load, two_classes));
                    let sections = two[two.len() - 1] * 1e6 * CONTENDED_TIME.as_secs_f64();
                    let transformations = arena().transformations.swap(0, Relaxed);
                    share.push(transformations as f64 / sections * 1000.0);
                }
                println!(
                    "  {span:>7?}  {workers:7}  {cost:>14?}  {:19}  {:20.2}",
                    Ratio::of(&two, &one).to_string(),
                    median(&share),
                );
            }
        }
    }
}

fn main() {
    enter(new_arena(), 0, Class::Even);
    // Cargo adds `--bench`.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["loop", peer, count] => {
            let count = count.parse().expect("how often to lock");
            match peer {
                "ours" => pairs::<OursPeer>(count),
                "parking_lot" => pairs::<ParkingLotPeer>(count),
                "robust" => pairs::<RobustPeer>(count),
                _ => pairs::<NothingPeer>(count),
            }
        }
        ["uncontended"] => uncontended(),
        ["contended"] => contended(),
        ["mixed"] => mixed(),
        _ => {
            uncontended();
            contended();
            mixed();
        }
    }
}
