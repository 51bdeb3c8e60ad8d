//! What one line of a dictionary says.
//!
//! Owns keywords, fields and the advice about them; it follows no includes and settles no contradictions.

use super::{
    build::{Builder, or_advice},
    index::Vendor,
    path::{Path, Space, VENDOR_SPECIFIC, is_extended, is_long_extended},
    types::{DataType, Encryption, Flags, VendorFormat},
};
use crate::{
    document::Source,
    limits,
    problem::{Place, Problems, did_you_mean},
};

/// A word of a line and the octet at which it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

/// The words of one line.
pub(super) struct Line<'t> {
    pub(super) source: &'t Source,
    pub(super) tokens: Vec<Token<'t>>,
}

/// The blocks that are open at a line. An included file starts with none, and closes its own.
#[derive(Default)]
pub(super) struct Scope {
    /// From BEGIN-VENDOR.
    pub(super) vendor: Option<VendorBlock>,
    /// From BEGIN-TLV: name, path and place.
    pub(super) tlvs: Vec<(String, Path, Place)>,
}

/// An open BEGIN-VENDOR.
pub(super) struct VendorBlock {
    pub(super) name: String,
    pub(super) number: u32,
    /// The extended attribute whose number 26 holds the vendor's attributes; none for attribute 26.
    pub(super) carrier: Option<u8>,
    pub(super) place: Place,
}

/// An `$INCLUDE` line.
pub(super) struct Wanted {
    pub(super) file: String,
    /// Whether the file may be missing.
    pub(super) optional: bool,
    pub(super) place: Place,
}

/// A mistake: where, its code, and the message.
type Mistake = (usize, &'static str, String);

/// The longest name of an attribute, a value or a vendor, as in FreeRADIUS.
const NAME_OCTETS_MAX: usize = 128;

const KEYWORDS: [&str; 11] = [
    "ATTRIBUTE",
    "VALUE",
    "VALUE-ALIAS",
    "VENDOR",
    "BEGIN-VENDOR",
    "END-VENDOR",
    "BEGIN-TLV",
    "END-TLV",
    "$INCLUDE",
    "$INCLUDE-",
    "$-INCLUDE",
];

/// Keywords that only FreeRADIUS 4 knows.
const VERSION_4_KEYWORDS: [&str; 13] = [
    "ALIAS",
    "BEGIN",
    "END",
    "BEGIN-PROTOCOL",
    "END-PROTOCOL",
    "PROTOCOL",
    "DEFINE",
    "ENUM",
    "FLAG",
    "FLAGS",
    "MEMBER",
    "STRUCT",
    "BEGIN-STRUCT",
];

/// Types that only FreeRADIUS 4 knows.
const VERSION_4_TYPES: [&str; 10] =
    ["struct", "union", "group", "attribute", "text", "time_delta", "float64", "vendor", "uint24", "ipv4addr"];

/// Reads one line. Comments and blank lines say nothing.
pub(super) fn read(
    line: &Line<'_>,
    scope: &mut Scope,
    builder: &mut Builder,
    problems: &mut Problems,
) -> Option<Wanted> {
    let keyword = line.tokens.first()?;
    let done = match keyword.text.to_ascii_uppercase().as_str() {
        "ATTRIBUTE" => attribute(line, scope, builder, problems),
        "VALUE" => value(line, builder, problems),
        // An old way to share values between attributes, of which FreeRADIUS 3 itself keeps only the keyword.
        "VALUE-ALIAS" => Ok(()),
        "VENDOR" => vendor(line, builder, problems),
        "BEGIN-VENDOR" => begin_vendor(line, scope, builder),
        "END-VENDOR" => end_vendor(line, scope),
        "BEGIN-TLV" => begin_tlv(line, scope, builder),
        "END-TLV" => end_tlv(line, scope),
        "$INCLUDE" | "$INCLUDE-" | "$-INCLUDE" => match line.field(1, "the name of a file") {
            Ok(file) => {
                let optional = !keyword.text.eq_ignore_ascii_case("$INCLUDE");
                return Some(Wanted { file: file.text.to_owned(), optional, place: line.place(keyword.at) });
            }
            Err(mistake) => Err(mistake),
        },
        other if VERSION_4_KEYWORDS.contains(&other) => Err(version_4(keyword)),
        _ => {
            let advice =
                or_advice(did_you_mean(keyword.text, KEYWORDS), "a line starts with ATTRIBUTE, VALUE or VENDOR");
            Err((keyword.at, "unknown-keyword", format!("\"{}\" is no keyword{advice}", keyword.text)))
        }
    };
    if let Err((at, code, message)) = done {
        problems.error(code, Some(line.place(at)), message);
    }
    None
}

impl<'t> Line<'t> {
    fn place(&self, at: usize) -> Place {
        self.source.place(at)
    }

    /// The word at `index`; `what`: what it should be.
    fn field(&self, index: usize, what: &str) -> Result<Token<'t>, Mistake> {
        let last = self.tokens.last().map_or(0, |token| token.at + token.text.len());
        let missing = || (last, "field-missing", format!("the line lacks {what}; write it at the end"));
        self.tokens.get(index).copied().ok_or_else(missing)
    }

    /// Refuses words behind the first `count`.
    fn at_most(&self, count: usize) -> Result<(), Mistake> {
        let Some(extra) = self.tokens.get(count) else { return Ok(()) };
        let message = format!("\"{}\" is too much on this line; remove it or put # before it", extra.text);
        Err((extra.at, "field-unexpected", message))
    }

    fn name(&self, index: usize, what: &str) -> Result<Token<'t>, Mistake> {
        let token = self.field(index, what)?;
        if token.text.len() > NAME_OCTETS_MAX {
            let message = format!("a name has at most {NAME_OCTETS_MAX} octets; shorten it");
            return Err((token.at, "bad-name", message));
        }
        let odd = token.text.chars().find(|c| !c.is_ascii_graphic() || "\"'=,".contains(*c));
        match odd {
            None => Ok(token),
            Some(odd) => {
                let message = format!("a name can't hold {odd:?}; use letters, digits and -");
                Err((token.at, "bad-name", message))
            }
        }
    }
}

