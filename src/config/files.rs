//! The file system and the environment as a value.
//!
//! Owns how much is read and who else may read it. What stands in a file is its reader's business.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::limits;

/// Files and environment variables, of the machine or of a test.
pub trait Files: Send + Sync {
    /// The content of a file; of a longer one the first [`limits::FILE_OCTETS_MAX`] octets and one more.
    ///
    /// # Errors
    /// What the system said.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The entries of a folder by name; at most [`limits::FILES_MAX`] and one more.
    ///
    /// # Errors
    /// What the system said.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Whether users outside of the file's owner and group may read it.
    fn is_open_to_others(&self, path: &Path) -> bool;

    /// An environment variable, if it is set and is text.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The machine's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        let most = u64::try_from(limits::FILE_OCTETS_MAX).unwrap_or(u64::MAX).saturating_add(1);
        File::open(path)?.take(most).read_to_end(&mut octets)?;
        Ok(octets)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder)?.take(limits::FILES_MAX + 1);
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    #[cfg(unix)]
    fn is_open_to_others(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    }

    #[cfg(not(unix))]
    fn is_open_to_others(&self, _: &Path) -> bool {
        false
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// Files that exist only here; for tests, drafts and generated configurations.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<PathBuf, (Vec<u8>, bool)>,
    variables: BTreeMap<String, String>,
}

impl MemoryFiles {
    /// With this file too; only its owner may read it.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), (content.into(), false));
        self
    }

    /// With this file too; everybody may read it.
    #[must_use]
    pub fn with_open(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), (content.into(), true));
        self
    }

    /// With this environment variable too.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let (content, _) = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(content.clone())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let paths: Vec<PathBuf> = self.files.keys().filter(|path| path.parent() == Some(folder)).cloned().collect();
        if paths.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(paths) }
    }

    fn is_open_to_others(&self, path: &Path) -> bool {
        self.files.get(path).is_some_and(|(_, open)| *open)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

/// Why a file can't be used, as a part of a sentence.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ => format!("can't be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_a_file_is_read_than_allowed() {
        let octets = SystemFiles.read(Path::new("/dev/zero"));
        if cfg!(target_os = "linux") {
            assert_eq!(octets.unwrap().len(), limits::FILE_OCTETS_MAX + 1);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_known() {
        assert!(SystemFiles.is_open_to_others(Path::new("/etc/passwd")));
        assert!(!SystemFiles.is_open_to_others(Path::new("/no/such/file")));
    }
}
