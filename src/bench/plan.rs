//! What to load, how, and for how long: [`Plan`], and why one is refused.
//!
//! Owns the choices and their bounds. It opens nothing.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use crate::{
    device::identifier::MacAddress,
    limits,
    radius::{error::Full, packet::Packet, secret::Secret},
    supplicant::Supplicant,
};

use super::{
    devices::{Devices, Distribution},
    in_flight::IDENTIFIERS,
    schedule::Pace,
};

/// One run. [`Plan::new`] fills in what is usual.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who is loaded.
    pub server: SocketAddr,
    /// Whether it may be another machine than this one.
    pub is_own_server: bool,
    /// The secret shared with it.
    pub secret: Arc<Secret>,
    /// How requests follow each other.
    pub pace: Pace,
    /// What comes before the measured part, at the same pace; nothing of it counts. None before a storm.
    pub warm_up: Duration,
    /// How long requests are sent, the warm-up not included. Their answers are waited for after it.
    pub duration: Duration,
    /// How many requests are sent at most, the warm-up not included.
    pub count: Option<u64>,
    /// How long an answer is waited for, after each transmission.
    pub timeout: Duration,
    /// How often a request without an answer is sent again, with the same octets (RFC 5080 section 2.2.1).
    pub retries: u32,
    /// Source ports of all threads together; each has 256 Identifiers.
    pub sockets: usize,
    /// Local addresses that the source ports are spread over; none: the one that the system chooses for the server.
    pub sources: Vec<IpAddr>,
    /// Threads that send and receive.
    pub threads: usize,
    /// Who asks.
    pub devices: Devices,
    /// How often each asks.
    pub distribution: Distribution,
    /// More attributes of every request, whole and with their headers. One of a kind that a request usually has replaces
    /// it.
    pub attributes: Vec<u8>,
    /// What a right answer is.
    pub answers: Answers,
    /// Certificates of devices that shake hands by EAP-TLS instead of a MAC bypass. The pace is that of whole conversations;
    /// each at once needs a device of its own. Device number `n` has the `n`th certificate, and begins again after the last.
    pub eap_tls: Option<Arc<[Supplicant]>>,
    /// Whether threads never wait for the system to wake them: each takes a whole core, and requests leave nearer to
    /// their moment.
    pub is_spinning: bool,
    /// Whether an answer came when the kernel got it, and not when this program came to read it: what a generator waits for
    /// its core is no time of the server's. Where the system can't tell, it is as without.
    pub is_stamped: bool,
    /// Set from elsewhere, it ends the run early.
    pub stop: Arc<AtomicBool>,
}

/// What a right answer is.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    /// Authentic, and with a Message-Authenticator.
    Signed,
    /// Authentic; without a Message-Authenticator too.
    MaybeUnsigned,
    /// Authentic, with a Message-Authenticator, and this holds for it.
    Checked(fn(&Packet<'_>) -> bool),
    /// The request itself: the yardstick of the benches.
    Echoed,
}

impl Plan {
    /// A closed loop of 64 requests for ten seconds, by one device.
    #[must_use]
    pub fn new(server: SocketAddr, secret: Arc<Secret>) -> Self {
        Self {
            server,
            is_own_server: false,
            secret,
            pace: Pace::Window(64),
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(10),
            count: None,
            timeout: Duration::from_secs(3),
            retries: 0,
            sockets: 8,
            sources: Vec::new(),
            threads: 1,
            devices: Devices::Counted { first: MacAddress::new([0xa4, 0xc3, 0, 0, 0, 0]), count: 1 },
            distribution: Distribution::Uniform,
            attributes: Vec::new(),
            answers: Answers::Signed,
            eap_tls: None,
            is_spinning: false,
            is_stamped: false,
            stop: Arc::default(),
        }
    }

    /// So many source ports that Identifiers don't run out: for the whole window, or for the rate if no request is ever
    /// answered; 8 or more, and at most 256 for a rate.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "cut to 8 to 256 at once")]
    pub fn sockets_for(pace: Pace, timeout: Duration, retries: u32) -> usize {
        match pace {
            Pace::Window(window) => window.div_ceil(IDENTIFIERS).max(8),
            Pace::Steady(rate) | Pace::Storm { rate, .. } => {
                let secs = timeout.as_secs_f64() * f64::from(retries.saturating_add(1));
                ((rate * secs / IDENTIFIERS as f64).ceil() as usize).clamp(8, 256)
            }
        }
    }

    /// Whether it can be carried out.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), Refused> {
        if !self.is_own_server && !self.server.ip().is_loopback() {
            return Err(Refused::NotLoopback(self.server));
        }
        if self.server.port() == 0 {
            return Err(Refused::NoPort);
        }
        if let Pace::Window(window) = self.pace
            && window > limits::BENCH_SOCKETS_MAX * IDENTIFIERS
        {
            return Err(Refused::Window);
        }
        if self.threads == 0 || self.threads > limits::BENCH_THREADS_MAX {
            return Err(Refused::Threads);
        }
        if self.sockets < self.threads || self.sockets > limits::BENCH_SOCKETS_MAX {
            return Err(Refused::Sockets);
        }
        let is_pace_sound = match self.pace {
            Pace::Window(window) => (self.threads..=self.sockets * IDENTIFIERS).contains(&window),
            Pace::Steady(rate) => is_rate(rate),
            Pace::Storm { rate, ramp } => is_rate(rate) && !ramp.is_zero() && ramp <= limits::BENCH_DURATION_MAX,
        };
        if !is_pace_sound {
            return Err(Refused::Pace);
        }
        if let Some(supplicants) = &self.eap_tls {
            // In an open loop those that find none wait; but no thread can do without.
            let at_once = if let Pace::Window(window) = self.pace { window } else { self.threads };
            let is_checked = matches!(self.answers, Answers::Signed | Answers::MaybeUnsigned);
            if self.devices.count() < at_once as u64 || !is_checked || supplicants.is_empty() {
                return Err(Refused::EapTls);
            }
        }
        if matches!(self.pace, Pace::Storm { .. }) && !self.warm_up.is_zero() {
            return Err(Refused::WarmUpBeforeStorm);
        }
        if self.duration.is_zero() || self.duration.saturating_add(self.warm_up) > limits::BENCH_DURATION_MAX {
            return Err(Refused::Duration);
        }
        if self.count == Some(0) || self.devices.count() == 0 {
            return Err(Refused::Nothing);
        }
        if self.timeout.is_zero()
            || self.timeout > limits::BENCH_TIMEOUT_MAX
            || self.retries > limits::BENCH_RETRIES_MAX
        {
            return Err(Refused::Patience);
        }
        if let Distribution::Zipf(exponent) = self.distribution
            && !(exponent > 0.0 && exponent <= 10.0)
        {
            return Err(Refused::Exponent);
        }
        if let Some(source) = self.sources.iter().find(|source| source.is_ipv4() != self.server.is_ipv4()) {
            return Err(Refused::Source(*source));
        }
        Ok(())
    }
}

