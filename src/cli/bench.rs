//! `radmit bench`: load for a RADIUS server, radmit or any other, with percentiles of its latencies and causes of losses.
//!
//! Owns its arguments and exit codes. What is sent and measured is the business of `bench`, the table that of
//! `bench_table`.

use std::{
    io::IsTerminal as _,
    net::IpAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    bench::{Answers, Devices, Distribution, Pace, Plan, run as carry_out},
    device::identifier::MacAddress,
    dictionary::{Dictionary, Encryption, Path as AttributePath, list},
    document::{Source, parse_duration},
    limits,
    problem::Problems,
    radius::{kind, secret::Secret},
    supplicant::{Supplicant, Versions},
};

use super::{
    bench_devices::{self, Pairs},
    bench_table, nas, output, signals,
};

/// Exit codes: a run that shows something, one that doesn't, and one that did not begin.
const SOUND: u8 = 0;
const UNSOUND: u8 = 1;
const NOT_BEGUN: u8 = 2;
/// As the shell tells a process that was interrupted.
const INTERRUPTED: i32 = 130;

/// Where the secret is looked for last.
const SECRET_VARIABLE: &str = "RADMIT_SECRET";

/// What is run when nothing else is said.
const WINDOW: usize = 64;
const CONVERSATIONS: usize = 16;
/// The address of device number 0, unless it is given.
const FIRST_MAC: &str = "A4-C3-00-00-00-00";

const EXAMPLES: &str = "\
Examples:
  # the server of `radmit demo`, 64 requests under way at a time, for 10 seconds
  radmit bench --secret radmit-demo-secret --first-mac A4-C3-F0-11-22-33 --devices 3

  # 2,000 requests a second for a minute, whatever the server does; a few devices ask most
  radmit bench --secret-file secret --rate 2000 --duration 60s --devices 100000 --distribution zipf

  # the morning: from none to 5,000 a second within 30 seconds, by switches that repeat themselves
  radmit bench --secret-file secret --rate 5000 --storm --ramp 30s --duration 2m --retries 2

  # the devices that `radmit sim --devices 10000` makes up; JSON for a script
  radmit bench --secret-file secret --server [::1] --sim-devices 10000 --rate 500 --json

  # 32 handshakes at once, by all devices of a folder that `radmit certs lab` wrote
  radmit bench --secret-file secret --eap-tls --certs lab --window 32 --duration 30s

  # after a power cut: from none to 300 new handshakes a second within 30 seconds, whatever the server does
  radmit bench --secret-file secret --eap-tls --certs lab --rate 300 --storm --ramp 30s --duration 1m

Every request has a new Request Authenticator and is signed when it leaves, so no right answer can
come from a server's store of replies; those after a retransmission (--retries) are counted apart.

With --rate latency begins when a request was due, not when it was sent: a server that stands still
delays all that is due meanwhile, and they tell it. It ends when this machine's kernel got the answer, not
when it was read. In a closed loop a slow server slows the load.
With --eap-tls a whole handshake counts as one request, in --window, --rate and --count, in latencies
and in losses; --timeout and --retries are for each of its packets.

Before and after the load a few requests leave with a wrong Message-Authenticator. A server that answers
one does not verify, and its numbers don't count; others drop them, and may note that.

Exit code: 0 if requests were answered and no answer was wrong, whatever was lost; 1 if nothing was
answered, an answer was wrong, the server does not verify, or the report could not be written; 2 if the
run did not begin.";

