//! Lists of attributes as `radclient` reads and prints them.
//!
//! Owns the syntax of such lists; what a value means is the matter of `encode` and `value`. A list says nothing of the
//! packet's code, and nothing in it is hidden or signed.

use std::fmt::{self, Write};

use super::{
    access,
    index::{Attribute, Dictionary},
    text::{self, Unquoted},
};
use crate::{
    document::Source,
    limits,
    problem::{Place, Problems, did_you_mean},
    radius::{attribute::Attributes, error::Full, tag::Tag},
};

/// One attribute of a list with its content.
#[derive(Clone)]
pub struct Pair {
    /// The attribute.
    pub attribute: Attribute,
    /// 1 to 31; none if the name had none, or one of 0.
    pub tag: Option<Tag>,
    /// As it stands in a packet behind the attribute's header, tag included; of a hidden attribute the plain content
    /// without the tag, still to be hidden.
    pub content: Vec<u8>,
}

impl Pair {
    /// Appends the attribute with its header to `out`. A hidden attribute has to be hidden before.
    ///
    /// # Errors
    /// [`Full`] if the content does not fit.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Full> {
        self.attribute.path().write(&self.content, self.attribute.flags().concat, out)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attribute.show(&self.content).fmt(f)
    }
}

// Passwords stand in such lists in plain text, so the content is shown as `Display` shows it.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({self})")
    }
}

/// The attributes of a packet, one to a line, as `radclient` prints them. Secret content is left out.
#[must_use]
pub fn print(dictionary: &Dictionary, attributes: Attributes<'_>) -> String {
    let mut out = String::new();
    for (path, content) in access::walk(dictionary, attributes) {
        let attribute = dictionary.at_or_unknown(&path);
        let written = writeln!(out, "{}", attribute.show(&content));
        debug_assert!(written.is_ok(), "a string takes everything");
    }
    out
}

/// Reads a list: `Name = value`, one to a line or separated by commas, `#` before comments.
///
/// `:=`, `+=` and `==` mean the same as `=`. A tag stands behind the name, as in `Tunnel-Type:1 = VLAN`. The numbers in
/// parentheses that a FreeRADIUS log puts before its lines are passed over. Every mistake becomes a problem with its
/// place; the rest is kept.
#[must_use]
pub fn parse(source: &Source, dictionary: &Dictionary, problems: &mut Problems) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut reader = Reader { source, dictionary, at: 0, read: 0 };
    // A list of another packet follows an empty line; joined they would make a request that nobody sent.
    let mut ended = false;
    for line in source.text().split_inclusive('\n') {
        let start = reader.at;
        if line.trim().is_empty() {
            ended = !pairs.is_empty();
        } else if ended && !line.trim_start().starts_with('#') {
            let message = "an empty line ends the list, and only one is read; remove the line or what follows";
            problems.error("second-list", Some(source.place(start)), message);
            break;
        } else if !reader.line(line, &mut pairs, problems) {
            break;
        }
        reader.at = start + line.len();
    }
    pairs
}

/// Reads one line after the other.
struct Reader<'r> {
    source: &'r Source,
    dictionary: &'r Dictionary,
    /// The octet at which the next word starts.
    at: usize,
    /// How many pairs were begun, wrong ones too: each mistake costs the search for a suggestion.
    read: usize,
}

