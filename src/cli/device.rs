//! A device as somebody types it: a MAC address, a device id in any form, or a certificate file.
//!
//! Owns the reading of that argument and of the servers that a command asks. Asking is `mdm`'s business.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    config::{
        configuration::{Configuration, MdmServer},
        file,
        files::{Files, SystemFiles},
    },
    device::{
        certificate::{CertificateIds, Names, not_found_message},
        identifier::{Guid, MacAddress, device_id_in},
        question::Key,
        record::DeviceRecord,
    },
    eap::tls::evidence::Evidence,
    policy::facts::DeviceIdSource,
    problem::Problems,
};

use super::output;

/// What is asked about.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// A MAC address or a device id.
    Key(Key),
    /// The device ids of a certificate. Nobody verified it: whose certificate it is, is for the asking person to know.
    Certificate(CertificateIds),
}

impl Asked {
    /// Reads the argument.
    ///
    /// # Errors
    /// A sentence: what it is not.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if let Some(mac) = MacAddress::parse(text.trim().as_bytes()) {
            if mac.is_unusable() {
                return Err(format!("no device can own the address {mac}"));
            }
            return Ok(Self::Key(Key::Mac(mac)));
        }
        if let Some(id) = device_id_in(text.as_bytes()) {
            return Ok(Self::Key(Key::Device(id)));
        }
        let path = Path::new(text);
        if !path.exists() {
            return Err(format!("\"{text}\" is no MAC address, no device id and no certificate file"));
        }
        let leaf = CertificateDer::from_pem_file(path)
            .map_err(|error| format!("{text} holds no certificate in PEM ({error})"))?;
        let evidence = Evidence::read(&[leaf]).map_err(|fault| format!("{text} can't be read: {fault:?}"))?;
        let names = Names {
            uri: &evidence.san_uri,
            dns: &evidence.san_dns,
            upn: &evidence.san_upn,
            email: &evidence.san_email,
            common_name: evidence.subject_cn.as_deref(),
        };
        let ids = CertificateIds::read(&names);
        if let Some(finding) = ids.finding() {
            output::complain(format!("{text}: {finding}"));
        }
        if ids.iter().next().is_none() {
            return Err(format!("{text}: {}", not_found_message(None, evidence.subject_cn.as_deref())));
        }
        Ok(Self::Certificate(ids))
    }

    /// What a server is asked, by the order of its `identifiers`. `None` if none of those stands in the certificate.
    pub(super) fn key_for(&self, server: &MdmServer) -> Option<Key> {
        match self {
            Self::Key(key) => Some(*key),
            Self::Certificate(ids) => server.identifiers.iter().find_map(|kind| {
                let id = match kind {
                    DeviceIdSource::CertificateSan => ids.in_alternative_name(),
                    DeviceIdSource::CertificateCn => ids.in_common_name(),
                    DeviceIdSource::Attribute | DeviceIdSource::Mac => None,
                };
                id.map(|id| Key::Device(id.guid))
            }),
        }
    }

    /// Whether every id that was given is one of the two of the device that was found.
    pub(super) fn names_only(&self, record: &DeviceRecord) -> bool {
        let is_its = |id: Guid| record.intune_id.0 == id || record.entra_id.is_some_and(|entra| entra.0 == id);
        match self {
            Self::Key(_) => true,
            Self::Certificate(ids) => !ids.has_more() && ids.iter().all(|id| is_its(id.guid)),
        }
    }
}

/// The configuration without policies and dictionaries: what is wrong there keeps nobody from asking Microsoft.
///
/// # Errors
/// A sentence; the problems themselves are printed.
pub(super) fn configuration(named: Option<&Path>) -> Result<Configuration, String> {
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let path: PathBuf = file::find(named, &*files).map_err(|problem| problem.to_string())?;
    let mut problems = Problems::new();
    let configuration = file::load(&path, &files, &mut problems);
    if configuration.is_none() {
        output::problems(&problems, false);
    }
    configuration.ok_or_else(|| "the configuration can't be loaded".to_owned())
}

/// The servers of a configuration, or the one with this name.
///
/// # Errors
/// A sentence: there is none.
pub(super) fn servers<'c>(configuration: &'c Configuration, named: Option<&str>) -> Result<Vec<&'c MdmServer>, String> {
    let Some(named) = named else {
        if configuration.mdm.is_empty() {
            return Err("the configuration has no [[mdm]]; add one".to_owned());
        }
        return Ok(configuration.mdm.iter().collect());
    };
    let found = configuration.mdm.iter().find(|server| *server.settings.name == *named);
    found.map(|server| vec![server]).ok_or_else(|| {
        let names: Vec<&str> = configuration.mdm.iter().map(|server| &*server.settings.name).collect();
        format!("there is no [[mdm]] called \"{named}\"; there are: {}", names.join(", "))
    })
}

/// Runs what waits for the network.
///
/// # Errors
/// A sentence: the system gives no threads.
pub(super) fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Ok(runtime.map_err(|error| format!("no runtime: {error}"))?.block_on(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_identifier_is_taken() {
        for text in ["a4c3f0112233", "A4-C3-F0-11-22-33", "a4c3.f011.2233"] {
            assert!(matches!(Asked::read(text), Ok(Asked::Key(Key::Mac(_)))), "{text}");
        }
        for text in ["5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01", "IntuneDeviceId://5B1F0C52-7D1E-4A39-9A3B-2F6F0A9D1C01"] {
            assert!(matches!(Asked::read(text), Ok(Asked::Key(Key::Device(_)))), "{text}");
        }
    }

    #[test]
    fn what_names_no_device_says_so() {
        assert_eq!(Asked::read("ff-ff-ff-ff-ff-ff").unwrap_err(), "no device can own the address FF-FF-FF-FF-FF-FF");
        let said = Asked::read("no-such-file.pem").unwrap_err();
        assert_eq!(said, "\"no-such-file.pem\" is no MAC address, no device id and no certificate file");
    }
}
