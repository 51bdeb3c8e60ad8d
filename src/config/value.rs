//! Values with a meaning of their own: paths, choices, addresses, bounded durations.
//!
//! Owns their syntax. Which key holds which is said by the readers of the sections.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    document::{Value, write_duration},
    engine::client::Network,
    problem::Problems,
};

use super::{
    configuration::{FileAt, Named},
    files,
    files::Files,
};

/// A path, relative to the file that names it.
pub(super) fn path(value: &Value<'_>, problems: &mut Problems) -> Option<PathBuf> {
    let text = value.text(problems)?;
    if text.is_empty() {
        value.error(problems, "path-empty", format!("\"{}\" is empty; write a path", value.path()));
        return None;
    }
    Some(beside(value.source().name(), text))
}

/// `path` seen from the folder of the file called `file`.
pub(super) fn beside(file: &str, path: &str) -> PathBuf {
    Path::new(file).parent().unwrap_or(Path::new("")).join(path)
}

/// The path of a file that can be read.
pub(super) fn readable(value: &Value<'_>, files: &dyn Files, problems: &mut Problems) -> Option<PathBuf> {
    let path = path(value, problems)?;
    match files.read(&path) {
        Ok(_) => Some(path),
        Err(error) => {
            let message = format!("{} {}; correct the path or create the file", path.display(), files::reason(&error));
            value.error(problems, "file-unreadable", message);
            None
        }
    }
}

/// The path of a file that can be read, with its place.
pub(super) fn file_at(value: &Value<'_>, files: &dyn Files, problems: &mut Problems) -> Option<FileAt> {
    Some(FileAt { path: readable(value, files, problems)?, place: value.place() })
}

/// The path of a private key that can be read, best by its owner only.
pub(super) fn private(value: &Value<'_>, files: &dyn Files, problems: &mut Problems) -> Option<PathBuf> {
    let path = readable(value, files, problems)?;
    warn_if_open(value, &path, files, problems);
    Some(path)
}

/// Warns about a file with a secret that everybody may read.
pub(super) fn warn_if_open(value: &Value<'_>, path: &Path, files: &dyn Files, problems: &mut Problems) {
    if files.is_open_to_others(path) {
        let message = format!("everybody on this machine can read {}; chmod o-rwx it", path.display());
        value.warning(problems, "secret-file-open", message);
    }
}

/// The elements of a list, or the value itself if it is a text.
pub(super) fn elements<'t>(value: &Value<'t>, problems: &mut Problems) -> Vec<Value<'t>> {
    if value.plain_text().is_some() { vec![value.clone()] } else { value.array(problems) }
}

/// One of some words.
pub(super) fn choice<T: Copy>(value: &Value<'_>, choices: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    let text = value.text(problems)?;
    if let Some((_, meaning)) = choices.iter().find(|(word, _)| *word == text) {
        return Some(*meaning);
    }
    let words = choices.iter().map(|(word, _)| *word);
    let all: Vec<String> = words.clone().map(|word| format!("\"{word}\"")).collect();
    let nearest = problems.suggest(text, words);
    let advice = if nearest.is_empty() { format!("; write {}", all.join(" or ")) } else { nearest };
    value.error(problems, "unknown-word", format!("\"{}\" can't be \"{text}\"{advice}", value.path()));
    None
}

/// A list of some words, each at most once, at least one.
pub(super) fn choices<T: Copy + PartialEq>(
    value: &Value<'_>,
    choices: &[(&str, T)],
    problems: &mut Problems,
) -> Option<Vec<T>> {
    let mut found = Vec::new();
    let elements = elements(value, problems);
    if elements.is_empty() {
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        value.error(problems, "list-empty", format!("\"{}\" is empty; choose of {}", value.path(), words.join(", ")));
        return None;
    }
    for element in &elements {
        let Some(one) = choice(element, choices, problems) else { continue };
        if found.contains(&one) {
            element.error(problems, "twice", format!("{} stands here twice; leave one out", element.as_written()));
        } else {
            found.push(one);
        }
    }
    Some(found)
}

/// A duration of at least `least` and at most `most`.
pub(super) fn duration(
    value: &Value<'_>,
    least: Duration,
    most: Duration,
    problems: &mut Problems,
) -> Option<Duration> {
    let duration = value.duration(problems)?;
    if (least..=most).contains(&duration) {
        return Some(duration);
    }
    let (path, least, most) = (value.path(), write_duration(least), write_duration(most));
    value.error(problems, "out-of-range", format!("\"{path}\" must be between {least} and {most}"));
    None
}

/// An address with a port.
pub(super) fn socket_address(value: &Value<'_>, port: u16, problems: &mut Problems) -> Option<SocketAddr> {
    let text = value.text(problems)?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let advice = match text.parse::<IpAddr>() {
        Ok(address) => format!("add the port: \"{}\"", SocketAddr::new(address, port)),
        Err(_) => format!("write an address and a port, such as \"127.0.0.1:{port}\" or \"[::1]:{port}\""),
    };
    value.error(problems, "bad-address", format!("\"{text}\" is no address to listen at; {advice}"));
    None
}

/// Addresses with ports, each once.
pub(super) fn socket_addresses(value: &Value<'_>, port: u16, problems: &mut Problems) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for element in elements(value, problems) {
        let Some(address) = socket_address(&element, port, problems) else { continue };
        // Port 0 takes any free port, so it may stand here several times.
        if found.contains(&address) && address.port() != 0 {
            element.error(problems, "twice", format!("{address} stands here twice; leave one out"));
            continue;
        }
        found.push(address);
    }
    found
}

/// A network: an address, or an address and a prefix length.
pub(super) fn network(value: &Value<'_>, problems: &mut Problems) -> Option<Network> {
    let text = value.text(problems)?;
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let parsed = (address.parse::<IpAddr>(), bits.map(str::parse::<u8>));
    let message = match parsed {
        (Ok(IpAddr::V6(mapped)), _) if mapped.to_ipv4_mapped().is_some() => {
            "is an IPv4 address written as IPv6; write it as IPv4".to_owned()
        }
        (Ok(address), bits) => match Network::parse(text) {
            Some(network) => return Some(network),
            None => match bits {
                Some(Ok(bits)) => prefix_advice(address, bits),
                _ => "has no valid prefix length; write a number behind the slash".to_owned(),
            },
        },
        _ => "is no address; write \"10.20.0.0/16\", \"2001:db8::/32\" or one address (names are not looked up)"
            .to_owned(),
    };
    value.error(problems, "bad-network", format!("\"{text}\" {message}"));
    None
}

fn prefix_advice(address: IpAddr, bits: u8) -> String {
    let (widest, network) = match address {
        IpAddr::V4(address) => {
            let kept = u32::MAX.checked_shl(32u32.saturating_sub(bits.into())).unwrap_or(0);
            (32, IpAddr::V4((address.to_bits() & kept).into()))
        }
        IpAddr::V6(address) => {
            let kept = u128::MAX.checked_shl(128u32.saturating_sub(bits.into())).unwrap_or(0);
            (128, IpAddr::V6((address.to_bits() & kept).into()))
        }
    };
    if bits > widest {
        return format!("has a prefix longer than {widest}");
    }
    format!("has bits behind its prefix; write \"{network}/{bits}\", or \"{address}\" for the one address")
}

/// A name that others must know.
pub(super) fn named(value: &Value<'_>, problems: &mut Problems) -> Option<Named> {
    Some(Named { text: value.text(problems)?.into(), place: value.place() })
}