fn is_rate(rate: f64) -> bool {
    rate > 0.0 && rate <= limits::BENCH_RATE_MAX
}

/// Why a run does not begin.
#[derive(Debug)]
pub enum Refused {
    /// The server is another machine, and nobody said that it may be loaded.
    NotLoopback(SocketAddr),
    /// Nobody can be asked at port 0.
    NoPort,
    /// A window that no source ports are enough for.
    Window,
    /// Too few or too many threads.
    Threads,
    /// Fewer source ports than threads, or too many.
    Sockets,
    /// A window or rate out of its bounds.
    Pace,
    /// EAP-TLS without certificates, or without a device for each conversation at once.
    EapTls,
    /// A warm-up would take the storm's surprise away.
    WarmUpBeforeStorm,
    /// No time, or too much.
    Duration,
    /// No request or no device.
    Nothing,
    /// A timeout or a number of retries out of its bounds.
    Patience,
    /// An exponent out of its bounds.
    Exponent,
    /// A local address of another family than the server's.
    Source(IpAddr),
    /// The attributes don't fit into a packet.
    Attributes(Full),
    /// The system gives no socket.
    Socket(std::io::Error),
    /// The system gives no thread.
    Thread(std::io::Error),
    /// The system gives no random numbers.
    Random,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(server) => write!(
                f,
                "{server} is not a loopback address, and this load can keep a network's devices out; \
                 if that server is yours to load, say so with --i-own-this-server"
            ),
            Self::NoPort => f.write_str("nobody can be asked at port 0; RADIUS servers mostly have 1812"),
            Self::Window => write!(
                f,
                "a window is {} at most: {IDENTIFIERS} Identifiers for each of {} source ports",
                limits::BENCH_SOCKETS_MAX * IDENTIFIERS,
                limits::BENCH_SOCKETS_MAX
            ),
            Self::Threads => write!(f, "there can be 1 to {} threads", limits::BENCH_THREADS_MAX),
            Self::Sockets => {
                write!(f, "there can be {} source ports at most, and each thread needs one", limits::BENCH_SOCKETS_MAX)
            }
            Self::Pace => write!(
                f,
                "a window is 1 for each thread to {IDENTIFIERS} for each source port; a rate is above 0 and at most {}; \
                 a ramp takes some time",
                limits::BENCH_RATE_MAX
            ),
            Self::EapTls => f.write_str(
                "EAP-TLS needs certificates, and a device for each conversation at once: as many --devices as the window, \
                 or as there are threads",
            ),
            Self::WarmUpBeforeStorm => f.write_str("a storm comes without a warm-up; its ramp is what grows"),
            Self::Duration => write!(
                f,
                "a run lasts longer than nothing and at most {} h",
                limits::BENCH_DURATION_MAX.as_secs() / 3600
            ),
            Self::Nothing => f.write_str("a run has at least one request and one device"),
            Self::Patience => write!(
                f,
                "an answer is waited for at most {} s, and a request is repeated at most {} times",
                limits::BENCH_TIMEOUT_MAX.as_secs(),
                limits::BENCH_RETRIES_MAX
            ),
            Self::Exponent => f.write_str("the exponent of zipf is above 0 and at most 10"),
            Self::Source(source) => write!(f, "{source} is of another family than the server's address"),
            Self::Attributes(full) => write!(f, "the attributes don't fit: {}", full.sentence()),
            Self::Socket(error) if error.raw_os_error() == Some(libc::EMFILE) => f.write_str(
                "this process may not open as many descriptors as it would need, one for each source port and a few more; \
                 allow more with `ulimit -n 8192`, or use fewer --sockets",
            ),
            Self::Socket(error) => write!(f, "no socket: {error}"),
            Self::Thread(error) => write!(f, "no thread: {error}"),
            Self::Random => f.write_str("the system gives no random numbers"),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(server: &str) -> Plan {
        Plan::new(server.parse().unwrap(), Arc::new(Secret::new(b"secret".to_vec()).unwrap()))
    }

