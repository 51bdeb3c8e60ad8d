//! `radmit certs`: a throw-away authority with server and client certificates, for labs and tests.
//!
//! Owns the arguments, the names of the files and what is printed. What the certificates say is `test_ca`'s business.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{clock, device::identifier::Guid, limits, sim::Fleet};

use super::{
    eapol::Supplicant,
    output,
    test_ca::{Form, KeyKind, TestCa, Validity, write, write_private},
};

/// What the certificates of an authority at hand are called that nobody should mistake for a real one.
const AUTHORITY: &str = "radmit test CA, not for production";
/// The authority that the server does not know.
const STRANGER: &str = "a stranger's CA";

/// Arguments of `radmit certs`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where to write; it must be empty or not there
    #[arg(value_name = "DIR", default_value = "test-certs")]
    folder: PathBuf,
    /// The server's DNS name
    #[arg(long, value_name = "NAME", default_value = "radius.example")]
    server_name: String,
    /// A device: NAME=INTUNE-ID or NAME=INTUNE-ID,ENTRA-ID; may be repeated [default: the fleet of `radmit demo`]
    #[arg(long = "device", value_name = "NAME=ID[,ID]", value_parser = parse_device)]
    devices: Vec<Device>,
    /// How a client certificate names its device; may be repeated
    #[arg(long = "form", value_enum, value_name = "FORM", default_values_t = [Form::Ise])]
    forms: Vec<Form>,
    /// Kind of all keys
    #[arg(long, value_enum, default_value_t)]
    key: KeyKind,
    /// Let an authority below the root issue the certificates
    #[arg(long)]
    intermediate: bool,
    /// How long everything is valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

/// A device that gets a certificate.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) intune_id: String,
    pub(super) entra_id: Option<String>,
}

impl Device {
    pub(super) fn id(&self, form: Form) -> Result<&str, String> {
        if !form.is_entra() {
            return Ok(&self.intune_id);
        }
        let missing = || {
            format!("{} has no Entra id for --form {}; write --device NAME=INTUNE-ID,ENTRA-ID", self.name, form.name())
        };
        self.entra_id.as_deref().ok_or_else(missing)
    }
}

/// The devices that the manual, the demo and the simulated cloud speak of.
pub(super) fn demo_devices() -> Vec<Device> {
    let fleet = Fleet::demo();
    (0..fleet.rows())
        .filter_map(|row| fleet.at(row))
        .map(|device| Device {
            name: device.name().to_owned(),
            intune_id: device.intune_id.to_string(),
            entra_id: device.entra_id.map(|id| id.to_string()),
        })
        .collect()
}

