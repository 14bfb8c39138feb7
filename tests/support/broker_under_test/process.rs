//! One running `leveret` process: started, found by the port it prints, and ended by its id.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::now;

/// The line before the port.
const LISTENING: &str = "started TCP listener on ";
/// The line that ends the start.
const READY: &str = "Server startup complete";

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub(super) struct RunningBroker {
    pub(super) address: SocketAddr,
    process: Child,
    watchdog: Child,
}

impl RunningBroker {
    /// Starts `binary` on the `data` directory and the `leveret.conf` inside `directory`.
    pub(super) fn start(binary: &Path, directory: &Path) -> Self {
        let mut process = Command::new(binary)
            .args(["--port", "0", "--data-dir"])
            .arg(directory.join("data"))
            .arg("--config")
            .arg(directory.join("leveret.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(directory.join("stderr")).expect("a writable file"))
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        let watchdog = watch_over(process.id());
        let stdout = process.stdout.take().expect("stdout is a pipe");
        let port = port_of(stdout, binary);
        Self { address: (Ipv4Addr::LOCALHOST, port).into(), process, watchdog }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGTERM and waits for the end, at most `within`.
    pub(super) fn terminate(mut self, within: Duration) -> ExitStatus {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM).expect("the broker can be signalled");
        let deadline = now() + within;
        loop {
            if let Some(status) = self.process.try_wait().expect("the broker is our child") {
                return status;
            }
            assert!(now() < deadline, "the broker still runs {within:?} after SIGTERM");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RunningBroker {
    fn drop(&mut self) {
        // The watchdog goes first: after the broker is reaped its id may belong to another process.
        for child in [&mut self.watchdog, &mut self.process] {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A shell that kills `pid` once this process has ended, however it ended: then its stdin closes.
fn watch_over(pid: u32) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read line; kill -9 {pid}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

/// Reads the start-up lines up to the last one; then a thread reads on, lest the pipe fill up.
fn port_of(stdout: ChildStdout, binary: &Path) -> u16 {
    let mut lines = BufReader::new(stdout);
    let mut seen = String::new();
    let mut port = None;
    loop {
        let mut line = String::new();
        let count = lines.read_line(&mut line).expect("the broker prints text");
        assert!(count > 0, "{} ended before it was ready: {seen}", binary.display());
        if let Some((_, address)) = line.split_once(LISTENING) {
            port = address.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        }
        seen.push_str(&line);
        if line.contains(READY) {
            break;
        }
    }
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()).ok());
    port.unwrap_or_else(|| panic!("no line told the port: {seen}"))
}
