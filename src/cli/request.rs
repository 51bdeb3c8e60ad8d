//! The request of an explanation: a list of attributes as `radclient` takes it, completed as `radclient` sends it.
//!
//! Owns the reading of the list. Who asks, and what comes of it, is `explain`'s.

use std::{io::Read as _, path::Path};

use hmac::digest::Digest as _;
use md5::Md5;

use crate::{
    dictionary::{
        Dictionary, Path as AttributePath,
        list::{self, Pair},
    },
    document::Source,
    limits,
    problem::Problems,
    radius::{hidden, kind, secret::Secret},
};

use super::output;

/// The request's attributes. Message-Authenticator is left out: lines to paste carry it, and nothing is signed here.
///
/// `file`: a list, - for standard input; `more`: attributes of the command line.
///
/// # Errors
/// A sentence; the problems themselves are in `problems`.
pub(super) fn read_pairs(
    file: Option<&Path>,
    more: &[String],
    dictionary: &Dictionary,
    problems: &mut Problems,
) -> Result<Vec<Pair>, String> {
    let mut sources = Vec::new();
    if let Some(path) = file {
        sources.push(without_orders(&read_source(path)?));
    }
    sources.extend(more.iter().map(|text| Source::new("--attribute", text.as_str())));
    let mut pairs: Vec<Pair> = sources.iter().flat_map(|source| list::parse(source, dictionary, problems)).collect();
    pairs.retain(|pair| pair.attribute.path() != AttributePath::standard(kind::MESSAGE_AUTHENTICATOR));
    if problems.has_errors() { Err("the request can't be used".to_owned()) } else { Ok(pairs) }
}

/// The list without what tells `radclient` how to send it; a note says so.
fn without_orders(source: &Source) -> Source {
    const ORDERS: [&str; 3] = ["Cleartext-Password", "Packet-Type", "Response-Packet-Type"];
    let is_order = |line: &str| {
        let name = line.split('=').next().unwrap_or_default().trim().trim_end_matches([':', '+']).trim_end();
        ORDERS.into_iter().find(|order| name.eq_ignore_ascii_case(order))
    };
    let mut text = String::new();
    for line in source.text().split_inclusive('\n') {
        match is_order(line) {
            Some(order) => {
                output::complain(format!("radmit explain: {order} never stands in a packet; it is left out"));
                text.push_str("#\n");
            }
            None => text.push_str(line),
        }
    }
    Source::new(source.name().to_string(), text)
}

/// The passwords as `radclient` would put them into the packet: User-Password hidden, CHAP-Password hashed.
///
/// # Errors
/// A sentence: a password is too long.
pub(super) fn as_sent(mut pairs: Vec<Pair>, secret: &Secret) -> Result<Vec<Pair>, String> {
    let is = |pair: &Pair, kind: u8| pair.attribute.path() == AttributePath::standard(kind);
    let challenge = pairs.iter().find(|pair| is(pair, kind::CHAP_CHALLENGE)).map(|pair| pair.content.clone());
    // Without one the authenticator is the challenge, and that of an imagined request is zero.
    let challenge = challenge.unwrap_or_else(|| vec![0; 16]);
    for pair in &mut pairs {
        if is(pair, kind::USER_PASSWORD) {
            let mut room: hidden::HiddenBuffer = [0; limits::VALUE_OCTETS_MAX];
            let octets = hidden::hide_password(&pair.content, &[0; 16], secret, &mut room);
            pair.content = octets.map_err(|full| full.sentence().to_owned())?.to_vec();
        } else if is(pair, kind::CHAP_PASSWORD) && is_plain(&pair.content) {
            let hash = Md5::new().chain_update([0]).chain_update(&pair.content).chain_update(&challenge).finalize();
            pair.content = [&[0], hash.as_slice()].concat();
        }
    }
    Ok(pairs)
}

/// Whether a CHAP-Password is still the password: of another length, or a text. A MAC with separators is as long as a hash,
/// but 17 octets of a hash are hardly ever all printable.
fn is_plain(content: &[u8]) -> bool {
    content.len() != 17 || content.iter().all(u8::is_ascii_graphic)
}

/// A file of the command line, - for standard input.
///
/// # Errors
/// A sentence with its name.
pub(super) fn read_source(path: &Path) -> Result<Source, String> {
    let most = u64::try_from(limits::FILE_OCTETS_MAX).unwrap_or(u64::MAX);
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Source::new(path.to_string_lossy().into_owned(), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_only_tell_radclient_how_to_send_are_left_out() {
        let source =
            Source::new("request", "Packet-Type = Access-Request\nUser-Name = x\nCleartext-Password := \"y\"\n");
        assert_eq!(without_orders(&source).text(), "#\nUser-Name = x\n#\n");
    }
}
