//! The broker the tests talk to: a `leveret` of their own, or the one `LEVERET_PEER` names.
//!
//! A started broker listens on a free port of 127.0.0.1, keeps its data in a directory of its own
//! and is killed by its process id when it is dropped, and by a watchdog when the tests die first.
//! `LEVERET_PEER=amqp://user:password@host:port` makes [`Broker::peer`] name that broker, so that
//! the same tests can be put to a RabbitMQ.

mod process;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use crate::raw_client::{Handshake, RawClient};
use process::RunningBroker;

/// How to reach a broker and whom it knows.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Where it listens.
    pub address: SocketAddr,
    /// A user who may do everything in vhost `/`.
    pub user: String,
    /// The user's password.
    pub password: String,
}

impl Broker {
    /// The broker of `LEVERET_PEER`, if it is set.
    #[must_use]
    pub fn peer() -> Option<Self> {
        let url = std::env::var("LEVERET_PEER").ok()?;
        Some(Self::parse(&url).expect("LEVERET_PEER is amqp://user:password@host:port"))
    }

    fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("amqp://")?.trim_end_matches('/');
        let (credentials, authority) = rest.rsplit_once('@').unwrap_or(("guest:guest", rest));
        let (user, password) = credentials.split_once(':')?;
        let address = authority.to_socket_addrs().ok()?.next()?;
        Some(Self { address, user: user.to_owned(), password: password.to_owned() })
    }

    /// The handshake of this broker's user.
    #[must_use]
    pub fn handshake(&self) -> Handshake {
        Handshake::plain(&self.user, &self.password)
    }

    /// A socket on which nothing was said.
    #[must_use]
    pub fn socket(&self) -> RawClient {
        RawClient::connect(self.address)
    }

    /// A connection with channel 1 open.
    #[must_use]
    pub fn connect(&self) -> RawClient {
        self.connect_as(&self.handshake())
    }

    /// A connection with channel 1 open, after a handshake of the test's making.
    #[must_use]
    pub fn connect_as(&self, handshake: &Handshake) -> RawClient {
        let mut client = self.socket();
        client.shake_hands(handshake);
        client.open_channel(1);
        client
    }
}

/// A `leveret` of the test's own.
#[derive(Debug)]
pub struct BrokerUnderTest {
    directory: TempDir,
    running: Option<RunningBroker>,
}

impl BrokerUnderTest {
    /// Starts one with the default configuration.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one with these lines in its configuration file.
    #[must_use]
    pub fn start_with(config: &str) -> Self {
        let directory = TempDir::with_prefix("leveret-test-").expect("a temporary directory");
        std::fs::write(directory.path().join("leveret.conf"), config).expect("a writable file");
        let mut broker = Self { directory, running: None };
        broker.start_again();
        broker
    }

    /// Starts it on the data directory it had; the port is a new one.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the broker runs already");
        self.running = Some(RunningBroker::start(&binary(), self.directory.path()));
    }

    /// How to reach it now.
    #[must_use]
    pub fn broker(&self) -> Broker {
        let address = self.running.as_ref().expect("the broker runs").address;
        Broker { address, user: "guest".to_owned(), password: "guest".to_owned() }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the broker runs").pid()
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Sends SIGTERM and waits for the end, at most `within`.
    pub fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.running.take().expect("the broker runs").terminate(within)
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        drop(self.running.take().expect("the broker runs"));
    }
}

/// `LEVERET_BIN`, or what cargo built beside this test, or what it builds now.
fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LEVERET_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    let path = profile.join("leveret");
    if !path.exists() {
        build_once(profile.ends_with("release"));
    }
    path
}

fn build_once(release: bool) {
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "leveret"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if release {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "cargo build --package leveret: {status}");
    });
}
