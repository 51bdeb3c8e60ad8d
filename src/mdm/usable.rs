//! Whether the files that a block names hold what they should.
//!
//! Owns the question, asked before anything starts. The files are read again at each use, so that later changes are seen.

use super::{
    credential,
    settings::{Credential, Intune, Kind, Settings, SettingsProblem},
    spare_time::SpareTime,
    transport::Transport,
};
use crate::clock::Wall;

impl Settings {
    /// Reads the certificates, keys and roots that the block names, and says what can't be used of them. A device file is
    /// its reader's business, which knows the places in it.
    #[must_use]
    pub fn file_problems(&self, wall: Wall) -> Vec<SettingsProblem> {
        let Kind::Intune(intune) = &self.kind else { return Vec::new() };
        let mut found = certificate_problems(intune, wall);
        match Transport::new(intune, SpareTime::none())
            .err()
            .as_deref()
            .map(|sentence| (sentence, sentence.split_once(": ")))
        {
            Some((_, Some(("trust-anchors", told)))) => found.push(SettingsProblem::error("trust-anchors", told)),
            // A text that is no proxy is told without any file.
            Some((_, Some(("proxy", _)))) | None => {}
            // The machine may be mended while the server runs.
            Some((sentence, _)) => found.push(SettingsProblem::warning("kind", sentence)),
        }
        found
    }
}

/// Signs with each pair, as for a token.
fn certificate_problems(intune: &Intune, wall: Wall) -> Vec<SettingsProblem> {
    let Credential::Certificate { pairs, .. } = &intune.credential else { return Vec::new() };
    let sign = |which| {
        credential::form(&intune.credential, which, &intune.client_id, "https://localhost/", "/.default", wall).err()
    };
    let broken = (0..pairs.len()).filter_map(sign);
    broken.map(|complaint| SettingsProblem::error("credential", &*complaint.sentence)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
    use zeroize::Zeroizing;

    use super::*;
    use crate::mdm::settings::{Assertion, CertificatePair, Pem, Trust};

    fn text(text: impl Into<Vec<u8>>) -> Pem {
        Pem::Text(Arc::new(Zeroizing::new(text.into())))
    }

    fn problems(certificate: &str, private_key: &str, anchors: Vec<Pem>) -> Vec<&'static str> {
        let pair = CertificatePair { certificate: text(certificate), private_key: text(private_key) };
        let credential = Credential::Certificate { pairs: vec![pair], assertion: Assertion::default() };
        let intune = Intune { trust: Trust { anchors, only_anchors: true }, ..Intune::new("t", "c", credential) };
        let settings = Settings::new("corp", Kind::Intune(Box::new(intune)));
        settings.file_problems(Wall::from_secs(1_795_348_800)).iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn what_is_no_certificate_no_key_or_no_root_is_found() {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("a key");
        let certificate =
            CertificateParams::new(Vec::new()).expect("no names").self_signed(&key).expect("signed").pem();
        let root = || vec![text(certificate.clone())];
        assert_eq!(problems(&certificate, &key.serialize_pem(), root()), [""; 0]);
        assert_eq!(problems("garbage", &key.serialize_pem(), root()), ["credential"]);
        assert_eq!(problems(&certificate, "garbage", root()), ["credential"]);
        assert_eq!(problems(&certificate, &key.serialize_pem(), vec![text("garbage")]), ["trust-anchors"]);
    }
}
