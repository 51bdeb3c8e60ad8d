//! From the shards to the writer: [`ShardLog`] takes events, one thread writes what they formatted.
//!
//! Owns buffers, the thread and its end. How a line looks is said by `line`, where it goes by `output`.

use std::{
    fmt, io, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle, Thread},
};

use tracing::{error, info, warn};

use crate::{
    clock::Now,
    engine::event::{Event, EventSink},
    limits,
    metrics::process::ProcessCells,
};

use super::{
    json::Lines,
    line::{self, Stamp},
    output::Output,
    settings::Destination,
};

/// The running decision log. Dropping it writes what was told and ends the thread.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// One buffer for each shard. Bound: each has [`limits::LOG_BUFFER_OCTETS`] and never grows.
    buffers: Vec<Arc<Buffer>>,
    reopens: AtomicBool,
    stops: AtomicBool,
    cells: Arc<ProcessCells>,
}

/// The lines of one shard that nobody has written yet. On a cache line of its own: the shards take their locks for every
/// line, and must not take the line from each other's cache.
#[repr(align(128))]
struct Buffer(Mutex<Lines>);

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the destination and starts the thread that writes there; gives an end for each shard.
    ///
    /// # Errors
    /// The file can't be opened, or there is no room for a thread.
    pub fn start(
        destination: &Destination,
        shards: usize,
        cells: Arc<ProcessCells>,
    ) -> io::Result<(Self, Vec<Box<dyn EventSink>>)> {
        let output = match destination {
            Destination::Off => {
                let ends = (0..shards).map(|_| Box::new(NoLog) as Box<dyn EventSink>).collect();
                return Ok((Self { shared: Arc::new(Shared::new(0, cells)), thread: None }, ends));
            }
            Destination::Stdout => Output::stdout(),
            Destination::File(path) => Output::file(path)?,
        };
        let shared = Arc::new(Shared::new(shards, cells));
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("decision-log".to_owned()).spawn(move || run(output, &of_thread))?;
        let ends = shared
            .buffers
            .iter()
            .map(|buffer| Box::new(ShardLog::new(buffer, thread.thread().clone())) as Box<dyn EventSink>);
        let ends = ends.collect();
        Ok((Self { shared, thread: Some(thread) }, ends))
    }

    /// Opens the file anew, soon: after whoever rotates logs moved the old one away.
    pub fn reopen(&self) {
        self.shared.reopens.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                error!("the thread of the decision log had ended with a bug");
            }
        }
    }
}

impl Shared {
    fn new(shards: usize, cells: Arc<ProcessCells>) -> Self {
        let buffer = || Arc::new(Buffer(Mutex::new(Lines::with_room(limits::LOG_BUFFER_OCTETS))));
        let buffers = (0..shards).map(|_| buffer()).collect();
        Self { buffers, reopens: AtomicBool::new(false), stops: AtomicBool::new(false), cells }
    }
}

/// One shard's end of the log.
#[derive(Debug)]
pub struct ShardLog {
    buffer: Arc<Buffer>,
    stamp: Stamp,
    writer: Thread,
}

impl ShardLog {
    fn new(buffer: &Arc<Buffer>, writer: Thread) -> Self {
        Self { buffer: Arc::clone(buffer), stamp: Stamp::default(), writer }
    }
}

impl EventSink for ShardLog {
    fn tell(&mut self, event: &Event<'_>) -> bool {
        let Some(mut buffer) = take(&self.buffer) else { return false };
        let before = buffer.octets().len();
        let fits = line::write(event, &mut self.stamp, &mut buffer);
        // A busy shard fills a quarter in some milliseconds, and the writer may have to wait for a core as long.
        let quarter = limits::LOG_BUFFER_OCTETS / 4;
        let is_much = before < quarter && buffer.octets().len() >= quarter;
        drop(buffer);
        if is_much || !fits {
            self.writer.unpark();
        }
        fits
    }

    /// Nothing: the writer comes by itself in [`limits::LOG_DELAY`], and was woken if there was enough for it.
    fn flush(&mut self, _: Now) {}
}