fn version_4(token: &Token<'_>) -> Mistake {
    let message = format!(
        "\"{}\" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch)",
        token.text
    );
    (token.at, "version-4-syntax", message)
}

/// A decimal number, or a hexadecimal one with 0x.
fn number(token: Token<'_>, text: &str) -> Result<u64, Mistake> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // `from_str_radix` would take a sign.
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => u64::from_str_radix(digits, 16),
        Some(_) => "x".parse(),
        None if text.starts_with('+') => "x".parse(),
        None => text.parse(),
    };
    parsed.map_err(|_| {
        let message = format!("\"{text}\" is no whole number from 0 on; write it as 26 or 0x1a");
        (token.at, "bad-number", message)
    })
}

fn number_u32(token: Token<'_>, text: &str) -> Result<u32, Mistake> {
    u32::try_from(number(token, text)?)
        .map_err(|_| (token.at, "number-too-large", format!("{text} is above {}; correct the number", u32::MAX)))
}

fn vendor(line: &Line<'_>, builder: &mut Builder, problems: &mut Problems) -> Result<(), Mistake> {
    let name = line.name(1, "the name of the vendor")?;
    let number_field = line.field(2, "the private enterprise number of the vendor")?;
    let number = number_u32(number_field, number_field.text)?;
    if number == 0 {
        return Err((number_field.at, "bad-number", "no vendor has the number 0; see IANA's list".into()));
    }
    let format = match line.tokens.get(3) {
        None => VendorFormat::USUAL,
        Some(field) => {
            let format = prefixed(field.text, "format=").and_then(VendorFormat::parse);
            format.ok_or_else(|| {
                let message = format!("\"{}\" is no format; write format=1,1 or as the vendor says", field.text);
                (field.at, "bad-format", message)
            })?
        }
    };
    line.at_most(4)?;
    builder.define_vendor(Vendor { name: name.text.into(), number, format }, line.place(name.at), problems);
    Ok(())
}

fn value(line: &Line<'_>, builder: &mut Builder, problems: &mut Problems) -> Result<(), Mistake> {
    let attribute = line.name(1, "the name of the attribute")?;
    let name = line.field(2, "the name of the value")?;
    let number_field = line.field(3, "the number of the value")?;
    let number = number(number_field, number_field.text)?;
    line.at_most(4)?;
    builder.define_value(attribute.text, name.text, number, line.place(attribute.at), problems);
    Ok(())
}

