//! What this process used: memory, and CPU time of its threads, as Linux tells it in `/proc`.
//!
//! Owns reading those files. Elsewhere than on Linux everything is zero, and the benches say so.

#![allow(dead_code, reason = "each bench uses its part")]

use std::{fs, process::Command, time::Duration};

/// Memory that is resident at this moment, in octets.
pub(crate) fn resident_octets() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// CPU time that the threads of these name prefixes have used so far, all together.
pub(crate) fn cpu_time(thread_prefixes: &[&str]) -> Duration {
    let nanos = thread_prefixes
        .iter()
        .flat_map(|prefix| threads(prefix))
        .filter_map(|folder| {
            // "ran-nanoseconds waited-nanoseconds slices"
            fs::read_to_string(format!("{folder}/schedstat")).ok()?.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum();
    Duration::from_nanos(nanos)
}

fn threads(prefix: &str) -> impl Iterator<Item = String> + '_ {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path().display().to_string());
    folders
        .filter(move |folder| fs::read_to_string(format!("{folder}/comm")).is_ok_and(|name| name.starts_with(prefix)))
}

/// Binds all threads of this name prefix to one core, so that server and load don't push each other around. False if it
/// can't be done; the numbers are then noisier.
pub(crate) fn pin_to_core(thread_prefix: &str, core: u32) -> bool {
    threads(thread_prefix).all(|folder| {
        let Some((_, thread)) = folder.rsplit_once('/') else { return false };
        let asked = Command::new("taskset").args(["-p", "-c", &core.to_string(), thread]).output();
        asked.is_ok_and(|done| done.status.success())
    })
}