/// The buffer, unless the writer is just swapping it. That takes it some nanoseconds, and is waited for without sleeping;
/// a writer that lost its core in the middle of it is given this one for a moment. More than that is not waited for.
fn take(buffer: &Buffer) -> Option<MutexGuard<'_, Lines>> {
    const TRIES: u32 = 1_000;
    const SPINS: u32 = TRIES - 20;
    for attempt in 0..TRIES {
        match buffer.0.try_lock() {
            Ok(buffer) => return Some(buffer),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if attempt < SPINS => std::hint::spin_loop(),
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
    None
}

/// Takes events and forgets them: `decisions = "off"`. Accounting counts as told, and is acknowledged.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLog;

impl EventSink for NoLog {
    fn tell(&mut self, _: &Event<'_>) -> bool {
        true
    }

    fn flush(&mut self, _: Now) {}
}

fn run(mut output: Output, shared: &Shared) {
    let mut full = Lines::with_room(limits::LOG_BUFFER_OCTETS);
    let mut was_well = true;
    loop {
        // Asked before the buffers are emptied: what was told before the stop is written.
        let stops = shared.stops.load(Ordering::Acquire);
        if shared.reopens.swap(false, Ordering::AcqRel) {
            match output.reopen() {
                Ok(()) => info!("the decision log was reopened"),
                Err(error) => warn!(%error, "the decision log can't be reopened; the old file stays in use"),
            }
        }
        for buffer in &shared.buffers {
            mem::swap(&mut *buffer.0.lock().unwrap_or_else(PoisonError::into_inner), &mut full);
            if full.count() > 0 {
                was_well = write(&mut output, &full, was_well, &shared.cells);
                full.clear();
            }
        }
        if stops {
            return;
        }
        thread::park_timeout(limits::LOG_DELAY);
    }
}

/// Writes, counts, and tells the first failure and the first success after it. Gives whether it went well.
fn write(output: &mut Output, lines: &Lines, was_well: bool, cells: &ProcessCells) -> bool {
    match output.write(lines.octets()) {
        Ok(()) => {
            cells.log_lines.add(lines.count());
            if !was_well {
                info!("the decision log can be written again");
            }
            true
        }
        Err(error) => {
            cells.log_write_failed.increment();
            if was_well {
                error!(%error, lines = lines.count(), "the decision log can't be written; lines are lost until it can");
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::Duration};

    use super::*;
    use crate::{
        audit::line::tests::{decision, packet},
        policy::compiled::Policy,
        radius::{code::Code, packet::Packet},
    };

    fn tell(end: &mut dyn EventSink, user: &[u8]) -> bool {
        let octets = packet(Code::ACCESS_REQUEST, &[]);
        let event = decision(Packet::parse(&octets).unwrap(), &[], Policy::no_outcome_json());
        end.tell(&Event::Decision(&crate::engine::event::DecisionEvent { user: Some(user), ..event }))
    }

    fn place(name: &str) -> PathBuf {
        let place = std::env::temp_dir().join(format!("radmit-{}-{name}", std::process::id()));
        let _ = fs::remove_file(&place);
        place
    }

    fn users(text: &str) -> Vec<String> {
        let line = |line| serde_json::from_str::<serde_json::Value>(line).expect("a line is JSON");
        text.lines().map(|text| line(text)["user"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_every_shard_told_is_in_the_file_after_the_end() {
        let place = place("end");
        let cells = Arc::<ProcessCells>::default();
        let (log, mut ends) = Log::start(&Destination::File(place.clone()), 3, Arc::clone(&cells)).unwrap();
        for (at, end) in ends.iter_mut().enumerate() {
            assert!(tell(&mut **end, format!("user-{at}").as_bytes()));
        }
        drop(log);
        let mut found = users(&fs::read_to_string(&place).unwrap());
        found.sort();
        assert_eq!(found, ["user-0", "user-1", "user-2"]);
        assert_eq!(cells.log_lines.value(), 3);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&place).unwrap().permissions().mode();
            assert_eq!(mode & 0o137, 0, "{mode:o}");
        }
        fs::remove_file(place).unwrap();
    }

    #[test]
    fn a_moved_file_is_left_alone_after_reopening() {
        let (place, moved) = (place("new"), place("old"));
        let (log, mut ends) = Log::start(&Destination::File(place.clone()), 1, Arc::default()).unwrap();
        tell(&mut *ends[0], b"before");
        fs::rename(&place, &moved).unwrap();
        log.reopen();
        // The writer takes the order before it empties the buffers, so nothing needs to be waited for.
        while fs::metadata(&place).is_err() {
            thread::yield_now();
        }
        tell(&mut *ends[0], b"after");
        drop(log);
        let found: Vec<String> =
            [&moved, &place].iter().flat_map(|path| users(&fs::read_to_string(path).unwrap())).collect();
        assert_eq!(found, ["before", "after"]);
        assert!(users(&fs::read_to_string(&place).unwrap()).contains(&"after".to_owned()));
        [place, moved].iter().for_each(|path| fs::remove_file(path).unwrap());
    }

    #[test]
    fn a_full_buffer_loses_the_new_event_and_says_so() {
        let shared = Shared::new(1, Arc::default());
        let mut end = ShardLog::new(&shared.buffers[0], thread::current());
        let told = (0..1_000_000).take_while(|_| tell(&mut end, &[b'x'; 200])).count();
        let buffer = shared.buffers[0].0.lock().unwrap();
        let lines = buffer.octets();
        assert!(lines.len() > limits::LOG_BUFFER_OCTETS - 2_000 && lines.len() <= limits::LOG_BUFFER_OCTETS);
        assert_eq!(users(std::str::from_utf8(lines).unwrap()).len(), told, "only whole lines");
        assert_eq!(buffer.count(), told as u64);
    }

    #[test]
    fn a_writer_that_holds_the_buffer_does_not_hold_the_shard() {
        let shared = Shared::new(1, Arc::default());
        let mut end = ShardLog::new(&shared.buffers[0], thread::current());
        let held = shared.buffers[0].0.lock().unwrap();
        assert!(!tell(&mut end, b"x"));
        drop(held);
        assert!(tell(&mut end, b"x"));
    }

    #[test]
    fn without_a_log_everything_counts_as_told() {
        let (log, mut ends) = Log::start(&Destination::Off, 2, Arc::default()).unwrap();
        assert!(ends.len() == 2 && tell(&mut *ends[1], b"x"));
        log.reopen();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_at_the_start() {
        let nowhere = Destination::File("/no/such/folder/decisions.json".into());
        let error = Log::start(&nowhere, 1, Arc::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_failed_write_is_counted_once_for_each_attempt() {
        struct Broken;
        impl io::Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let cells = ProcessCells::default();
        let mut output = Output::new(Box::new(Broken), None);
        let mut lines = Lines::with_room(100);
        assert!(lines.add(|_| ()) && lines.octets() == b"{}\n");
        assert!(!write(&mut output, &lines, true, &cells) && !write(&mut output, &lines, false, &cells));
        assert_eq!((cells.log_write_failed.value(), cells.log_lines.value()), (2, 0));
        assert!(limits::LOG_DELAY < Duration::from_secs(1));
    }
}
