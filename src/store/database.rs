//! The SQLite file: its shape and version, what is refused, and every statement.
//!
//! Owns the file and its lock. What stands in a part, and when it is written, is the keeper's business.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use crate::{clock::Wall, limits};

use super::{
    codec::{CHECKSUM_OCTETS, checksum},
    learn::Learnt,
    moment::Moment,
};

/// The file in `state-dir`.
const NAME: &str = "devices.db";
/// Where a file goes that can't be used: one only, so that they don't fill the disk.
const SET_ASIDE: &str = "devices.db.set-aside";
/// Held for as long as a server runs with this folder.
const LOCK: &str = "lock";

/// "radm": whose file it is.
const APPLICATION: i32 = 0x7261_646d;
/// Counts up with every change of the tables, of the format of a part, or of their number.
const VERSION: i32 = 1;

const PAGE_OCTETS: u64 = 8192;

const TABLES: &str = "
    CREATE TABLE server (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, identity TEXT NOT NULL, saved INTEGER NOT NULL,
        enrolment_url TEXT
    ) STRICT;
    CREATE TABLE part (
        key INTEGER PRIMARY KEY, wall INTEGER NOT NULL, boot BLOB, uptime INTEGER, records BLOB NOT NULL,
        checksum BLOB NOT NULL
    ) STRICT;
    CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 0), wall INTEGER NOT NULL) STRICT;
    CREATE TABLE client (
        name TEXT PRIMARY KEY, since INTEGER NOT NULL, unsigned_at INTEGER, unsigned INTEGER NOT NULL,
        signed INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Why something did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file is torn, foreign or of another version: it goes out of the way.
    Unusable(String),
    /// It may work later, or once somebody mends it: no room, no permission, another process.
    Failed(String),
}

impl Fault {
    pub(super) fn sentence(&self) -> &str {
        match self {
            Self::Unusable(sentence) | Self::Failed(sentence) => sentence,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        let sentence = error.to_string();
        match error.sqlite_error_code() {
            // Unknown: a table or a column is not there. None: a column is not what we write.
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) | None => {
                Self::Unusable(sentence)
            }
            Some(_) => Self::Failed(sentence),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    folder: PathBuf,
    /// Only held; whoever only reads holds none.
    _lock: Option<File>,
}

/// One part as it stands in the file.
pub(super) struct Row<'r> {
    pub(super) part: usize,
    pub(super) saved: Moment,
    pub(super) octets: &'r [u8],
    /// Whether the checksum fits.
    pub(super) is_sound: bool,
}

impl Database {
    /// Opens or creates the file in `folder`. The second value: why a file that was there had to go out of the way.
    pub(super) fn open(folder: &Path) -> Result<(Self, Option<String>), Fault> {
        create_folder(folder)?;
        let lock = private(&folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Fault::Failed("another radmit keeps its state there".to_owned()),
            TryLockError::Error(error) => Fault::from(error),
        })?;
        match connect(folder) {
            Ok(connection) => Ok((Self { connection, folder: folder.to_owned(), _lock: Some(lock) }, None)),
            Err(Fault::Failed(sentence)) => Err(Fault::Failed(sentence)),
            Err(Fault::Unusable(sentence)) => {
                set_aside(folder)?;
                let connection = connect(folder)?;
                Ok((Self { connection, folder: folder.to_owned(), _lock: Some(lock) }, Some(sentence)))
            }
        }
    }

