//! Any octets as a datagram: never a panic, what parses is written back to the same octets, and what was signed is not
//! valid when it was changed.
//!
//! Looks at the codec and the dictionary's walk; what a server answers is the matter of `engine_steps`.

use std::borrow::Cow;

use radmit::{
    dictionary::{self, Attribute, Dictionary, Path, Value, list},
    document::Source,
    limits::{ATTRIBUTES_MAX, HEADER_OCTETS, PACKET_OCTETS_MAX, PASSWORD_OCTETS_MAX, TLV_DEPTH_MAX, VALUE_OCTETS_MAX},
    problem::Problems,
    radius::{
        attribute::{self, Attributes},
        authenticator::{Signature, check_request_signature, is_request_authenticator_valid},
        buffer::PacketBuffer,
        code::Code,
        error::Full,
        extended::{self, ExtendedAttributes, ExtendedVendorSpecific},
        hidden::{self, HiddenBuffer, Salt},
        kind,
        packet::Packet,
        reply::ReplyBuffer,
        request::{RequestBuffer, verify_reply},
        secret::Secret,
        tag,
        tlv::{self, Tlvs},
        vendor::{self, VendorFormat, VendorSpecific},
    },
};

/// `input`: one datagram.
pub(crate) fn check(input: &[u8]) {
    look_inside(input);
    let Ok(packet) = Packet::parse(input) else { return };
    let secret = Secret::new(b"a shared secret".to_vec()).expect("it is not empty");
    for attribute in packet.attributes() {
        look_inside(attribute.value);
        vendors_are_written_back(attribute.value);
        passwords_are_revealed_again(attribute.value, packet.authenticator(), &secret);
    }
    attributes_are_written_back(&packet);
    extended_are_written_back(packet.attributes());
    signatures_hold(&packet, &secret);
    names_lead_back(packet.attributes());
}

/// Everything that reads octets of strangers, whether or not they are of its kind.
fn look_inside(octets: &[u8]) {
    let walk = Attributes::new(octets, 0);
    let walked: usize = walk.map(|attribute| attribute.value.len() + 2).sum();
    assert!(walked <= octets.len());
    extended_are_written_back(walk);
    let _ = (tag::read_integer(octets), tag::read_text(octets), ExtendedVendorSpecific::parse(octets));
    tlvs_are_written_back(octets);
    let secret = Secret::new(vec![0x2a; 70]).expect("it is not empty");
    let mut out: HiddenBuffer = [0; VALUE_OCTETS_MAX];
    let revealed = hidden::reveal_salted(octets, &[7; 16], &secret, &mut out).map_or(0, <[u8]>::len);
    assert!(revealed <= octets.len());
    let _ = hidden::chap_matches(octets, octets, octets);
}

fn attributes_are_written_back(packet: &Packet<'_>) {
    let mut copied = PacketBuffer::new();
    copied.start_unsigned(packet.code(), packet.identifier());
    let mut octets = Vec::new();
    for attribute in packet.attributes() {
        assert_eq!(packet.octets()[attribute.offset], attribute.kind);
        assert!(packet.has(attribute.kind));
        match attribute::encode(attribute.kind, attribute.value, &mut octets) {
            Ok(()) => copied.push(attribute.kind, attribute.value).expect("the original fitted as well"),
            // An attribute without a value can be read, because it breaks no rule; we don't write such.
            Err(full) => {
                assert!(attribute.value.is_empty(), "{full}");
                octets.extend([attribute.kind, 2]);
                copied.push_encoded(&[attribute.kind, 2]).expect("the original fitted as well");
            }
        }
    }
    assert_eq!(octets, packet.octets()[HEADER_OCTETS..]);
    assert_eq!(copied.octets()[HEADER_OCTETS..], octets);
}

