//! A Leveret of our own for one run: a given binary, started on a free port with an empty data
//! directory, killed and started again on it if wanted, and killed at the end.
//!
//! The binary is known by what any Leveret does on the command line and prints when it starts. A
//! broker started here ends with this process, however that ends.

use crate::client::address::Address;
use crate::scratch::Scratch;
use crate::target::Target;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often to look whether it is over.
const LOOK: Duration = Duration::from_millis(10);
/// What the broker prints before its port.
const LISTENING: &str = "started TCP listener on ";
/// What it prints last.
const READY: &str = "Server startup complete";

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The program or its directory: the system said no.
    #[error("cannot start {binary}: {cause}", binary = .binary.display())]
    Io { binary: PathBuf, cause: io::Error },
    /// It ended at once.
    #[error("{binary} ended with {status}: {said}", binary = .binary.display())]
    Ended { binary: PathBuf, status: ExitStatus, said: String },
    /// It says nothing of a port.
    #[error("{binary} did not say within {PATIENCE:?} that it is ready", binary = .binary.display())]
    Silent { binary: PathBuf },
}

/// A broker that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Launched {
    running: Running,
    binary: PathBuf,
    directory: Scratch,
}

/// One process of it.
#[derive(Debug)]
struct Running {
    broker: Child,
    watchdog: Option<Child>,
    port: u16,
}

impl Launched {
    /// Starts `binary` with its data in a new directory below `parent`, and waits until it is
    /// ready.
    ///
    /// # Errors
    /// When it cannot be started, ends again or does not tell its port.
    pub(crate) fn start(binary: &Path, parent: &Path) -> Result<Self, LaunchError> {
        let failed = |cause| LaunchError::Io { binary: binary.to_owned(), cause };
        let directory = Scratch::create(parent).map_err(failed)?;
        let running = Running::start(binary, directory.path())?;
        Ok(Self { running, binary: binary.to_owned(), directory })
    }

    /// Kills it and starts it again on its data; it may have another port then.
    ///
    /// # Errors
    /// As at the first start.
    pub(crate) fn restart(&mut self) -> Result<(), LaunchError> {
        self.running.end();
        self.running = Running::start(&self.binary, self.directory.path())?;
        Ok(())
    }

    /// The broker, for a run.
    pub(crate) fn target(&self) -> Target {
        Target::new(&Address::local(self.running.port), &[self.running.broker.id()])
    }
}

impl Running {
    fn start(binary: &Path, directory: &Path) -> Result<Self, LaunchError> {
        let failed = |cause| LaunchError::Io { binary: binary.to_owned(), cause };
        let broker = spawn(binary, directory).map_err(failed)?;
        let output = directory.join("output");
        let mut running = Self { broker, watchdog: None, port: 0 };
        running.watchdog = Some(watch_over(running.broker.id()).map_err(failed)?);
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            thread::sleep(LOOK);
            let said = fs::read_to_string(&output).unwrap_or_default();
            if let Some(port) = port_of(&said) {
                running.port = port;
                return Ok(running);
            }
            if let Some(status) = running.broker.try_wait().map_err(failed)? {
                let said = said.lines().last().unwrap_or_default().to_owned();
                return Err(LaunchError::Ended { binary: binary.to_owned(), status, said });
            }
        }
        Err(LaunchError::Silent { binary: binary.to_owned() })
    }

    fn end(&mut self) {
        // The watchdog goes first: once the broker is gone its id may become another process's.
        for child in self.watchdog.iter_mut().chain([&mut self.broker]) {
            // One that has ended already cannot be killed, and that is as well.
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts the broker with nothing of our environment, without the port of its management, which others
/// may have, and out of reach of the terminal's Ctrl-C, which asks for an orderly end of the run.
fn spawn(binary: &Path, directory: &Path) -> io::Result<Child> {
    let config = directory.join("leveret.conf");
    File::create(&config)?;
    let output = File::create(directory.join("output"))?;
    Command::new(binary)
        .args(["--port", "0", "--data-dir"])
        .arg(directory.join("data"))
        .arg("--config")
        .arg(config)
        .env_clear()
        .env("LEVERET_MANAGEMENT_TCP_PORT", "none")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
}

/// A shell that kills `pid` once this process has ended, however it ended: then its input closes.
fn watch_over(pid: u32) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", &format!("read line; kill -9 {pid}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// The port a broker told, once it is ready.
fn port_of(said: &str) -> Option<u16> {
    let (before, _) = said.split_once(READY)?;
    let (_, listening) = before.rsplit_once(LISTENING)?;
    let address = listening.lines().next()?;
    address.trim().rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program that prints `lines` and then does `rest`.
    fn program(directory: &Path, lines: &str, rest: &str) -> PathBuf {
        let path = directory.join("broker");
        fs::write(&path, format!("#!/bin/sh\n/bin/echo '{lines}'\n{rest}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_port_is_told_when_all_is_ready() {
        let listening = "1 [info] started TCP listener on 127.0.0.1:40123";
        assert_eq!(port_of(listening), None);
        let ready = format!("{listening}\n1 [info] Server startup complete\n");
        assert_eq!(port_of(&ready), Some(40_123));
        assert_eq!(port_of("Server startup complete"), None);
    }

    #[test]
    fn a_broker_runs_until_it_is_dropped_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let lines = "started TCP listener on [::]:7\nServer startup complete";
        let binary = program(directory.path(), lines, "exec /bin/sleep 60");
        let mut launched = Launched::start(&binary, directory.path()).unwrap();
        assert_eq!(launched.target().address.port, 7);
        let process =
            |launched: &Launched| PathBuf::from(format!("/proc/{}", launched.running.broker.id()));
        let first = process(&launched);
        assert!(first.exists());
        launched.restart().unwrap();
        let second = process(&launched);
        assert!(!first.exists() && second.exists());
        drop(launched);
        assert!(!second.exists());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "the program alone");
    }

    #[test]
    fn a_broker_that_does_not_start_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let binary = program(directory.path(), "the disk is full", "exit 3");
        let error = Launched::start(&binary, directory.path()).unwrap_err().to_string();
        assert!(error.ends_with("ended with exit status: 3: the disk is full"), "{error}");
        let error = Launched::start(Path::new("/nonexistent"), directory.path()).unwrap_err();
        assert!(error.to_string().starts_with("cannot start /nonexistent: No such file"));
    }
}
