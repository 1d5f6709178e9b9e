#![allow(unsafe_code)] // a pthread mutex to measure against, and a child to count the steps of
//! What an application pays when nobody is in its way: a typed guard locked, used and unlocked,
//! against its peers in the same run, and an idle `update_point!` against an empty loop.
//!
//! The benchmark is a library as far as the runtime can tell: it declares a guard with
//! `#[guards(…)]`, is bound by its own manifest, and measures inside its worker function.
//!
//! - `cargo bench -p dsu-runtime --bench guard` prints times and instructions. Rounds are
//!   interleaved, because a machine's speed drifts; compare within a run only.
//! - `… --bench guard -- times`, `-- instructions` prints one of the two. Instructions are counted
//!   by single steps of a child process: no noise disturbs them, and no counter of the processor,
//!   which virtual machines often lack, is needed.

use dsu_runtime::prelude::*;
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::time::Instant;
use std::{env, mem, ptr};

mod alone;

dsu_runtime::version! { app: "bench-guard", version: 1 }

#[guards(count: u64)]
static GUARDED: GuardMutex;

/// To be taken inside the other: its order is recorded (R16).
#[guards(count: u64)]
static INNER: GuardMutex;

static PARKING_LOT: parking_lot::Mutex<u64> = parking_lot::Mutex::new(0);

/// Short rounds, and many: on a busy machine most of them are undisturbed.
const ROUNDS: usize = 1501;
const PAIRS: u64 = 4000;
const STEPPED_PAIRS: u64 = 500;

/// A robust mutex in shared memory, and what it guards.
struct Robust {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    count: UnsafeCell<u64>,
}

impl Robust {
    fn new() -> &'static Robust {
        // SAFETY: a fresh, zeroed, shared mapping that is never unmapped; the mutex is initialised
        // before anybody sees it, and a count is valid when zero.
        unsafe {
            let address = libc::mmap(
                ptr::null_mut(),
                size_of::<Robust>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(address, libc::MAP_FAILED, "no memory to share");
            let robust = &*address.cast::<Robust>();
            let mut attributes = mem::zeroed();
            libc::pthread_mutexattr_init(&raw mut attributes);
            libc::pthread_mutexattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED);
            libc::pthread_mutexattr_setrobust(&raw mut attributes, libc::PTHREAD_MUTEX_ROBUST);
            let made = libc::pthread_mutex_init(robust.mutex.get(), &raw const attributes);
            assert_eq!(made, 0);
            robust
        }
    }
}

/// What is measured: so many rounds of one thing.
type Loop = fn(&mut Worker, &'static Robust, u64);

#[inline(never)]
fn guard(cx: &mut Worker, _: &'static Robust, pairs: u64) {
    for _ in 0..pairs {
        let mut items = GUARDED.lock(cx).expect("nobody else is there");
        items.count = black_box(items.count + 1);
    }
}

/// Two guards, one after the other.
#[inline(never)]
fn in_turn(cx: &mut Worker, _: &'static Robust, pairs: u64) {
    for _ in 0..pairs {
        let mut items = GUARDED.lock(cx).expect("nobody else is there");
        items.count = black_box(items.count + 1);
        drop(items);
        let mut items = INNER.lock(cx).expect("nobody else is there");
        items.count = black_box(items.count + 1);
    }
}

/// The same two, one inside the other.
#[inline(never)]
fn inside(cx: &mut Worker, _: &'static Robust, pairs: u64) {
    for _ in 0..pairs {
        let mut outer = GUARDED.lock(cx).expect("nobody else is there");
        outer.count = black_box(outer.count + 1);
        let mut inner = INNER.lock(cx).expect("nobody else is there");
        inner.count = black_box(inner.count + 1);
    }
}

#[inline(never)]
fn parking_lot(_: &mut Worker, _: &'static Robust, pairs: u64) {
    for _ in 0..pairs {
        let mut count = PARKING_LOT.lock();
        *count = black_box(*count + 1);
    }
}

#[inline(never)]
fn robust(_: &mut Worker, robust: &'static Robust, pairs: u64) {
    for _ in 0..pairs {
        // SAFETY: `Robust::new` initialised the mutex; the count is touched while it is held.
        unsafe {
            assert_eq!(libc::pthread_mutex_lock(robust.mutex.get()), 0);
            *robust.count.get() = black_box(*robust.count.get() + 1);
            libc::pthread_mutex_unlock(robust.mutex.get());
        }
    }
}

/// The loop around the locks.
#[inline(never)]
fn no_lock(_: &mut Worker, robust: &'static Robust, pairs: u64) {
    for _ in 0..pairs {
        // SAFETY: one process, one thread, and nobody refers into the mapping.
        unsafe { *robust.count.get() = black_box(*robust.count.get() + 1) };
    }
}

#[inline(never)]
fn update_points(cx: &mut Worker, _: &'static Robust, rounds: u64) {
    fn pass(cx: &mut Worker, rounds: u64) -> Step<()> {
        for round in 0..rounds {
            black_box(round);
            update_point!(cx, "idle", ());
        }
        Ok(Crossing::new("end", ()))
    }
    let ended = pass(cx, rounds);
    assert!(ended.is_ok(), "nothing was due");
}

/// The loop around the update points.
#[inline(never)]
fn empty(_: &mut Worker, _: &'static Robust, rounds: u64) {
    for round in 0..rounds {
        black_box(round);
    }
}

fn ns_per_round(run: Loop, cx: &mut Worker, locks: &'static Robust) -> f64 {
    let start = Instant::now();
    run(cx, locks, PAIRS);
    start.elapsed().as_nanos() as f64 / PAIRS as f64
}

/// Median, first and ninth decile.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |tenth: usize| values[(values.len() - 1) * tenth / 10];
    format!("{:.2} ({:.2} to {:.2})", at(5), at(1), at(9))
}

