//! The dictionaries that are compiled in.
//!
//! Owns the list of the shipped files; what stands in them is data, and an operator's folder is read elsewhere.

use std::sync::LazyLock;

use super::{build::Builder, index::Dictionary};
use crate::{document::Source, problem::Problems};

impl Dictionary {
    /// The shipped dictionaries, read once.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Dictionary> = LazyLock::new(|| Builder::with_builtin().finish(&mut Problems::new()));
        &BUILTIN
    }
}

impl Builder {
    /// Starts with the shipped dictionaries; what is loaded then extends and overrides them.
    #[must_use]
    pub fn with_builtin() -> Self {
        static BUILTIN: LazyLock<Builder> = LazyLock::new(|| {
            let (builder, problems) = read();
            // A shipped file in error would have failed the tests of this file.
            debug_assert!(problems.is_empty(), "{:?}", problems.sorted());
            builder
        });
        BUILTIN.clone()
    }
}

fn read() -> (Builder, Problems) {
    let mut builder = Builder::new();
    let mut problems = Problems::new();
    for (name, text) in SHIPPED {
        builder.load(Source::new(*name, *text), &mut |_, _| None, &mut problems);
    }
    builder.seal();
    (builder, problems)
}

macro_rules! shipped {
    ($name:literal) => {
        (concat!("dictionaries/", $name), include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/dictionaries/", $name)))
    };
}

/// Name and text of every file in `dictionaries/`.
const SHIPPED: &[(&str, &str)] = &[
    shipped!("rfc/iana.dict"),
    shipped!("rfc/rfc2865.dict"),
    shipped!("rfc/rfc2866.dict"),
    shipped!("rfc/rfc2867.dict"),
    shipped!("rfc/rfc2868.dict"),
    shipped!("rfc/rfc2869.dict"),
    shipped!("rfc/rfc3162.dict"),
    shipped!("rfc/rfc3576.dict"),
    shipped!("rfc/rfc4072.dict"),
    shipped!("rfc/rfc4372.dict"),
    shipped!("rfc/rfc4675.dict"),
    shipped!("rfc/rfc4818.dict"),
    shipped!("rfc/rfc4849.dict"),
    shipped!("rfc/rfc5447.dict"),
    shipped!("rfc/rfc5580.dict"),
    shipped!("rfc/rfc5607.dict"),
    shipped!("rfc/rfc5904.dict"),
    shipped!("rfc/rfc6519.dict"),
    shipped!("rfc/rfc6572.dict"),
    shipped!("rfc/rfc6677.dict"),
    shipped!("rfc/rfc6911.dict"),
    shipped!("rfc/rfc6929.dict"),
    shipped!("rfc/rfc6930.dict"),
    shipped!("rfc/rfc7055.dict"),
    shipped!("rfc/rfc7155.dict"),
    shipped!("rfc/rfc7268.dict"),
    shipped!("rfc/rfc7499.dict"),
    shipped!("rfc/rfc7930.dict"),
    shipped!("rfc/rfc8045.dict"),
    shipped!("rfc/rfc8559.dict"),
    shipped!("vendor/adsl-forum.dict"),
    shipped!("vendor/aerohive.dict"),
    shipped!("vendor/airespace.dict"),
    shipped!("vendor/alcatel.dict"),
    shipped!("vendor/arista.dict"),
    shipped!("vendor/aruba.dict"),
    shipped!("vendor/brocade.dict"),
    shipped!("vendor/cambium.dict"),
    shipped!("vendor/checkpoint.dict"),
    shipped!("vendor/cisco-asa.dict"),
    shipped!("vendor/cisco.dict"),
    shipped!("vendor/citrix.dict"),
    shipped!("vendor/dellemc.dict"),
    shipped!("vendor/erx.dict"),
    shipped!("vendor/extreme.dict"),
    shipped!("vendor/f5.dict"),
    shipped!("vendor/force10.dict"),
    shipped!("vendor/fortinet.dict"),
    shipped!("vendor/foundry.dict"),
    shipped!("vendor/h3c.dict"),
    shipped!("vendor/hp.dict"),
    shipped!("vendor/huawei.dict"),
    shipped!("vendor/juniper.dict"),
    shipped!("vendor/meraki.dict"),
    shipped!("vendor/microsoft.dict"),
    shipped!("vendor/mikrotik.dict"),
    shipped!("vendor/nile.dict"),
    shipped!("vendor/paloalto.dict"),
    shipped!("vendor/ruckus.dict"),
    shipped!("vendor/sonicwall.dict"),
    shipped!("vendor/symbol.dict"),
    shipped!("vendor/tp-link.dict"),
    shipped!("vendor/trapeze.dict"),
    shipped!("vendor/wispr.dict"),
    shipped!("vendor/zyxel.dict"),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use serde_json::Value as Json;

    use super::*;
    use crate::dictionary::{DataType, Path as Place};

    #[test]
    fn the_shipped_dictionaries_have_no_problem() {
        let (builder, mut problems) = read();
        let dictionary = builder.finish(&mut problems);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, [""; 0]);
        let counts = dictionary.counts();
        assert_eq!((counts.vendors, counts.attributes), (35, 1540));
        assert!(counts.values > 800, "{counts:?}");
    }

    #[test]
    fn every_file_of_the_folder_is_compiled_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("dictionaries");
        let mut found = BTreeSet::new();
        for folder in ["rfc", "vendor"] {
            for entry in fs::read_dir(root.join(folder)).expect("the folder is part of the repository") {
                let name = entry.expect("it can be listed").file_name().into_string().expect("an ASCII name");
                found.insert(format!("dictionaries/{folder}/{name}"));
            }
        }
        let shipped: BTreeSet<String> = SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(found, shipped);
    }

    #[test]
    fn every_file_names_its_sources() {
        for (name, text) in SHIPPED {
            let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
            assert!(head.iter().any(|line| line.starts_with("# Source: ")), "{name}");
        }
    }

    /// Numbers, types and flags that an independent parser found in FreeRADIUS 3.2.x.
    fn facts() -> Json {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/nac_dictionary.json"));
        serde_json::from_str(text).expect("the vectors are JSON")
    }

    fn text<'j>(json: &'j Json, key: &str) -> &'j str {
        json[key].as_str().unwrap_or_else(|| panic!("{key} of {json}"))
    }

    fn assert_agrees(fact: &Json, vendor: Option<(u32, &str)>) {
        let name = text(fact, "name");
        let attribute = Dictionary::builtin().attribute(name).unwrap_or_else(|| panic!("{name} is missing"));
        let number = text(fact, "number");
        let expected = vendor.map_or_else(|| number.to_owned(), |(vendor, _)| format!("26.{vendor}.{number}"));
        assert_eq!(attribute.path().to_string(), expected, "{name}");
        assert_eq!(Some(attribute.data_type()), DataType::parse(text(fact, "type")), "{name}");
        let mut flags = crate::dictionary::Flags::default();
        for flag in fact["flags"].as_array().expect("a list of flags") {
            assert!(flags.set(flag.as_str().expect("a word")), "{flag}");
        }
        assert_eq!(attribute.flags(), flags, "{name}");
        if let (crate::dictionary::Space::Vendor { format, .. }, Some((_, expected))) =
            (attribute.path().space(), vendor)
        {
            assert_eq!(crate::dictionary::types::write_format(format), expected, "{name}");
        }
    }

    #[test]
    fn the_shipped_attributes_agree_with_an_independent_reading() {
        let facts = facts();
        let standard = facts["standard"].as_array().expect("a list");
        assert_eq!(standard.len(), 224);
        standard.iter().for_each(|fact| assert_agrees(fact, None));
        let mut count = 0;
        for vendor in facts["vendors"].as_array().expect("a list") {
            let number = u32::try_from(vendor["vendor_id"].as_u64().expect("a number")).expect("32 bits");
            let known = Dictionary::builtin().vendor(number).expect("the vendor is shipped");
            assert_eq!(&*known.name, text(vendor, "vendor"));
            for fact in vendor["attributes"].as_array().expect("a list") {
                assert_agrees(fact, Some((number, text(vendor, "format"))));
                count += 1;
            }
        }
        assert_eq!(count, 1316);
    }

    #[test]
    fn the_shipped_values_agree_with_an_independent_reading() {
        let facts = facts();
        for fact in facts["standard_values"].as_array().expect("a list") {
            let (attribute, name) = (text(fact, "attribute"), text(fact, "name"));
            let number = text(fact, "value");
            let number = number.strip_prefix("0x").map_or_else(|| number.parse(), |hex| u64::from_str_radix(hex, 16));
            assert_eq!(Dictionary::builtin().value(attribute, name), number.ok(), "{attribute} {name}");
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_by_numbers() {
        let dictionary = Dictionary::builtin();
        let avpair = dictionary.attribute("cisco-avpair").expect("it is shipped");
        assert_eq!((avpair.name(), avpair.path()), ("Cisco-AVPair", Place::vendor(9, 1)));
        for (name, expected) in [
            ("Attr-26.9.1", "Cisco-AVPair"),
            ("attr-1", "User-Name"),
            ("Attr-241.1", "Frag-Status"),
            ("Attr-241.5.1", "IP-Port-Type"),
            ("Attr-26.9.200", "Attr-26.9.200"),
            ("Attr-26.99999.1", "Attr-26.99999.1"),
            ("Attr-246.26.9.1", "Attr-246.26.9.1"),
        ] {
            assert_eq!(
                dictionary.resolve(name).map(|found| found.name().to_owned()).as_deref(),
                Some(expected),
                "{name}"
            );
        }
        for wrong in
            ["Attr-", "Attr-0", "Attr-256", "Attr-26.9", "Attr-26.9.256", "Attr-1.2.3.4.5.6.7.8.9.1.2", "Attr", "é"]
        {
            assert!(dictionary.resolve(wrong).is_none(), "{wrong}");
        }
        assert_eq!(dictionary.nearest("Tunel-Type"), Some("Tunnel-Type"));
        assert_eq!(dictionary.value_name("Acct-Status-Type", 3), Some("Interim-Update"));
        assert_eq!(dictionary.value("Acct-Status-Type", "alive"), Some(3));
    }

    #[test]
    fn of_two_names_for_one_number_both_are_known_and_the_last_is_shown() {
        let dictionary = Dictionary::builtin();
        for vendor in [11, 1991, 25053, 14988, 26928] {
            let mut seen = std::collections::HashMap::new();
            for attribute in dictionary.attributes().filter(|known| known.path().vendor_number() == Some(vendor)) {
                seen.insert(attribute.path(), attribute.name());
            }
            for (path, last) in seen {
                assert_eq!(dictionary.at(&path).map(|shown| shown.name()), Some(last));
            }
        }
    }
}
