//! Reads dictionary files in the syntax of FreeRADIUS 3: files, includes, scopes and lines.
//!
//! Opens no files: the caller gives the text of what `$INCLUDE` names. What a single statement means is in `statement`,
//! which definition holds when there are two is in `build`.

use crate::{
    dictionary::{
        build::Builder,
        line::{Line, Token},
        scope::Scope,
        statement::{self, Wanted},
    },
    document::Source,
    limits,
    problem::{Place, Problems},
};

/// Gives the text of an included file: what stands behind `$INCLUDE`, and the name of the file it stands in.
///
/// Names are compared to find loops, so the same file must always get the same name.
pub type Include<'i> = &'i mut dyn FnMut(&str, &str) -> Option<Source>;

impl Builder {
    /// Reads a file and all that it includes. Every mistake becomes a problem with its place; the rest is kept.
    pub fn load(&mut self, source: Source, include: Include<'_>, problems: &mut Problems) {
        let mut frames = Vec::new();
        let mut files = 0;
        push(&mut frames, source, problems);
        // A stack of its own instead of recursion: how deep files nest is the operator's choice.
        while let Some(frame) = frames.last_mut() {
            let Some(wanted) = frame.run(self, problems) else {
                frame.close(problems);
                frames.pop();
                continue;
            };
            files += 1;
            if files > limits::FILES_MAX {
                let message = format!("more than {} files are included; load fewer", limits::FILES_MAX);
                problems.error("too-many-files", Some(wanted.place), message);
                return;
            }
            if let Some(source) = open(wanted, &frames, include, problems) {
                push(&mut frames, source, problems);
            }
        }
    }
}

fn push(frames: &mut Vec<Frame>, source: Source, problems: &mut Problems) {
    if source.text().len() > limits::FILE_OCTETS_MAX {
        let message = format!(
            "{} octets are more than the {} allowed; split the file",
            source.text().len(),
            limits::FILE_OCTETS_MAX
        );
        problems.error("file-too-large", Some(Place::whole(source.name().as_ref())), message);
        return;
    }
    frames.push(Frame { source, next: 0, scope: Scope::default() });
}

/// One file that is being read.
struct Frame {
    source: Source,
    /// The octet at which the next line starts.
    next: usize,
    scope: Scope,
}

impl Frame {
    /// Reads lines up to the next include or the end of the file.
    fn run(&mut self, builder: &mut Builder, problems: &mut Problems) -> Option<Wanted> {
        let Self { source, next, scope } = self;
        loop {
            let rest = source.text().get(*next..).filter(|rest| !rest.is_empty())?;
            let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
            let line = Line { source, tokens: tokens(rest.get(..length)?, *next) };
            *next += length;
            if let Some(wanted) = statement::read(&line, scope, builder, problems) {
                return Some(wanted);
            }
        }
    }

    /// Reports blocks that were not closed.
    fn close(&self, problems: &mut Problems) {
        for (name, _, place) in &self.scope.tlvs {
            let message = format!("the block is not closed; end it with: END-TLV {name}");
            problems.error("not-closed", Some(place.clone()), message);
        }
        if let Some(vendor) = &self.scope.vendor {
            let message = format!("the block is not closed; end it with: END-VENDOR {}", vendor.name);
            problems.error("not-closed", Some(vendor.place.clone()), message);
        }
    }
}

fn open(wanted: Wanted, frames: &[Frame], include: Include<'_>, problems: &mut Problems) -> Option<Source> {
    if frames.len() > limits::INCLUDE_DEPTH_MAX {
        let message = format!("files include each other more than {} deep", limits::INCLUDE_DEPTH_MAX);
        problems.error("include-depth", Some(wanted.place), format!("{message}; include them from one file"));
        return None;
    }
    let from = frames.last().map_or("", |frame| frame.source.name());
    let Some(source) = include(&wanted.file, from) else {
        if !wanted.optional {
            let message = format!(
                "the file \"{}\" can't be read; correct its name, or write $INCLUDE- if it may be missing",
                wanted.file
            );
            problems.error("include-missing", Some(wanted.place), message);
        }
        return None;
    };
    if frames.iter().any(|frame| frame.source.name() == source.name()) {
        let message = format!("\"{}\" includes itself in the end; remove one of the lines", source.name());
        problems.error("include-loop", Some(wanted.place), message);
        return None;
    }
    Some(source)
}