fn paired(ours: &[f64], theirs: &[f64], combine: fn(f64, f64) -> f64) -> String {
    spread(
        ours.iter()
            .zip(theirs)
            .map(|(a, b)| combine(*a, *b))
            .collect(),
    )
}

fn print_times(cx: &mut Worker, locks: &'static Robust) {
    const LOOPS: [(&str, Loop); 8] = [
        ("guard", guard),
        ("parking_lot", parking_lot),
        ("robust", robust),
        ("no lock", no_lock),
        ("update_point!", update_points),
        ("empty loop", empty),
        ("two in turn", in_turn),
        ("one inside", inside),
    ];
    let mut times = LOOPS.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for ((_, run), times) in LOOPS.iter().zip(&mut times) {
            times.push(ns_per_round(*run, cx, locks));
        }
    }
    println!("ns, median and deciles of {ROUNDS} interleaved rounds:");
    for ((name, _), times) in LOOPS.iter().zip(&times) {
        println!("  {name:14} {}", spread(times.clone()));
    }
    let [
        guard,
        parking_lot,
        robust,
        _,
        update_point,
        empty,
        in_turn,
        inside,
    ] = &times;
    let (ratio, difference): (Combine, Combine) = (|a, b| a / b, |a, b| a - b);
    println!(
        "  guard / parking_lot         {}   (goal: at most 1.00)",
        paired(guard, parking_lot, ratio)
    );
    println!(
        "  guard / robust              {}   (goal: at most 0.85)",
        paired(guard, robust, ratio)
    );
    println!(
        "  update_point! - empty loop  {} ns   (goal: at most 1)",
        paired(update_point, empty, difference)
    );
    println!(
        "  one inside - two in turn    {} ns   (what the order of locks costs, R16)",
        paired(inside, in_turn, difference)
    );
}

/// Instructions of a child that runs `rounds` of a loop and ends.
fn steps(run: Loop, cx: &mut Worker, locks: &'static Robust, rounds: u64) -> u64 {
    // SAFETY: this process has one thread; the child runs plain code and leaves by `_exit`.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0, "no child to count in");
        if child == 0 {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
            run(cx, locks, rounds);
            libc::_exit(0);
        }
        let mut status = 0;
        libc::waitpid(child, &mut status, 0);
        assert!(libc::WIFSTOPPED(status), "no child may be traced here");
        let mut steps = 0;
        while !libc::WIFEXITED(status) && !libc::WIFSIGNALED(status) {
            libc::ptrace(libc::PTRACE_SINGLESTEP, child, 0, 0);
            libc::waitpid(child, &mut status, 0);
            steps += 1;
        }
        assert!(libc::WIFEXITED(status), "the child failed: {status:#x}");
        steps
    }
}

fn print_instructions(cx: &mut Worker, locks: &'static Robust) {
    let mut each = |run: Loop| {
        let (once, twice) = (
            steps(run, cx, locks, STEPPED_PAIRS),
            steps(run, cx, locks, 2 * STEPPED_PAIRS),
        );
        (twice - once) as f64 / STEPPED_PAIRS as f64
    };
    let (around_locks, around_points) = (each(no_lock), each(empty));
    println!("instructions, without the loop around:");
    for (name, run, around) in [
        ("guard", guard as Loop, around_locks),
        ("parking_lot", parking_lot, around_locks),
        ("robust", robust, around_locks),
        ("update_point!", update_points, around_points),
    ] {
        println!("  {name:14} {:.1}", each(run) - around);
    }
}

#[dsu::worker]
fn measure(cx: &mut Worker, _: ()) -> Step<()> {
    let locks = Robust::new();
    // Makes the items: from here on every acquisition takes the fast path.
    drop(GUARDED.lock(cx));
    drop(INNER.lock(cx));
    // Cargo adds `--bench`.
    let word = env::args().skip(1).find(|word| word != "--bench");
    if word.as_deref() != Some("instructions") {
        print_times(cx, locks);
    }
    if word.as_deref() != Some("times") {
        print_instructions(cx, locks);
    }
    Ok(Crossing::new("end", ()))
}

/// How two figures of one round are set against each other.
type Combine = fn(f64, f64) -> f64;

fn main() {
    alone::alone(measure);
}