fn parse_device(text: &str) -> Result<Device, String> {
    let (name, ids) = text.split_once('=').ok_or("write NAME=INTUNE-ID")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // It becomes the name of a file.
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err("a name has letters, digits, \"-\", \"_\" and \".\" only".to_owned());
    }
    let (intune, entra) = ids.split_once(',').map_or((ids, None), |(intune, entra)| (intune, Some(entra)));
    let guid = |text: &str| {
        Guid::parse(text.as_bytes()).map(|guid| guid.to_string()).ok_or_else(|| format!("\"{text}\" is no GUID"))
    };
    Ok(Device { name: name.to_owned(), intune_id: guid(intune)?, entra_id: entra.map(guid).transpose()? })
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match make(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            output::complain(format!("radmit certs: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn make(arguments: &Arguments) -> Result<(), String> {
    prepare(&arguments.folder)?;
    let Arguments { folder, server_name, devices, forms, key, intermediate, days } = arguments;
    let devices = if devices.is_empty() { demo_devices() } else { devices.clone() };
    let (key, with_intermediate, days) = (*key, *intermediate, *days);
    let lab = Lab { folder, server_name, devices: &devices, forms, key, with_intermediate, days };
    let clients = lab.write()?;
    tell(arguments, &clients);
    Ok(())
}

/// What is written.
pub(super) struct Lab<'a> {
    /// Where.
    pub(super) folder: &'a Path,
    /// The server's DNS name.
    pub(super) server_name: &'a str,
    /// The devices.
    pub(super) devices: &'a [Device],
    /// The forms in which each of them gets a certificate.
    pub(super) forms: &'a [Form],
    /// Kind of all keys.
    pub(super) key: KeyKind,
    /// Whether an authority below the root issues.
    pub(super) with_intermediate: bool,
    /// How long everything is valid.
    pub(super) days: u32,
}

impl Lab<'_> {
    /// Writes everything; gives the names of the clients' files without their endings.
    pub(super) fn write(&self) -> Result<Vec<String>, String> {
        let Self { folder, devices, forms, .. } = *self;
        if devices.len().saturating_mul(forms.len()) > limits::TEST_CERTIFICATES_MAX {
            return Err(format!("more than {} client certificates; ask for fewer", limits::TEST_CERTIFICATES_MAX));
        }
        for device in devices {
            // Asked before anything is written.
            forms.iter().try_for_each(|form| device.id(*form).map(drop))?;
        }
        let validity = Validity::days(clock::now().wall, self.days);
        let ca = TestCa::new(AUTHORITY, self.key, self.with_intermediate, validity).map_err(failed)?;
        write(&folder.join("ca.pem"), &ca.root_pem())?;
        write(&folder.join("client-ca.pem"), &ca.all_pem())?;
        for (name, key) in ca.keys() {
            write_private(&folder.join(name), &key)?;
        }
        ca.server(self.server_name).map_err(failed)?.write(folder, "server")?;
        let mut written = Vec::new();
        for device in devices {
            for form in forms {
                let name = match forms {
                    [_] => device.name.clone(),
                    _ => format!("{}-{}", device.name, form.name()),
                };
                let pair = ca.client(&device.name, *form, device.id(*form)?, validity).map_err(failed)?;
                pair.write(folder, &name)?;
                written.push(name);
            }
        }
        if let (Some(device), Some(form)) = (devices.first(), forms.first()) {
            written.extend(self.write_bad_ones(&ca, device, *form)?);
        }
        for name in &written {
            let supplicant = Supplicant { folder, certificate: name, server_name: self.server_name };
            write(&folder.join(format!("{name}.conf")), &supplicant.configuration())?;
        }
        Ok(written)
    }

    /// Certificates of a device that must be refused, and the list that says so of one of them.
    fn write_bad_ones(&self, ca: &TestCa, device: &Device, form: Form) -> Result<[String; 3], String> {
        let id = device.id(form)?;
        let now = clock::now().wall;
        let validity = Validity::days(now, self.days);
        let revoked = ca.client(&device.name, form, id, validity).map_err(failed)?;
        let expired = ca.client(&device.name, form, id, Validity::over(now)).map_err(failed)?;
        let other = TestCa::new(STRANGER, self.key, false, validity).map_err(failed)?;
        let strange = other.client(&device.name, form, id, validity).map_err(failed)?;
        let lists = ca.lists_pem(std::slice::from_ref(&revoked.serial)).map_err(failed)?;
        write(&self.folder.join("client-ca.crl"), &lists)?;
        let names = ["revoked", "expired", "stranger"].map(|why| format!("{}-{why}", device.name));
        for (pair, name) in [revoked, expired, strange].iter().zip(&names) {
            pair.write(self.folder, name)?;
        }
        Ok(names)
    }
}

fn failed(error: rcgen::Error) -> String {
    format!("can't make a certificate: {error}")
}

/// An empty folder.
fn prepare(folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    if fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(format!("{} is not empty; name another folder, nothing is overwritten", folder.display()));
    }
    Ok(())
}

fn tell(arguments: &Arguments, clients: &[String]) {
    let folder = arguments.folder.display();
    output::line(format!("radmit certs: a test CA in {folder}, valid for {} days", arguments.days));
    output::line("");
    let issuing = if arguments.intermediate { ", issuing.key" } else { "" };
    let rows = [
        ("ca.pem", "the root that devices must trust"),
        ("client-ca.pem", "the authorities that the server trusts"),
        ("client-ca.crl", "their revocation lists"),
        ("server.pem, server.key", "the server's certificate with its chain, and its key"),
    ];
    for (files, what) in rows {
        output::line(format!("  {files:28} {what}"));
    }
    output::line(format!(
        "  {:28} the authorities' own keys: whoever has them can be any device",
        format!("ca.key{issuing}")
    ));
    output::line("");
    output::line("Clients, each with NAME.pem, NAME.key and a configuration of eapol_test, NAME.conf:");
    for name in clients {
        let what = match name.rsplit_once('-').map(|(_, why)| why) {
            Some("revoked") => "  (on the revocation list)",
            Some("expired") => "  (since yesterday)",
            Some("stranger") => "  (of a CA that the server does not know)",
            _ => "",
        };
        output::line(format!("  {name}{what}"));
    }
    let first = clients.first().map_or("NAME", String::as_str);
    output::line("");
    output::line("For radmit.toml:");
    output::line("");
    output::line(configuration(&arguments.folder));
    output::line("");
    output::line("To try it (Debian's package eapoltest), with the secret of a client that has the address 127.0.0.1:");
    output::line("");
    output::line(format!("  eapol_test -c {folder}/{first}.conf -a 127.0.0.1 -s SECRET"));
    output::line("");
    output::line(format!(
        "Windows and Android take a key and its certificate as one file: openssl pkcs12 -export -inkey {folder}/{first}.key \
         -in {folder}/{first}.pem -certfile {folder}/ca.pem -out {first}.p12"
    ));
}

