//! `radmit doctor`: "test connection" for every MDM server, one line for each thing that was looked at.
//!
//! Owns its arguments, the colours and the exit code. What is looked at, and what to do about it, `mdm::doctor` says.

use std::{io::IsTerminal as _, path::Path, process::ExitCode};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    clock,
    config::configuration::{Configuration, MdmServer},
    eap::tls::evidence::Evidence,
    mdm::{
        doctor::{Check, State, examine},
        settings::Kind,
    },
};

use super::{
    arguments::ConfigArgument,
    device::{Asked, configuration, servers, wait_for},
    output,
};

/// How many days before its end a certificate is warned about.
const EXPIRY_WARNED_DAYS: i64 = 30;

/// Arguments of `radmit doctor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Only this server [default: every one, disabled ones too]
    #[arg(long, value_name = "NAME")]
    mdm: Option<String>,
    /// A device to ask about, as a sample
    #[arg(long, value_name = "MAC|GUID|CERT.PEM")]
    device: Option<String>,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match examined(arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(message) => {
            output::complain(format!("radmit doctor: {message}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints everything and returns how much does not work.
fn examined(arguments: &Arguments) -> Result<usize, String> {
    let configuration = configuration(arguments.config.config.as_deref())?;
    let servers = servers(&configuration, arguments.mdm.as_deref())?;
    let asked = arguments.device.as_deref().map(Asked::read).transpose()?;
    let paint = Paint::new();
    let mut all = Vec::new();
    for server in servers {
        let kind = match server.settings.kind {
            Kind::Intune(_) => "intune",
            Kind::Inventory(_) => "inventory",
        };
        let disabled = if server.settings.enabled { "" } else { ", disabled" };
        output::line(format!("{} ({kind}{disabled})", server.settings.name));
        let sample = asked.as_ref().and_then(|asked| asked.key_for(server));
        let mut checks = wait_for(examine(&server.settings, sample))?;
        if sample.is_none() {
            checks.push(no_sample(asked.is_some(), server));
        }
        checks.iter().for_each(|check| output::line(paint.line(check)));
        all.append(&mut checks);
    }
    if let Some(check) = eap_certificate(&configuration) {
        output::line("eap-tls");
        output::line(paint.line(&check));
        all.push(check);
    }
    let count = |state| all.iter().filter(|check| check.state == state).count();
    let (failed, warnings) = (count(State::Bad), count(State::Warning));
    output::line(format!("{failed} failed, {warnings} warnings"));
    Ok(failed)
}

fn no_sample(is_asked: bool, server: &MdmServer) -> Check {
    let finding = if is_asked {
        let name = &server.settings.name;
        format!(
            "the certificate holds no id of a kind in the identifiers of \"{name}\"; add certificate-san or certificate-cn"
        )
    } else {
        "none; name a device that you know with --device".to_owned()
    };
    Check { subject: "sample lookup".to_owned(), state: State::Skipped, finding }
}

/// When the certificate that devices see ends.
fn eap_certificate(configuration: &Configuration) -> Option<Check> {
    let path = &configuration.eap_tls.as_ref()?.certificate.path;
    let (state, finding) = match days_left(path) {
        Err(why) => (State::Bad, why),
        Ok(days) if days < 0 => (State::Bad, "it has expired; no device trusts it any more, renew it".to_owned()),
        Ok(days) if days < EXPIRY_WARNED_DAYS => (State::Warning, format!("it ends in {days} days; renew it")),
        Ok(days) => (State::Good, format!("{days} days left")),
    };
    Some(Check { subject: format!("certificate {}", path.display()), state, finding })
}

fn days_left(path: &Path) -> Result<i64, String> {
    let certificate =
        CertificateDer::from_pem_file(path).map_err(|error| format!("no certificate in PEM ({error})"))?;
    let evidence = Evidence::read(&[certificate]).map_err(|fault| format!("it can't be read: {fault:?}"))?;
    Ok(evidence.days_left(clock::now().wall))
}

/// Colours, where somebody sees them.
struct Paint {
    is_colourful: bool,
}

impl Paint {
    fn new() -> Self {
        let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { is_colourful: is_wanted && std::io::stdout().is_terminal() }
    }

    fn line(&self, check: &Check) -> String {
        let plain = format!("  {check}");
        if !self.is_colourful {
            return plain;
        }
        let colour = match check.state {
            State::Good => 32,
            State::Warning => 33,
            State::Bad => 31,
            State::Skipped => 90,
        };
        let name = check.state.name();
        plain.replacen(name, &format!("\u{1b}[{colour}m{name}\u{1b}[0m"), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_state_is_coloured_and_only_where_somebody_sees_it() {
        let check = Check { subject: "clock".into(), state: State::Bad, finding: "FAILED twice".into() };
        let plain = Paint { is_colourful: false }.line(&check);
        assert_eq!(plain, "  FAILED   clock: FAILED twice");
        let red = Paint { is_colourful: true }.line(&check);
        assert_eq!(red, "  \u{1b}[31mFAILED\u{1b}[0m   clock: FAILED twice");
    }
}
