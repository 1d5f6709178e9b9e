//! Where the server runs: facts of the process and the machine that INFO tells.

use crate::server::Facts;
use dsu_runtime::heap::{Activity, HeapAccount};
use serde::{Deserialize, Serialize};
use std::fs;

/// What seldom changes while a worker lives.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Place {
    /// Clock ticks from the machine's start to the server's.
    started_ticks: u64,
    descriptors: u64,
    run_id: String,
    os: String,
    executable: String,
    total_system_memory: u64,
    tcp_port: u16,
}

impl Place {
    /// Looks around.
    pub fn discover() -> Place {
        // The server is the supervisor: a worker may be newer.
        let supervisor = std::os::unix::process::parent_id();
        let started_ticks = stat_field(&format!("/proc/{supervisor}/stat"), START_TIME) as u64;
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Place {
            started_ticks,
            descriptors: field_of("/proc/self/limits", "Max open files"),
            run_id: format!(
                "{:040x}",
                u128::from(started_ticks) << 64 | u128::from(supervisor)
            ),
            os: format!("Linux {} x86_64", release.trim()),
            executable: std::env::current_exe()
                .map(|p| p.display().to_string())
                .unwrap_or_default(),
            total_system_memory: field_of("/proc/meminfo", "MemTotal:") << 10,
            tcp_port: 0,
        }
    }

    /// Learns anew what may have been changed from outside: the limit of descriptors (`prlimit`) and
    /// the memory of the machine.
    pub fn look_again(&mut self) {
        let Place {
            descriptors,
            total_system_memory,
            ..
        } = Place::discover();
        (self.descriptors, self.total_system_memory) = (descriptors, total_system_memory);
    }

    /// Descriptors that a worker may have.
    pub fn descriptors(&self) -> u64 {
        self.descriptors
    }

    /// Learns where the server listens from the first connection to it.
    pub fn note_address(&mut self, local: &str) {
        if self.tcp_port == 0 {
            let port = local.rsplit(':').next().and_then(|port| port.parse().ok());
            self.tcp_port = port.unwrap_or(0);
        }
    }

    /// The facts that follow from the place and this moment.
    pub fn facts(&self) -> Facts {
        let resident = field_of("/proc/self/status", "VmRSS:") << 10;
        let heap = HeapAccount::take(Activity::Live);
        let (cpu_user_s, cpu_system_s) = cpu_seconds();
        Facts {
            redis_version: "7.0.15".to_owned(),
            build_id: env!("CARGO_PKG_VERSION").to_owned(),
            run_id: self.run_id.clone(),
            os: self.os.clone(),
            process_id: std::process::id(),
            tcp_port: self.tcp_port,
            uptime_s: (field_of_first("/proc/uptime") - self.started_ticks as f64 / TICKS).max(0.0)
                as u64,
            executable: self.executable.clone(),
            used_memory: heap.used_bytes as u64,
            // The heap gives nothing back to the machine before it is empty.
            used_memory_peak: heap.committed_bytes.max(heap.used_bytes) as u64,
            max_memory: heap.limit_bytes as u64,
            used_memory_rss: resident,
            total_system_memory: self.total_system_memory,
            cpu_system_s,
            cpu_user_s,
            ..Facts::default()
        }
    }
}

/// The number behind a name in a file of /proc; 0 where there is none.
fn field_of(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Clock ticks a second in /proc, whatever the kernel's own.
const TICKS: f64 = 100.0;
/// Places in /proc/PID/stat, from the one behind the command's name on.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START_TIME: usize = 19;

/// Seconds of CPU of this process, in and outside of the kernel.
fn cpu_seconds() -> (f64, f64) {
    let ticks = |place| stat_field("/proc/self/stat", place);
    (ticks(USER_TIME) / TICKS, ticks(SYSTEM_TIME) / TICKS)
}

/// A number in a process's stat file; 0 where there is none.
fn stat_field(path: &str, place: usize) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The command's name may hold spaces; it ends at the last parenthesis.
    let rest = text.rsplit(')').next().unwrap_or_default();
    let field = rest.split_whitespace().nth(place);
    field.and_then(|field| field.parse().ok()).unwrap_or(0.0)
}

/// The number that a file begins with.
fn field_of_first(path: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}
