//! One running `leveret` process: started, found by the port it prints, and ended by its id.
//!
//! What it prints is kept in the files `stdout` and `stderr` of its directory, anew at each start.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::{end, exit_of};

/// The line before the port.
const LISTENING: &str = "started TCP listener on ";
/// The line that ends the start.
const READY: &str = "Server startup complete";
/// Longer than any start takes on a busy machine.
const TO_START: Duration = Duration::from_secs(60);

/// Where a broker keeps its files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    /// For `leveret.conf` and what is printed.
    pub(super) directory: &'a Path,
    pub(super) data: &'a Path,
    /// The name of its node.
    pub(super) node: Option<&'a str>,
}

/// A process that is killed when this is dropped.
#[derive(Debug)]
pub(super) struct RunningBroker {
    process: Child,
    watchdog: Child,
    /// Its port, once it is ready; hung up when it ends before.
    ready: Receiver<u16>,
}

impl RunningBroker {
    /// Starts `binary` and does not wait until it is ready.
    pub(super) fn launch(binary: &Path, places: Places<'_>) -> Self {
        let stderr = File::create(places.directory.join("stderr")).expect("a writable file");
        let mut command = Command::new(binary);
        let config = std::fs::read_to_string(places.directory.join("leveret.conf"));
        if !config.is_ok_and(|config| config.contains("management.tcp.port")) {
            // Brokers that run at the same time cannot all have its port.
            command.env("LEVERET_MANAGEMENT_TCP_PORT", "none");
        }
        command.envs(places.node.map(|node| ("RABBITMQ_NODENAME", node)));
        let mut process = command
            .args(["--port", "0", "--data-dir"])
            .arg(places.data)
            .arg("--config")
            .arg(places.directory.join("leveret.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        let watchdog = watch_over(process.id());
        let stdout = process.stdout.take().expect("stdout is a pipe");
        let kept = File::create(places.directory.join("stdout")).expect("a writable file");
        let (report, ready) = mpsc::channel();
        std::thread::spawn(move || keep_lines(stdout, kept, &report));
        Self { process, watchdog, ready }
    }

    /// Waits until it listens; the exit status if it ends instead.
    pub(super) fn address(&mut self) -> Result<SocketAddr, ExitStatus> {
        match self.ready.recv_timeout(TO_START) {
            Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
            Err(RecvTimeoutError::Disconnected) => Err(self.wait(TO_START)),
            Err(RecvTimeoutError::Timeout) => panic!("the broker is not ready after {TO_START:?}"),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGTERM.
    pub(super) fn ask_to_end(&self) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM).expect("the broker can be signalled");
    }

    /// Sends SIGTERM and waits for the end, at most `within`.
    pub(super) fn terminate(mut self, within: Duration) -> ExitStatus {
        self.ask_to_end();
        self.wait(within)
    }

    /// Waits for the end, at most `within`.
    fn wait(&mut self, within: Duration) -> ExitStatus {
        exit_of("the end of the broker", &mut self.process, within)
    }

    /// How it ended, if it did.
    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("the broker is our child")
    }
}

impl Drop for RunningBroker {
    fn drop(&mut self) {
        // The watchdog goes first: after the broker is reaped its id may belong to another process.
        for child in [&mut self.watchdog, &mut self.process] {
            end(child);
        }
    }
}

/// A shell that kills `pid` once this process has ended, however it ended: then its stdin closes.
pub(crate) fn watch_over(pid: u32) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read line; kill -9 {pid}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

/// Reads the output to its end, lest the pipe fill up, and reports the port when all is ready.
fn keep_lines(stdout: ChildStdout, mut kept: File, report: &Sender<u16>) {
    let mut port = None;
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // The directory may be gone before the broker is.
        writeln!(kept, "{line}").ok();
        if let Some((_, address)) = line.split_once(LISTENING) {
            port = address.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        }
        if line.contains(READY) {
            report.send(port.expect("a line told the port")).ok();
        }
    }
}