/// Arguments of `radmit bench`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The server, as address or name, with the port if it is not 1812
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1812")]
    server: String,
    /// Load a server that is not on this machine
    #[arg(long)]
    i_own_this_server: bool,
    /// The shared secret; other users of this machine can see it here [default: the variable RADMIT_SECRET]
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
    /// A file that holds the shared secret
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    secret_file: Option<PathBuf>,

    /// Closed loop: so many requests are always under way [default: 64; 16 with --eap-tls]
    #[arg(long, value_name = "NUMBER", conflicts_with = "rate", help_heading = "Load")]
    window: Option<usize>,
    /// Open loop: so many requests a second, whatever the server does
    #[arg(long, value_name = "NUMBER", help_heading = "Load")]
    rate: Option<f64>,
    /// Grow from nothing to the rate within the ramp, then stay there
    #[arg(long, requires = "rate", help_heading = "Load")]
    storm: bool,
    /// How long a storm grows [default: half of the duration]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "storm", help_heading = "Load")]
    ramp: Option<Duration>,
    /// How long requests are sent
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s", help_heading = "Load")]
    duration: Duration,
    /// How many requests are sent at most
    #[arg(long, value_name = "NUMBER", help_heading = "Load")]
    count: Option<u64>,
    /// How long to load before anything counts
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "storm", help_heading = "Load")]
    warm_up: Option<Duration>,
    /// How long an answer is waited for, each time
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "3s", help_heading = "Load")]
    timeout: Duration,
    /// How often a request without an answer is sent again, with the same octets
    #[arg(long, value_name = "NUMBER", default_value_t = 0, help_heading = "Load")]
    retries: u32,
    /// Source ports, each with 256 Identifiers [default: as many as the load needs, at least 8]
    #[arg(long, value_name = "NUMBER", help_heading = "Load")]
    sockets: Option<usize>,
    /// A local address to send from; several: the source ports are spread over them
    #[arg(long, value_name = "ADDRESS", help_heading = "Load")]
    source: Vec<IpAddr>,
    /// Threads that send and receive
    #[arg(long, value_name = "NUMBER", default_value_t = 1, help_heading = "Load")]
    threads: usize,
    /// Never sleep: each thread takes a core, and requests leave nearer to their moment
    #[arg(long, help_heading = "Load")]
    spin: bool,

    /// So many devices, with MAC addresses counted up from the first [default: 1; with --eap-tls one for each
    /// handshake at once]
    #[arg(long, value_name = "NUMBER", help_heading = "Requests")]
    devices: Option<u64>,
    /// The MAC address of the first device
    #[arg(long, value_name = "MAC", default_value = FIRST_MAC, value_parser = mac, help_heading = "Requests")]
    first_mac: MacAddress,
    /// The devices in a file, one MAC address to a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["devices", "first_mac"], help_heading = "Requests")]
    macs: Option<PathBuf>,
    /// The Wi-Fi addresses of the devices that `radmit sim --devices NUMBER --seed SEED` makes up
    #[arg(long, value_name = "NUMBER[:SEED]", value_parser = sim_devices, conflicts_with_all = ["devices", "first_mac", "macs"], help_heading = "Requests")]
    sim_devices: Option<(usize, u64)>,
    /// How often each device asks: uniform, or zipf with an exponent (1 if it is not given)
    #[arg(long, value_name = "uniform|zipf[:EXPONENT]", default_value = "uniform", value_parser = distribution, help_heading = "Requests")]
    distribution: Distribution,
    /// Devices shake hands by EAP-TLS instead of a MAC bypass; window and rate are those of whole handshakes
    #[arg(long, help_heading = "EAP-TLS")]
    eap_tls: bool,
    /// A folder of `radmit certs`: all devices in it take turns
    #[arg(long, value_name = "DIR", requires = "eap_tls", help_heading = "EAP-TLS")]
    certs: Option<PathBuf>,
    /// The certificate of the only device, followed by those above it
    #[arg(long, value_name = "FILE", requires = "eap_tls", conflicts_with = "certs", help_heading = "EAP-TLS")]
    certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "eap_tls", conflicts_with = "certs", help_heading = "EAP-TLS")]
    key: Option<PathBuf>,
    /// Whose servers it trusts
    #[arg(long, value_name = "FILE", requires = "eap_tls", conflicts_with = "certs", help_heading = "EAP-TLS")]
    ca: Option<PathBuf>,
    /// The name that the server's certificate must have [default: any]
    #[arg(long, value_name = "NAME", requires = "eap_tls", help_heading = "EAP-TLS")]
    server_name: Option<String>,
    /// The version of TLS: 1.2 or 1.3 [default: the highest that the server has]
    #[arg(long, value_name = "VERSION", value_parser = tls, requires = "eap_tls", help_heading = "EAP-TLS")]
    tls: Option<Versions>,

    /// One more attribute in the syntax of radclient; one that requests usually have is replaced
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Requests")]
    attribute: Vec<String>,
    /// Take answers without Message-Authenticator
    #[arg(long, help_heading = "Requests")]
    allow_unsigned: bool,

    /// One JSON object instead of a table; times in microseconds
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// A row for each second under the table (the JSON always has them)
    #[arg(long, help_heading = "Output")]
    timeline: bool,
    /// A line a second on standard error while it runs [default: if that is a terminal]
    #[arg(long, help_heading = "Output")]
    progress: bool,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match bench(arguments) {
        Ok(true) => ExitCode::from(SOUND),
        Ok(false) => ExitCode::from(UNSOUND),
        Err(message) => {
            output::complain(format!("radmit bench: {message}"));
            ExitCode::from(NOT_BEGUN)
        }
    }
}