fn begin_vendor(line: &Line<'_>, scope: &mut Scope, builder: &Builder) -> Result<(), Mistake> {
    let name = line.field(1, "the name of the vendor")?;
    let Some((number, _)) = builder.vendor(name.text) else {
        return Err(unknown_vendor(name, builder));
    };
    let carrier = match line.tokens.get(2) {
        None => None,
        Some(field) => {
            let parent = prefixed(field.text, "format=").or_else(|| prefixed(field.text, "parent="));
            Some(parent.and_then(|parent| carrier_of(parent, builder)).ok_or_else(|| {
                let message = format!(
                    "\"{}\" names no extended attribute; write format=Extended-Vendor-Specific-1 (to 6)",
                    field.text
                );
                (field.at, "bad-format", message)
            })?)
        }
    };
    line.at_most(3)?;
    let keyword = line.field(0, "a keyword")?;
    if let Some(open) = &scope.vendor {
        let message = format!("the block of {} is still open; write END-VENDOR {} before", open.name, open.name);
        return Err((keyword.at, "not-closed", message));
    }
    let place = line.place(keyword.at);
    scope.vendor = Some(VendorBlock { name: name.text.to_owned(), number, carrier, place });
    Ok(())
}

/// The extended attribute whose vendor space has this name.
fn carrier_of(parent: &str, builder: &Builder) -> Option<u8> {
    match builder.attribute(parent)? {
        (path, DataType::ExtendedVendor) => match path.space() {
            Space::Extended { carrier, .. } => Some(carrier),
            _ => None,
        },
        _ => None,
    }
}

fn unknown_vendor(name: Token<'_>, builder: &Builder) -> Mistake {
    let advice = or_advice(did_you_mean(name.text, builder.vendor_names()), "define it with VENDOR before");
    (name.at, "unknown-vendor", format!("there is no vendor \"{}\"{advice}", name.text))
}

fn end_vendor(line: &Line<'_>, scope: &mut Scope) -> Result<(), Mistake> {
    let name = line.field(1, "the name of the vendor")?;
    line.at_most(2)?;
    match scope.vendor.take() {
        Some(open) if open.name.eq_ignore_ascii_case(name.text) => Ok(()),
        Some(open) => {
            let message = format!("the open block is that of {}; write END-VENDOR {}", open.name, open.name);
            Err((name.at, "wrong-end", message))
        }
        None => Err((name.at, "wrong-end", "no BEGIN-VENDOR is open; remove the line".into())),
    }
}

fn begin_tlv(line: &Line<'_>, scope: &mut Scope, builder: &Builder) -> Result<(), Mistake> {
    let name = line.field(1, "the name of the attribute")?;
    line.at_most(2)?;
    match builder.attribute(name.text) {
        Some((path, DataType::Tlv)) if scope.tlvs.len() < limits::TLV_DEPTH_MAX => {
            scope.tlvs.push((name.text.to_owned(), path, line.place(name.at)));
            Ok(())
        }
        Some((_, DataType::Tlv)) => Err(too_deep(name)),
        Some((_, other)) => {
            let message = format!("{} is of type {other}; only a tlv holds attributes", name.text);
            Err((name.at, "no-parent", format!("{message}; correct the name or its type")))
        }
        None => {
            let advice =
                or_advice(did_you_mean(name.text, builder.attribute_names()), "define it with ATTRIBUTE before");
            Err((name.at, "unknown-attribute", format!("there is no attribute \"{}\"{advice}", name.text)))
        }
    }
}

fn too_deep(token: Token<'_>) -> Mistake {
    let message = format!("attributes nest at most {} deep; place it higher", limits::TLV_DEPTH_MAX);
    (token.at, "too-deep", message)
}

fn end_tlv(line: &Line<'_>, scope: &mut Scope) -> Result<(), Mistake> {
    let name = line.field(1, "the name of the attribute")?;
    line.at_most(2)?;
    match scope.tlvs.pop() {
        Some((open, _, _)) if open.eq_ignore_ascii_case(name.text) => Ok(()),
        Some((open, _, _)) => {
            Err((name.at, "wrong-end", format!("the open block is that of {open}; write END-TLV {open}")))
        }
        None => Err((name.at, "wrong-end", "no BEGIN-TLV is open; remove the line".into())),
    }
}

