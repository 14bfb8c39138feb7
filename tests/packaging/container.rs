//! What a container is to the entrypoint: a file system, an environment, and programs in its path.
//!
//! Paths of the image that are absolute are named by the variables that RabbitMQ has for them. Whoever
//! runs the tests is not root to the entrypoint, unless a test says so: `id` is a program of ours.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use leveret_tests::broker_under_test::{built, repository};
use leveret_tests::deadline::run;
use leveret_tests::program::Program;
use leveret_tests::raw_client::{Handshake, RawClient};
use tempfile::TempDir;

/// Longer than any start or end takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A container that does not run yet.
pub(crate) struct Container {
    root: TempDir,
    environment: Vec<(String, String)>,
}

impl Container {
    /// One of the image, with nothing said by its user.
    pub(crate) fn new() -> Self {
        let root = TempDir::with_prefix("leveret-image-").expect("a temporary directory");
        let container = Self { root, environment: Vec::new() };
        for directory in ["bin", "conf.d", "var/lib/rabbitmq/mnesia"] {
            fs::create_dir_all(container.path(directory)).expect("a directory");
        }
        let entrypoint = repository().join("config/docker/entrypoint");
        for (name, target) in [
            ("leveret", built("leveret")),
            ("docker-entrypoint.sh", entrypoint.clone()),
            ("rabbitmq-server", entrypoint),
        ] {
            symlink(target, container.path("bin").join(name)).expect("a link");
        }
        container.program("id", "echo 1000");
        let defaults = repository().join("config/docker/10-defaults.conf");
        fs::copy(defaults, container.path("conf.d/10-defaults.conf")).expect("a file");
        // Ports of containers are their own; here they are shared with all tests.
        let base = container.path("var/lib/rabbitmq/mnesia").display().to_string();
        container
            .with("RABBITMQ_MNESIA_BASE", base)
            .with_file_variable("RABBITMQ_CONFIG_FILE", "rabbitmq")
            .with_file_variable("RABBITMQ_CONFIG_FILES", "conf.d")
            .with("LEVERET_LISTENERS_TCP_DEFAULT", "0")
            .with("LEVERET_MANAGEMENT_TCP_PORT", "0")
            .with("LEVERET_PROMETHEUS_TCP_PORT", "0")
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// With this variable, as `docker run -e` sets it.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.retain(|(there, _)| there != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Without this variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(there, _)| there != name);
        self
    }

    /// With a variable that names a path in it.
    pub(crate) fn with_file_variable(self, name: &str, path: &str) -> Self {
        let path = self.path(path).display().to_string();
        self.with(name, path)
    }

    /// With a file, as `docker cp` puts it there.
    pub(crate) fn with_file(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).expect("a writable file");
        self
    }

    /// A program of its path that does these lines of shell.
    pub(crate) fn program(&self, name: &str, lines: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("a writable file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file of ours");
    }

    /// What `docker run IMAGE WORDS` starts.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin/docker-entrypoint.sh"));
        command.args(words).env_clear().envs(self.environment.iter().cloned());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command.current_dir(self.root.path());
        command
    }

    /// Runs a program in it to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        run(&mut self.command(words))
    }

    /// Runs the broker until it says that it is ready.
    pub(crate) fn start(&self) -> Running<'_> {
        self.start_by(&["rabbitmq-server"])
    }

    /// As [`Self::start`], by other words.
    pub(crate) fn start_by(&self, words: &[&str]) -> Running<'_> {
        let program = Program::start_watched(&mut self.command(words));
        program.wait_until(PATIENCE, "Server startup complete");
        Running { program, container: self }
    }
}

/// A container whose broker is ready.
pub(crate) struct Running<'a> {
    program: Program,
    container: &'a Container,
}

impl Running<'_> {
    /// What it printed on standard output.
    pub(crate) fn log(&self) -> Vec<String> {
        self.program.printed()
    }

    /// Asserts that a line of it has this.
    pub(crate) fn assert_logged(&self, part: &str) {
        let log = self.log();
        assert!(log.iter().any(|line| line.contains(part)), "no {part:?} in {log:?}");
    }

    /// Where the first listener of this kind is, which the log tells.
    pub(crate) fn address(&self, kind: &str) -> SocketAddr {
        let beginning = format!("started {kind} listener on ");
        let log = self.log();
        let found = log.iter().find_map(|line| line.split_once(&beginning)?.1.parse().ok());
        let address: SocketAddr = found.unwrap_or_else(|| panic!("no {beginning:?} in {log:?}"));
        SocketAddr::from(([127, 0, 0, 1], address.port()))
    }

    /// A connection of this user with channel 1 open.
    pub(crate) fn connect(&self, user: &str, password: &str) -> RawClient {
        let mut client = RawClient::connect(self.address("TCP"));
        client.shake_hands(&Handshake::plain(user, password));
        client.open_channel(1);
        client
    }

    /// What the image's health check says, which is told the port where that is a free one.
    pub(crate) fn is_healthy(&self) -> bool {
        let has_tcp = self.log().iter().any(|line| line.contains("started TCP listener"));
        let port = if has_tcp { self.address("TCP").port().to_string() } else { String::new() };
        let mut words = vec!["leveret", "healthcheck"];
        if has_tcp {
            words.extend(["--port", &port]);
        }
        self.container.run(&words).status.success()
    }

    /// `docker stop`: the signal goes to what the entrypoint became.
    pub(crate) fn stop(self) -> ExitStatus {
        self.program.terminate(PATIENCE)
    }
}

/// Names in a directory, in their order.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
