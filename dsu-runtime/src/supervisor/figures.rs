//! What shared memory and the kernel say of a server, in the words of its application: guards by name,
//! what the sweep has before it, threads of a worker, code that is loaded.
//!
//! Looked up only when somebody asks, but for one count when a sweep begins.

use super::run::Supervisor;
use super::verbs::Underway;
use crate::abi::MAX_STATIC_GUARDS;
use crate::ids::{GuardIndex, WorkerSlot};
use crate::update::Stage;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// Guards that are looked through for poisoned ones at most, so that asking stays cheap.
const LOOKED_THROUGH: u32 = 1 << 16;

/// A sweep as it stands.
pub(super) struct Sweep {
    /// Elements and tuples that are not in the form of the version that all workers run.
    pub left: u64,
    /// When the rest will be done at the pace so far.
    pub eta: Option<Duration>,
}

/// A filling as it stands.
pub(super) struct Filling {
    /// Guards of which all is there that is filled.
    pub done: usize,
    /// Guards of which something is filled.
    pub all: usize,
    /// When the rest will be done at the pace so far.
    pub eta: Option<Duration>,
}

impl Supervisor {
    /// Name of a guard, with its place in a family; an object made at run time has none but its slot.
    pub(super) fn guard_name(&self, index: GuardIndex) -> Option<String> {
        if index.0 as usize >= MAX_STATIC_GUARDS {
            return Some(format!("the object in slot {}", index.0));
        }
        let binding = &self.builds.get(self.life.running()).build.binding;
        let guard = binding
            .guards
            .iter()
            .find(|guard| (guard.first.0..guard.first.0 + guard.count).contains(&index.0))?;
        Some(match guard.count {
            1 => guard.name.clone(),
            _ => format!("{}[{}]", guard.name, index.0 - guard.first.0),
        })
    }

    /// Poisoned guards of the running version and poisoned objects, by name.
    pub(super) fn poisoned_guards(&self) -> Vec<String> {
        let binding = &self.builds.get(self.life.running()).build.binding;
        let slots = binding
            .guards
            .iter()
            .flat_map(|guard| guard.first.0..guard.first.0 + guard.count.min(LOOKED_THROUGH));
        slots
            .map(GuardIndex)
            .filter(|index| self.ports.memory.is_poisoned(*index))
            .chain(self.ports.memory.poisoned_objects(LOOKED_THROUGH))
            .filter_map(|index| self.guard_name(index))
            .collect()
    }

    /// Elements and tuples of the two versions of an update that are not in the form of the one that
    /// the sweep goes to.
    pub(super) fn left_to_sweep(&self) -> u64 {
        let (running, target) = (self.life.running(), self.life.target());
        let to = match self.life.stage() {
            Stage::RollingBack => running,
            _ => target.unwrap_or(running),
        };
        let current = self.builds.get(to).own_tags();
        let both = [Some(running), target].into_iter().flatten();
        let all: BTreeSet<_> = both
            .flat_map(|index| self.builds.get(index).all_tags())
            .collect();
        let unconverted = all.difference(&current).copied();
        let unconverted: u64 = unconverted.map(|tag| self.ports.memory.boxes(tag)).sum();
        unconverted + self.left_to_discard()
    }

    /// Counts once, when the sweep begins.
    pub(super) fn watch_sweep(&mut self) {
        let stage = self.life.stage();
        let is_known = |underway: &Underway| underway.sweep.is_some_and(|sweep| sweep.0 == stage);
        if !self.life.is_sweeping() || self.underway.as_ref().is_none_or(is_known) {
            return;
        }
        self.note_stop(stage);
        let left = self.left_to_sweep();
        if let Some(underway) = &mut self.underway {
            underway.sweep = Some((stage, Instant::now(), left));
        }
    }

    /// How far the sweep is (R29); `None` when there is none.
    pub(super) fn sweep_figures(&self) -> Option<Sweep> {
        let (_, began, first) = self.underway.as_ref()?.sweep?;
        if !self.life.is_sweeping() {
            return None;
        }
        let left = self.left_to_sweep();
        let done = first.saturating_sub(left);
        let eta = projected(began.elapsed(), done, left);
        Some(Sweep { left, eta })
    }

    /// Notes when a filling begins that the update waits for, and when the one ends that it began with.
    pub(super) fn watch_filling(&mut self) {
        let (filling, stage) = (self.life.filling(), self.life.stage());
        let Some(underway) = &mut self.underway else {
            return;
        };
        let known = underway.filling.map(|(fill, _)| fill);
        match (filling, underway.filling) {
            (Some(fill), _) if known != Some(fill) => {
                underway.filling = Some((fill, Instant::now()));
            }
            (None, Some((_, began)))
                if matches!(stage, Stage::Canary | Stage::Rolling | Stage::Barrier) =>
            {
                let took = began.elapsed().as_millis() as u64;
                underway.record.filled_ms.get_or_insert(took);
            }
            _ => {}
        }
    }

