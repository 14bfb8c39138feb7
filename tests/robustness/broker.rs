//! The broker under test: the real binary on a port and a data directory of its own.
//!
//! Dies with the value. All it prints is kept, because a panic in one of its tasks shows nowhere
//! else: the process lives on.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;

const LISTENER_LINE: &str = "started TCP listener on ";
const STARTED_LINE: &str = "Server startup complete";
/// How long a broker may take to start on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Bytes of a page of memory, as Linux counts a process's memory on the machines this runs on.
const PAGE: usize = 4096;

/// A running broker.
pub(crate) struct Broker {
    process: Child,
    address: SocketAddr,
    /// Lines that should not be there.
    complaints: Arc<Mutex<Vec<String>>>,
    watchers: Vec<JoinHandle<()>>,
    _data: TempDir,
}

impl Broker {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let data = TempDir::new().expect("a temporary data directory");
        let mut process = Command::new(built())
            .args(["--port", "0", "--data-dir"])
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the leveret binary starts");
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let (report, started) = mpsc::channel();
        let stdout = process.stdout.take().expect("stdout is piped");
        let stderr = process.stderr.take().expect("stderr is piped");
        let watchers = vec![
            watch(stdout, Arc::clone(&complaints), report.clone()),
            watch(stderr, Arc::clone(&complaints), report),
        ];
        let Ok(address) = started.recv_timeout(START_WITHIN) else {
            let _ = process.kill();
            panic!("leveret did not say that it started ({:?})", process.wait());
        };
        Self { process, address, complaints, watchers, _data: data }
    }

    /// A socket, with nothing sent on it.
    pub(crate) fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("the broker accepts");
        socket.set_nodelay(true).expect("a TCP option");
        socket.set_read_timeout(Some(Client::PATIENCE)).expect("a timeout");
        socket.set_write_timeout(Some(Client::PATIENCE)).expect("a timeout");
        socket
    }

    /// A client with an open connection and channel 1.
    pub(crate) fn client(&self) -> Client {
        Client::open(self.socket())
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let path = format!("/proc/{}/statm", self.process.id());
        let text = std::fs::read_to_string(path).expect("the process is there");
        let resident = text.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
        resident.expect("a number of pages") * PAGE
    }

    /// Asserts that the process lives, has not panicked, and serves a new client.
    pub(crate) fn assert_sound(&mut self) {
        let ended = self.process.try_wait().expect("the state of a child");
        assert!(ended.is_none(), "the broker ended: {ended:?} {:?}", self.complaints());
        assert_eq!(self.complaints(), [""; 0]);
        self.client().round_trip(b"sound");
    }

    /// Asks the process to end, and asserts that it does, with nobody left behind.
    pub(crate) fn terminate(mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), Signal::TERM).expect("the process is there");
        let status = self.process.wait().expect("a child");
        for watcher in self.watchers.drain(..) {
            watcher.join().expect("it reads to the end");
        }
        assert!(status.success(), "{status}");
        assert_eq!(self.complaints(), [""; 0]);
    }

    fn complaints(&self) -> Vec<String> {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads an output of the broker to its end, so that it never blocks on a full pipe.
fn watch(
    output: impl Read + Send + 'static,
    complaints: Arc<Mutex<Vec<String>>>,
    report: Sender<SocketAddr>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut port = None;
        let mut follows = 0;
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some((_, rest)) = line.split_once(LISTENER_LINE) {
                port = port.or_else(|| rest.trim().parse::<SocketAddr>().ok().map(|a| a.port()));
            }
            if line.contains(STARTED_LINE)
                && let Some(port) = port
            {
                let _ = report.send(SocketAddr::from(([127, 0, 0, 1], port)));
            }
            // The message of a panic stands on the line after its place.
            follows = if line.contains("panicked at") { 2 } else { follows };
            if follows > 0 || line.contains("did not close in time") {
                follows = follows.max(1) - 1;
                complaints.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        }
    })
}

/// The path of the binary. The first call builds it, with the features that `cargo test
/// --workspace` gives to the dependencies, so that a test never drives a stale one.
fn built() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test.parent().and_then(Path::parent).expect("it is in PROFILE/deps").to_owned();
    BUILT.get_or_init(|| {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let mut build = Command::new(cargo);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        build.args(["build", "--quiet", "--workspace", "--bins", "--examples"]);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo starts");
        assert!(status.success(), "{build:?} failed");
    });
    profile.join("leveret")
}
