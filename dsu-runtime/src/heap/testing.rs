//! How tests get regions: fixed addresses allow one set a process, so each such test runs in a
//! process of its own, which re-executes this test binary for the one test.
#![allow(unsafe_code)] // swaps private contexts, forks

use super::account::{Activity, HeapAccount};
use super::blocks::BlockMap;
use super::context::{Descriptor, HeapContext};
use super::regions::{HeapLimits, RegionFds, Regions, Role};
use super::{collect, deallocate, keep};
use crate::abi::WorkerContext;
use crate::error::HeapFull;
use crate::ids::WorkerSlot;
use std::alloc::Layout;
use std::cell::Cell;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;

const VARIABLE: &str = "DSU_TEST_WITH_REGIONS";
const STAGE: &str = "DSU_TEST_STAGE";
const RESULT: &str = "result of the stage: ";

/// Runs `body` in a process of its own that has fresh regions of `limits`, in the role of a worker;
/// nobody is attached yet. `name` is the full path of the calling test: `test_name!("name")`.
pub(crate) fn with_regions(name: &str, limits: HeapLimits, body: impl FnOnce()) {
    let name = name.split_once("::").map_or(name, |(_crate, path)| path);
    if is_alone(name) {
        let fds = Regions::create(limits).unwrap();
        let regions = Regions::map(fds, Role::Worker).unwrap();
        assert_eq!(regions.limits(), limits);
        body();
        return;
    }
    run_alone(name, &[]);
}

fn is_alone(name: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|v| v == name)
}