fn attribute(line: &Line<'_>, scope: &Scope, builder: &mut Builder, problems: &mut Problems) -> Result<(), Mistake> {
    let name = line.name(1, "the name of the attribute")?;
    let oid = line.field(2, "the number of the attribute")?;
    let type_field = line.field(3, "the type of the attribute")?;
    let data_type = DataType::parse(type_field.text).ok_or_else(|| unknown_type(type_field))?;
    let (flags, vendor) = flags(line, scope, builder)?;
    let mut path = path(oid, scope, vendor, builder)?;
    if flags.internal {
        path = internal(path);
    }
    check_parent(oid, &path, builder)?;
    check_type(type_field, &path, data_type, flags)?;
    builder.define_attribute(name.text, (path, data_type, flags), line.place(name.at), problems);
    Ok(())
}

fn unknown_type(field: Token<'_>) -> Mistake {
    let word = field.text.to_ascii_lowercase();
    let base = word.split('[').next().unwrap_or("");
    if VERSION_4_TYPES.contains(&base) || base == "bit" {
        return version_4(&field);
    }
    let words = DataType::WORDS.iter().map(|(word, _)| *word);
    let advice = or_advice(did_you_mean(&word, words), "use string, integer, ipaddr, octets or another known one");
    (field.at, "unknown-type", format!("\"{}\" is no type{advice}", field.text))
}

/// The flags behind the type, and the vendor that very old files name there.
fn flags(line: &Line<'_>, scope: &Scope, builder: &Builder) -> Result<(Flags, Option<u32>), Mistake> {
    let mut flags = Flags::default();
    let mut vendor = None;
    for field in line.tokens.iter().skip(4) {
        for word in field.text.split(',').filter(|word| !word.is_empty()) {
            if flags.set(word) {
                continue;
            }
            if vendor.is_none()
                && scope.vendor.is_none()
                && let Some((number, _)) = builder.vendor(word)
            {
                vendor = Some(number);
                continue;
            }
            return Err(unknown_flag(*field, word));
        }
    }
    Ok((flags, vendor))
}

fn unknown_flag(field: Token<'_>, word: &str) -> Mistake {
    let key = word.split('=').next().unwrap_or("").to_ascii_lowercase();
    let new_encrypt = ["user-password", "tunnel-password", "ascend-secret"];
    let value = word.split('=').nth(1).unwrap_or("").to_ascii_lowercase();
    let new_keys = ["enum", "clone", "ref", "key", "format", "prefix", "length", "offset", "subtype"];
    if (key == "encrypt" && new_encrypt.contains(&value.as_str())) || new_keys.contains(&key.as_str()) {
        return version_4(&Token { text: field.text, at: field.at });
    }
    let advice = or_advice(did_you_mean(word, Flags::WORDS), "remove it, or put # before a comment");
    (field.at, "unknown-flag", format!("\"{word}\" is neither a flag nor a vendor{advice}"))
}

/// The path of an attribute in the usual format.
fn path(oid: Token<'_>, scope: &Scope, vendor: Option<u32>, builder: &Builder) -> Result<Path, Mistake> {
    let mut numbers = Vec::new();
    for text in oid.text.split('.') {
        // The longest way is 241.26.vendor.number and the children of TLVs.
        if numbers.len() > 4 + limits::TLV_DEPTH_MAX {
            return Err(too_deep(oid));
        }
        numbers.push(number_u32(oid, text)?);
    }
    if let Some((_, tlv, _)) = scope.tlvs.last() {
        return children(oid, *tlv, &numbers);
    }
    let first = numbers.first().copied().unwrap_or(0);
    let rest = numbers.get(1..).unwrap_or_default();
    match (vendor.or(scope.vendor.as_ref().map(|block| block.number)), &scope.vendor) {
        (Some(vendor), Some(VendorBlock { carrier: Some(carrier), .. })) => {
            let number = u8::try_from(first).map_err(|_| too_large(oid, first, u8::MAX.into()))?;
            children(oid, Path::of(Space::ExtendedVendor { carrier: *carrier, vendor, number }), rest)
        }
        (Some(vendor), _) => {
            let most = builder.format(vendor).number_max();
            if first > most {
                return Err(too_large(oid, first, most));
            }
            let format = VendorFormat::USUAL;
            children(oid, Path::of(Space::Vendor { vendor, number: first, format }), rest)
        }
        (None, _) => standard(oid, first, &numbers, builder),
    }
}