fn bench(arguments: &Arguments) -> Result<bool, String> {
    // Read here: to clap the variable and --secret-file would contradict each other.
    let plan = plan(arguments, std::env::var(SECRET_VARIABLE).ok())?;
    plan.check().map_err(|refused| refused.to_string())?;
    end_with_signals(Arc::clone(&plan.stop));
    let is_shown = arguments.progress || std::io::stderr().is_terminal();
    let report = carry_out(&plan, &mut |row| {
        if is_shown {
            output::complain(bench_table::row(row));
        }
    })
    .map_err(|refused| refused.to_string())?;
    let text = if arguments.json { report.json().to_string() } else { bench_table::table(&report, arguments.timeline) };
    if let Err(error) = output::report(text) {
        output::complain(format!("radmit bench: what came of it can't be written: {error}"));
        return Ok(false);
    }
    Ok(report.is_sound())
}

fn plan(arguments: &Arguments, secret_of_environment: Option<String>) -> Result<Plan, String> {
    let usual_window = if arguments.eap_tls { CONVERSATIONS } else { WINDOW };
    let pace = match (arguments.rate, arguments.storm) {
        (None, _) => Pace::Window(arguments.window.unwrap_or(usual_window)),
        (Some(rate), false) => Pace::Steady(rate),
        (Some(rate), true) => Pace::Storm { rate, ramp: arguments.ramp.unwrap_or(arguments.duration / 2) },
    };
    let mut usual_sockets = Plan::sockets_for(pace, arguments.timeout, arguments.retries).max(arguments.threads);
    if arguments.eap_tls && pace.rate().is_some() {
        // A handshake takes several requests one after the other. With fewer their Identifiers would come again so soon
        // that late answers could not be told from wrong ones.
        usual_sockets = usual_sockets.max((usual_sockets * 4).min(256));
    }
    let sockets = arguments.sockets.unwrap_or(usual_sockets);
    let usual_devices = match pace {
        _ if !arguments.eap_tls => 1,
        Pace::Window(handshakes) => handshakes as u64,
        // One for each Identifier: what runs short is then what --sockets adds to.
        Pace::Steady(_) | Pace::Storm { .. } => sockets as u64 * 256,
    };
    Ok(Plan {
        is_own_server: arguments.i_own_this_server,
        pace,
        warm_up: arguments.warm_up.unwrap_or_default(),
        duration: arguments.duration,
        count: arguments.count,
        timeout: arguments.timeout,
        retries: arguments.retries,
        sockets,
        sources: arguments.source.clone(),
        threads: arguments.threads,
        devices: devices(arguments, usual_devices)?,
        distribution: arguments.distribution,
        attributes: attributes(&arguments.attribute)?,
        answers: if arguments.allow_unsigned { Answers::MaybeUnsigned } else { Answers::Signed },
        eap_tls: eap_tls(arguments)?,
        is_spinning: arguments.spin,
        // In a conversation the next request leaves when an answer was read.
        is_stamped: pace.rate().is_some() && !arguments.eap_tls,
        ..Plan::new(nas::resolve(&arguments.server)?, Arc::new(secret(arguments, secret_of_environment)?))
    })
}

fn secret(arguments: &Arguments, of_environment: Option<String>) -> Result<Secret, String> {
    if let Some(file) = &arguments.secret_file {
        return nas::read_secret(file);
    }
    let given = arguments.secret.clone().or(of_environment);
    let missing = || {
        format!("the shared secret is missing; give it with --secret-file FILE, or in the variable {SECRET_VARIABLE}")
    };
    Secret::new(given.ok_or_else(missing)?.into_bytes()).map_err(|_| "the secret is empty".to_owned())
}

