//! The simulated cloud as a neighbour of the server, and radmit's worker that asks it.
//!
//! Owns the process, which runs only where nobody else wants to: Microsoft does not share the machine. The lowest of the
//! usual priorities would not do, for a generator that wakes up waits for the end of its slice of 3 ms. Measures nothing.

#![allow(dead_code, reason = "each bench uses its part")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use radmit::{
    device::{
        directory::Directory,
        question::{Answer, Answers},
    },
    mdm::{
        settings::{Api, Credential, Intune, Kind, Pem, SecretText, Settings, Trust},
        worker::{self, ServerSetup, Worker},
    },
    metrics::mdm::ServerCells,
    sim::{EXAMPLE_CLIENT, EXAMPLE_TENANT},
};

/// The secret that the cloud takes where it was given none.
pub(crate) const SECRET: &str = "sim-secret";

/// The name of radmit's thread that reads lists.
pub(crate) const LISTS: &str = "radmit-spare";

/// The simulated cloud, as a process.
pub(crate) struct Cloud {
    child: Child,
    pub(crate) token_url: String,
    pub(crate) graph_url: String,
    /// What clients must trust, in PEM.
    pub(crate) ca: String,
}

impl Cloud {
    /// `cores`: where it may run, as `taskset` has it.
    pub(crate) fn start(devices: u64, cores: &str) -> Self {
        let ca = std::env::temp_dir().join(format!("radmit-bench-{}.pem", std::process::id()));
        let mut child = Command::new("chrt")
            .args(["--idle", "0", "taskset", "-c", cores, env!("CARGO_BIN_EXE_radmit"), "sim"])
            .args(["--listen", "127.0.0.1:0", "--devices"])
            .arg(devices.to_string())
            .arg("--ca-out")
            .arg(&ca)
            .stdout(Stdio::piped())
            .spawn()
            .expect("chrt and taskset are there");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let mut urls = lines.filter_map(|line| Some(line.split_once("url = \"")?.1.trim_end_matches('"').to_owned()));
        let (token_url, graph_url) = (urls.next().expect("it tells"), urls.next().expect("it tells"));
        let text = std::fs::read_to_string(&ca).expect("it was written before");
        let _ = std::fs::remove_file(ca);
        Self { child, token_url, graph_url, ca: text }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Nobody;

impl Answers for Nobody {
    fn deliver(&self, _: Answer) {}
}

/// Lists of the cloud, one every so often, into the directory.
pub(crate) fn start(
    cloud: &Cloud,
    directory: &Arc<Directory>,
    metrics: &Arc<ServerCells>,
    every: Duration,
    handle: &tokio::runtime::Handle,
) -> Worker {
    let secret = Credential::Secret(SecretText::fixed(SECRET.to_owned().into()));
    let mut intune = Intune::new(EXAMPLE_TENANT, EXAMPLE_CLIENT, secret);
    intune.token_url = Some(cloud.token_url.clone());
    intune.graph_url = Some(cloud.graph_url.clone());
    intune.trust =
        Trust { anchors: vec![Pem::Text(Arc::new(cloud.ca.clone().into_bytes().into()))], only_anchors: true };
    intune.lookup = vec![Api::Graph];
    intune.polling_interval = every;
    let settings = Settings::new("corp-intune", Kind::Intune(Box::new(intune)));
    let (directory, metrics) = (Arc::clone(directory), Arc::clone(metrics));
    let setup = ServerSetup { settings, directory, metrics, standing: Arc::default() };
    worker::start(vec![setup], vec![Arc::new(Nobody)], handle).expect("the settings are right")
}
