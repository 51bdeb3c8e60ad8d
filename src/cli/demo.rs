//! `radmit demo`: the whole product on loopback with nothing to prepare.
//!
//! Owns the throw-away configuration and what is printed. Everything that runs is what `serve` and `sim` run.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use crate::{
    clock,
    config::files::{Files, SystemFiles},
    daemon::{load::load, log, server::Server},
    problem::Problems,
    sim::{Credentials, EXAMPLE_CLIENT, EXAMPLE_TENANT, Fleet, Settings, Sim},
};

use super::{
    certs::{self, Device, Lab},
    output, signals,
    test_ca::{Form, KeyKind},
};

/// The shared secret of the demo: known to everybody, so the demo listens on loopback only.
const SECRET: &str = "radmit-demo-secret";
/// The name in the server's certificate.
const SERVER_NAME: &str = "radius.example";
/// Where the certificates of EAP-TLS lie in the demo's folder.
const EAP_FOLDER: &str = "eap";
/// A device with a good certificate that the cloud has never heard of.
const UNKNOWN: (&str, &str) = ("LT-0099", "5b1f0c52-7d1e-4a39-9a3b-2f6f0a9d1c99");
/// How long the first sync of five devices may take before the lines are printed all the same.
const FIRST_SYNC_MAX: Duration = Duration::from_secs(10);

/// Arguments of `radmit demo`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where Access-Requests are taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1812")]
    auth_listen: SocketAddr,
    /// Where Accounting-Requests are taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1813")]
    acct_listen: SocketAddr,
    /// Where metrics and health are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9812")]
    metrics_listen: SocketAddr,
    /// Where the simulated Microsoft cloud listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    sim_listen: SocketAddr,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    for (name, address) in [
        ("--auth-listen", arguments.auth_listen),
        ("--acct-listen", arguments.acct_listen),
        ("--metrics-listen", arguments.metrics_listen),
        ("--sim-listen", arguments.sim_listen),
    ] {
        if !address.ip().is_loopback() {
            output::complain(format!(
                "radmit demo: {name} {address} is not a loopback address; the demo's secret is public"
            ));
            return ExitCode::FAILURE;
        }
    }
    let folder = match Folder::new() {
        Ok(folder) => folder,
        Err(message) => return fail(&message),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no runtime: {error}")),
    };
    runtime.block_on(demo(arguments, &folder, runtime.handle()))
}

fn fail(message: &str) -> ExitCode {
    output::complain(format!("radmit demo: {message}"));
    ExitCode::FAILURE
}

async fn demo(arguments: &Arguments, folder: &Folder, handle: &tokio::runtime::Handle) -> ExitCode {
    let hangups = signals::Hangups::take();
    let certificate = match folder.write_credential() {
        Ok(certificate) => certificate,
        Err(message) => return fail(&message),
    };
    let settings = Settings {
        listen: arguments.sim_listen,
        credentials: Credentials::certificate(certificate),
        ..Settings::loopback(Fleet::demo())
    };
    let sim = match Sim::start(settings).await {
        Ok(sim) => sim,
        Err(error) => return fail(&error.to_string()),
    };
    if let Err(message) = folder.write_configuration(arguments, &sim) {
        return fail(&message);
    }
    let files: Arc<dyn Files> = Arc::new(SystemFiles);
    let config = folder.path.join("radmit.toml");
    let mut problems = Problems::new();
    let loaded = load(Some(&config), &files, &mut problems);
    output::problems(&problems, false);
    let Some(loaded) = loaded else { return fail("its own configuration is broken; please report this") };
    log::start(&loaded.configuration.log);
    let server = match Server::start(loaded, Some(config), files, handle) {
        Ok(server) => server,
        Err(error) => {
            output::complain("radmit demo: other addresses can be chosen, see radmit demo --help");
            return signals::report(&error);
        }
    };
    wait_for_first_sync(&server).await;
    print_lines(&server, &sim, arguments, folder);
    signals::run_until_stopped(&server, hangups).await;
    server.stop();
    sim.shutdown().await;
    ExitCode::SUCCESS
}

