#![allow(unsafe_code)] // maps the memory that the processes share
//! Real processes, real futexes, SIGKILL at random moments: what the model cannot show.
//!
//! The test starts its own executable as workers, on locks in a memfd that each maps where the
//! kernel likes. It kills them one by one, recovers, and gives the slot to a new process at once.
//! Then: nobody was ever in a section with another, every worker still gets through, and at the
//! end every word is 0.

use dsu_runtime::sync::{CellIndex, Class, LockCell, Name, Seat, recover};
use dsu_runtime::sys::time::Nanos;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use std::{env, hint, ptr, thread};

const WORKERS: usize = 8;
const LOCKS: usize = 3;
const KILLS: u32 = 150;
/// Ends a run that hangs. No test of speed: a run takes about a second.
const WATCHDOG_SECONDS: u32 = 300;

/// What the memfd holds. All bytes 0 is a valid start.
#[repr(C)]
struct Arena {
    stop: AtomicU32,
    violations: AtomicU32,
    transformations: AtomicU32,
    seats: [SeatWords; WORKERS],
    locks: [Lock; LOCKS],
}

#[repr(C)]
struct SeatWords {
    busy: AtomicU32,
    progress: AtomicU64,
}

#[repr(C, align(64))]
struct Lock {
    cell: LockCell,
    /// Slot plus one of who is in the section.
    inside: AtomicU32,
    /// The item's class.
    odd: AtomicU32,
    /// Equal outside of sections.
    twins: [AtomicU64; 2],
}

fn map(fd: i32) -> &'static Arena {
    // SAFETY: a fresh mapping of the whole arena at an address of the kernel's choice; the file is
    // as long as the arena.
    let address = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size_of::<Arena>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            fd,
            0,
        )
    };
    assert_ne!(address, libc::MAP_FAILED, "cannot map the arena");
    // SAFETY: page-aligned, never unmapped, consists of atomics only, and its bytes are 0 or what
    // other processes stored into the same type.
    unsafe { &*address.cast::<Arena>() }
}

/// A small generator (Marsaglia, "Xorshift RNGs", 2003): the test needs variety, not quality.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

fn class_of(slot: usize) -> Class {
    Class::of_tag(slot as u64)
}

fn seat(arena: &Arena, slot: usize) -> Seat<'_> {
    Seat {
        name: Name::of_slot(slot as u32),
        busy: &arena.seats[slot].busy,
    }
}

fn work(arena: &Arena, slot: usize) {
    let seat = seat(arena, slot);
    let class = class_of(slot);
    let mut dice = Dice((u64::from(std::process::id()) << 16) | (1 + slot as u64));
    while arena.stop.load(SeqCst) == 0 {
        let at = dice.below(LOCKS as u64) as usize;
        let lock = &arena.locks[at];
        let index = CellIndex(at as u32);
        let patience = (dice.below(8) == 0).then(|| Duration::from_nanos(dice.below(300_000)));
        let deadline = patience.map(|patience| Nanos::now().after(patience));
        let taken = if lock.cell.try_acquire_fast(seat.name) {
            class == item_class(lock) || lock.cell.await_turn(&seat, index, class, deadline).is_ok()
        } else {
            lock.cell
                .acquire_slow(&seat, index, class, deadline)
                .is_ok()
        };
        if !taken {
            continue;
        }
        section(arena, lock, slot, &mut dice);
        if !lock.cell.release_fast(seat.name) {
            lock.cell.release_slow(&seat, index, class);
        }
        arena.seats[slot].progress.fetch_add(1, SeqCst);
    }
}

fn item_class(lock: &Lock) -> Class {
    Class::of_tag(lock.odd.load(SeqCst).into())
}

fn section(arena: &Arena, lock: &Lock, slot: usize, dice: &mut Dice) {
    if lock.inside.swap(slot as u32 + 1, SeqCst) != 0 {
        arena.violations.fetch_add(1, SeqCst);
    }
    let class = class_of(slot);
    if item_class(lock) != class {
        let start = Nanos::now();
        lock.cell.transforming(class);
        lock.odd.store(class as u32, SeqCst);
        lock.cell.transformed(class, Nanos::now().since(start));
        arena.transformations.fetch_add(1, SeqCst);
    }
    // Not one atomic addition: two in the section would lose one.
    let value = lock.twins[0].load(SeqCst);
    lock.twins[0].store(value + 1, SeqCst);
    for _ in 0..dice.below(200) {
        hint::spin_loop();
    }
    lock.twins[1].store(value + 1, SeqCst);
    if lock.inside.swap(0, SeqCst) != slot as u32 + 1 {
        arena.violations.fetch_add(1, SeqCst);
    }
}

