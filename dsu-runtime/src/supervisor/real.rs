//! The supervisor's ports as they are in a real server: the regions of `heap`, the libraries of `version`.

use super::config::Config;
use super::ports::{
    Advice, Candidate, HeapFigures, Libraries, Memory, Ports, Probing, Transforming,
};
use crate::abi::{
    FillingWord, FleetState, FleetWord, GUARD_STRIDE, GUARDS_OFFSET, MAX_STATIC_GUARDS,
    ORDER_OFFSET, ORDER_STRIDE, OrderTable, SlotState, WALK_STRIDE, WALKS_OFFSET, WorkerRecord,
};
use crate::heap::{self, Activity, HeapAccount, HeapLimits, Regions, Role, objects};
use crate::ids::{GuardIndex, SweepId, Tag, VersionId, WorkerSlot};
use crate::sync::{self, Edges, Mixed};
use crate::version::{self, Binding, Manifest, Registry, probe};
use std::cell::Cell;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::Ordering::{Release, SeqCst};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Part of the heap that only conversions may use: one in so many bytes.
const RESERVE_FRACTION: usize = 32;

/// Makes the regions, maps them into this process, and looks at libraries for a server of this
/// configuration. Once a process.
///
/// # Errors
/// One sentence that says what the system does not give.
pub fn open(config: &Config) -> Result<Ports, String> {
    let heap_bytes =
        usize::try_from(config.heap_bytes).map_err(|_| "the heap is too large".to_owned())?;
    let limits = HeapLimits {
        heap_bytes,
        reserve_bytes: heap_bytes / RESERVE_FRACTION,
    };
    let fds = Regions::create(limits).map_err(|error| error.to_string())?;
    // Mapping takes the descriptors over and keeps them open for the life of the process.
    let descriptors = vec![
        ("DSU_CONTROL_FD", fds.control.as_raw_fd()),
        ("DSU_ROOTS_FD", fds.roots.as_raw_fd()),
        ("DSU_HEAP_FD", fds.heap.as_raw_fd()),
    ];
    Regions::map(fds, Role::Supervisor).map_err(|error| error.to_string())?;
    Regions::commit_control(ORDER_OFFSET, ORDER_STRIDE).map_err(|error| error.to_string())?;
    let libraries = libraries(&config.run_dir);
    let guards = Rc::clone(&libraries.guards);
    Ok(Ports {
        memory: Box::new(MappedMemory {
            descriptors,
            guards,
        }),
        libraries: Box::new(libraries),
    })
}

/// Looks at libraries; copies go below `run_dir`.
pub fn libraries(run_dir: &Path) -> CheckedLibraries {
    CheckedLibraries {
        run_dir: run_dir.to_owned(),
        registry: Registry::new(0..MAX_STATIC_GUARDS as u32),
        guards: Rc::default(),
    }
}

struct MappedMemory {
    descriptors: Vec<(&'static str, RawFd)>,
    /// Guard slots that were given out.
    guards: Rc<Cell<u32>>,
}

impl Memory for MappedMemory {
    fn descriptors(&self) -> Vec<(&'static str, RawFd)> {
        self.descriptors.clone()
    }

    fn starting(&self, slot: WorkerSlot, pid: u32) {
        let record = WorkerRecord::at(slot);
        record.pid.store(pid, SeqCst);
        // The worker may have got as far as running already.
        let _ = record.state.compare_exchange(
            SlotState::Free as u32,
            SlotState::Starting as u32,
            SeqCst,
            SeqCst,
        );
    }

    fn set_due(&self, slot: WorkerSlot, now_ns: u64) {
        let record = WorkerRecord::at(slot);
        // The oldest unanswered one counts for how long the worker has been waited for.
        let _ = record
            .due_since_ns
            .compare_exchange(0, now_ns, SeqCst, SeqCst);
        record.due.fetch_or(WorkerRecord::DUE_MESSAGE, Release);
    }