/// The lines of `[eap-tls]` for such a folder.
pub(super) fn configuration(folder: &Path) -> String {
    // Whole paths: the configuration that they are pasted into may lie anywhere.
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let path = |name: &str| toml_text(&folder.join(name).to_string_lossy());
    format!(
        "[eap-tls]\ncertificate = {}\nprivate-key = {}\nclient-ca = [{}]\ncrl = [{}]",
        path("server.pem"),
        path("server.key"),
        path("client-ca.pem"),
        path("client-ca.crl"),
    )
}

/// A TOML text, quoted.
fn toml_text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eap::tls::fault::CertificateFault;

    const ID: &str = "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c01";

    #[test]
    fn a_device_has_a_name_and_one_or_two_ids() {
        let device = parse_device(&format!("LT-1={{{}}},{ID}", ID.to_uppercase())).unwrap();
        assert_eq!((device.name.as_str(), device.intune_id.as_str()), ("LT-1", ID));
        assert_eq!(device.id(Form::EntraCn), Ok(ID));
        let device = parse_device(&format!("LT-1={ID}")).unwrap();
        assert!(device.id(Form::EntraDns).unwrap_err().contains("--form entra-dns"));
        for wrong in ["LT-1", "=x", "LT-1=x", &format!("../x={ID}"), &format!(".x={ID}"), &format!("LT-1={ID},")] {
            assert!(parse_device(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_demo_fleet_has_both_ids() {
        let devices = demo_devices();
        assert_eq!(devices.len(), 3);
        assert_eq!((devices[0].name.as_str(), devices[0].intune_id.as_str()), ("LT-0042", ID));
        assert!(devices.iter().all(|device| device.entra_id.is_some()));
    }

    #[test]
    fn what_is_written_can_be_served_with_and_refuses_what_it_should() {
        use std::sync::Arc;

        use crate::{config::files::SystemFiles, daemon, problem::Problems};

        let folder = std::env::temp_dir().join(format!("radmit-certs-test-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let arguments = Arguments {
            folder: folder.clone(),
            server_name: "radius.example".to_owned(),
            devices: Vec::new(),
            forms: vec![Form::Ise, Form::EntraCn],
            key: KeyKind::Ecdsa,
            intermediate: true,
            days: 2,
        };
        assert_eq!(make(&arguments), Ok(()));
        assert!(make(&arguments).unwrap_err().contains("is not empty"));
        fs::create_dir(folder.join("policies")).unwrap();
        fs::write(folder.join("radmit.toml"), format!("version = 1\n{}\n", configuration(&folder))).unwrap();
        let files: Arc<dyn crate::config::files::Files> = Arc::new(SystemFiles);
        let mut problems = Problems::new();
        let read = crate::config::file::load(&folder.join("radmit.toml"), &files, &mut problems).unwrap();
        let eap_tls = read.eap_tls.unwrap();
        let mut problems = Problems::new();
        let now = clock::now().wall;
        let loaded = daemon::eap_tls::load(&eap_tls, now, &*files, &mut problems).unwrap();
        assert!(problems.is_empty(), "{:?}", problems.sorted());
        let judge = |name: &str| {
            let pem = fs::read(folder.join(format!("{name}.pem"))).unwrap();
            let chain: Result<Vec<_>, _> = rustls_pki_types::pem::PemObject::pem_slice_iter(&pem).collect();
            loaded.context.trust().judge(&chain.unwrap(), now).map(drop)
        };
        assert_eq!(judge("LT-0042-ise"), Ok(()));
        assert_eq!(judge("LT-0043-entra-cn"), Ok(()));
        assert_eq!(judge("LT-0042-revoked"), Err(CertificateFault::Revoked));
        assert_eq!(judge("LT-0042-expired"), Err(CertificateFault::Expired));
        assert_eq!(judge("LT-0042-stranger"), Err(CertificateFault::UnknownIssuer));
        #[cfg(unix)]
        for key in ["server.key", "ca.key", "issuing.key", "LT-0042-ise.key"] {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(folder.join(key)).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_path_of_any_kind_stands_quoted() {
        assert!(configuration(Path::new("a \"b\"")).contains("server.pem"));
        assert!(toml::from_str::<toml::Table>(&configuration(Path::new("a \"b\" \\c"))).is_ok());
    }
}
