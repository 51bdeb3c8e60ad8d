//! Who asks in `radmit bench`: MAC addresses from files and from the simulator, devices with certificates.
//!
//! Owns how they are read. How often each asks is the business of `bench`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};

use crate::{
    device::identifier::MacAddress,
    limits,
    sim::Fleet,
    supplicant::{Credentials, Supplicant, Versions},
};

/// What devices call themselves before TLS: the certificate says who they are.
const IDENTITY: &[u8] = b"anonymous";
/// Of `radmit certs`: certificates that are no device's, and endings of those that must be refused.
const NO_DEVICES: [&str; 3] = ["ca", "client-ca", "server"];
const REFUSED: [&str; 3] = ["-revoked", "-expired", "-stranger"];

/// One address to a line; empty lines and those that begin with # are passed over.
pub(super) fn read_macs(file: &Path) -> Result<Vec<MacAddress>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut macs = Vec::new();
    for (number, line) in text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty()) {
        if line.starts_with('#') {
            continue;
        }
        let place = format!("{}:{}", file.display(), number + 1);
        if macs.len() >= limits::DEVICES_MAX {
            return Err(format!("{place}: more than {} addresses; take them away", limits::DEVICES_MAX));
        }
        let mac = MacAddress::parse(line.as_bytes());
        macs.push(mac.ok_or_else(|| format!("{place}: \"{line}\" is no MAC address; write A4-C3-F0-11-22-33"))?);
    }
    if macs.is_empty() {
        return Err(format!("{}: it holds no address; write one to a line", file.display()));
    }
    Ok(macs)
}

/// The Wi-Fi addresses that `radmit sim` makes up.
pub(super) fn simulated_macs(count: usize, seed: u64) -> Arc<[MacAddress]> {
    let fleet = Fleet::generated(count, seed);
    (0..fleet.rows()).filter_map(|row| fleet.at(row)?.wifi_mac).collect()
}

/// Files of devices: certificate and key each; and whose servers they trust.
pub(super) struct Pairs {
    files: Vec<(PathBuf, PathBuf)>,
    ca: PathBuf,
}

impl Pairs {
    /// One device.
    pub(super) fn single(certificate: &Path, key: &Path, ca: &Path) -> Self {
        Self { files: vec![(certificate.to_owned(), key.to_owned())], ca: ca.to_owned() }
    }
}

/// The devices in a folder of `radmit certs` that a server should let in.
pub(super) fn pairs_in(folder: &Path) -> Result<Pairs, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let certificate = entry.map_err(failed)?.path();
        let Some(name) = certificate.file_name().and_then(|name| name.to_str()?.strip_suffix(".pem")) else { continue };
        let is_device = !NO_DEVICES.contains(&name) && !REFUSED.iter().any(|ending| name.ends_with(ending));
        let key = certificate.with_extension("key");
        if is_device && key.exists() {
            files.push((certificate, key));
        }
    }
    // The order of a folder is nobody's.
    files.sort();
    files.truncate(limits::TEST_CERTIFICATES_MAX);
    if files.is_empty() {
        return Err(format!("{}: no device's NAME.pem with NAME.key; radmit certs writes them", folder.display()));
    }
    Ok(Pairs { files, ca: folder.join("ca.pem") })
}

/// The devices of these files.
pub(super) fn supplicants(
    pairs: &Pairs,
    server_name: Option<&str>,
    versions: Versions,
) -> Result<Arc<[Supplicant]>, String> {
    let roots = certificates(&pairs.ca)?;
    let server_name = server_name
        .map(|name| ServerName::try_from(name.to_owned()).map_err(|_| format!("\"{name}\" is no name of a server")))
        .transpose()?;
    let supplicant = |(certificate, key): &(PathBuf, PathBuf)| {
        let credentials = Credentials {
            identity: IDENTITY.to_vec(),
            chain: certificates(certificate)?,
            key: PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?,
            roots: roots.clone(),
            server_name: server_name.clone(),
            versions,
        };
        Supplicant::new(credentials).map_err(|error| format!("{}: {error}", certificate.display()))
    };
    pairs.files.iter().map(supplicant).collect()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error: rustls_pki_types::pem::Error| format!("{}: {error}", file.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(failed)?.collect();
    match found.map_err(failed)? {
        none if none.is_empty() => Err(format!("{}: it holds no certificate", file.display())),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_addresses_is_read_with_its_mistakes() {
        let file = std::env::temp_dir().join(format!("radmit-macs-{}", std::process::id()));
        fs::write(&file, "# two\nA4-C3-F0-11-22-33\n\n a4:c3:f0:11:22:34 \n").unwrap();
        let good = read_macs(&file);
        fs::write(&file, "A4-C3-F0-11-22-33\nnone\n").unwrap();
        let bad = read_macs(&file);
        fs::remove_file(&file).unwrap();
        assert_eq!(good.map(|macs| macs.len()), Ok(2));
        assert!(bad.is_err_and(|message| message.contains(":2: \"none\" is no MAC address")));
    }
}
