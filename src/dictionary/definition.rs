//! What an ATTRIBUTE line says: name, numbers, type and flags.
//!
//! Owns which of them go together; a name or number that occurs twice is settled in `build`.

use super::{
    build::{Builder, or_advice},
    line::{Line, Mistake, Token, number_u32, too_deep, version_4},
    path::{Path, Space, is_extended, is_long_extended},
    scope::{Scope, VendorBlock},
    types::{DataType, Encryption, Flags},
};
use crate::{
    limits,
    problem::{Problems, did_you_mean},
    radius::{kind, vendor::VendorFormat},
};

/// Reads the line and defines the attribute.
pub(super) fn attribute(
    line: &Line<'_>,
    scope: &Scope,
    builder: &mut Builder,
    problems: &mut Problems,
) -> Result<(), Mistake> {
    let name = line.name(1, "the name of the attribute")?;
    let oid = line.field(2, "the number of the attribute")?;
    let type_field = line.field(3, "the type of the attribute")?;
    let data_type = DataType::parse(type_field.text).ok_or_else(|| unknown_type(type_field, problems))?;
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

fn unknown_type(field: Token<'_>, problems: &Problems) -> Mistake {
    let word = field.text.to_ascii_lowercase();
    let base = word.split('[').next().unwrap_or("");
    if VERSION_4_TYPES.contains(&base) || base == "bit" {
        return version_4(&field);
    }
    let words = DataType::WORDS.iter().map(|(word, _)| *word);
    let advice = or_advice(problems.suggest(&word, words), "use string, integer, ipaddr, octets or another known one");
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
            let most = builder.format(vendor).kind_max();
            if first > most {
                return Err(too_large(oid, first, most));
            }
            let format = VendorFormat::STANDARD;
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
    path.map(|path| path.with_format(VendorFormat::STANDARD)).ok_or_else(|| {
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
        DataType::VendorSpecific => space == Space::Standard(kind::VENDOR_SPECIFIC),
        DataType::Extended => matches!(space, Space::Standard(n) if is_extended(n) && !is_long_extended(n)),
        DataType::LongExtended => matches!(space, Space::Standard(n) if is_long_extended(n)),
        DataType::ExtendedVendor => matches!(space, Space::Extended { number: kind::EXTENDED_VENDOR_SPECIFIC, .. }),
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

/// Types that only FreeRADIUS 4 knows.
const VERSION_4_TYPES: [&str; 10] =
    ["struct", "union", "group", "attribute", "text", "time_delta", "float64", "vendor", "uint24", "ipv4addr"];
