//! What the kernel knows of a process: the time it ran, the memory that is its share.
//!
//! Reads `/proc` alone. Never signals anybody.

use std::fs;
use std::time::Duration;

/// Length of a clock tick in `/proc/PID/stat`, whatever the kernel's own.
const TICK: Duration = Duration::from_millis(10);
/// Places in `/proc/PID/stat`, from the one behind the command's name on.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// Time that the process ran, in and outside of the kernel; zero if there is none.
/// In steps of 10 ms.
pub fn cpu_time(pid: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The command's name may hold spaces; it ends at the last parenthesis.
    let fields: Vec<&str> = match text.rsplit_once(')') {
        Some((_, rest)) => rest.split_whitespace().collect(),
        None => return Duration::ZERO,
    };
    let ticks = |place: usize| fields.get(place)?.parse::<u32>().ok();
    TICK * (ticks(USER_TIME).unwrap_or(0) + ticks(SYSTEM_TIME).unwrap_or(0))
}

/// Bytes of memory that are the process's share (PSS): what several map counts for each by its part.
/// `None` if there is no such process.
pub fn memory_share(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_this_process_both_are_known_and_of_no_process_neither() {
        let own = std::process::id();
        let touched = vec![1u8; 8 << 20];
        let share = memory_share(own).expect("this process is there");
        assert!(share > 8 << 20, "{share}");
        let start = cpu_time(own);
        let mut sum = 0u64;
        while cpu_time(own) < start + 3 * TICK {
            sum += touched.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
        assert!(sum > 0);
        assert_eq!(memory_share(u32::MAX), None);
        assert_eq!(cpu_time(u32::MAX), Duration::ZERO);
    }
}