    #[test]
    fn another_machine_is_loaded_only_if_it_is_said_to_be_ones_own() {
        for server in ["127.0.0.1:1812", "127.9.9.9:1", "[::1]:1812"] {
            assert!(plan(server).check().is_ok(), "{server}");
        }
        for server in ["192.0.2.1:1812", "[2001:db8::1]:1812", "0.0.0.0:1812", "[::]:1812"] {
            let refused = plan(server).check().unwrap_err().to_string();
            assert!(refused.contains("not a loopback address") && refused.contains("--i-own-this-server"), "{refused}");
            assert!(Plan { is_own_server: true, ..plan(server) }.check().is_ok(), "{server}");
        }
    }

    #[test]
    fn every_bound_is_kept() {
        let usual = plan("127.0.0.1:1812");
        let storm = Pace::Storm { rate: 10.0, ramp: Duration::from_secs(1) };
        let wrong = [
            Plan { server: ([127, 0, 0, 1], 0).into(), ..usual.clone() },
            Plan { threads: 0, ..usual.clone() },
            Plan { threads: 9, ..usual.clone() },
            Plan { sockets: limits::BENCH_SOCKETS_MAX + 1, ..usual.clone() },
            Plan { pace: Pace::Window(0), ..usual.clone() },
            Plan { pace: Pace::Window(8 * 256 + 1), ..usual.clone() },
            Plan { pace: Pace::Window(1), threads: 2, ..usual.clone() },
            Plan { pace: Pace::Steady(0.0), ..usual.clone() },
            Plan { pace: Pace::Steady(f64::NAN), ..usual.clone() },
            Plan { pace: Pace::Steady(f64::INFINITY), ..usual.clone() },
            Plan { pace: Pace::Storm { rate: 1.0, ramp: Duration::ZERO }, ..usual.clone() },
            Plan { pace: storm, warm_up: Duration::from_secs(1), ..usual.clone() },
            Plan { duration: Duration::ZERO, ..usual.clone() },
            Plan { duration: Duration::MAX, ..usual.clone() },
            Plan { count: Some(0), ..usual.clone() },
            Plan { devices: Devices::Listed(Arc::from([])), ..usual.clone() },
            Plan { timeout: Duration::ZERO, ..usual.clone() },
            Plan { retries: 11, ..usual.clone() },
            Plan { distribution: Distribution::Zipf(0.0), ..usual.clone() },
            Plan { distribution: Distribution::Zipf(f64::NAN), ..usual.clone() },
            Plan { eap_tls: Some(Arc::from([])), pace: Pace::Window(8), ..usual.clone() },
            Plan { sources: vec![std::net::Ipv6Addr::LOCALHOST.into()], ..usual.clone() },
        ];
        for plan in wrong {
            assert!(plan.check().is_err(), "{plan:?}");
        }
        assert!(Plan { pace: storm, ..usual }.check().is_ok());
    }

    #[test]
    fn a_window_beyond_all_source_ports_and_a_lack_of_descriptors_are_told_as_such() {
        let window = 99_999_999;
        let sockets = Plan::sockets_for(Pace::Window(window), Duration::from_secs(3), 0);
        let wide = Plan { pace: Pace::Window(window), sockets, ..plan("127.0.0.1:1812") };
        let said = wide.check().unwrap_err().to_string();
        assert_eq!(said, "a window is 1048576 at most: 256 Identifiers for each of 4096 source ports");
        let said = Refused::Socket(std::io::Error::from_raw_os_error(libc::EMFILE)).to_string();
        assert!(said.contains("`ulimit -n 8192`"), "{said}");
    }

    #[test]
    fn there_are_source_ports_for_all_that_can_be_under_way() {
        let sockets = |pace| Plan::sockets_for(pace, Duration::from_secs(3), 0);
        assert_eq!([Pace::Window(64), Pace::Window(2_049), Pace::Window(100_000)].map(sockets), [8, 9, 391]);
        assert_eq!([Pace::Steady(100.0), Pace::Steady(2_000.0), Pace::Steady(1e6)].map(sockets), [8, 24, 256]);
    }
}