fn vendors_are_written_back(value: &[u8]) {
    let Ok(inside) = VendorSpecific::parse(value) else { return };
    let formats = [1, 2, 4].into_iter().flat_map(|kind| [0, 1, 2].map(|length| (kind, length, false)));
    for (kind_octets, length_octets, continued) in formats.chain([(1, 1, true)]) {
        let format = VendorFormat::new(kind_octets, length_octets, continued).expect("all of these exist");
        let Ok(attributes) = inside.attributes(format) else { continue };
        for found in attributes.filter(|found| !found.value.is_empty() && !found.is_continued) {
            let mut octets = Vec::new();
            vendor::encode(found.vendor, format, found.kind, found.value, &mut octets).expect("it stood in one");
            let again = VendorSpecific::parse(&octets[2..]).and_then(|inside| inside.attributes(format));
            assert_eq!(again.expect("it was just written").collect::<Vec<_>>(), [found]);
        }
    }
}

fn extended_are_written_back(attributes: Attributes<'_>) {
    for found in ExtendedAttributes::new(attributes).filter_map(Result::ok) {
        let value = found.value();
        let mut octets = Vec::new();
        match extended::encode(found.kind, found.extended_kind, &value, &mut octets) {
            Ok(()) => {}
            // Octets that stood in no packet can be more than one holds.
            Err(full) => {
                assert!(full == Full::ValueTooLong && value.len() > PACKET_OCTETS_MAX / 2, "{full}");
                continue;
            }
        }
        let mut again = ExtendedAttributes::new(Attributes::new(&octets, 0));
        let first = again.next().expect("it was just written").expect("and written well");
        assert_eq!((first.kind, first.extended_kind, first.value()), (found.kind, found.extended_kind, value));
        assert!(again.next().is_none());
    }
}

fn tlvs_are_written_back(octets: &[u8]) {
    let Ok(first_level) = Tlvs::parse(octets) else { return };
    let mut levels = vec![(octets, first_level)];
    let mut deepest = 1;
    while let Some((octets, level)) = levels.pop() {
        let mut written = Vec::new();
        for found in level {
            if found.value.len() > VALUE_OCTETS_MAX {
                return;
            }
            tlv::encode(found.kind, found.value, &mut written).expect("it stood in one");
            if let Ok(children) = found.children() {
                levels.push((found.value, children));
                deepest = deepest.max(levels.len());
            }
        }
        assert_eq!(written, octets);
    }
    assert!(deepest <= PACKET_OCTETS_MAX && TLV_DEPTH_MAX >= 1);
}

fn passwords_are_revealed_again(value: &[u8], authenticator: &[u8; 16], secret: &Secret) {
    let (mut hidden_octets, mut revealed): (HiddenBuffer, HiddenBuffer) =
        ([0; VALUE_OCTETS_MAX], [0; VALUE_OCTETS_MAX]);
    let _ = hidden::reveal_password(value, authenticator, secret, &mut revealed);
    match hidden::hide_password(value, authenticator, secret, &mut hidden_octets) {
        Ok(hidden_octets) => {
            let again = hidden::reveal_password(hidden_octets, authenticator, secret, &mut revealed);
            let unpadded = value.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
            assert_eq!(again, Ok(&value[..unpadded]));
        }
        Err(full) => assert!(full == Full::ValueTooLong && value.len() > PASSWORD_OCTETS_MAX),
    }
    if let Ok(salted) = hidden::hide_salted(value, Salt::new(7), authenticator, secret, &mut hidden_octets) {
        assert_eq!(hidden::reveal_salted(salted, authenticator, secret, &mut revealed), Ok(value));
    }
}

