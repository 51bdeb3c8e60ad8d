//! The real binary as a process, for tests with real peers.
//!
//! Owns its start, its lines and its end. What is asked of it is the tests' business.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

/// How long a program may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running radmit whose lines are read as they come.
pub(crate) struct Radmit {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Radmit {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_radmit"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        let err = child.stderr.take().unwrap();
        for stream in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(err)] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines }
    }

    /// All lines up to the first that holds `wanted`.
    pub(crate) fn wait_for(&self, wanted: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let found = line.contains(wanted);
                    seen.push(line);
                    if found {
                        return seen;
                    }
                }
                Err(_) => panic!("{wanted:?} was not said; only:\n{}", seen.join("\n")),
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Ends it with TERM and gives its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Radmit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Any free port of loopback.
#[allow(dead_code, reason = "not every program of tests needs all of this")]
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

/// A folder that is gone when the test ends.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("policies")).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    pub(crate) fn config(&self) -> String {
        self.0.join("radmit.toml").to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

/// Where it takes Access-Requests.
#[allow(dead_code, reason = "not every program of tests needs all of this")]
pub(crate) fn auth_address(radmit: &Radmit) -> String {
    let said = radmit.wait_for("is ready");
    let listening = said.iter().find(|line| line.contains("authentication")).unwrap();
    let at = listening.find("127.0.0.1:").unwrap();
    listening[at..].chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect()
}
