//! Where lines end up: standard output or a file.
//!
//! Owns opening, reopening and torn lines. Which lines there are is the shards' business.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Tries on an output that takes nothing for now, before it counts as failed.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

/// An open output.
pub(super) struct Output {
    to: Box<dyn Write + Send>,
    path: Option<PathBuf>,
    /// Whether the last write ended within a line.
    is_torn: bool,
}

impl Output {
    /// Standard output.
    pub(super) fn stdout() -> Self {
        Self::new(Box::new(io::stdout()), None)
    }

    /// The end of a file, which is made if it does not exist.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        Ok(Self::new(Box::new(open(path)?), Some(path.to_owned())))
    }

    pub(super) fn new(to: Box<dyn Write + Send>, path: Option<PathBuf>) -> Self {
        Self { to, path, is_torn: false }
    }

    /// Opens the file anew, for whoever moved the old one away. If that fails, the old one stays in use.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.to = Box::new(open(path)?);
            self.is_torn = false;
        }
        Ok(())
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.is_torn {
            // What came of the line before is broken; the next one must not become part of it.
            self.all(b"\n")?;
        }
        self.all(lines)?;
        self.is_torn = false;
        self.to.flush()
    }

    fn all(&mut self, mut octets: &[u8]) -> io::Result<()> {
        let mut tries = 0;
        while !octets.is_empty() {
            match self.to.write(octets) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let (done, rest) = octets.split_at_checked(written).unwrap_or((octets, &[]));
                    self.is_torn = !done.ends_with(b"\n");
                    octets = rest;
                    tries = 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < PATIENCE => {
                    tries += 1;
                    thread::park_timeout(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // It names users and devices: not for everybody.
        options.mode(0o640);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes a few octets, then fails once, then takes everything.
    #[derive(Clone, Default)]
    struct Failing {
        written: Arc<Mutex<Vec<u8>>>,
        calls: Arc<Mutex<u32>>,
    }

    impl Write for Failing {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            match *calls {
                1 => {
                    self.written.lock().unwrap().extend_from_slice(&octets[..3]);
                    Ok(3)
                }
                2 => Err(io::ErrorKind::StorageFull.into()),
                _ => {
                    self.written.lock().unwrap().extend_from_slice(octets);
                    Ok(octets.len())
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_torn_line_the_next_one_begins_on_its_own() {
        let failing = Failing::default();
        let mut output = Output::new(Box::new(failing.clone()), None);
        assert_eq!(output.write(b"{\"a\":1}\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        output.write(b"{\"b\":2}\n").unwrap();
        output.write(b"{\"c\":3}\n").unwrap();
        assert_eq!(*failing.written.lock().unwrap(), b"{\"a\n{\"b\":2}\n{\"c\":3}\n");
    }
}