/// Runs one test in a new process with more `variables`; what it printed.
fn run_alone(name: &str, variables: &[(&str, String)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(VARIABLE, name)
        .envs(variables.iter().cloned())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{name} in its own process: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Runs `stages` one after the other, each as a worker in a process that was executed for it, whose
/// code therefore lies elsewhere, over the same regions. Each gets the address that the one before
/// it returned. `after` runs in the process that holds the regions.
pub(crate) fn in_processes(name: &str, stages: &[fn(usize) -> usize], after: impl FnOnce()) {
    if let Ok(what) = std::env::var(STAGE) {
        let mut numbers = what.split(',').map(|n| n.parse::<usize>().unwrap());
        let mut next = || numbers.next().unwrap();
        // SAFETY: duplicates that `in_processes` made for this process.
        let file = |fd| unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let (stage, address) = (next(), next());
        let fds = RegionFds {
            control: file(next()),
            roots: file(next()),
            heap: file(next()),
        };
        Regions::map(fds, Role::Worker).unwrap();
        WorkerContext::current().attach(WorkerSlot(stage as u32));
        println!("{RESULT}{}", stages[stage](address));
        return;
    }
    with_regions(name, ROOMY, || {
        let path = name.split_once("::").map_or(name, |(_crate, path)| path);
        let mut address = 0usize;
        for stage in 0..stages.len() {
            let fds = [Descriptor::Control, Descriptor::Roots, Descriptor::Heap]
                .map(|which| HeapContext::current().descriptor(which).unwrap())
                // SAFETY: duplicates a descriptor; the duplicate is one that a child inherits.
                .map(|fd| unsafe { libc::dup(fd.as_raw_fd()) });
            let [control, roots, heap] = fds;
            let what = format!("{stage},{address},{control},{roots},{heap}");
            let text = run_alone(path, &[(STAGE, what)]);
            let result = text.lines().find_map(|line| line.split_once(RESULT));
            address = result.unwrap().1.parse().unwrap();
            for fd in fds {
                // SAFETY: the duplicate made above.
                unsafe { libc::close(fd) };
            }
        }
        after();
    });
}

/// The full path of the test of this name in the calling module.
macro_rules! test_name {
    ($name:literal) => {
        concat!(module_path!(), "::", $name)
    };
}
pub(crate) use test_name;

thread_local! {
    static ALLOCATIONS_LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Called before each allocation of a container or box.
pub(crate) fn allocation_point() -> Result<(), HeapFull> {
    match ALLOCATIONS_LEFT.get() {
        u64::MAX => Ok(()),
        0 => Err(HeapFull),
        left => {
            ALLOCATIONS_LEFT.set(left - 1);
            Ok(())
        }
    }
}

/// Runs `call` with only `allocations` more blocks to be had; inside another such call, these count by
/// themselves.
pub(crate) fn failing_after<R>(allocations: u64, call: impl FnOnce() -> R) -> R {
    struct Outside(u64);
    impl Drop for Outside {
        fn drop(&mut self) {
            ALLOCATIONS_LEFT.set(self.0);
        }
    }
    let _outside = Outside(ALLOCATIONS_LEFT.replace(allocations));
    call()
}

/// 256 MiB with a reserve of 16.
pub(crate) const ROOMY: HeapLimits = HeapLimits {
    heap_bytes: 256 << 20,
    reserve_bytes: 16 << 20,
};

/// A worker of a test that plays several of them on one thread: its private context while another
/// one's is in place.
pub(crate) struct Actor {
    slot: WorkerSlot,
    saved: Box<[u8; size_of::<HeapContext>()]>,
}

impl Actor {
    /// A worker that has just started.
    pub(crate) fn start(slot: u32) -> Actor {
        Actor {
            slot: WorkerSlot(slot),
            saved: Box::new(context_after_start()),
        }
    }

    /// Runs `body` as this worker.
    pub(crate) fn act<R>(&mut self, body: impl FnOnce() -> R) -> R {
        let current =
            std::ptr::from_ref(HeapContext::current()) as *mut [u8; size_of::<HeapContext>()];
        // SAFETY: the context is plain memory that this thread alone uses; no reference to its
        // content is held outside of calls into the allocator.
        unsafe { std::ptr::swap(current, &mut *self.saved) };
        WorkerContext::current().attach(self.slot);
        let result = body();
        // SAFETY: as above.
        unsafe { std::ptr::swap(current, &mut *self.saved) };
        result
    }

    /// Dies; its process-private knowledge is gone.
    pub(crate) fn die(self) -> WorkerSlot {
        self.slot
    }
}

/// The private context of a process that has mapped the regions and done nothing else.
fn context_after_start() -> [u8; size_of::<HeapContext>()] {
    // SAFETY: a context without superblocks and lists, in place while no actor acts, is plain bytes.
    unsafe {
        std::ptr::from_ref(HeapContext::current())
            .cast::<[u8; size_of::<HeapContext>()]>()
            .read()
    }
}

/// Asks that no block is left, and all memory given back once the acting worker has seen to it.
pub(crate) fn assert_empty() {
    collect();
    keep::make_room(
        HeapContext::current(),
        super::claim::limit(HeapContext::current()),
    );
    let account = HeapAccount::take(Activity::Quiescent);
    assert_eq!(account.findings, [""; 0]);
    assert_eq!((account.used_bytes, account.committed_bytes), (0, 0));
}

/// Frees all that is allocated, whoever had it: its users are dead or done. Asks for an empty heap.
pub(crate) fn clear() {
    for (block, bytes) in BlockMap::new().unreached() {
        let layout = Layout::from_size_align(bytes, 16).expect("sizes are sane");
        // SAFETY: allocated, and nobody uses it.
        unsafe { deallocate(block, layout) };
    }
    assert_empty();
}

/// As if the ledger of the worker in `slot` had had no room for what it has in its conversion.
pub(crate) fn lose_ledger(slot: WorkerSlot) {
    super::ledger::Ledger::of(slot.owner()).close();
}

/// The worker is in a section from here on, as whoever reads another version's forms is: of no guard that
/// there is.
pub(crate) fn begin_section() {
    WorkerContext::current().begin_section(1);
}

/// Forks a worker process in `slot` that runs `body` and exits 0. Call it while no worker acts.
pub(crate) fn fork_worker(slot: u32, body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs `body` and leaves by `_exit`; the test process has no other thread that
    // holds a lock for long, and glibc keeps its malloc usable in the child.
    match unsafe { libc::fork() } {
        0 => {
            WorkerContext::current().attach(WorkerSlot(slot));
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the child without running the parent's destructors.
            unsafe { libc::_exit(if ended.is_ok() { 0 } else { 101 }) }
        }
        child => {
            assert!(child > 0, "{}", std::io::Error::last_os_error());
            child
        }
    }
}

/// Memory that this process and those forked from it share, beside the regions, for good.
///
/// # Safety
/// A `T` is valid when all its bytes are zero, and may be written by several processes at once.
pub(crate) unsafe fn shared_zeroed<T>() -> &'static T {
    // SAFETY: fresh zeroed pages that nobody unmaps; the rest is the caller's promise.
    unsafe {
        let memory = libc::mmap(
            std::ptr::null_mut(),
            size_of::<T>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(memory, libc::MAP_FAILED);
        &*memory.cast()
    }
}

/// Waits until a child is gone; its exit code, or `None` if a signal ended it.
pub(crate) fn reap(child: libc::pid_t) -> Option<i32> {
    let mut status = 0;
    // SAFETY: waits for a child of ours.
    let got = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(got, child);
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}

/// Ends a child at once.
pub(crate) fn kill(child: libc::pid_t) {
    // SAFETY: the pid is that of a child that nobody has reaped yet.
    unsafe { libc::kill(child, libc::SIGKILL) };
}