/// `usual`: how many, if nothing is said.
fn devices(arguments: &Arguments, usual: u64) -> Result<Devices, String> {
    if let Some(file) = &arguments.macs {
        return Ok(Devices::Listed(bench_devices::read_macs(file)?.into()));
    }
    if let Some((count, seed)) = arguments.sim_devices {
        return Ok(Devices::Listed(bench_devices::simulated_macs(count, seed)));
    }
    Ok(Devices::Counted { first: arguments.first_mac, count: arguments.devices.unwrap_or(usual) })
}

fn eap_tls(arguments: &Arguments) -> Result<Option<Arc<[Supplicant]>>, String> {
    if !arguments.eap_tls {
        return Ok(None);
    }
    let pairs = match (&arguments.certs, &arguments.certificate, &arguments.key, &arguments.ca) {
        (Some(folder), ..) => bench_devices::pairs_in(folder)?,
        (None, Some(certificate), Some(key), Some(ca)) => Pairs::single(certificate, key, ca),
        _ => {
            return Err(
                "--eap-tls needs --certs DIR, as radmit certs writes it, or --certificate, --key and --ca".to_owned()
            );
        }
    };
    bench_devices::supplicants(&pairs, arguments.server_name.as_deref(), arguments.tls.unwrap_or_default()).map(Some)
}

fn attributes(texts: &[String]) -> Result<Vec<u8>, String> {
    let mut problems = Problems::new();
    let mut octets = Vec::new();
    for text in texts {
        let source = Source::new("--attribute", text.as_str());
        for pair in list::parse(&source, Dictionary::builtin(), &mut problems) {
            // Hidden with the authenticator of its request, or computed from all of it, it differs in every one.
            let is_signature = pair.attribute.path() == AttributePath::standard(kind::MESSAGE_AUTHENTICATOR);
            if is_signature || pair.attribute.flags().encryption != Encryption::None {
                return Err(format!("{text}: it is made for each request, or can't be sent; leave it out"));
            }
            pair.write(&mut octets).map_err(|full| format!("{text}: {}", full.sentence()))?;
        }
    }
    if problems.has_errors() {
        output::problems(&problems, false);
        return Err("the attributes can't be used".to_owned());
    }
    Ok(octets)
}

/// The first INT or TERM ends the load, and what came of it is told; the second ends the process.
fn end_with_signals(stop: Arc<AtomicBool>) {
    let wait = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        // Without it the signals do what they do to every process.
        let Ok(runtime) = runtime else { return };
        runtime.block_on(signals::until_stopped());
        stop.store(true, Relaxed);
        runtime.block_on(signals::until_stopped());
        std::process::exit(INTERRUPTED);
    };
    // Without the thread too.
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 10s, 500ms or 2m".to_owned())
}

fn mac(text: &str) -> Result<MacAddress, String> {
    MacAddress::parse(text.trim().as_bytes()).ok_or_else(|| "write it as A4-C3-F0-11-22-33".to_owned())
}

fn sim_devices(text: &str) -> Result<(usize, u64), String> {
    let (count, seed) = text.split_once(':').unwrap_or((text, "1"));
    let count = count.parse().ok().filter(|count| (1..=limits::DEVICE_FILE_DEVICES_MAX).contains(count));
    let advice = || format!("write a number up to {}, or 1000:7 for the seed 7", limits::DEVICE_FILE_DEVICES_MAX);
    count.zip(seed.parse().ok()).ok_or_else(advice)
}

fn tls(text: &str) -> Result<Versions, String> {
    match text {
        "1.2" => Ok(Versions::Tls12),
        "1.3" => Ok(Versions::Tls13),
        _ => Err("write 1.2 or 1.3".to_owned()),
    }
}

