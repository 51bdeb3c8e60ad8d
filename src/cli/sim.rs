//! `radmit sim`: only the simulated Microsoft cloud, for labs and for trying a configuration against outages.
//!
//! Owns its arguments and what it prints. What it simulates, and which faults can be switched on, is `sim`'s business.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    clock,
    device::file,
    document::Source,
    problem::Problems,
    sim::{Credentials, EXAMPLE_CLIENT, EXAMPLE_TENANT, Fleet, Settings, Sim, TlsSource},
};

use super::output;

/// Arguments of `radmit sim`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where to listen; loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// A folder with server.pem, server.key and ca.pem [default: a throw-away CA, printed on start]
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,
    /// A device file, or how many devices to make up [default: the fleet of `radmit demo`]
    #[arg(long, value_name = "FILE|NUMBER")]
    devices: Option<String>,
    /// The tenant's id
    #[arg(long, value_name = "ID", default_value = EXAMPLE_TENANT)]
    tenant: String,
    /// The application's id
    #[arg(long, value_name = "ID", default_value = EXAMPLE_CLIENT)]
    client_id: String,
    /// The application's certificate: assertions must be signed with its key
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// A file with the application's client secret
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// Made-up devices and chance follow from it
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Where to write the CA certificate that clients must trust
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match settings(arguments).and_then(|settings| serve(settings, arguments.ca_out.as_deref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            output::complain(format!("radmit sim: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn settings(arguments: &Arguments) -> Result<Settings, String> {
    let mut credentials = Credentials::default();
    if let Some(path) = &arguments.certificate {
        let certificate =
            CertificateDer::from_pem_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
        credentials.certificates.push(certificate.to_vec());
    }
    if let Some(path) = &arguments.client_secret_file {
        credentials.secrets.push(read(path)?.trim_end_matches(['\r', '\n']).to_owned());
    }
    if credentials.certificates.is_empty() && credentials.secrets.is_empty() {
        credentials.secrets.push("sim-secret".to_owned());
        output::line("no credential was given, so the client secret is: sim-secret");
    }
    Ok(Settings {
        listen: arguments.listen,
        tls: arguments.tls.clone().map_or(TlsSource::ThrowAway, TlsSource::Folder),
        fleet: fleet(arguments)?,
        tenant: arguments.tenant.clone(),
        client_id: arguments.client_id.clone(),
        credentials,
        seed: arguments.seed,
    })
}

fn fleet(arguments: &Arguments) -> Result<Fleet, String> {
    let Some(devices) = &arguments.devices else { return Ok(Fleet::demo()) };
    if let Ok(count) = devices.parse::<usize>() {
        if count > crate::limits::DEVICE_FILE_DEVICES_MAX {
            return Err(format!("at most {} devices", crate::limits::DEVICE_FILE_DEVICES_MAX));
        }
        return Ok(Fleet::demo().with_generated(count, arguments.seed));
    }
    let path = Path::new(devices);
    let source = Source::new(devices.as_str(), read(path)?);
    let mut problems = Problems::new();
    let devices = file::read(&source, &mut problems);
    output::problems(&problems, false);
    if problems.has_errors() {
        return Err(format!("{} can't be used", path.display()));
    }
    Ok(Fleet::of(devices))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn serve(settings: Settings, ca_out: Option<&Path>) -> Result<(), String> {
    let started = clock::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let (tenant, devices) = (settings.tenant.clone(), settings.fleet.rows());
        let sim = Sim::start(settings).await.map_err(|error| error.to_string())?;
        if let Some(path) = ca_out {
            std::fs::write(path, &sim.ca_pem).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        output::line(format!(
            "the simulated Microsoft cloud listens on {} after {} ms, with {devices} devices in tenant {tenant}",
            sim.base_url,
            clock::now().mono.since(started.mono).as_millis(),
        ));
        output::line(format!("  token-url = \"{}\"", sim.token_url()));
        output::line(format!("  graph-url = \"{}\"", sim.base_url));
        output::line(format!("  faults    curl -k {}/_sim/", sim.base_url));
        if ca_out.is_none() {
            output::line("clients must trust this CA:");
            output::line(sim.ca_pem.trim_end());
        }
        super::signals::until_stopped().await;
        sim.shutdown().await;
        Ok(())
    })
}
