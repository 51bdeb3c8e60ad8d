//! What this process used: memory, and CPU time of its threads, as Linux tells it in `/proc`.
//!
//! Owns reading those files. Elsewhere than on Linux everything is zero, and the benches say so.

#![allow(dead_code, reason = "each bench uses its part")]

use std::{collections::HashSet, fs, io::Write as _, process::Command, time::Duration};

/// Memory that is resident at this moment, in octets.
pub(crate) fn resident_octets() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// CPU time that the threads of these name prefixes have used so far, all together.
pub(crate) fn cpu_time(thread_prefixes: &[&str]) -> Duration {
    thread_prefixes.iter().flat_map(|prefix| threads(prefix)).map(|folder| times(&folder).0).sum()
}

/// How long the threads of this name prefix were ready and waited for a core so far, all together.
///
/// Only what another thread of this machine had is in it, not what the host of a virtual machine took.
pub(crate) fn waited(thread_prefix: &str) -> Duration {
    threads(thread_prefix).map(|folder| times(&folder).1).sum()
}

/// How long the thread of this folder ran, and how long it waited for a core.
fn times(folder: &str) -> (Duration, Duration) {
    // "ran-nanoseconds waited-nanoseconds slices"
    let told = fs::read_to_string(format!("{folder}/schedstat")).unwrap_or_default();
    let mut nanos = told.split_whitespace().map(|field| Duration::from_nanos(field.parse().unwrap_or(0)));
    (nanos.next().unwrap_or_default(), nanos.next().unwrap_or_default())
}

/// CPU time that another process has used so far, with that of threads that have ended; in steps of 10 ms.
pub(crate) fn cpu_time_of(process: u32) -> Duration {
    let told = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name stands in parentheses and may have any character; after it the 12th field is the time in the program, the
    // 13th that in the kernel, both in hundredths of a second.
    let fields = told.rsplit_once(')').map_or("", |(_, fields)| fields);
    let hundredths = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(hundredths.sum::<u64>() * 10)
}

/// CPU time that the calling thread has used so far.
pub(crate) fn own_cpu_time() -> Duration {
    times("/proc/thread-self").0
}

fn threads(prefix: &str) -> impl Iterator<Item = String> + '_ {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path().display().to_string());
    folders
        .filter(move |folder| fs::read_to_string(format!("{folder}/comm")).is_ok_and(|name| name.starts_with(prefix)))
}

/// The threads of this name prefix, in the order of their start, once all that were started have their names.
///
/// A thread gives itself its name, some time after whoever started it went on: till then it has that of the program. Some
/// threads keep it, so that is waited for a moment only.
fn started(prefix: &str) -> Vec<String> {
    let program = fs::read_to_string("/proc/self/comm").unwrap_or_default();
    let mut patience = 100;
    while patience > 0 && threads(program.trim_end()).count() > 1 {
        std::thread::park_timeout(Duration::from_millis(1));
        patience -= 1;
    }
    let mut folders: Vec<String> = threads(prefix).collect();
    folders.sort_by_key(|folder| number(folder).parse::<u32>().unwrap_or(0));
    folders
}

/// Binds all threads of this name prefix to one core, so that server and load don't push each other around. False if it
/// can't be done, or if there are none; the numbers are then noisier.
pub(crate) fn pin_to_core(thread_prefix: &str, core: u32) -> bool {
    for_all(thread_prefix, |thread| is_done("taskset", &["-p", "-c", &core.to_string(), thread]))
}

/// Binds the threads of this name prefix that were not bound before to these cores, in turn, and says whether there was one
/// for each. `bound` remembers them.
pub(crate) fn pin_new_to_cores(thread_prefix: &str, cores: &[u32], bound: &mut HashSet<String>) -> bool {
    let fresh: Vec<String> = started(thread_prefix).into_iter().filter(|folder| bound.insert(folder.clone())).collect();
    let is_placed =
        |(folder, core): (&String, &u32)| is_done("taskset", &["-p", "-c", &core.to_string(), number(folder)]);
    fresh.len() == cores.len() && fresh.iter().zip(cores).all(is_placed)
}

/// Gives all threads of this name prefix the lowest priority.
pub(crate) fn make_idle(thread_prefix: &str) -> bool {
    for_all(thread_prefix, |thread| is_done("renice", &["-n", "19", "-p", thread]))
}

/// Whether there are threads of this name prefix, and `done` did it to all of them.
fn for_all(thread_prefix: &str, mut done: impl FnMut(&str) -> bool) -> bool {
    let folders = started(thread_prefix);
    !folders.is_empty() && folders.iter().all(|folder| done(number(folder)))
}

/// Binds the calling thread, and those that it starts from now on, to one core.
pub(crate) fn pin_own_thread(core: u32) -> bool {
    own_thread().is_some_and(|own| is_done("taskset", &["-p", "-c", &core.to_string(), &own]))
}

/// Lets the calling thread, and those that it starts from now on, run before all others: the time that a generator waits
/// for a core is no time of the server's. Needs the right to do so (root).
pub(crate) fn make_own_thread_real_time() -> bool {
    own_thread().is_some_and(|own| is_done("chrt", &["-f", "-p", "10", &own]))
}

/// The same for all threads of this name prefix.
pub(crate) fn make_real_time(thread_prefix: &str) -> bool {
    for_all(thread_prefix, |thread| is_done("chrt", &["-f", "-p", "5", thread]))
}

/// Keeps cores from falling asleep, as long as it lives: a core without work looks for some instead of halting.
///
/// A virtual machine gives a halted core back to its host and gets it again when the host thinks fit. That is no time of the
/// server's either, and far more than what it needs for an answer.
#[derive(Debug)]
pub(crate) struct Awake {
    /// Closed, it is forgotten.
    _request: fs::File,
}

impl Awake {
    /// `None` if it can't be asked for: that needs Linux with idle states, and root.
    pub(crate) fn keep() -> Option<Self> {
        // The time that waking up may take, in microseconds (Linux, "PM Quality Of Service Interface").
        let mut request = fs::OpenOptions::new().write(true).open("/dev/cpu_dma_latency").ok()?;
        request.write_all(&0_i32.to_ne_bytes()).ok()?;
        Some(Self { _request: request })
    }
}

/// Gives the calling thread, and those that it starts from now on, the highest priority that is not real-time. For a
/// generator that needs all of its core: the system takes a real-time thread off it for 50 ms of every second.
pub(crate) fn give_own_thread_priority() -> bool {
    own_thread().is_some_and(|own| is_done("renice", &["-n", "-20", "-p", &own]))
}

/// Takes that back.
pub(crate) fn make_own_thread_usual() -> bool {
    own_thread()
        .is_some_and(|own| is_done("chrt", &["-o", "-p", "0", &own]) && is_done("renice", &["-n", "0", "-p", &own]))
}

fn own_thread() -> Option<String> {
    let folder = fs::read_link("/proc/thread-self").ok()?;
    Some(folder.file_name()?.to_str()?.to_owned())
}

fn number(folder: &str) -> &str {
    folder.rsplit_once('/').map_or("", |(_, thread)| thread)
}

fn is_done(command: &str, arguments: &[&str]) -> bool {
    Command::new(command).args(arguments).output().is_ok_and(|done| done.status.success())
}