fn distribution(text: &str) -> Result<Distribution, String> {
    let exponent = match text.split_once(':') {
        None if text == "uniform" => return Ok(Distribution::Uniform),
        None if text == "zipf" => return Ok(Distribution::Zipf(1.0)),
        Some(("zipf", exponent)) => exponent.parse().ok(),
        _ => None,
    };
    exponent.map(Distribution::Zipf).ok_or_else(|| "write uniform, zipf, or zipf:1.2".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::sim::Fleet;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn read(line: &str) -> Result<Plan, String> {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        let parsed = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        plan(&parsed.arguments, None)
    }

    #[test]
    fn the_usual_run_is_a_closed_loop_on_loopback() {
        let plan = read("--secret x").unwrap();
        assert_eq!((plan.server.to_string().as_str(), plan.pace), ("127.0.0.1:1812", Pace::Window(64)));
        assert_eq!((plan.sockets, plan.threads, plan.retries, plan.count), (8, 1, 0, None));
        assert!(plan.check().is_ok());
    }

    #[test]
    fn rates_storms_and_devices_are_read() {
        let plan = read(
            "--secret x --server [::1] --rate 5000 --storm --ramp 30s --duration 2m --timeout 2s --retries 1 \
             --first-mac a4c3f0112233 --devices 9 --distribution zipf:1.2",
        )
        .unwrap();
        assert_eq!(plan.pace, Pace::Storm { rate: 5_000.0, ramp: Duration::from_secs(30) });
        assert_eq!((plan.sockets, plan.distribution), (79, Distribution::Zipf(1.2)));
        assert_eq!(plan.devices.mac(1).to_string(), "A4-C3-F0-11-22-34");
        let storm = read("--secret x --rate 100 --storm --duration 30s").unwrap();
        assert_eq!(storm.pace, Pace::Storm { rate: 100.0, ramp: Duration::from_secs(15) });
        let simulated = read("--secret x --sim-devices 50:7").unwrap().devices;
        assert_eq!(simulated.count(), 50);
        assert_eq!(Some(simulated.mac(49)), Fleet::generated(50, 7).at(49).and_then(|device| device.wifi_mac));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (line, said) in [
            ("", "the shared secret is missing"),
            ("--secret x --window 5 --rate 5", "cannot be used with"),
            ("--secret x --ramp 5s", "--storm"),
            ("--secret x --storm", "--rate"),
            ("--secret x --rate 5 --storm --warm-up 5s", "cannot be used with"),
            ("--secret x --distribution pareto", "write uniform, zipf"),
            ("--secret x --sim-devices 0", "write a number up to"),
            ("--secret x --attribute Nas-Prt=1", "the attributes can't be used"),
            ("--secret x --attribute User-Password=bob", "made for each request"),
            ("--secret x --attribute Tunnel-Password=bob", "made for each request"),
            ("--secret x --attribute Message-Authenticator=0x00", "made for each request"),
            ("--secret x --macs nowhere", "nowhere: "),
            ("--secret x --certs lab", "--eap-tls"),
            ("--secret x --eap-tls", "needs --certs DIR"),
            ("--secret x --eap-tls --certs nowhere", "nowhere: "),
            ("--secret x --eap-tls --rate 5", "needs --certs DIR"),
            ("--secret x --eap-tls --window 5 --rate 5", "cannot be used with"),
        ] {
            let refused = read(line).unwrap_err();
            assert!(refused.contains(said), "{line}: {refused}");
        }
    }

    #[test]
    fn another_machine_is_refused_with_the_way_out() {
        let refused = |line| read(line).unwrap().check().map_err(|refused| refused.to_string());
        let said = refused("--secret x --server 192.0.2.1").unwrap_err();
        assert_eq!(
            said,
            "192.0.2.1:1812 is not a loopback address, and this load can keep a network's devices out; \
             if that server is yours to load, say so with --i-own-this-server"
        );
        assert_eq!(refused("--secret x --server 192.0.2.1 --i-own-this-server"), Ok(()));
    }

    #[test]
    fn attributes_are_encoded_by_the_dictionary() {
        let texts = ["NAS-Port-Type = Wireless-802.11", "Cisco-AVPair=\"method=dot1x\""].map(str::to_owned);
        let octets = attributes(&texts).unwrap();
        assert_eq!(octets.get(..6), Some(&[61, 6, 0, 0, 0, 19][..]));
        assert_eq!(octets.len(), 6 + 8 + 12);
    }
}