/// The path of an attribute outside of any block.
fn standard(oid: Token<'_>, first: u32, numbers: &[u32], builder: &Builder) -> Result<Path, Mistake> {
    if first > u8::MAX.into() && numbers.len() == 1 {
        return Ok(Path::of(Space::Internal { vendor: 0, number: first }));
    }
    if first == 0 || first > u8::MAX.into() {
        return Err(too_large(oid, first, u8::MAX.into()));
    }
    let path = Path::from_numbers(numbers, |vendor| builder.format(vendor));
    path.map(|path| path.with_format(VendorFormat::USUAL)).ok_or_else(|| {
        let message = format!(
            "\"{}\" is no place in a packet; write 26.vendor.number, 241.number or a tlv's number and its child's",
            oid.text
        );
        (oid.at, "bad-number", message)
    })
}

fn children(oid: Token<'_>, parent: Path, numbers: &[u32]) -> Result<Path, Mistake> {
    numbers.iter().try_fold(parent, |path, number| {
        let number = u8::try_from(*number).map_err(|_| too_large(oid, *number, u8::MAX.into()))?;
        path.child(number).ok_or_else(|| too_deep(oid))
    })
}

fn too_large(oid: Token<'_>, number: u32, most: u32) -> Mistake {
    let message = format!("{number} is not from 1 to {most}, the numbers that fit here; correct it");
    (oid.at, "number-too-large", message)
}

fn internal(path: Path) -> Path {
    let (vendor, number) = match path.space() {
        Space::Standard(number) => (0, number.into()),
        Space::Vendor { vendor, number, .. } => (vendor, number),
        _ => return path,
    };
    Path::of(Space::Internal { vendor, number })
}

/// A child needs a TLV to live in.
fn check_parent(oid: Token<'_>, path: &Path, builder: &Builder) -> Result<(), Mistake> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let message = match builder.type_at(&parent) {
        Some(DataType::Tlv) => return Ok(()),
        Some(other) => format!("{parent} is of type {other}; only a tlv holds attributes; correct the number"),
        None => format!("nothing is defined at {parent}; define it as tlv before"),
    };
    Err((oid.at, "no-parent", message))
}

/// Some types stand only at certain numbers, some flags go only with certain types.
fn check_type(field: Token<'_>, path: &Path, data_type: DataType, flags: Flags) -> Result<(), Mistake> {
    let space = path.space();
    let fits = match data_type {
        DataType::VendorSpecific => space == Space::Standard(VENDOR_SPECIFIC),
        DataType::Extended => matches!(space, Space::Standard(n) if is_extended(n) && !is_long_extended(n)),
        DataType::LongExtended => matches!(space, Space::Standard(n) if is_long_extended(n)),
        DataType::ExtendedVendor => matches!(space, Space::Extended { number: VENDOR_SPECIFIC, .. }),
        _ => true,
    };
    if !fits {
        let message = format!(
            "{data_type} can't be the type of {path}; vsa is for 26, extended for 241 to 244, long-extended for 245 and \
             246, evs for their number 26"
        );
        return Err((field.at, "misplaced-type", message));
    }
    if flags.tagged && !matches!(data_type, DataType::String | DataType::Integer) {
        let message = format!("has_tag goes with string and integer, not with {data_type}; remove it");
        return Err((field.at, "misplaced-flag", message));
    }
    if flags.concat && (!matches!(data_type, DataType::Octets) || !matches!(space, Space::Standard(_))) {
        let message = "concat goes with octets among the standard attributes; remove it";
        return Err((field.at, "misplaced-flag", message.into()));
    }
    if flags.encryption != Encryption::None && data_type.is_container() {
        let message = format!("encrypt= can't hide a {data_type}; put it on the attributes inside");
        return Err((field.at, "misplaced-flag", message));
    }
    Ok(())
}

/// The text behind a prefix in any case.
fn prefixed<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| text.get(prefix.len()..))?
}