/// A request with the attributes of `packet` verifies, and so does the reply to it; with one bit changed it does not.
fn signatures_hold(packet: &Packet<'_>, secret: &Secret) {
    let mut request = RequestBuffer::new();
    let mut reply = ReplyBuffer::new();
    request.start_request(packet.code(), packet.identifier(), packet.authenticator());
    reply.start(Code::ACCESS_ACCEPT, packet.identifier());
    let values = packet.attributes().filter(|attribute| attribute.kind != kind::MESSAGE_AUTHENTICATOR);
    for attribute in values.filter(|attribute| !attribute.value.is_empty()) {
        if request.push(attribute.kind, attribute.value).and(reply.push(attribute.kind, attribute.value)).is_err() {
            return;
        }
    }
    let mut octets = request.sign(secret).to_vec();
    if Attributes::new(&octets[HEADER_OCTETS..], 0).count() > ATTRIBUTES_MAX {
        return;
    }
    let signed = Packet::parse(&octets).expect("it was just written");
    let is_accounting = signed.code() == Code::ACCOUNTING_REQUEST;
    let expected = if is_accounting { Signature::Missing } else { Signature::Valid };
    assert_eq!(check_request_signature(&signed, secret), expected);
    assert_eq!(is_request_authenticator_valid(&signed, secret), signed.code().has_hashed_authenticator());
    if signed.code() == Code::ACCESS_REQUEST {
        let octets = reply.sign(signed.authenticator(), secret);
        let reply = Packet::parse(octets).expect("it was just written");
        assert_eq!(verify_reply(&reply, &signed, secret), Ok(()));
    }
    let chosen = usize::from(u16::from_be_bytes([packet.authenticator()[0], packet.authenticator()[1]])) % octets.len();
    octets[chosen] ^= 1 << (packet.authenticator()[2] & 7);
    if let Ok(changed) = Packet::parse(&octets) {
        assert!(!is_authentic(&changed, secret), "octet {chosen}");
    }
}

fn is_authentic(request: &Packet<'_>, secret: &Secret) -> bool {
    let signature = check_request_signature(request, secret);
    if request.code().has_hashed_authenticator() {
        return signature != Signature::Wrong && is_request_authenticator_valid(request, secret);
    }
    signature == Signature::Valid
}

/// Every attribute that the dictionary's walk finds is found again by its path, written back, and read back as printed.
fn names_lead_back(attributes: Attributes<'_>) {
    let names = Dictionary::builtin();
    let printed = list::print(names, attributes);
    assert_eq!(printed.lines().count(), dictionary::walk(names, attributes).count(), "{printed}");
    for (path, content) in dictionary::walk(names, attributes) {
        let attribute = names.at_or_unknown(&path);
        let decoded = attribute.decode(&content);
        let shown = attribute.show(&content).to_string();
        assert!(!attribute.is_secret() || !shown.contains("0x"), "{shown}");
        // What can't be taken apart, or continues elsewhere, is given as the whole attribute that carries it.
        let is_carrier = matches!(path.space(), dictionary::Space::Standard(26 | 241..=246));
        if is_carrier || content.is_empty() {
            continue;
        }
        // What was cut over several attributes is joined here and not given there.
        let is_whole = matches!(content, Cow::Borrowed(_));
        assert!(!is_whole || dictionary::values(attributes, &path).any(|value| value == &*content), "{shown}");
        is_written_back(&path, &content, attribute.flags().concat);
        if attribute.is_secret() || !is_writable(&attribute, decoded.value) {
            continue;
        }
        let mut problems = Problems::new();
        let pairs = list::parse(&Source::new("printed", shown.as_str()), names, &mut problems);
        assert!(problems.is_empty(), "{shown}: {:?}", problems.sorted());
        let [pair] = pairs.as_slice() else { panic!("{shown} is one attribute") };
        assert_eq!((pair.attribute.path(), pair.attribute.decode(&pair.content)), (path, decoded), "{shown}");
    }
}

/// Whether people can write it. A tagged number whose first octet is no tag is read as all four octets, and can't be;
/// nor can a text of which there is only the tag, because an empty text is more often a mistake.
fn is_writable(attribute: &Attribute, value: Value<'_>) -> bool {
    match value {
        Value::Invalid(_) => false,
        Value::Text("") | Value::Octets([]) => false,
        Value::Number(number) => !attribute.flags().tagged || number <= 0x00FF_FFFF,
        _ => true,
    }
}

fn is_written_back(path: &Path, content: &[u8], concat: bool) {
    let mut octets = Vec::new();
    path.write(content, concat, &mut octets).expect("it stood in a packet");
    let again: Vec<_> = dictionary::walk(Dictionary::builtin(), Attributes::new(&octets, 0)).collect();
    assert_eq!(again, [(*path, Cow::Borrowed(content))]);
}