async fn wait_for_first_sync(server: &Server) {
    let until = clock::now().mono.plus(FIRST_SYNC_MAX);
    while !server.is_synced() && clock::now().mono < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if !server.is_synced() {
        output::complain("radmit demo: the first sync takes long; MAC addresses may be not-ready for a while");
    }
}

/// One device of the demo and what it gets.
const FLEET: [(&str, &str, &str); 5] = [
    ("a4c3f0112233", "LT-0042, compliant", "Accept, VLAN 20 and an ACL"),
    ("a4c3f0112234", "LT-0043, not compliant", "Accept, VLAN 66 and a redirection"),
    ("a4c3f0112235", "LT-0044, in its grace period", "Accept, VLAN 20 for one hour"),
    ("a4c3f0999999", "not registered", "Accept, VLAN 99 and a redirection to enrolment"),
    ("a4c3f0666666", "on the policy's block list", "Reject"),
];

fn print_lines(server: &Server, sim: &Sim, arguments: &Arguments, folder: &Folder) {
    let auth = server.auth_address().unwrap_or(arguments.auth_listen);
    let acct = server.acct_address().unwrap_or(arguments.acct_listen);
    output::line("radmit demo: a simulated Microsoft cloud, the server with the shipped policy, and a small fleet");
    output::line("");
    output::line(format!("  RADIUS   {auth} (authentication), {acct} (accounting), secret {SECRET}"));
    if let Some(metrics) = server.metrics_address() {
        output::line(format!("  metrics  http://{metrics}/metrics"));
    }
    output::line(format!("  cloud    {} (switch faults: curl -k {}/_sim/)", sim.base_url, sim.base_url));
    output::line(format!("  files    {} (gone when the demo ends)", folder.path.display()));
    output::line("");
    output::line("Paste into another terminal; radclient is in Debian's package freeradius-utils:");
    for (mac, who, answer) in FLEET {
        let calling: Vec<String> =
            mac.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_uppercase()).collect();
        output::line("");
        output::line(format!("  # {who}: {answer}"));
        output::line(format!(
            "  echo 'User-Name = \"{mac}\", User-Password = \"{mac}\", Service-Type = Call-Check, NAS-Port-Type = Ethernet, \
             Calling-Station-Id = \"{}\", Message-Authenticator = 0x00' | radclient -x {auth} auth {SECRET}",
            calling.join("-"),
        ));
    }
    print_certificate_lines(auth, folder);
    print_load_lines(auth, folder);
    output::line("");
    output::line("Each decision is printed below as one line of JSON. Ctrl-C ends the demo.");
}

/// What a device with a certificate gets; its MAC is nobody's.
const BY_CERTIFICATE: [(&str, &str, &str); 6] = [
    ("LT-0042", "compliant", "Accept, VLAN 20 and an ACL"),
    ("LT-0043", "not compliant", "Accept, VLAN 66 and a redirection"),
    ("LT-0044", "in its grace period", "Accept, VLAN 20 for one hour"),
    (UNKNOWN.0, "not registered", "Accept, VLAN 99 and a redirection to enrolment"),
    ("LT-0042-revoked", "its certificate is on the revocation list", "Reject, alert certificate_revoked"),
    ("LT-0042-expired", "its certificate expired", "Reject, alert certificate_expired"),
];

fn print_certificate_lines(auth: SocketAddr, folder: &Folder) {
    output::line("");
    output::line("The same devices by certificate (EAP-TLS); eapol_test is in Debian's package eapoltest:");
    let eap = folder.path.join(EAP_FOLDER);
    for (name, who, answer) in BY_CERTIFICATE {
        output::line("");
        output::line(format!("  # {name}, {who}: {answer}"));
        let (address, port) = (auth.ip(), auth.port());
        output::line(format!("  eapol_test -c {}/{name}.conf -a {address} -p {port} -s {SECRET}", eap.display()));
    }
}

