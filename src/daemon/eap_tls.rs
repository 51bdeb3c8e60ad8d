//! `[eap-tls]` with its files read: what conversations use, and when it ends.
//!
//! Owns the reading. What may stand in the files is checked by `eap`; which client is offered what is `config`'s word.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::{
    clock::Wall,
    config::{
        configuration::{EapTls, FileAt},
        files::{Files, reason},
    },
    eap::tls::{
        context::TlsContext,
        expiry::Expiry,
        resume::Resumptions,
        settings::{File, Settings},
    },
    limits,
    problem::Problems,
};

/// What came of `[eap-tls]`.
#[derive(Debug)]
pub struct LoadedEapTls {
    /// Certificates, trust and versions. Its table of resumptions is new and empty: whoever has an older one hands it on
    /// with [`TlsContext::with_resumptions`].
    pub context: Arc<TlsContext>,
    /// Everything in the files that ends.
    pub expiries: Vec<Expiry>,
}

/// Reads and checks the files that `eap_tls` names. `None` if `problems` got an error.
#[must_use]
pub fn load(eap_tls: &EapTls, now: Wall, files: &dyn Files, problems: &mut Problems) -> Option<LoadedEapTls> {
    let certificate = read(&eap_tls.certificate, files, problems);
    let private_key = read(&eap_tls.private_key, files, problems);
    let client_ca = read_all(&eap_tls.client_ca, files, problems);
    let crl = read_all(&eap_tls.crl, files, problems);
    let ocsp_response = match &eap_tls.ocsp_response {
        Some(file) => Some(read(file, files, problems)?),
        None => None,
    };
    let settings = Settings {
        certificate: certificate?,
        private_key: private_key?,
        client_ca: client_ca?,
        crl: crl?,
        crl_failure: eap_tls.crl_failure,
        ocsp_response,
        fragment_size: eap_tls.options.fragment_size,
        tls_max: eap_tls.tls_max(),
        session_lifetime: eap_tls.session_lifetime,
        tickets: eap_tls.tickets,
    };
    let context = TlsContext::from_settings(&settings, now, Arc::new(Resumptions::new()), problems)?;
    check_issuers(eap_tls, &settings, problems);
    Some(LoadedEapTls { context, expiries: settings.expiries() })
}

fn read_all(named: &[FileAt], files: &dyn Files, problems: &mut Problems) -> Option<Vec<File>> {
    // Every file is read before giving up: an operator wants to hear of all of them at once.
    let read: Vec<Option<File>> = named.iter().map(|file| read(file, files, problems)).collect();
    read.into_iter().collect()
}

fn read(named: &FileAt, files: &dyn Files, problems: &mut Problems) -> Option<File> {
    let name = named.path.to_string_lossy();
    let octets = match files.read(&named.path) {
        Ok(octets) => Zeroizing::new(octets),
        Err(error) => {
            let message = format!("{name} {}", reason(&error));
            problems.error("file-unreadable", Some(named.place.clone()), message);
            return None;
        }
    };
    if octets.len() > limits::FILE_OCTETS_MAX {
        let most = limits::FILE_OCTETS_MAX / 1024 / 1024;
        let message = format!("{name} has more than {most} MiB; is it the right file?");
        problems.error("file-too-large", Some(named.place.clone()), message);
        return None;
    }
    Some(File { name: name.into(), place: Some(named.place.clone()), octets })
}

/// A name that no certificate of client-ca has may be that of an authority that devices send; more often it is misspelt.
fn check_issuers(eap_tls: &EapTls, settings: &Settings, problems: &mut Problems) {
    let authorities = settings.authority_names();
    for name in &eap_tls.device_id_issuers {
        if !authorities.iter().any(|(whole, common)| *whole == name.text || common.as_ref() == Some(&name.text)) {
            let known: Vec<&str> =
                authorities.iter().map(|(whole, common)| &**common.as_ref().unwrap_or(whole)).collect();
            let message =
                format!("no certificate of client-ca is called \"{}\"; there are: {}", name.text, known.join(", "));
            problems.warning("unknown-issuer", Some(name.place.clone()), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};

    use super::*;
    use crate::{
        clock,
        config::{configuration::Configuration, file, files::MemoryFiles},
    };

    /// A certificate that is its own authority, and its key.
    fn own(name: &str) -> (String, String) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::DnsName("radius.contoso.com".try_into().unwrap())];
        params.is_ca = if name == "Root" { IsCa::Ca(rcgen::BasicConstraints::Unconstrained) } else { IsCa::NoCa };
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn load_with(files: MemoryFiles, more: &str) -> (Option<LoadedEapTls>, Vec<String>) {
        let text = format!(
            "version = 1\n[eap-tls]\ncertificate = \"server.pem\"\nprivate-key = \"server.key\"\nclient-ca = \"ca.pem\"\n{more}"
        );
        let files: Arc<dyn Files> = Arc::new(files.with("radmit.toml", text));
        let mut problems = Problems::new();
        let configuration: Configuration = file::load("radmit.toml".as_ref(), &files, &mut problems).unwrap();
        let mut problems = Problems::new();
        let eap_tls = configuration.eap_tls.unwrap();
        let loaded = load(&eap_tls, clock::now().wall, &*files, &mut problems);
        assert_eq!(loaded.is_none(), problems.has_errors(), "an error is what makes it unusable");
        (loaded, problems.sorted().iter().map(ToString::to_string).collect())
    }

    fn machine() -> MemoryFiles {
        let (server, key) = own("radius.contoso.com");
        MemoryFiles::default()
            .with("policies/x.toml", "")
            .with("server.pem", server)
            .with("server.key", key)
            .with("ca.pem", own("Root").0)
    }

    #[test]
    fn good_files_are_ready_for_conversations() {
        let (loaded, said) = load_with(machine(), "");
        let loaded = loaded.unwrap();
        assert_eq!(loaded.context.trust().authorities(), (1, 0));
        let files: Vec<&str> = loaded.expiries.iter().map(|expiry| &*expiry.file).collect();
        assert_eq!(files, ["server.pem", "ca.pem"]);
        let [line] = &said[..] else { panic!("{said:#?}") };
        assert!(line.contains("no crl is configured"), "{line}");
    }

    #[test]
    fn a_broken_file_is_told_with_the_place_that_names_it() {
        let (loaded, said) = load_with(machine().with("server.key", own("x").1).with("ca.pem", "nothing"), "");
        assert!(loaded.is_none());
        let starts = |start: &str| said.iter().any(|line| line.starts_with(start));
        assert!(starts("radmit.toml:4:15: server.key: T202 the key is not that of the certificate"), "{said:#?}");
        assert!(starts("radmit.toml:5:13: ca.pem: no certificate in PEM or DER form"), "{said:#?}");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_used() {
        let (loaded, said) = load_with(machine().with("ca.pem", vec![b' '; limits::FILE_OCTETS_MAX + 1]), "");
        assert!(loaded.is_none());
        assert_eq!(said, ["radmit.toml:5:13: ca.pem has more than 8 MiB; is it the right file?"]);
    }

    #[test]
    fn an_issuer_that_is_not_in_client_ca_is_told() {
        let (loaded, said) = load_with(machine(), "device-id-issuers = [\"Root\", \"Rot\"]\n");
        assert!(loaded.is_some());
        let wanted = "radmit.toml:6:30: warning: no certificate of client-ca is called \"Rot\"; there are: Root";
        assert!(said.iter().any(|line| line == wanted), "{said:#?}");
    }
}