/// A mistake: at which octet, its code, and the message.
type Mistake = (usize, &'static str, String);

impl<'r> Reader<'r> {
    /// Reads the pairs of one line; false if there are too many in all.
    fn line(&mut self, line: &str, pairs: &mut Vec<Pair>, problems: &mut Problems) -> bool {
        let end = self.at + line.trim_end().len();
        self.at += log_prefix(line);
        loop {
            self.skip(end, |c| c.is_whitespace() || c == ',' || c == '\u{feff}');
            if self.rest(end).is_empty() || self.rest(end).starts_with('#') {
                return true;
            }
            if self.read >= limits::ATTRIBUTES_MAX {
                let message = format!("more than {} attributes; a packet has room for no more", limits::ATTRIBUTES_MAX);
                problems.error("too-many-attributes", self.place(self.at), message);
                return false;
            }
            self.read += 1;
            match self.pair(end) {
                Ok(pair) => pairs.push(pair),
                Err((at, code, message)) => {
                    problems.error(code, self.place(at), message);
                    // Where the next pair starts is unknown after a mistake in the syntax.
                    if code == "list-syntax" {
                        return true;
                    }
                }
            }
        }
    }

    fn pair(&mut self, end: usize) -> Result<Pair, Mistake> {
        let start = self.at;
        let head = self.rest(end).split(['=', ',', '#', '"', '\'']).next().unwrap_or("");
        self.at += head.len();
        if !self.rest(end).starts_with('=') {
            let what = match head.trim() {
                "" => "the name of an attribute is missing".to_owned(),
                head => format!("\"{head}\" is no attribute"),
            };
            return Err((start, "list-syntax", format!("{what}; write Name = value")));
        }
        self.at += if self.rest(end).starts_with("==") { 2 } else { 1 };
        let name = head.trim_end();
        let name = name.strip_suffix([':', '+']).unwrap_or(name).trim_end();
        let operator = name.ends_with(['!', '<', '>', '-', '^', '|']) || self.rest(end).starts_with(['~', '*']);
        if operator {
            let message = format!("\"{}\" does not assign a value; only =, :=, += and == do", head.trim());
            return Err((start, "list-syntax", message));
        }
        if name.contains(char::is_whitespace) {
            let message = format!("\"{name}\" is no attribute, because no name has blanks; write Name = value");
            return Err((start, "list-syntax", message));
        }
        let (value, value_at) = self.value(end)?;
        let (name, tag) = split_tag(name, start)?;
        let mut attribute = self.attribute(name, start)?;
        if is_by_numbers(name) && text::read_hex(&String::from_utf8_lossy(&value)).is_some() {
            attribute = attribute.as_octets();
        }
        let content = match str::from_utf8(&value) {
            Ok(value) => attribute.encode(tag, value).map_err(|error| error.message(&attribute, value)),
            Err(_) => attribute
                .encode_octets(tag, &value)
                .map_err(|error| error.message(&attribute, &String::from_utf8_lossy(&value))),
        };
        let content = content.map_err(|message| (value_at, "wrong-value", message))?;
        Ok(Pair { attribute, tag, content })
    }

    /// The octets of a value, and where it starts.
    fn value(&mut self, end: usize) -> Result<(Vec<u8>, usize), Mistake> {
        self.skip(end, char::is_whitespace);
        let at = self.at;
        let rest = self.rest(end);
        if !rest.starts_with(['"', '\'']) {
            let word = rest.split(|c: char| c.is_whitespace() || c == ',' || c == '#').next().unwrap_or("");
            if word.is_empty() {
                return Err((at, "list-syntax", "the value is missing; write Name = value".into()));
            }
            self.at += word.len();
            let value = word.as_bytes().to_vec();
            self.check_end(end)?;
            return Ok((value, at));
        }
        match text::read_quoted(rest) {
            Ok((value, length)) => {
                self.at += length;
                self.check_end(end)?;
                Ok((value, at))
            }
            Err(Unquoted::NotClosed) => {
                Err((at, "list-syntax", "the quote is not closed; close it on the same line".into()))
            }
            Err(Unquoted::Escape(offset)) => {
                let message =
                    "the backslash starts no known escape; write \\\\ for a backslash, \\n, \\t, \\\" or \\ooo";
                Err((at + offset, "list-syntax", message.into()))
            }
        }
    }

    /// Behind a value there is a comma, a comment or nothing.
    fn check_end(&mut self, end: usize) -> Result<(), Mistake> {
        self.skip(end, char::is_whitespace);
        let rest = self.rest(end);
        if rest.is_empty() || rest.starts_with([',', '#']) {
            return Ok(());
        }
        let message = "more text follows the value; put a comma between attributes and quotes around text with blanks";
        Err((self.at, "list-syntax", message.into()))
    }

    fn attribute(&self, name: &str, at: usize) -> Result<Attribute, Mistake> {
        self.dictionary.resolve(name).ok_or_else(|| {
            let suggestion = did_you_mean(name, self.dictionary.attributes().map(Attribute::name));
            let advice =
                super::build::or_advice(suggestion, "define it in a dictionary, or write Attr-26.vendor.number");
            (at, "unknown-attribute", format!("there is no attribute \"{name}\"{advice}"))
        })
    }

    fn skip(&mut self, end: usize, blank: impl Fn(char) -> bool) {
        let rest = self.rest(end);
        self.at += rest.len() - rest.trim_start_matches(blank).len();
    }

    fn rest(&self, end: usize) -> &'r str {
        self.source.text().get(self.at..end).unwrap_or("")
    }

    fn place(&self, at: usize) -> Option<Place> {
        Some(self.source.place(at))
    }
}

