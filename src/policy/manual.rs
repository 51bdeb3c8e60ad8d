//! The reference tables of the language, made from the lists that the compiler works with.
//!
//! Owns their form in Markdown; the words are those of the catalogue and of the operators.

use std::fmt::Write;

use super::{
    catalogue::{Family, Kind, ROWS},
    decision::Reason,
    operator::row::{self, Operator},
};

/// All facts, one to a row.
#[must_use]
pub fn facts() -> String {
    let mut table = String::from("| fact | is | tells |\n| --- | --- | --- |\n");
    table.push_str(
        "| `radius.<Attribute-Name>` | by the attribute's type | each value of the attribute in the request |\n",
    );
    for row in ROWS {
        let early = if row.is_known_early() || row.family() == Family::Time { "" } else { " *" };
        let kind = match row.kind {
            Kind::Words(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            kind => kind.name().to_owned(),
        };
        write_row(&mut table, &format!("`{}`{early} | {kind} | {}", row.name, row.about));
    }
    table
}

/// All operators, one to a row.
#[must_use]
pub fn operators() -> String {
    let mut table = String::from("| operator | takes | for | holds if |\n| --- | --- | --- | --- |\n");
    for row in row::ROWS {
        write_row(&mut table, &format!("`{}` | {} | {} | {}", row.name, row.takes, fits(row.operator), row.about));
    }
    table
}

/// All reasons of decisions, one to a row.
#[must_use]
pub fn reasons() -> String {
    let mut table = String::from("| reason | means |\n| --- | --- |\n");
    for reason in Reason::ALL {
        write_row(&mut table, &format!("`{}` | {}", reason.name(), reason.sentence()));
    }
    table
}

fn write_row(table: &mut String, row: &str) {
    let written = writeln!(table, "| {row} |");
    debug_assert!(written.is_ok(), "a string takes everything");
}

fn fits(operator: Operator) -> String {
    const KINDS: [(Kind, &str); 11] = [
        (Kind::Text, "texts"),
        (Kind::Boolean, "truth values"),
        (Kind::Words(&[]), "words"),
        (Kind::Number, "numbers"),
        (Kind::Age, "durations"),
        (Kind::Hour, "hours"),
        (Kind::Date, "dates"),
        (Kind::Version, "versions"),
        (Kind::Mac, "MAC addresses"),
        (Kind::Guid, "device ids"),
        (Kind::Address, "IP addresses"),
    ];
    let fitting: Vec<&str> = KINDS.iter().filter(|(kind, _)| operator.fits(*kind)).map(|(_, name)| *name).collect();
    match fitting.len() {
        11 => "everything".to_owned(),
        10 => {
            let except = KINDS.iter().find(|(kind, _)| !operator.fits(*kind)).map_or("", |(_, name)| *name);
            format!("everything but {except}")
        }
        _ => fitting.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;

    #[test]
    fn the_tables_of_the_manual_are_those_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/README.md");
        let manual = fs::read_to_string(&path).expect("the manual is there");
        let mut expected = manual.clone();
        for (name, table) in [("facts", facts()), ("operators", operators()), ("reasons", reasons())] {
            let (start, end) = (format!("<!-- {name}: made from the code -->\n"), format!("<!-- end of {name} -->"));
            let from = expected.find(&start).expect("the start of the table is marked") + start.len();
            let to = expected.find(&end).expect("the end of the table is marked");
            expected.replace_range(from..to, &table);
        }
        if env::var_os("REGENERATE").is_some() {
            fs::write(&path, expected).expect("the manual can be written");
        } else {
            assert_eq!(manual, expected, "run it again with REGENERATE=1 in the environment");
        }
    }
}
