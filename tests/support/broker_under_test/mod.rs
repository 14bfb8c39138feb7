//! The broker the tests talk to: a `leveret` of their own, or the one `LEVERET_PEER` names.
//!
//! A started broker listens on a free port of 127.0.0.1, keeps its data in a directory of its own
//! and is killed by its process id when it is dropped, and by a watchdog when the tests die first.
//! `LEVERET_PEER=amqp://user:password@host:port` makes [`Broker::peer`] name that broker, so that
//! the same tests can be put to a RabbitMQ.

mod process;

use std::ffi::OsStr;
use std::fs::File;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::Once;
use std::time::Duration;

use tempfile::TempDir;

use crate::now;
use crate::raw_client::{Handshake, PATIENCE, RawClient};
use process::{Places, RunningBroker};

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
    /// Its configuration, what it prints and, unless said otherwise, its data.
    directory: TempDir,
    data: PathBuf,
    running: Option<(RunningBroker, SocketAddr)>,
}

/// What a broker said that ended instead of starting.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit code; none after a signal.
    pub code: Option<i32>,
    /// All it wrote to standard error.
    pub stderr: String,
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
        let mut broker = Self::stopped(config, None);
        broker.start_again();
        broker
    }

    /// One that does not run yet, with these lines in its configuration file; its data directory is
    /// `data`, or one of its own.
    #[must_use]
    pub fn stopped(config: &str, data: Option<&Path>) -> Self {
        let directory = TempDir::with_prefix("leveret-test-").expect("a temporary directory");
        std::fs::write(directory.path().join("leveret.conf"), config).expect("a writable file");
        let data = data.map_or_else(|| directory.path().join("data"), Path::to_owned);
        Self { directory, data, running: None }
    }

    /// Starts it on the data directory it had; the port is a new one.
    pub fn start_again(&mut self) {
        if let Err(refusal) = self.try_start() {
            panic!("the broker ended before it was ready: {refusal:?}\n{}", self.printed());
        }
    }

    /// Starts it on the data directory it had, which must not succeed.
    pub fn expect_refusal(&mut self) -> Refusal {
        self.try_start().expect_err("the broker should not start on this directory")
    }

    fn try_start(&mut self) -> Result<(), Refusal> {
        let mut launched = self.launch();
        match launched.address() {
            Ok(address) => {
                self.running = Some((launched, address));
                Ok(())
            }
            Err(status) => {
                let stderr = self.directory.path().join("stderr");
                let stderr = std::fs::read_to_string(stderr).expect("the broker writes text");
                Err(Refusal { code: status.code(), stderr })
            }
        }
    }

    /// Starts it, and sends SIGKILL this long after, ready or not.
    pub fn kill_while_starting(&mut self, after: Duration) {
        let launched = self.launch();
        std::thread::sleep(after);
        drop(launched);
        self.wait_until_released();
    }

    fn launch(&self) -> RunningBroker {
        assert!(self.running.is_none(), "the broker runs already");
        let places = Places { directory: self.directory.path(), data: &self.data };
        RunningBroker::launch(&binary(), places)
    }

    fn running(&self) -> &(RunningBroker, SocketAddr) {
        self.running.as_ref().expect("the broker runs")
    }

    /// How to reach it now.
    #[must_use]
    pub fn broker(&self) -> Broker {
        let address = self.running().1;
        Broker { address, user: "guest".to_owned(), password: "guest".to_owned() }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().0.pid()
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.data.clone()
    }

    /// All it printed since it was last started.
    #[must_use]
    pub fn printed(&self) -> String {
        let text = |name| std::fs::read(self.directory.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[text("stdout"), text("stderr")].concat()).into_owned()
    }

    /// Asserts that none of its tasks has panicked since it was last started. Such a panic shows
    /// nowhere else: the process lives on.
    pub fn assert_no_panic(&self) {
        let printed = self.printed();
        assert!(!printed.contains("panicked at"), "{printed}");
    }

    /// Sends SIGTERM and waits for the end, at most `within`.
    pub fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.running.take().expect("the broker runs").0.terminate(within)
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        drop(self.running.take().expect("the broker runs"));
        self.wait_until_released();
    }

    /// Waits until nobody holds the data directory. While the disk is busy, the kernel may close the
    /// files of a killed process some time after the process is gone.
    fn wait_until_released(&self) {
        let Ok(lock) = File::open(self.data.join("leveret.lock")) else { return };
        let deadline = now() + PATIENCE;
        while lock.try_lock_shared().is_err() {
            assert!(now() < deadline, "a killed broker still holds {}", self.data.display());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Runs `leveret` with these arguments to its end.
#[must_use]
pub fn run_leveret<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    Command::new(binary()).args(arguments).output().expect("leveret can be run")
}

/// `LEVERET_BIN`, or what cargo builds: the first call sees to it that no test drives a stale one.
fn binary() -> PathBuf {
    static BUILT: Once = Once::new();
    if let Some(path) = std::env::var_os("LEVERET_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    BUILT.call_once(|| build(profile.ends_with("release")));
    profile.join("leveret")
}

/// Builds with the features that `cargo test --workspace` gives to the dependencies, lest both build
/// everything in turn.
fn build(release: bool) {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--workspace", "--bins", "--examples"]);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    if release {
        build.arg("--release");
    }
    let status = build.status().expect("cargo runs");
    assert!(status.success(), "{build:?}: {status}");
}