/// The words of a line without its comment; `at`: the octet at which the line starts.
fn tokens(line: &str, at: usize) -> Vec<Token<'_>> {
    let line = line.split('#').next().unwrap_or("");
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let mut tokens = Vec::new();
    let mut from = 0;
    while let Some(start) = line.get(from..).and_then(|rest| rest.find(|c| !blank(c))).map(|skip| from + skip) {
        let rest = line.get(start..).unwrap_or("");
        let text = rest.split(blank).next().unwrap_or("");
        tokens.push(Token { text, at: at + start });
        from = start + text.len();
    }
    tokens
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;
    use crate::dictionary::{Dictionary, Path};

    /// Files by their names; the first is the one that is loaded.
    fn load(files: &[(&str, &str)]) -> (Dictionary, String) {
        load_into(Builder::new(), files)
    }

    fn load_into(mut builder: Builder, files: &[(&str, &str)]) -> (Dictionary, String) {
        let mut problems = Problems::new();
        let find = |wanted: &str| files.iter().find(|(name, _)| *name == wanted);
        let source = |(name, text): &(&str, &str)| Source::new(*name, *text);
        let mut include = |wanted: &str, _: &str| find(wanted).map(source);
        builder.load(source(files.first().expect("one file at least")), &mut include, &mut problems);
        let dictionary = builder.finish(&mut problems);
        let mut told = String::new();
        for problem in problems.sorted() {
            writeln!(told, "{problem} [{}]", problem.code).expect("a string takes everything");
        }
        (dictionary, told)
    }

    fn told(text: &str) -> String {
        load(&[("x.dict", text)]).1
    }

    const RIGHT: &str = "\u{feff}# A comment\r