    fn is_waiting(&self, slot: WorkerSlot) -> bool {
        let record = WorkerRecord::at(slot);
        // Whom a message has been sent is to wake up.
        record.waiting.load(SeqCst) != 0 && record.due_since_ns.load(SeqCst) == 0
    }

    fn recover(&self, slot: WorkerSlot) {
        let record = WorkerRecord::at(slot);
        record.state.store(SlotState::Recovering as u32, SeqCst);
        let settled = heap::settle(slot);
        if settled.lost > 0 {
            tracing::warn!(
                "{slot} died in a conversion that its ledger had no room for: {} blocks are lost",
                settled.lost
            );
        }
        let recovered = sync::recover_worker(slot, self.guards.get());
        if !recovered.poisoned.is_empty() {
            tracing::error!(guards = ?recovered.poisoned, "{slot} died inside a section");
        }
        let found = heap::recover(slot);
        tracing::debug!("{slot} recovered: {found:?}");
        for word in [
            &record.pid,
            &record.due,
            &record.busy,
            &record.version,
            &record.waiting,
        ] {
            word.store(0, SeqCst);
        }
        record.transforming.store(0, SeqCst);
        record.update_point_ns.store(0, SeqCst);
        record.due_since_ns.store(0, SeqCst);
        record.leave_by_ns.store(0, SeqCst);
        record.state.store(SlotState::Free as u32, SeqCst);
    }

    fn at_guard(&self, slot: WorkerSlot) -> Option<GuardIndex> {
        let busy = WorkerRecord::at(slot).busy.load(SeqCst);
        busy.checked_sub(1).map(GuardIndex)
    }

    fn transforming(&self, slot: WorkerSlot) -> Option<Transforming> {
        let word = WorkerRecord::at(slot).transforming.load(SeqCst);
        (word as u32 != 0).then_some(Transforming {
            number: (word >> 32) as u32,
            from: Tag((word >> 16) as u16),
            to: Tag(word as u16),
        })
    }

    fn held(&self, slot: WorkerSlot) -> Vec<GuardIndex> {
        let flipping = WorkerRecord::at(slot).flipping.load(SeqCst);
        let flipping = flipping & !WorkerRecord::FLIPPING_DROPS;
        // Of those that it moves items between, the lock words say which they are.
        let is_one = |word: &u32| *word != WorkerRecord::FLIPPING_ALL;
        let flipping = Some(flipping).filter(is_one);
        let flipping = flipping
            .and_then(|word| word.checked_sub(1))
            .map(GuardIndex);
        let statics = (0..self.guards.get()).map(GuardIndex);
        statics
            .filter(|index| Some(*index) != flipping && sync::is_held_by(*index, slot))
            .chain(flipping)
            .collect()
    }

    fn is_poisoned(&self, guard: GuardIndex) -> bool {
        guard.0 < self.guards.get() && sync::GuardSlot::at(guard).is_poisoned()
    }

    fn poisoned_objects(&self, most: u32) -> Vec<GuardIndex> {
        let slots = objects::known_slots().take(most as usize).map(GuardIndex);
        slots
            .filter(|index| objects::fate(*index).0.is_reachable())
            .filter(|index| sync::GuardSlot::at(*index).is_poisoned())
            .collect()
    }

    fn boxes(&self, tag: Tag) -> u64 {
        u64::try_from(heap::live::count(tag)).unwrap_or(0)
    }

    fn complements(&self, newer: Tag) -> u64 {
        u64::try_from(heap::live::complement_bytes_of(newer)).unwrap_or(0)
    }

    fn lock_order(&self, table: u32) -> Edges {
        sync::recorded(table)
    }

    fn set_mixed(&self, mixed: Option<Mixed>) {
        sync::set_mixed(mixed);
    }

    fn set_fleet(&self, state: FleetState) {
        FleetWord::get().store(state);
    }

    fn set_filling(&self, fill: Option<SweepId>) {
        FillingWord::get().store(fill);
    }

