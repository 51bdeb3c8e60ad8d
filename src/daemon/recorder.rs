//! Files that remember what was read of them, for the one hash that says which configuration runs.
//!
//! Owns the hash over everything but `radmit.toml` itself, which `config` hashes, and secrets, which are read elsewhere:
//! nothing about them may be told, however little.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest::{Context, SHA256};

use crate::config::files::Files;

/// Reads through another one, and remembers.
pub(super) struct Recorder<'f> {
    inner: &'f dyn Files,
    seen: Mutex<Context>,
}

impl<'f> Recorder<'f> {
    /// Nothing was read yet. `begun`: the hash of what was read before.
    pub(super) fn new(inner: &'f dyn Files, begun: &str) -> Self {
        let mut seen = Context::new(&SHA256);
        seen.update(begun.as_bytes());
        Self { inner, seen: Mutex::new(seen) }
    }

    /// The hash of everything that was read, in the order of reading.
    pub(super) fn hash(&self) -> String {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.finish().as_ref().iter().take(8).map(|octet| format!("{octet:02x}")).collect()
    }
}

impl Files for Recorder<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let octets = self.inner.read(path)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Names and lengths keep one text in two files apart from two halves of it.
        seen.update(path.as_os_str().as_encoded_bytes());
        seen.update(&u64::try_from(octets.len()).unwrap_or(u64::MAX).to_be_bytes());
        seen.update(&octets);
        Ok(octets)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.list(folder)
    }

    fn is_open_to_others(&self, path: &Path) -> bool {
        self.inner.is_open_to_others(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.inner.variable(name)
    }
}

impl fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::files::MemoryFiles;

    #[test]
    fn whatever_was_read_changes_the_hash_and_what_was_not_does_not() {
        let hash = |policy: &str, read: &str| {
            let files = MemoryFiles::default().with("policies/a.toml", policy).with("policies/b.toml", "x");
            let recorder = Recorder::new(&files, "radmit.toml");
            recorder.read(Path::new(read)).expect("it is there");
            recorder.hash()
        };
        assert_eq!(hash("x", "policies/a.toml"), hash("x", "policies/a.toml"));
        assert_ne!(hash("x", "policies/a.toml"), hash("y", "policies/a.toml"));
        assert_ne!(hash("x", "policies/a.toml"), hash("x", "policies/b.toml"));
        assert_eq!(hash("x", "policies/b.toml"), hash("y", "policies/b.toml"));
    }
}