    /// Opens the file only to read it, beside a server that may be running. None if there is no file.
    pub(super) fn open_to_read(folder: &Path) -> Result<Option<Self>, Fault> {
        let path = folder.join(NAME);
        if !path.exists() {
            return Ok(None);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        check_owner(&connection)?;
        Ok(Some(Self { connection, folder: folder.to_owned(), _lock: None }))
    }

    /// The number of the server called `name`, if it is the one that is meant.
    pub(super) fn find_server(&self, name: &str, identity: &str) -> Result<Option<i64>, Fault> {
        let sql = "SELECT id FROM server WHERE name = ?1 AND identity = ?2";
        Ok(self.connection.query_row(sql, [name, identity], |row| row.get(0)).optional()?)
    }

    /// Moves the file out of the way and begins a new one.
    pub(super) fn begin_anew(&mut self) -> Result<(), Fault> {
        // The old one is closed first: what it still has to write goes into the old file.
        let closed = std::mem::replace(&mut self.connection, Connection::open_in_memory()?);
        drop(closed);
        set_aside(&self.folder)?;
        self.connection = connect(&self.folder)?;
        Ok(())
    }

    /// The number of the server called `name`. What was kept of a server of that name that is another one is removed.
    pub(super) fn server(&mut self, name: &str, identity: &str, now: Wall) -> Result<i64, Fault> {
        let found: Option<(i64, String)> = self
            .connection
            .query_row("SELECT id, identity FROM server WHERE name = ?1", [name], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((id, known)) if known == identity => return Ok(id),
            Some((id, _)) => self.remove_server(id)?,
            None => {}
        }
        while self.servers()? >= limits::STORE_SERVERS_MAX {
            let oldest =
                self.connection.query_row("SELECT id FROM server ORDER BY saved LIMIT 1", [], |row| row.get(0));
            self.remove_server(oldest?)?;
        }
        self.connection.execute(
            "INSERT INTO server (id, name, identity, saved) VALUES
                 ((SELECT coalesce(max(id), 0) + 1 FROM server), ?1, ?2, ?3)",
            params![name, identity, now.as_micros()],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    fn servers(&self) -> Result<usize, Fault> {
        let count: i64 = self.connection.query_row("SELECT count(*) FROM server", [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn remove_server(&mut self, id: i64) -> Result<(), Fault> {
        let change = self.connection.transaction()?;
        change.execute("DELETE FROM part WHERE key BETWEEN ?1 AND ?2", [key(id, 0), key(id + 1, 0) - 1])?;
        change.execute("DELETE FROM server WHERE id = ?1", [id])?;
        Ok(change.commit()?)
    }

    /// Where users enrol, as a server told it.
    pub(super) fn enrolment_url(&self, server: i64) -> Result<Option<String>, Fault> {
        let asked =
            self.connection.query_row("SELECT enrolment_url FROM server WHERE id = ?1", [server], |row| row.get(0));
        Ok(asked.optional()?.flatten())
    }

    /// The latest wall time that was ever written down.
    pub(super) fn newest(&self) -> Result<Wall, Fault> {
        let sql = "SELECT max(coalesce((SELECT max(wall) FROM clock), 0), coalesce((SELECT max(wall) FROM part), 0))";
        Ok(Wall::from_micros(self.connection.query_row(sql, [], |row| row.get(0))?))
    }

    /// Calls `with` for every part of a server.
    pub(super) fn each_part(&self, server: i64, mut with: impl FnMut(Row<'_>)) -> Result<(), Fault> {
        let sql = "SELECT key, wall, boot, uptime, CASE WHEN length(records) <= ?3 THEN records ELSE x'' END, checksum
                   FROM part WHERE key BETWEEN ?1 AND ?2";
        let most = i64::try_from(limits::STORE_PART_OCTETS_MAX).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([key(server, 0), key(server + 1, 0) - 1, most])?;
        while let Some(row) = rows.next()? {
            let (at, wall): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (boot, uptime): (Option<[u8; 16]>, Option<i64>) = (row.get(2)?, row.get(3)?);
            let blob = |at: usize| row.get_ref(at)?.as_blob().map_err(|error| Fault::Unusable(error.to_string()));
            let (octets, sum) = (blob(4)?, blob(5)?);
            let since = |uptime: i64| Duration::from_micros(u64::try_from(uptime).unwrap_or(0));
            let saved = Moment { wall: Wall::from_micros(wall), boot: boot.zip(uptime.map(since)) };
            let part = usize::try_from(at - key(server, 0)).unwrap_or(usize::MAX);
            with(Row { part, saved, octets, is_sound: sum == sum_of(at, saved, octets) });
        }
        Ok(())
    }

    /// Writes parts of a server, all or none; an empty one is removed.
    pub(super) fn write_parts<'c>(
        &mut self,
        server: i64,
        moment: Moment,
        parts: impl Iterator<Item = (usize, &'c [u8])>,
    ) -> Result<(), Fault> {
        let change = self.connection.transaction()?;
        {
            let sql = "INSERT OR REPLACE INTO part (key, wall, boot, uptime, records, checksum)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let mut put = change.prepare(sql)?;
            let mut remove = change.prepare("DELETE FROM part WHERE key = ?1")?;
            for (part, octets) in parts {
                let at = key(server, part);
                if octets.is_empty() {
                    remove.execute([at])?;
                    continue;
                }
                let moment = whole_micros(moment);
                let sum = sum_of(at, moment, octets);
                let (boot, uptime) = moment.boot.unzip();
                let uptime = uptime.map(micros);
                put.execute(params![at, moment.wall.as_micros(), boot, uptime, octets, sum])?;
            }
        }
        Ok(change.commit()?)
    }

    /// Notes that all of a server is saved.
    pub(super) fn note_saved(&mut self, server: i64, now: Wall, enrolment_url: Option<&str>) -> Result<(), Fault> {
        let sql = "UPDATE server SET saved = ?2, enrolment_url = ?3 WHERE id = ?1";
        self.connection.execute(sql, params![server, now.as_micros(), enrolment_url])?;
        Ok(())
    }

    /// Notes what the wall clock shows.
    pub(super) fn note_clock(&mut self, now: Wall) -> Result<(), Fault> {
        self.connection.execute("INSERT OR REPLACE INTO clock (id, wall) VALUES (0, ?1)", [now.as_micros()])?;
        Ok(())
    }

    /// What was learnt about clients.
    pub(super) fn learnt(&self) -> Result<Vec<(Box<str>, Learnt)>, Fault> {
        learnt(&self.connection)
    }

    /// Replaces what was learnt about clients.
    pub(super) fn write_learnt<'l>(
        &mut self,
        clients: impl Iterator<Item = (&'l str, &'l Learnt)>,
    ) -> Result<(), Fault> {
        let change = self.connection.transaction()?;
        change.execute("DELETE FROM client", [])?;
        {
            let mut put = change.prepare("INSERT INTO client VALUES (?1, ?2, ?3, ?4, ?5)")?;
            let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            for (name, learnt) in clients {
                let unsigned_at = learnt.unsigned_at.map(Wall::as_micros);
                let (unsigned, signed) = (number(learnt.unsigned), number(learnt.signed));
                put.execute(params![name, learnt.since.as_micros(), unsigned_at, unsigned, signed])?;
            }
        }
        Ok(change.commit()?)
    }
}

/// What was learnt about clients, read beside a server that may be running. None if there is no file.
pub(super) fn read_learnt(folder: &Path) -> Result<Vec<(Box<str>, Learnt)>, Fault> {
    match Database::open_to_read(folder)? {
        Some(database) => database.learnt(),
        None => Ok(Vec::new()),
    }
}

fn learnt(connection: &Connection) -> Result<Vec<(Box<str>, Learnt)>, Fault> {
    let sql = "SELECT name, since, unsigned_at, unsigned, signed FROM client LIMIT ?1";
    let mut statement = connection.prepare(sql)?;
    let most = i64::try_from(limits::CLIENTS_MAX).unwrap_or(i64::MAX);
    let mut rows = statement.query([most])?;
    let mut found = Vec::new();
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let unsigned_at: Option<i64> = row.get(2)?;
        let learnt = Learnt {
            since: Wall::from_micros(row.get(1)?),
            unsigned_at: unsigned_at.map(Wall::from_micros),
            unsigned: count(row.get(3)?),
            signed: count(row.get(4)?),
        };
        found.push((name.into(), learnt));
    }
    Ok(found)
}

/// Parts of one server stand together.
fn key(server: i64, part: usize) -> i64 {
    server.saturating_mul(1 << 16).saturating_add(i64::try_from(part).unwrap_or(0))
}

fn micros(uptime: Duration) -> i64 {
    i64::try_from(uptime.as_micros()).unwrap_or(i64::MAX)
}

/// What can be read back.
fn whole_micros(moment: Moment) -> Moment {
    let whole = |uptime: Duration| Duration::from_micros(u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX));
    Moment { boot: moment.boot.map(|(id, uptime)| (id, whole(uptime))), ..moment }
}

fn sum_of(key: i64, moment: Moment, octets: &[u8]) -> [u8; CHECKSUM_OCTETS] {
    let (boot, uptime) = moment.boot.map_or(([0; 16], 0), |(id, uptime)| (id, micros(uptime)));
    checksum(&[&key.to_le_bytes(), &moment.wall.as_micros().to_le_bytes(), &boot, &uptime.to_le_bytes(), octets])
}

fn connect(folder: &Path) -> Result<Connection, Fault> {
    let path = folder.join(NAME);
    // Made here and not by SQLite, because names of users stand in it.
    drop(private(&path)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 {
        connection.pragma_update(None, "page_size", i64::try_from(PAGE_OCTETS).unwrap_or(4096))?;
        connection.execute_batch(&format!("BEGIN; {TABLES} COMMIT;"))?;
        connection.pragma_update(None, "application_id", APPLICATION)?;
        connection.pragma_update(None, "user_version", VERSION)?;
    } else {
        check_owner(&connection)?;
    }
    // Behind the packets nobody waits for a disk; a power cut loses the last minutes, not the file.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let pages = i64::try_from(limits::STORE_OCTETS_MAX / PAGE_OCTETS).unwrap_or(i64::MAX);
    connection.pragma_update(None, "max_page_count", pages)?;
    Ok(connection)
}

fn check_owner(connection: &Connection) -> Result<(), Fault> {
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if application != APPLICATION {
        return Err(Fault::Unusable("it was made by another program".to_owned()));
    }
    if version != VERSION {
        return Err(Fault::Unusable(format!("its version is {version}, and this radmit reads version {VERSION}")));
    }
    Ok(())
}

fn set_aside(folder: &Path) -> Result<(), Fault> {
    for ending in ["", "-wal", "-shm"] {
        let (from, to) = (folder.join(format!("{NAME}{ending}")), folder.join(format!("{SET_ASIDE}{ending}")));
        match fs::remove_file(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Opens a file that only this user may read, and makes it if it is not there.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