/// Whether the name is one such as `Attr-26.9.1`. Octets behind it are sent as they are, whatever the type: so even
/// content that no type allows can be sent, and what was printed so reads back.
fn is_by_numbers(name: &str) -> bool {
    name.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("Attr-"))
}

/// The octets of `(12)` before a line of a log.
fn log_prefix(line: &str) -> usize {
    let rest = line.trim_start();
    let Some(number) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map(|(number, _)| number) else {
        return 0;
    };
    let is_number = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    if is_number { line.len() - rest.len() + number.len() + 2 } else { 0 }
}

/// The name and the tag of `Tunnel-Type:1`.
fn split_tag(name: &str, at: usize) -> Result<(&str, Option<Tag>), Mistake> {
    let Some((name, tag)) = name.rsplit_once(':') else { return Ok((name, None)) };
    let digits = !tag.is_empty() && tag.bytes().all(|octet| octet.is_ascii_digit());
    match tag.parse().ok().filter(|_| digits).and_then(Tag::new) {
        // As in `radclient`, a tag of 0 is none.
        Some(number) => Ok((name, Some(number).filter(|number| *number != Tag::NONE))),
        None => {
            Err((at + name.len() + 1, "bad-tag", format!("\"{tag}\" is no tag; write a number from 1 to 31 or none")))
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;
    use crate::dictionary::{DataType, Encryption, Value};

    fn read(text: &str) -> (Vec<Pair>, String) {
        let mut problems = Problems::new();
        let pairs = parse(&Source::new("x.txt", text), Dictionary::builtin(), &mut problems);
        let mut told = String::new();
        for problem in problems.sorted() {
            writeln!(told, "{problem} [{}]", problem.code).expect("a string takes everything");
        }
        (pairs, told)
    }

    fn packet(pairs: &[Pair]) -> Vec<u8> {
        let mut packet = Vec::new();
        pairs.iter().for_each(|pair| pair.write(&mut packet).expect("it fits"));
        packet
    }

    #[test]
    fn a_list_makes_the_octets_that_radclient_sends() {
        // Observed: radclient 3.2.1 sends this list as these attributes. It pads the prefix to 18 octets; ours is as
        // short as RFC 8044 section 3.10 wants it, so none is here.
        let (pairs, told) = read(
            "\
User-Name = \"a\\\"b\\\\c\\nd\\001é\\377\"
Tunnel-Private-Group-Id:1 = \"20\"
Tunnel-Type:1 = VLAN
Tunnel-Type = 13
Event-Timestamp = \"Nov 22 2026 21:46:00 UTC\"
Cisco-AVPair = 0x6162
Attr-26.9.250 = 0x0102
Framed-Interface-Id = 1:2:3:4
Class = \"hello\"
Class = 0x00ff
IP-Port-Type = 3
Acct-Session-Id = bare
PMIP6-Home-IPv4-HoA = 10.1.2.3/16
Service-Type = Framed-User
Session-Timeout = 0x10
EAP-Message = 0x0201
",
        );
        assert_eq!(told, "");
        let hex: String = packet(&pairs).iter().map(|octet| format!("{octet:02x}")).collect();
        let radclient = [
            "010d6122625c630a6401c3a9ff",
            "5105013230",
            "40060100000d",
            "40060000000d",
            "37066b036298",
            "1a0e000000090108307836313632",
            "1a0a00000009fa040102",
            "600a0001000200030004",
            "190768656c6c6f",
            "190400ff",
            "f10905010600000003",
            "2c0662617265",
            "9b0800100a010000",
            "060600000002",
            "1b0600000010",
            "4f040201",
        ];
        assert_eq!(hex, radclient.concat());
        assert_snapshot!(print(Dictionary::builtin(), Attributes::new(&packet(&pairs), 20)), @r#"
        User-Name = "a\"b\\c\nd\001é\377"
        Tunnel-Private-Group-Id:1 = "20"
        Tunnel-Type:1 = VLAN
        Tunnel-Type = VLAN
        Event-Timestamp = "Nov 22 2026 21:46:00 UTC"
        Cisco-AVPair = "0x6162"
        Cisco-Account-Info = "\001\002"
        Framed-Interface-Id = 1:2:3:4
        Class = 0x68656c6c6f
        Class = 0x00ff
        IP-Port-Type = 3
        Acct-Session-Id = "bare"
        PMIP6-Home-IPv4-HoA = 10.1.0.0/16
        Service-Type = Framed-User
        Session-Timeout = 16
        EAP-Message = 0x0201
        "#);
    }

    #[test]
    fn a_list_may_be_written_in_many_ways() {
        let (pairs, told) = read(
            "# a comment\n\n  User-Name = bob, NAS-Port := 7,Filter-Id+=\"x, # y\" # end\n\tCalling-Station-Id=='a\"b'\n\
             (0)   Tunnel-Type:0 = VLAN\n(12) Tunnel-Type:1:=VLAN,\nUser-Password = \"s3cret\"\n\n# the end\n",
        );
        assert_eq!(told, "");
        let all: Vec<String> = pairs.iter().map(ToString::to_string).collect();
        assert_eq!(
            all,
            [
                "User-Name = \"bob\"",
                "NAS-Port = 7",
                "Filter-Id = \"x, # y\"",
                "Calling-Station-Id = \"a\\\"b\"",
                "Tunnel-Type = VLAN",
                "Tunnel-Type:1 = VLAN",
                "User-Password = <hidden>"
            ]
        );
        assert!(!format!("{pairs:?}").contains("s3cret"));
        assert_eq!(pairs.last().map(|pair| &pair.content[..]), Some(&b"s3cret"[..]));
    }

    #[test]
    fn every_mistake_in_a_list_has_a_place_and_an_advice() {
        let (pairs, told) = read(
            "User-Nam = bob\nQuux = 1\nUser-Name\nUser-Name =\nUser-Name = Bob Smith\nUser-Name = \"bob\nUser-Name = \"a\\q\"\n\
             User-Name =~ bob\nUser-Name != bob\nNAS-Port > 7\nUser Name = bob\nTunnel-Type:32 = VLAN\nTunnel-Type:x = VLAN\n\
             NAS-Port-Type = Ethernt, NAS-Port = 9\nUser-Password = \"é\" x\nNAS-IP-Address = \"\\377\"\n\"User-Name\" = bob\n",
        );
        assert_snapshot!(told, @r#"
        x.txt:1:1: there is no attribute "User-Nam"; did you mean "User-Name"? [unknown-attribute]
        x.txt:2:1: there is no attribute "Quux"; define it in a dictionary, or write Attr-26.vendor.number [unknown-attribute]
        x.txt:3:1: "User-Name" is no attribute; write Name = value [list-syntax]
        x.txt:4:12: the value is missing; write Name = value [list-syntax]
        x.txt:5:17: more text follows the value; put a comma between attributes and quotes around text with blanks [list-syntax]
        x.txt:6:13: the quote is not closed; close it on the same line [list-syntax]
        x.txt:7:15: the backslash starts no known escape; write \\ for a backslash, \n, \t, \" or \ooo [list-syntax]
        x.txt:8:1: "User-Name" does not assign a value; only =, :=, += and == do [list-syntax]
        x.txt:9:1: "User-Name !" does not assign a value; only =, :=, += and == do [list-syntax]
        x.txt:10:1: "NAS-Port > 7" is no attribute; write Name = value [list-syntax]
        x.txt:11:1: "User Name" is no attribute, because no name has blanks; write Name = value [list-syntax]
        x.txt:12:13: "32" is no tag; write a number from 1 to 31 or none [bad-tag]
        x.txt:13:13: "x" is no tag; write a number from 1 to 31 or none [bad-tag]
        x.txt:14:17: "Ethernt" is no value of NAS-Port-Type; did you mean "Ethernet"? [wrong-value]
        x.txt:15:21: more text follows the value; put a comma between attributes and quotes around text with blanks [list-syntax]
        x.txt:16:18: 1 octets are not what NAS-IP-Address of type ipaddr holds; correct the length [wrong-value]
        x.txt:17:1: the name of an attribute is missing; write Name = value [list-syntax]
        "#);
        assert_eq!(pairs.len(), 1, "the pair behind a wrong value is kept");
        let (_, told) = read("User-Name = bob\n\nUser-Name = alice\n");
        assert_snapshot!(told, @"x.txt:3:1: an empty line ends the list, and only one is read; remove the line or what follows [second-list]");
        let (pairs, told) = read(&"Class = x,".repeat(limits::ATTRIBUTES_MAX + 5));
        assert_eq!(pairs.len(), limits::ATTRIBUTES_MAX);
        assert_snapshot!(told, @"x.txt:1:2001: more than 200 attributes; a packet has room for no more [too-many-attributes]");
    }

    proptest! {
        /// A packet that is printed and read again has the same values.
        #[test]
        fn a_printed_packet_reads_back(
            contents in proptest::collection::vec((0..1540usize, proptest::collection::vec(any::<u8>(), 1..12)), 1..10),
        ) {
            let dictionary = Dictionary::builtin();
            let known: Vec<&Attribute> = dictionary
                .attributes()
                .filter(|attribute| !attribute.is_secret() && !attribute.data_type().is_container())
                .collect();
            let mut first = Vec::new();
            for (index, content) in contents {
                let attribute = known[index % known.len()];
                // Empty text behind a tag is read, but can't be written in a list.
                if attribute.decode(&content).value != Value::Text("") {
                    attribute.path().write(&content, false, &mut first).expect("it is short");
                }
            }
            let printed = print(dictionary, Attributes::new(&first, 20));
            let (pairs, told) = read(&printed);
            prop_assert_eq!(told, "");
            prop_assert_eq!(print(dictionary, Attributes::new(&packet(&pairs), 20)), printed);
        }

        #[test]
        fn any_list_is_read_without_a_panic(text in "(User-Name|Tunnel-Type:1|Attr-26.9.1|,|=|\"|\\\\|[ -~é\n]){0,40}") {
            let (pairs, _) = read(&text);
            for pair in pairs {
                let hidden = pair.attribute.flags().encryption != Encryption::None;
                prop_assert!(hidden || pair.write(&mut Vec::new()).is_ok());
                prop_assert!(!matches!(pair.attribute.decode_revealed(&pair.content), Value::Invalid(_))
                    || matches!(pair.attribute.data_type(), DataType::String | DataType::Integer));
            }
        }
    }
}
