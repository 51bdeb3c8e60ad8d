//! Secrets: in a file, in an environment variable, or written down in the configuration.
//!
//! Owns where they come from and the warnings about them. It prints none of them.

use std::{io, path::PathBuf};

use zeroize::Zeroizing;

use crate::{
    document::{Kind, Value},
    problem::Problems,
};

use super::{
    configuration::{Password, SharedFiles},
    files::{self, Files},
    value,
};

/// Fewer octets can be guessed from one recorded packet in useful time.
/// Source: RFC 2865 section 3 (at least 16 octets preferred).
const SHORT_OCTETS: usize = 16;

/// Where a secret comes from.
#[derive(Clone)]
pub(super) enum Origin {
    File(PathBuf),
    Variable(String),
    Plain(Zeroizing<String>),
}

impl Origin {
    /// The secret now, without one trailing line break.
    pub(super) fn read(&self, files: &dyn Files) -> io::Result<Password> {
        match self {
            Self::File(path) => files.read(path).map(Zeroizing::new).map(without_line_break),
            Self::Variable(name) => {
                files.variable(name).map(|text| Zeroizing::new(text.into_bytes())).ok_or(io::ErrorKind::NotFound.into())
            }
            Self::Plain(text) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
        }
    }

    /// The secret now, as text.
    pub(super) fn read_text(&self, files: &dyn Files) -> io::Result<Zeroizing<String>> {
        let octets = self.read(files)?;
        let text = std::str::from_utf8(&octets).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

fn without_line_break(mut octets: Password) -> Password {
    if octets.ends_with(b"\n") {
        octets.pop();
        if octets.ends_with(b"\r") {
            octets.pop();
        }
    }
    octets
}

/// Reads `{ file = "…" }`, `{ env = "…" }` or a plain text, and the secret behind it.
pub(super) fn read(value: &Value<'_>, files: &SharedFiles, problems: &mut Problems) -> Option<(Origin, Password)> {
    let origin = origin(value, problems)?;
    let secret = match origin.read(&**files) {
        Ok(secret) => secret,
        Err(error) => {
            value.error(problems, "secret-unreadable", unreadable(&origin, &error));
            return None;
        }
    };
    if secret.is_empty() {
        value.error(problems, "secret-empty", format!("the secret in \"{}\" is empty; put one there", value.path()));
        return None;
    }
    if secret.len() < SHORT_OCTETS {
        let message = format!("the secret in \"{}\" has {} octets; use at least 16", value.path(), secret.len());
        value.warning(problems, "secret-short", message);
    }
    match &origin {
        Origin::File(path) => value::warn_if_open(value, path, &**files, problems),
        Origin::Variable(_) => {}
        Origin::Plain(_) => value.warning(
            problems,
            "secret-plain",
            format!("the secret stands in the file itself; move it and write {} = {{ file = \"…\" }}", value.key()),
        ),
    }
    Some((origin, secret))
}

fn origin(value: &Value<'_>, problems: &mut Problems) -> Option<Origin> {
    if let Some(text) = value.plain_text() {
        return Some(Origin::Plain(Zeroizing::new(text.to_owned())));
    }
    if value.kind() != Kind::Table {
        let path = value.path();
        value.error(
            problems,
            "wrong-type",
            format!("\"{path}\" is no secret; write {{ file = \"…\" }} or {{ env = \"…\" }}"),
        );
        return None;
    }
    let table = value.table(problems)?;
    let file = table.ask("file").map(|file| value::path(&file, problems).map(Origin::File));
    let variable = table.ask("env").map(|name| name.text(problems).map(|name| Origin::Variable(name.to_owned())));
    table.finish(problems);
    match (file, variable) {
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => {
            value.error(
                problems,
                "secret-nowhere",
                "the secret has no place; write { file = \"…\" } or { env = \"…\" }",
            );
            None
        }
        (Some(_), Some(_)) => {
            value.error(problems, "secret-twice", "the secret has two places, file and env; leave one out");
            None
        }
    }
}

fn unreadable(origin: &Origin, error: &io::Error) -> String {
    match origin {
        Origin::File(path) => {
            format!("{} {}; create it with the secret in it, mode 0600", path.display(), files::reason(error))
        }
        Origin::Variable(name) => format!("the environment variable {name} is not set; set it, or use a file"),
        Origin::Plain(_) => "the secret can't be used".to_owned(),
    }
}
