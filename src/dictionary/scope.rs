//! The blocks of a dictionary: BEGIN-VENDOR and BEGIN-TLV with their ends.
//!
//! Owns what is open at a line; the attributes inside are read in `definition`.

use super::{
    build::{Builder, or_advice},
    line::{Line, Mistake, Token, prefixed, too_deep},
    path::{Path, Space},
    types::DataType,
};
use crate::{
    limits,
    problem::{Place, Problems},
};

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

pub(super) fn begin_vendor(
    line: &Line<'_>,
    scope: &mut Scope,
    builder: &Builder,
    problems: &Problems,
) -> Result<(), Mistake> {
    let name = line.field(1, "the name of the vendor")?;
    let Some((number, _)) = builder.vendor(name.text) else {
        return Err(unknown_vendor(name, builder, problems));
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

fn unknown_vendor(name: Token<'_>, builder: &Builder, problems: &Problems) -> Mistake {
    let advice = or_advice(problems.suggest(name.text, builder.vendor_names()), "define it with VENDOR before");
    (name.at, "unknown-vendor", format!("there is no vendor \"{}\"{advice}", name.text))
}

pub(super) fn end_vendor(line: &Line<'_>, scope: &mut Scope) -> Result<(), Mistake> {
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

pub(super) fn begin_tlv(
    line: &Line<'_>,
    scope: &mut Scope,
    builder: &Builder,
    problems: &Problems,
) -> Result<(), Mistake> {
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
                or_advice(problems.suggest(name.text, builder.attribute_names()), "define it with ATTRIBUTE before");
            Err((name.at, "unknown-attribute", format!("there is no attribute \"{}\"{advice}", name.text)))
        }
    }
}

pub(super) fn end_tlv(line: &Line<'_>, scope: &mut Scope) -> Result<(), Mistake> {
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
