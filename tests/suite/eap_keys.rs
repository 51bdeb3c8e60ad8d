//! Recorded EAP-TLS keys against a second derivation, and against what the product hands out.
//!
//! Owns the vectors of `eap_tls_keys.json`. Live handshakes are held against the same derivation in `eap`.

use radmit::eap::tls::keys::Keys;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::support::eap_keys::{Hash, tls12, tls13};

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../vectors/eap_tls_keys.json")).unwrap()
}

fn octets(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn hash(input: &Value) -> Hash {
    if input["hash"] == "sha384" { Hash::Sha384 } else { Hash::Sha256 }
}

#[test]
fn the_recorded_keys_come_out_of_the_recorded_secrets() {
    let mut seen = 0;
    for vector in vectors() {
        let (input, expect) = (&vector["input"], &vector["expect"]);
        let hash = hash(input);
        let (material, id) = if vector["name"] == "eap-tls-keys-tls13" {
            let secret = octets(&input["exporter_master_secret"]);
            (
                tls13(hash, &secret, "EXPORTER_EAP_TLS_Key_Material", &[13], 128),
                tls13(hash, &secret, "EXPORTER_EAP_TLS_Method-Id", &[13], 64),
            )
        } else {
            let randoms = [octets(&input["client_random"]), octets(&input["server_random"])].concat();
            (tls12(hash, &octets(&input["master_secret"]), "client EAP encryption", &randoms, None, 128), randoms)
        };
        assert_eq!(material[..64], octets(&expect["msk_hex"]), "{}", vector["name"]);
        assert_eq!(material[64..], octets(&expect["emsk_hex"]), "{}", vector["name"]);
        let session_id = [&[13], &id[..]].concat();
        assert_eq!(session_id, octets(&expect["session_id_hex"]), "{}", vector["name"]);
        let material: [u8; 128] = material.try_into().unwrap();
        let keys = Keys::from_material(&Zeroizing::new(material), Some(session_id.into()));
        assert_eq!(keys.receive_key(), octets(&expect["ms_mppe_recv_key_plain"]));
        assert_eq!(keys.send_key(), octets(&expect["ms_mppe_send_key_plain"]));
        assert_eq!(keys.session_id().unwrap(), octets(&expect["session_id_hex"]));
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_ways_to_get_it_wrong_give_the_recorded_wrong_keys() {
    for vector in vectors() {
        let (input, negative) = (&vector["input"], &vector["expect"]["negative"]);
        let hash = hash(input);
        if vector["name"] == "eap-tls-keys-tls13" {
            let secret = octets(&input["exporter_master_secret"]);
            let short = tls13(hash, &secret, "EXPORTER_EAP_TLS_Key_Material", &[13], 64);
            assert_eq!(short, octets(&negative["wrong_64_hex"]), "64 octets are not the first half of 128");
            let bare = tls13(hash, &secret, "EXPORTER_EAP_TLS_Key_Material", &[], 128);
            assert_eq!(bare[..64], octets(&negative["wrong_nocontext_msk_hex"])[..64], "the context counts");
        } else {
            let randoms = [octets(&input["client_random"]), octets(&input["server_random"])].concat();
            let master = octets(&input["master_secret"]);
            let empty = tls12(hash, &master, "client EAP encryption", &randoms, Some(&[]), 128);
            assert_eq!(
                empty[..64],
                octets(&negative["wrong_emptycontext_msk_hex"])[..64],
                "no context is not an empty one"
            );
        }
    }
}
