//! What one line of a dictionary says, by its keyword.
//!
//! Owns VENDOR, VALUE and includes; ATTRIBUTE is read in `definition`, blocks in `scope`. No include is followed and no
//! contradiction settled here.

use super::{
    build::{Builder, or_advice},
    definition::attribute,
    index::Vendor,
    line::{Line, Mistake, number, number_u32, prefixed, version_4},
    scope::{Scope, begin_tlv, begin_vendor, end_tlv, end_vendor},
    types::parse_format,
};
use crate::{
    problem::{Place, Problems},
    radius::vendor::VendorFormat,
};

/// An `$INCLUDE` line.
pub(super) struct Wanted {
    pub(super) file: String,
    /// Whether the file may be missing.
    pub(super) optional: bool,
    pub(super) place: Place,
}

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
        "BEGIN-VENDOR" => begin_vendor(line, scope, builder, problems),
        "END-VENDOR" => end_vendor(line, scope),
        "BEGIN-TLV" => begin_tlv(line, scope, builder, problems),
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
                or_advice(problems.suggest(keyword.text, KEYWORDS), "a line starts with ATTRIBUTE, VALUE or VENDOR");
            Err((keyword.at, "unknown-keyword", format!("\"{}\" is no keyword{advice}", keyword.text)))
        }
    };
    if let Err((at, code, message)) = done {
        problems.error(code, Some(line.place(at)), message);
    }
    None
}

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

fn vendor(line: &Line<'_>, builder: &mut Builder, problems: &mut Problems) -> Result<(), Mistake> {
    let name = line.name(1, "the name of the vendor")?;
    let number_field = line.field(2, "the private enterprise number of the vendor")?;
    let number = number_u32(number_field, number_field.text)?;
    if number == 0 {
        return Err((number_field.at, "bad-number", "no vendor has the number 0; see IANA's list".into()));
    }
    let format = match line.tokens.get(3) {
        None => VendorFormat::STANDARD,
        Some(field) => {
            let format = prefixed(field.text, "format=").and_then(parse_format);
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