    fn is_filled(&self, guard: GuardIndex, fill: SweepId) -> bool {
        let slot = sync::GuardSlot::at(guard);
        slot.root().items().is_none() || slot.is_swept(fill)
    }

    fn heap(&self) -> HeapFigures {
        let account = HeapAccount::take(Activity::Live);
        HeapFigures {
            used_bytes: account.used_bytes,
            complement_bytes: usize::try_from(heap::live::complement_bytes()).unwrap_or(0),
            committed_bytes: account.committed_bytes,
            kept_bytes: account.kept_bytes,
            limit_bytes: account.limit_bytes,
        }
    }
}

/// Libraries on disk, looked at by probes, with the registry of one server.
pub struct CheckedLibraries {
    run_dir: PathBuf,
    registry: Registry,
    /// Guard slots that were given out, for recovery to look through.
    guards: Rc<Cell<u32>>,
}

struct RunningProbe(probe::Probe);

impl Probing for RunningProbe {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.0.fd()]
    }

    fn timeout(&self) -> Duration {
        self.0.wake_at().saturating_duration_since(Instant::now())
    }

    fn poll(&mut self) -> Option<Result<Candidate, String>> {
        match self.0.poll() {
            Poll::Pending => None,
            Poll::Ready(Err(refusal)) => Some(Err(refusal.to_string())),
            Poll::Ready(Ok(probed)) => {
                let probe::Probed {
                    manifest,
                    digest,
                    copy,
                    statics,
                    ..
                } = probed;
                Some(Ok(Candidate {
                    digest,
                    copy,
                    manifest,
                    statics,
                }))
            }
        }
    }
}

impl Libraries for CheckedLibraries {
    fn probe(&self, path: &Path) -> Result<Box<dyn Probing>, String> {
        let request = probe::Request::new(path, &self.run_dir);
        let probe = probe::Probe::start(&request).map_err(|refusal| refusal.to_string())?;
        Ok(Box::new(RunningProbe(probe)))
    }

    fn compare(&self, running: &Manifest, new: &Manifest) -> Result<Advice, Vec<String>> {
        let comparison =
            version::compare(running, new).map_err(|reasons| vec![reasons.to_string()])?;
        let mut advice = Advice::default();
        if let version::Advice::Barrier(reasons) = &comparison.advice {
            advice.barrier = Some(reasons.join("; "));
        }
        let parts = comparison.items.iter().chain(&comparison.elements);
        advice.one_way = parts
            .filter(|part| part.passage == version::Passage::ForwardOnly)
            .map(|part| part.name.clone())
            .next();
        advice.moves = comparison.moves;
        advice.filled = comparison.filled;
        Ok(advice)
    }

    fn twin(&self, copy: &Path, number: usize) -> Result<PathBuf, String> {
        let bytes = version::read_library(copy).map_err(|refusal| refusal.to_string())?;
        let name = copy.file_name().unwrap_or_default().to_string_lossy();
        let origin = PathBuf::from(format!("{number}-{name}"));
        version::copy(&bytes, &origin, &self.run_dir)
            .map(|copied| copied.path)
            .map_err(|refusal| refusal.to_string())
    }

    fn admit(
        &mut self,
        manifest: &Manifest,
        running: Option<VersionId>,
    ) -> Result<Binding, String> {
        let binding = self
            .registry
            .admit(manifest, running)
            .map_err(|refusal| refusal.to_string())?;
        let guards = self.registry.slots_in_use();
        Regions::commit_control(GUARDS_OFFSET, guards as usize * GUARD_STRIDE)
            .map_err(|error| error.to_string())?;
        Regions::commit_control(WALKS_OFFSET, guards as usize * WALK_STRIDE)
            .map_err(|error| error.to_string())?;
        if let Some(table) = binding.order_table.and_then(OrderTable::offset) {
            Regions::commit_control(table, ORDER_STRIDE).map_err(|error| error.to_string())?;
        }
        self.guards.set(guards);
        Ok(binding)
    }
}