ATTRIBUTE Name 1 String\r
attribute Number 0x02 INTEGER has_tag # behind a tag
VALUE Number One 1
VALUE Number Uno 0x1
VALUE Later Two 2
ATTRIBUTE Later 3 byte
VALUE-ALIAS Whatever Number
ATTRIBUTE Key 4 octets[16] secret
ATTRIBUTE Password 69 string has_tag,encrypt=2
ATTRIBUTE Vendor-Specific 26 vsa
ATTRIBUTE Extended-Attribute-5 245 long-extended
ATTRIBUTE Extended-Vendor-Specific-5 245.26 evs
ATTRIBUTE Container 173 tlv
ATTRIBUTE Container-Child 173.1 ipaddr
BEGIN-TLV Container
ATTRIBUTE Container-Other 2 octets # 8
END-TLV Container
VENDOR Example 32473 format=2,2
BEGIN-VENDOR example
ATTRIBUTE Example-Wide 300 string
ATTRIBUTE Example-Container 7 tlv
ATTRIBUTE Example-Child 7.1 tlv
ATTRIBUTE Example-Grandchild 7.1.9 string
END-VENDOR Example
BEGIN-VENDOR Example format=Extended-Vendor-Specific-5
ATTRIBUTE Example-Extended 1 string
END-VENDOR Example
BEGIN-VENDOR Example parent=Extended-Vendor-Specific-5
ATTRIBUTE Example-Extended-2 2 string
END-VENDOR Example
ATTRIBUTE Example-Old 301 string Example
ATTRIBUTE Example-By-Numbers 26.32473.302 string
ATTRIBUTE Example-Alias 302 string encrypt=1,Example
ATTRIBUTE Server-Side 1000 string
ATTRIBUTE Made-Up 250 string virtual
$INCLUDE more.dict
$INCLUDE- missing.dict
$-INCLUDE missing.dict";

    #[test]
    fn the_whole_syntax_is_read() {
        let (dictionary, told) = load(&[("x.dict", RIGHT), ("more.dict", "ATTRIBUTE More 5 date")]);
        assert_eq!(told, "");
        let mut list = String::new();
        for attribute in dictionary.attributes() {
            let (path, data_type) = (attribute.path(), attribute.data_type());
            let wire = if attribute.is_on_the_wire() { "" } else { " internal" };
            writeln!(list, "{path} {} {data_type}{wire}", attribute.name()).expect("a string takes everything");
        }
        assert_snapshot!(list, @r#"
        1 Name string
        2 Number integer
        3 Later byte
        4 Key octets[16]
        69 Password string
        26 Vendor-Specific vsa
        245 Extended-Attribute-5 long-extended
        245.26 Extended-Vendor-Specific-5 evs
        173 Container tlv
        173.1 Container-Child ipaddr
        173.2 Container-Other octets
        26.32473.300 Example-Wide string
        26.32473.7 Example-Container tlv
        26.32473.7.1 Example-Child tlv
        26.32473.7.1.9 Example-Grandchild string
        245.26.32473.1 Example-Extended string
        245.26.32473.2 Example-Extended-2 string
        26.32473.301 Example-Old string
        26.32473.302 Example-By-Numbers string
        26.32473.302 Example-Alias string
        1000 Server-Side string internal
        250 Made-Up string internal
        5 More date
        "#);
        assert_eq!(dictionary.value("number", "UNO"), Some(1));
        assert_eq!(dictionary.value_name("Number", 1), Some("Uno"));
        assert_eq!(dictionary.value_name("Later", 2), Some("Two"));
        assert_eq!(dictionary.counts().values, 3);
        let shown = dictionary.at(&dictionary.attribute("Example-By-Numbers").expect("it is defined").path());
        assert_eq!(shown.map(|attribute| attribute.name()), Some("Example-Alias"));
    }

    #[test]
    fn a_line_that_is_no_statement_says_what_one_looks_like() {
        assert_snapshot!(told("ATRIBUTE Name 1 string\nhello\nATTRIBUTE\nATTRIBUTE Name\nATTRIBUTE Name 1\n$INCLUDE\n"), @r#"
        x.dict:1:1: "ATRIBUTE" is no keyword; did you mean "ATTRIBUTE"? [unknown-keyword]
        x.dict:2:1: "hello" is no keyword; a line starts with ATTRIBUTE, VALUE or VENDOR [unknown-keyword]
        x.dict:3:10: the line lacks the name of the attribute; write it at the end [field-missing]
        x.dict:4:15: the line lacks the number of the attribute; write it at the end [field-missing]
        x.dict:5:17: the line lacks the type of the attribute; write it at the end [field-missing]
        x.dict:6:9: the line lacks the name of a file; write it at the end [field-missing]
        "#);
    }

    #[test]
    fn numbers_and_names_are_checked() {
        assert_snapshot!(told(
            "ATTRIBUTE A x string\nATTRIBUTE B -1 string\nATTRIBUTE C 0x1g string\nATTRIBUTE D 0 string\n\
             ATTRIBUTE E 4294967296 string\nATTRIBUTE F 300.1 string\nATTRIBUTE G 26.9 string\n\
             ATTRIBUTE \"H\" 1 string\nVENDOR V 0\nVENDOR V x\nVENDOR V 9 format=3,1\nVENDOR V 9 1,1\nVENDOR V 9 format=1,1 x\n\
             VENDOR W 10\nBEGIN-VENDOR W\nATTRIBUTE I 256 string\nEND-VENDOR W\n\
             ATTRIBUTE J 1 integer\nVALUE J One one\nVALUE J\nVALUE J One 1 1\nVALUE J Big 4294967296\n\
             ATTRIBUTE K 2 string\nVALUE K One 1\nVALUE Jj One 1\nVALUE Nowhere One 1\n"
        ), @r#"
        x.dict:1:13: "x" is no whole number from 0 on; write it as 26 or 0x1a [bad-number]
        x.dict:2:13: "-1" is no whole number from 0 on; write it as 26 or 0x1a [bad-number]
        x.dict:3:13: "0x1g" is no whole number from 0 on; write it as 26 or 0x1a [bad-number]
        x.dict:4:13: 0 is not from 1 to 255, the numbers that fit here; correct it [number-too-large]
        x.dict:5:13: 4294967296 is above 4294967295; correct the number [number-too-large]
        x.dict:6:13: 300 is not from 1 to 255, the numbers that fit here; correct it [number-too-large]
        x.dict:7:13: "26.9" is no place in a packet; write 26.vendor.number, 241.number or a tlv's number and its child's [bad-number]
        x.dict:8:11: a name can't hold '"'; use letters, digits and - [bad-name]
        x.dict:9:10: no vendor has the number 0; see IANA's list [bad-number]
        x.dict:10:10: "x" is no whole number from 0 on; write it as 26 or 0x1a [bad-number]
        x.dict:11:12: "format=3,1" is no format; write format=1,1 or as the vendor says [bad-format]
        x.dict:12:12: "1,1" is no format; write format=1,1 or as the vendor says [bad-format]
        x.dict:13:23: "x" is too much on this line; remove it or put # before it [field-unexpected]
        x.dict:16:13: 256 is not from 1 to 255, the numbers that fit here; correct it [number-too-large]
        x.dict:19:13: "one" is no whole number from 0 on; write it as 26 or 0x1a [bad-number]
        x.dict:20:8: the line lacks the name of the value; write it at the end [field-missing]
        x.dict:21:15: "1" is too much on this line; remove it or put # before it [field-unexpected]
        x.dict:22:7: 4294967296 is above 4294967295, the most that J of type integer can hold; correct the number [number-too-large]
        x.dict:24:7: K is of type string, which has no named values; remove the line or make it an integer [value-of-no-number]
        x.dict:25:7: there is no attribute "Jj" for the value "One"; did you mean "J"? [unknown-attribute]
        x.dict:26:7: there is no attribute "Nowhere" for the value "One"; define it with ATTRIBUTE [unknown-attribute]
        "#);
        let long = format!("ATTRIBUTE {} 1 string", "n".repeat(129));
        assert_snapshot!(told(&long), @"x.dict:1:11: a name has at most 128 octets; shorten it [bad-name]");
    }

    #[test]
    fn types_and_flags_are_checked() {
        assert_snapshot!(told(
            "ATTRIBUTE A 1 strng\nATTRIBUTE B 2 octets[300]\nATTRIBUTE C 3 string has-tag\nATTRIBUTE D 4 string foo\n\
             ATTRIBUTE E 5 ipaddr has_tag\nATTRIBUTE F 6 string concat\nATTRIBUTE G 7 vsa\nATTRIBUTE H 8 extended\n\
             ATTRIBUTE I 9 long-extended\nATTRIBUTE J 10 evs\nATTRIBUTE K 11 tlv encrypt=2\n"
        ), @r#"
        x.dict:1:15: "strng" is no type; did you mean "string"? [unknown-type]
        x.dict:2:15: "octets[300]" is no type; did you mean "octets"? [unknown-type]
        x.dict:3:22: "has-tag" is neither a flag nor a vendor; did you mean "has_tag"? [unknown-flag]
        x.dict:4:22: "foo" is neither a flag nor a vendor; remove it, or put # before a comment [unknown-flag]
        x.dict:5:15: has_tag goes with string and integer, not with ipaddr; remove it [misplaced-flag]
        x.dict:6:15: concat goes with octets among the standard attributes; remove it [misplaced-flag]
        x.dict:7:15: vsa can't be the type of 7; vsa is for 26, extended for 241 to 244, long-extended for 245 and 246, evs for their number 26 [misplaced-type]
        x.dict:8:15: extended can't be the type of 8; vsa is for 26, extended for 241 to 244, long-extended for 245 and 246, evs for their number 26 [misplaced-type]
        x.dict:9:15: long-extended can't be the type of 9; vsa is for 26, extended for 241 to 244, long-extended for 245 and 246, evs for their number 26 [misplaced-type]
        x.dict:10:16: evs can't be the type of 10; vsa is for 26, extended for 241 to 244, long-extended for 245 and 246, evs for their number 26 [misplaced-type]
        x.dict:11:16: encrypt= can't hide a tlv; put it on the attributes inside [misplaced-flag]
        "#);
    }

    #[test]
    fn children_need_a_parent_that_holds_attributes() {
        assert_snapshot!(told(
            "ATTRIBUTE A 1 string\nATTRIBUTE B 1.1 string\nATTRIBUTE C 2.1 string\nATTRIBUTE D 3 tlv\nATTRIBUTE E 3.256 string\n\
             ATTRIBUTE F 3.1.1.1.1.1 string\nATTRIBUTE G 3.1.1.1.1.1.1.1.1.1.1 string\nBEGIN-TLV A\nBEGIN-TLV Aa\nBEGIN-TLV Nowhere\nEND-TLV D\nBEGIN-TLV D\nEND-TLV A\n"
        ), @r#"
        x.dict:2:13: 1 is of type string; only a tlv holds attributes; correct the number [no-parent]
        x.dict:3:13: nothing is defined at 2; define it as tlv before [no-parent]
        x.dict:5:13: "3.256" is no place in a packet; write 26.vendor.number, 241.number or a tlv's number and its child's [bad-number]
        x.dict:6:13: "3.1.1.1.1.1" is no place in a packet; write 26.vendor.number, 241.number or a tlv's number and its child's [bad-number]
        x.dict:7:13: attributes nest at most 4 deep; place it higher [too-deep]
        x.dict:8:11: A is of type string; only a tlv holds attributes; correct the name or its type [no-parent]
        x.dict:9:11: there is no attribute "Aa"; did you mean "A"? [unknown-attribute]
        x.dict:10:11: there is no attribute "Nowhere"; define it with ATTRIBUTE before [unknown-attribute]
        x.dict:11:9: no BEGIN-TLV is open; remove the line [wrong-end]
        x.dict:13:9: the open block is that of D; write END-TLV D [wrong-end]
        "#);
    }

    #[test]
    fn blocks_are_closed_in_their_order() {
        assert_snapshot!(told(
            "VENDOR Cisco 9\nBEGIN-VENDOR Cisko\nBEGIN-VENDOR Example\nEND-VENDOR Cisco\nBEGIN-VENDOR Cisco format=x\nBEGIN-VENDOR Cisco x\n\
             BEGIN-VENDOR Cisco\nBEGIN-VENDOR Cisco\nEND-VENDOR Aruba\nATTRIBUTE A 1 tlv\nBEGIN-VENDOR Cisco\nBEGIN-TLV A\n"
        ), @r#"
        x.dict:2:14: there is no vendor "Cisko"; did you mean "Cisco"? [unknown-vendor]
        x.dict:3:14: there is no vendor "Example"; define it with VENDOR before [unknown-vendor]
        x.dict:4:12: no BEGIN-VENDOR is open; remove the line [wrong-end]
        x.dict:5:20: "format=x" names no extended attribute; write format=Extended-Vendor-Specific-1 (to 6) [bad-format]
        x.dict:6:20: "x" names no extended attribute; write format=Extended-Vendor-Specific-1 (to 6) [bad-format]
        x.dict:8:1: the block of Cisco is still open; write END-VENDOR Cisco before [not-closed]
        x.dict:9:12: the open block is that of Cisco; write END-VENDOR Cisco [wrong-end]
        x.dict:11:1: the block is not closed; end it with: END-VENDOR Cisco [not-closed]
        x.dict:12:11: the block is not closed; end it with: END-TLV A [not-closed]
        "#);
    }

    #[test]
    fn what_means_two_things_is_an_error() {
        assert_snapshot!(told(
            "VENDOR A 1\nVENDOR a 2\nVENDOR A 1 format=2,1\nVENDOR B 1\nATTRIBUTE N 1 integer\nATTRIBUTE n 2 integer\nATTRIBUTE N 1 string\n\
             ATTRIBUTE V 3 integer\nVALUE V One 1\nVALUE V one 2\nVALUE V One 1\n"
        ), @r#"
        x.dict:2:8: vendor "a" has the number 1 in x.dict:1:8; correct the number or use another name [duplicate-vendor]
        x.dict:3:8: warning: vendor "A" has format=1,1 in x.dict:1:8; now format=2,1 holds for all its attributes; remove one of the lines [vendor-format]
        x.dict:4:8: warning: another vendor with the number 1 has format=2,1; now format=1,1 holds for both; correct one of the lines [vendor-format]
        x.dict:6:11: "n" is already number 1 in x.dict:5:11; give the new attribute another name [duplicate-attribute]
        x.dict:7:11: warning: "N" has another type or other flags in x.dict:5:11; this line holds; remove it if that was not meant [attribute-overridden]
        x.dict:10:7: "one" of V is already 1 in x.dict:9:7; give the new value another name [duplicate-value]
        "#);
    }

    #[test]
    fn an_operator_may_override_what_is_shipped() {
        let (dictionary, told) = load_into(
            Builder::with_builtin(),
            &[(
                "x.dict",
                "ATTRIBUTE Reply-Message 250 string\nATTRIBUTE Filter-Id 11 octets\nVALUE NAS-Port-Type Cable 999\n",
            )],
        );
        assert_snapshot!(told, @r#"
        x.dict:1:11: hint: "Reply-Message" is number 18 in dictionaries/rfc/rfc2865.dict:23:12; now it is 250; remove the line if that was not meant [attribute-overridden]
        x.dict:2:11: hint: "Filter-Id" has another type or other flags in dictionaries/rfc/rfc2865.dict:17:12; this line holds; remove it if that was not meant [attribute-overridden]
        x.dict:3:7: hint: "Cable" of NAS-Port-Type is 17 in dictionaries/rfc/rfc2865.dict:120:8; now it is 999; remove the line if that was not meant [value-overridden]
        "#);
        let path = |name| dictionary.attribute(name).map(|attribute| attribute.path());
        assert_eq!(path("Reply-Message"), Some(Path::standard(250)));
        assert_eq!(dictionary.at(&Path::standard(18)).map(|attribute| attribute.name()), None);
        assert_eq!(dictionary.value("NAS-Port-Type", "Cable"), Some(999));
        assert_eq!(dictionary.value_name("NAS-Port-Type", 17), None);
    }

    #[test]
    fn version_4_files_are_refused_in_so_many_words() {
        assert_snapshot!(told(
            "BEGIN-PROTOCOL RADIUS 1\nDEFINE Name string\nENUM Name integer\nFLAGS internal\nALIAS Name 1\nATTRIBUTE A 1 struct\n\
             ATTRIBUTE B 2 bit[4]\nATTRIBUTE C 3 string encrypt=Tunnel-Password\nATTRIBUTE D 4 integer enum=E\n"
        ), @r#"
        x.dict:1:1: "BEGIN-PROTOCOL" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        x.dict:2:1: "DEFINE" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        x.dict:3:1: "ENUM" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        x.dict:4:1: "FLAGS" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        x.dict:5:1: "ALIAS" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        x.dict:6:15: "struct" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        x.dict:7:15: "bit[4]" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        x.dict:8:22: "encrypt=Tunnel-Password" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        x.dict:9:23: "enum=E" belongs to the dictionaries of FreeRADIUS 4; use those of version 3 (share/dictionary.* of its v3.2.x branch) [version-4-syntax]
        "#);
    }

    #[test]
    fn includes_that_go_wrong_are_told_and_the_rest_is_read() {
        let (dictionary, told) = load(&[
            ("x.dict", "$INCLUDE missing.dict\n$INCLUDE loop.dict\n$INCLUDE x.dict\nATTRIBUTE Name 1 string\n"),
            ("loop.dict", "VENDOR A 1\nBEGIN-VENDOR A\n$INCLUDE x.dict\n"),
        ]);
        assert_snapshot!(told, @r#"
        loop.dict:2:1: the block is not closed; end it with: END-VENDOR A [not-closed]
        loop.dict:3:1: "x.dict" includes itself in the end; remove one of the lines [include-loop]
        x.dict:1:1: the file "missing.dict" can't be read; correct its name, or write $INCLUDE- if it may be missing [include-missing]
        x.dict:3:1: "x.dict" includes itself in the end; remove one of the lines [include-loop]
        "#);
        assert!(dictionary.attribute("Name").is_some());
    }

    #[test]
    fn files_nest_to_a_bounded_depth_and_number() {
        let mut problems = Problems::new();
        let mut count = 0;
        let mut deeper = |_: &str, _: &str| {
            count += 1;
            Some(Source::new(format!("{count}.dict"), "$INCLUDE next\n$INCLUDE next\n"))
        };
        Builder::new().load(Source::new("0.dict", "$INCLUDE next\n"), &mut deeper, &mut problems);
        assert!(count <= limits::FILES_MAX);
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told.first().map(String::as_str),
            Some("16.dict:1:1: files include each other more than 16 deep; include them from one file")
        );
        assert_eq!(told.last().map(|last| last.contains("more than 1000 files are included; load fewer")), Some(true));
    }

    #[test]
    fn a_dictionary_has_a_bounded_number_of_vendors() {
        let mut text = String::new();
        for number in 1..=limits::DICTIONARY_VENDORS_MAX + 2 {
            writeln!(text, "VENDOR V{number} {number}").expect("a string takes everything");
        }
        let (dictionary, told) = load(&[("x.dict", &text)]);
        assert_eq!(dictionary.counts().vendors, limits::DICTIONARY_VENDORS_MAX);
        assert_snapshot!(told, @"x.dict:10001:8: more than 10000 vendors; load only the dictionaries that your network needs [dictionary-too-large]");
    }

    /// Seeking the nearest name for each of many mistakes would take minutes.
    #[test]
    fn only_the_first_messages_carry_suggestions() {
        let mut text = String::from("ATTRIBUTE Name 1 integer\n");
        (0..limits::SUGGESTIONS_MAX + 50).for_each(|_| text.push_str("VALUE Namee One 1\n"));
        let told = told(&text);
        assert_eq!(told.matches("did you mean \"Name\"?").count(), limits::SUGGESTIONS_MAX);
        assert_eq!(told.matches("define it with ATTRIBUTE").count(), 50);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = told(&text);
        }

        #[test]
        fn any_words_are_read_without_a_panic(
            words in proptest::collection::vec(proptest::sample::select(WORDS), 0..60),
        ) {
            let _ = load(&[("x.dict", &words.join(" ")), ("a", "ATTRIBUTE A 1 string")]);
        }
    }

    const WORDS: &[&str] = &[
        "ATTRIBUTE",
        "VALUE",
        "VENDOR",
        "BEGIN-VENDOR",
        "END-VENDOR",
        "BEGIN-TLV",
        "END-TLV",
        "$INCLUDE",
        "\n",
        "\n",
        "\n",
        "A",
        "B",
        "C",
        "1",
        "2",
        "26",
        "241",
        "245.26",
        "26.1.1",
        "241.26.1.1",
        "1.2.3.4.5.6",
        "4294967295",
        "string",
        "tlv",
        "integer",
        "evs",
        "extended",
        "format=1,1,c",
        "format=4,0",
        "has_tag",
        "encrypt=2",
        "concat",
        "virtual",
        ",",
        "#",
        "é",
    ];
}
