//! What the kernel knows of a process: the time it ran, the memory that is its share.
//!
//! Reads clocks and `/proc`. Never signals anybody.

use nix::time::ClockId;
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

/// Time that the process ran, in and outside of the kernel, with threads that have ended; zero if there is
/// no such process.
pub fn cpu_time(pid: u32) -> Duration {
    let clock = i32::try_from(pid).ok().map(Pid::from_raw);
    let clock = clock.and_then(|pid| ClockId::pid_cpu_clock_id(pid).ok());
    let time = clock.and_then(|clock| clock.now().ok());
    time.map_or(Duration::ZERO, Duration::from)
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
        while cpu_time(own) < start + Duration::from_millis(30) {
            sum += touched.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
        assert!(sum > 0);
        assert_eq!(memory_share(u32::MAX), None);
        assert_eq!(cpu_time(u32::MAX), Duration::ZERO);
    }
}
