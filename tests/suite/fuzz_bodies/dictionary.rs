//! Any text as dictionary files and as a list of attributes: never a panic, every mistake with its place, and what was
//! understood can be found, written and read again.

use radmit::{
    dictionary::{
        Builder, Dictionary, Value,
        list::{self, Pair},
    },
    document::Source,
    limits::{ATTRIBUTES_MAX, PROBLEMS_MAX},
    problem::{Problem, Problems},
    radius::attribute::Attributes,
};

/// `input`: parts between NULs: a dictionary, a list of attributes that uses it, and files that `$INCLUDE 2` and so on
/// name by their place.
pub(crate) fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let parts: Vec<&str> = text.split('\0').collect();
    let (first, list) = (parts[0], parts.get(1).unwrap_or(&parts[0]));
    let mut include = |name: &str, _: &str| {
        let part = parts.get(name.parse::<usize>().ok()?)?;
        Some(Source::new(name, *part))
    };
    let mut builder = Builder::new();
    let mut problems = Problems::new();
    builder.load(Source::new("first", first), &mut include, &mut problems);
    problems_have_places(&problems);

    let mut again = builder.clone();
    let names = builder.finish(&mut problems);
    problems_have_places(&problems);
    names_are_found(&names);

    // An operator's folder may say again what is known already.
    again.seal();
    let mut second = Problems::new();
    again.load(Source::new("first", first), &mut include, &mut second);
    let names_again = again.finish(&mut second);
    if !problems.has_errors() {
        assert!(!second.has_errors(), "{:?}", second.sorted());
        assert_eq!(names.counts(), names_again.counts());
    }

    // The shipped names are many, and each wrong one is compared with all of them: only a short list is worth it.
    let shipped = (list.len() < 600).then(Dictionary::builtin);
    for names in [Some(&names), shipped].into_iter().flatten() {
        let mut problems = Problems::new();
        let pairs = list::parse(&Source::new("list", *list), names, &mut problems);
        assert!(pairs.len() <= ATTRIBUTES_MAX);
        problems_have_places(&problems);
        for pair in &pairs {
            is_read_again(pair, names);
        }
    }
}

fn problems_have_places(problems: &Problems) {
    assert!(problems.iter().count() <= PROBLEMS_MAX);
    for Problem { place, message, .. } in problems.iter() {
        let place = place.as_ref().unwrap_or_else(|| panic!("\"{message}\" stands nowhere"));
        assert!(place.line > 0 && place.column > 0, "{place}: {message}");
        assert!(!message.contains('\n'), "{message:?}");
    }
}

fn names_are_found(names: &Dictionary) {
    assert_eq!(names.attributes().count(), names.counts().attributes);
    for attribute in names.attributes() {
        let found = names.attribute(attribute.name()).expect("it is known by its name");
        assert_eq!((found.path(), found.data_type()), (attribute.path(), attribute.data_type()));
        let at = names.at(&attribute.path()).expect("it is known by its place");
        assert_eq!(at.path(), attribute.path());
        // A few are enough: looking by name walks over all of them.
        for (name, number) in attribute.named_values().take(8) {
            assert!(attribute.value(name).is_some(), "{name}");
            assert!(attribute.value_name(number).is_some(), "{name}");
        }
    }
    for vendor in names.vendors() {
        assert!(names.vendor(vendor.number).is_some() && names.vendor_named(&vendor.name).is_some());
    }
}

fn is_read_again(pair: &Pair, names: &Dictionary) {
    let attribute = &pair.attribute;
    let mut octets = Vec::new();
    if attribute.is_on_the_wire() && !pair.content.is_empty() {
        pair.write(&mut octets).expect("its length was checked when it was read");
    }
    let printed = list::print(names, Attributes::new(&octets, 0));
    assert!(printed.lines().count() <= octets.len());
    let shown = pair.to_string();
    let decoded = attribute.decode(&pair.content);
    if attribute.is_secret() || matches!(decoded.value, Value::Invalid(_)) {
        return;
    }
    let mut problems = Problems::new();
    let again = list::parse(&Source::new("shown", shown.as_str()), names, &mut problems);
    assert!(problems.is_empty(), "{shown}: {:?}", problems.sorted());
    let [again] = again.as_slice() else { panic!("{shown} is one attribute") };
    assert_eq!(again.attribute.path(), attribute.path(), "{shown}");
    assert_eq!(again.attribute.decode(&again.content), decoded, "{shown}");
}
