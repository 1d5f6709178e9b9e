//! Where the server runs: facts of the process and the machine that INFO tells.

use crate::server::Facts;
use serde::{Deserialize, Serialize};
use std::fs;

/// What does not change while a worker lives.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Place {
    started_ms: u64,
    run_id: String,
    os: String,
    executable: String,
    total_system_memory: u64,
    tcp_port: u16,
}

impl Place {
    /// Looks around.
    pub fn discover() -> Place {
        let started_ms = crate::store::UnixMs::now().0;
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Place {
            started_ms,
            run_id: format!(
                "{:040x}",
                u128::from(started_ms) << 64 | u128::from(std::process::id())
            ),
            os: format!("Linux {} x86_64", release.trim()),
            executable: std::env::current_exe()
                .map(|p| p.display().to_string())
                .unwrap_or_default(),
            total_system_memory: field_of("/proc/meminfo", "MemTotal:") << 10,
            tcp_port: 0,
        }
    }

    /// The facts that follow from the place and this moment.
    pub fn facts(&self) -> Facts {
        let resident = field_of("/proc/self/status", "VmRSS:") << 10;
        let (cpu_user_s, cpu_system_s) = cpu_seconds();
        Facts {
            redis_version: "7.0.15".to_owned(),
            build_id: env!("CARGO_PKG_VERSION").to_owned(),
            run_id: self.run_id.clone(),
            os: self.os.clone(),
            process_id: std::process::id(),
            tcp_port: self.tcp_port,
            uptime_s: crate::store::UnixMs::now()
                .0
                .saturating_sub(self.started_ms)
                / 1000,
            executable: self.executable.clone(),
            used_memory: resident,
            used_memory_peak: field_of("/proc/self/status", "VmHWM:") << 10,
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

/// Seconds of CPU of this process, in and outside of the kernel.
fn cpu_seconds() -> (f64, f64) {
    /// Clock ticks a second in /proc, whatever the kernel's own.
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may hold spaces; it ends at the last parenthesis.
    let rest = text.rsplit(')').next().unwrap_or_default();
    let mut fields = rest
        .split_whitespace()
        .skip(11)
        .map(|f| f.parse::<f64>().unwrap_or(0.0));
    let user = fields.next().unwrap_or(0.0);
    let system = fields.next().unwrap_or(0.0);
    (user / TICKS, system / TICKS)
}
