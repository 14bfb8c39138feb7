//! The broker that a test speaks to: a fresh one of ours on a port of its own,
//! or the outside one that `LEVERET_PEER` names.
//!
//! Every interop and example test starts with [`Broker::start`]. An outside
//! broker is lent to one test at a time, because tests share names on it; ours
//! dies with the test, and so does its data.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long a broker may take to start on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);
const LISTENER_LINE: &str = "started TCP listener on ";
const STARTED_LINE: &str = "Server startup complete";

/// Guards the outside broker against two tests at once.
static PEER: Mutex<()> = Mutex::new(());

/// A broker that runs for as long as this value lives.
pub(crate) struct Broker {
    authority: String,
    _lent: Option<MutexGuard<'static, ()>>,
    process: Option<(Child, TempDir)>,
}

impl Broker {
    /// Starts ours, or waits for the outside broker to be free.
    pub(crate) fn start() -> Self {
        match std::env::var("LEVERET_PEER") {
            Ok(url) => Self::outside(&url),
            Err(_) => Self::spawn(),
        }
    }

    /// The URL of the vhost `/`, in the form that every client reads.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@{}/%2F", self.authority)
    }

    fn outside(url: &str) -> Self {
        let authority = url
            .strip_prefix("amqp://guest:guest@")
            .unwrap_or_else(|| panic!("LEVERET_PEER={url}: want amqp://guest:guest@HOST:PORT"));
        let authority = authority.split('/').next().unwrap_or(authority).to_owned();
        let lent = PEER.lock().unwrap_or_else(PoisonError::into_inner);
        Self { authority, _lent: Some(lent), process: None }
    }

    fn spawn() -> Self {
        let data = TempDir::new().expect("a temporary data directory");
        let mut child = Command::new(built("leveret"))
            .args(["--port", "0", "--data-dir"])
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the leveret binary starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let started = listen_for_start(stdout);
        let Ok(address) = started.recv_timeout(START_WITHIN) else {
            let _ = child.kill();
            let status = child.wait();
            panic!("leveret did not say that it started ({status:?})");
        };
        let authority = format!("127.0.0.1:{}", address.port());
        Self { authority, _lent: None, process: Some((child, data)) }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some((child, _data)) = &mut self.process {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads the broker's output to its end, so that it never blocks on a full
/// pipe, and reports the listener's address once the start is complete.
fn listen_for_start(stdout: impl Read + Send + 'static) -> Receiver<SocketAddr> {
    let (report, started) = mpsc::channel();
    thread::spawn(move || {
        let mut address: Option<SocketAddr> = None;
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once(LISTENER_LINE) {
                let word = rest.split_whitespace().next().unwrap_or(rest);
                address = address.or_else(|| word.parse().ok());
            }
            if line.contains(STARTED_LINE)
                && let Some(address) = address
            {
                let _ = report.send(address);
            }
        }
    });
    started
}

/// The top of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the repository")
}

/// Where cargo puts what it builds: the folder above `debug` and `release`.
pub(crate) fn target_directory() -> PathBuf {
    let profile = profile_directory();
    profile.parent().expect("a profile folder is in the target folder").to_owned()
}

/// The path of a program of the workspace: `leveret`, or `examples/NAME`. The
/// first call builds them all, so that `cargo test --test NAME` never drives a
/// stale one. Building examples too makes cargo choose the same features for
/// the dependencies as `cargo test --workspace` does, and so nothing twice.
pub(crate) fn built(program: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build.current_dir(repository());
        build.args(["build", "--quiet", "--workspace", "--bins", "--examples"]);
        if profile_directory().ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo starts");
        assert!(status.success(), "{build:?} failed");
    });
    profile_directory().join(program)
}

/// `target/debug` or `target/release`: a test runs from its `deps` folder.
fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let deps = test.parent().expect("a test binary is in a folder");
    deps.parent().expect("deps is in a profile folder").to_owned()
}