fn print_load_lines(auth: SocketAddr, folder: &Folder) {
    let eap = folder.path.join(EAP_FOLDER);
    output::line("");
    output::line(
        "Load, by the three devices of the fleet and by all certificates; the log of decisions can go to /dev/null:",
    );
    output::line("");
    for what in [
        "--first-mac A4-C3-F0-11-22-33 --devices 3 --rate 1000".to_owned(),
        format!("--eap-tls --certs {}", eap.display()),
    ] {
        output::line(format!("  radmit bench --server {auth} --secret {SECRET} {what}"));
    }
}

/// The demo's files: readable by this user only, and gone at the end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Result<Self, String> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| "the system gives no random numbers".to_owned())?;
        let path = std::env::temp_dir().join(format!("radmit-demo-{:016x}", u64::from_be_bytes(random)));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path })
    }

    fn write(&self, name: &str, content: &str) -> Result<(), String> {
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        }
        fs::write(&path, content).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The credential with which the server proves itself to the cloud. Gives the certificate in DER.
    fn write_credential(&self) -> Result<Vec<u8>, String> {
        let failed = |error: rcgen::Error| format!("no credential: {error}");
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).map_err(failed)?;
        let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).map_err(failed)?;
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "radmit demo application");
        let certificate = parameters.self_signed(&key).map_err(failed)?;
        self.write("certs/intune-app.pem", &certificate.pem())?;
        self.write("certs/intune-app.key", &key.serialize_pem())?;
        restrict(&self.path.join("certs/intune-app.key"));
        Ok(certificate.der().to_vec())
    }

    /// An authority, the server's certificate and those of the fleet, with a configuration of `eapol_test` for each.
    fn write_certificates(&self) -> Result<(), String> {
        let mut devices = certs::demo_devices();
        let (name, intune_id) = UNKNOWN;
        devices.push(Device { name: name.to_owned(), intune_id: intune_id.to_owned(), entra_id: None });
        let folder = self.path.join(EAP_FOLDER);
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let lab = Lab {
            folder: &folder,
            server_name: SERVER_NAME,
            devices: &devices,
            forms: &[Form::Ise],
            key: KeyKind::Ecdsa,
            with_intermediate: true,
            days: 30,
        };
        lab.write().map(drop)
    }

    fn write_configuration(&self, arguments: &Arguments, sim: &Sim) -> Result<(), String> {
        self.write("certs/trust/sim-ca.pem", &sim.ca_pem)?;
        self.write("secrets/demo", SECRET)?;
        restrict(&self.path.join("secrets/demo"));
        self.write_certificates()?;
        self.write("policies/default.toml", include_str!("../../policies/default.toml"))?;
        self.write("radmit.toml", &configuration(arguments, sim))
    }
}

#[cfg(unix)]
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    // The folder is closed to others already; this only keeps `check` from warning.
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
}

#[cfg(not(unix))]
fn restrict(_path: &Path) {}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            output::complain(format!("radmit demo: {} is left over: {error}", self.path.display()));
        }
    }
}

fn configuration(arguments: &Arguments, sim: &Sim) -> String {
    let Arguments { auth_listen, acct_listen, metrics_listen, .. } = arguments;
    let (base, token) = (&sim.base_url, sim.token_url());
    format!(
        r#"# The configuration of `radmit demo`, which is gone when the demo ends.
version = 1

[server]
auth-listen = ["{auth_listen}"]
acct-listen = ["{acct_listen}"]

[[client]]
name = "demo"
address = ["127.0.0.0/8", "::1"]
secret = {{ file = "secrets/demo" }}
vendor = "cisco"

[[mdm]]
name = "simulated-intune"
kind = "intune"
tenant-id = "{EXAMPLE_TENANT}"
client-id = "{EXAMPLE_CLIENT}"
token-url = "{token}"
graph-url = "{base}"
credential = {{ certificate = "certs/intune-app.pem", private-key = "certs/intune-app.key" }}
trust-anchors = ["certs/trust"]
only-trust-anchors = true

[eap-tls]
certificate = "{EAP_FOLDER}/server.pem"
private-key = "{EAP_FOLDER}/server.key"
client-ca = "{EAP_FOLDER}/client-ca.pem"
crl = "{EAP_FOLDER}/client-ca.crl"

[metrics]
listen = "{metrics_listen}"
"#
    )
}
