//! Configurations of wpa_supplicant's `eapol_test`, which plays switch and device in one.
//!
//! Owns their text.

use std::{fmt::Write as _, path::Path};

/// A device with the files of [`super::test_ca`].
pub(super) struct Supplicant<'a> {
    /// Where its files lie, and `ca.pem`.
    pub(super) folder: &'a Path,
    /// The name of its certificate and key, without their endings.
    pub(super) certificate: &'a str,
    /// The DNS name that the server's certificate must have.
    pub(super) server_name: &'a str,
}

impl Supplicant<'_> {
    /// The file.
    ///
    /// TLS 1.3 is switched on by name: wpa_supplicant 2.10 leaves it off. The identity says nothing: with EAP-TLS only the
    /// certificate counts.
    pub(super) fn configuration(&self) -> String {
        let file = |name: &str, ending: &str| {
            let path = self.folder.join(format!("{name}.{ending}"));
            std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned()
        };
        let mut text = String::from("network={\n    key_mgmt=IEEE8021X\n    eap=TLS\n    eapol_flags=0\n");
        let lines = [
            ("identity", "anonymous".to_owned()),
            ("ca_cert", file("ca", "pem")),
            ("client_cert", file(self.certificate, "pem")),
            ("private_key", file(self.certificate, "key")),
            ("domain_match", self.server_name.to_owned()),
            ("phase1", "tls_disable_tlsv1_3=0".to_owned()),
        ];
        for (key, value) in lines {
            let _ = writeln!(text, "    {key}=\"{value}\"");
        }
        text.push_str("}\n");
        text
    }
}