    /// How far the filling is that the update waits for.
    pub(super) fn filling_figures(&self) -> Option<Filling> {
        let fill = self.life.filling()?;
        let underway = self.underway.as_ref()?;
        let (_, began) = underway.filling?;
        let names = underway.record.filled.iter();
        let named: BTreeSet<&str> = names
            .filter_map(|item| Some(item.split_once('.')?.0))
            .collect();
        let binding = &self.builds.get(self.life.running()).build.binding;
        let guards = binding.guards.iter();
        let slots: Vec<GuardIndex> = guards
            .filter(|guard| named.contains(guard.name.as_str()))
            .flat_map(|guard| guard.first.0..guard.first.0 + guard.count.min(LOOKED_THROUGH))
            .map(GuardIndex)
            .collect();
        let is_filled = |slot: &&GuardIndex| self.ports.memory.is_filled(**slot, fill);
        let (done, all) = (slots.iter().filter(is_filled).count(), slots.len());
        let eta = projected(began.elapsed(), done as u64, (all - done) as u64);
        Some(Filling { done, all, eta })
    }

    /// Every build that workers may have loaded: nothing is ever unloaded.
    pub(super) fn builds_figures(&self) -> Vec<Value> {
        let slots = self.fleet.slots();
        let pid = slots
            .filter_map(|slot| self.fleet.process(slot))
            .map(|process| process.id())
            .next();
        let maps = pid
            .and_then(|pid| fs::read_to_string(format!("/proc/{pid}/maps")).ok())
            .unwrap_or_default();
        let describe = |known: &super::builds::KnownBuild| {
            let path = known.build.path.to_string_lossy();
            let mapped: u64 = maps
                .lines()
                .filter(|line| line.ends_with(&*path))
                .filter_map(mapped_bytes)
                .sum();
            json!({
                "version": known.build.version.0,
                "digest": known.file,
                "build_id": known.build.build_id,
                "arguments": known.build.arguments,
                "listeners": self.listeners.addresses(&known.build.listeners),
                "loaded_bytes": mapped,
            })
        };
        self.builds.all().map(describe).collect()
    }

    /// Why a worker does not come to an update point, as far as one can see from outside.
    pub(super) fn occupation(&self, slot: WorkerSlot) -> Option<String> {
        let pid = self.fleet.process(slot)?.id();
        if state_of(pid) == Some('T') {
            return Some(format!("stopped by a signal: kill -CONT {pid}"));
        }
        let guard = self.ports.memory.at_guard(slot)?;
        let name = self.guard_name(guard)?;
        Some(format!("waits for {name} or transforms it"))
    }
}

/// How long what is left will take at the pace of what is done.
fn projected(took: Duration, done: u64, left: u64) -> Option<Duration> {
    if done == 0 {
        return None;
    }
    Duration::try_from_secs_f64(took.as_secs_f64() * left as f64 / done as f64).ok()
}

/// `ADDRESS-ADDRESS …` of a line of /proc/PID/maps, as a length.
fn mapped_bytes(line: &str) -> Option<u64> {
    let (from, to) = line.split(' ').next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    number(to)?.checked_sub(number(from)?)
}

/// The letter that the kernel has for what the process does.
fn state_of(pid: u32) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it is in brackets and may hold anything.
    text.rsplit_once(") ")?.1.chars().next()
}

/// Names of the threads of a process besides its first (R26).
pub(super) fn other_threads(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    tasks
        .flatten()
        .filter(|task| task.file_name().to_string_lossy() != pid.to_string())
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
        .map(|name| name.trim_end().to_owned())
        .collect()
}

/// `12.3 MiB`.
pub(super) fn bytes_text(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{value:.*} {unit}", usize::from(unit != "B"));
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(
            mapped_bytes("1000-3000 r-xp 0 0:0 0  /a b.so"),
            Some(0x2000)
        );
        assert_eq!(mapped_bytes("nonsense"), None);
        assert!(matches!(state_of(std::process::id()), Some('R' | 'S')));
        // The thread that runs this test is not the first of its process.
        assert!(!other_threads(std::process::id()).is_empty());
    }

    #[test]
    fn bytes_are_written_for_people() {
        let texts = [7, 1 << 20, 3 << 39].map(bytes_text);
        assert_eq!(texts, ["7 B", "1.0 MiB", "1.5 TiB"]);
    }
}