fn start(memory: &OwnedFd, slot: usize) -> Child {
    Command::new(env::current_exe().expect("the test has a path"))
        .args(["worker", &memory.as_raw_fd().to_string(), &slot.to_string()])
        .spawn()
        .expect("cannot start a worker")
}

/// What the supervisor does for a worker that it saw die: `true` if it died in a section.
fn bury(arena: &Arena, slot: usize) -> bool {
    let cells = (0..)
        .map(CellIndex)
        .zip(arena.locks.iter().map(|lock| &lock.cell));
    let mut in_section = false;
    recover(&seat(arena, slot), cells, |at| {
        let lock = &arena.locks[at.0 as usize];
        let inside = lock.inside.swap(0, SeqCst);
        assert!(
            inside == 0 || inside == slot as u32 + 1,
            "abandoned by one, held by another"
        );
        in_section |= inside != 0;
        lock.twins[1].store(lock.twins[0].load(SeqCst), SeqCst);
    });
    in_section
}

fn supervise() {
    // SAFETY: plain system calls: a timer that ends this process, and a new file descriptor,
    // which is then owned here alone. It is inherited on purpose.
    let memory = unsafe {
        libc::alarm(WATCHDOG_SECONDS);
        let fd = libc::memfd_create(c"lock-arena".as_ptr(), 0);
        assert!(fd >= 0, "cannot create a memfd");
        assert_eq!(
            libc::ftruncate(fd, size_of::<Arena>() as i64),
            0,
            "cannot size the memfd"
        );
        OwnedFd::from_raw_fd(fd)
    };
    let arena = map(memory.as_raw_fd());
    let mut dice = Dice(Nanos::now().0 | 1);
    let mut workers: Vec<Child> = (0..WORKERS).map(|slot| start(&memory, slot)).collect();
    let mut holders = 0;
    for kill in 0..KILLS {
        thread::sleep(Duration::from_micros(dice.below(3000)));
        let slot = dice.below(WORKERS as u64) as usize;
        workers[slot].kill().expect("cannot kill a worker");
        workers[slot].wait().expect("cannot await a worker");
        holders += u32::from(bury(arena, slot));
        if kill % 3 == 0 {
            assert!(!bury(arena, slot), "a second recovery finds nothing");
        }
        workers[slot] = start(&memory, slot);
    }
    for seat in &arena.seats {
        let before = seat.progress.load(SeqCst);
        while seat.progress.load(SeqCst) < before + 20 {
            thread::yield_now();
        }
    }
    arena.stop.store(1, SeqCst);
    for mut worker in workers {
        assert!(
            worker.wait().expect("cannot await a worker").success(),
            "a worker failed"
        );
    }
    assert_eq!(arena.violations.load(SeqCst), 0, "two in one section");
    for lock in &arena.locks {
        assert!(lock.cell.is_at_rest(), "a word is not 0 at the end");
        assert_eq!(
            lock.twins[0].load(SeqCst),
            lock.twins[1].load(SeqCst),
            "a torn section"
        );
    }
    assert!(
        arena.seats.iter().all(|seat| seat.busy.load(SeqCst) == 0),
        "busy at the end"
    );
    let total: u64 = arena
        .locks
        .iter()
        .map(|lock| lock.twins[0].load(SeqCst))
        .sum();
    let transformations = arena.transformations.load(SeqCst);
    println!(
        "{KILLS} kills, {holders} of holders; {total} sections, {transformations} transformations"
    );
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["worker", fd, slot] => {
            // SAFETY: asks the kernel to kill this process when its parent dies; touches no memory.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            let fd = fd.parse().expect("a file descriptor");
            work(map(fd), slot.parse().expect("a slot"));
        }
        ["--list", ..] => println!("killed_workers_leave_no_lock_behind: test"),
        _ => supervise(),
    }
    ExitCode::SUCCESS
}
