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
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::deadline::{TO_BUILD, exit_of, let_pass, run, wait_until};
use crate::raw_client::{Handshake, RawClient};
pub(crate) use process::watch_over;
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

    /// As [`Self::connect`], of a client that tells of no capability.
    #[must_use]
    pub fn connect_bare(&self) -> RawClient {
        self.connect_as(&self.handshake().without_capabilities())
    }

    /// The URL of the vhost `/`, in the form that every client reads.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://{}:{}@{}/%2F", self.user, self.password, self.address)
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
    /// What its node is called, if somebody says.
    node: Option<String>,
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
        Self { directory, data, node: None, running: None }
    }

    /// Gives its node a name, from the next start on.
    pub fn name_the_node(&mut self, name: &str) {
        self.node = Some(name.to_owned());
    }

    /// Writes other lines into its configuration file.
    pub fn reconfigure(&self, config: &str) {
        let path = self.directory.path().join("leveret.conf");
        std::fs::write(path, config).expect("a writable file");
    }

    /// Sends SIGHUP: it reads its configuration again.
    pub fn hang_up(&self) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::HUP).expect("it runs");
    }

    /// Waits until one line of what it printed has all of these.
    pub fn expect_line(&self, parts: &[&str]) {
        let is_there = |line: &str| parts.iter().all(|part| line.contains(part));
        wait_until(&format!("a line with {parts:?}"), || self.printed().lines().any(is_there));
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
        let_pass(after);
        drop(launched);
        self.wait_until_released();
    }

    fn launch(&self) -> RunningBroker {
        assert!(self.running.is_none(), "the broker runs already");
        let node = self.node.as_deref();
        let places = Places { directory: self.directory.path(), data: &self.data, node };
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

    /// Where the management API is, if it was started with [`MANAGEMENT`].
    #[must_use]
    pub fn management(&self) -> SocketAddr {
        let printed = self.printed();
        let mut lines = printed.lines();
        let address = lines.find_map(|line| line.split_once("management listener (HTTP) on "));
        let (_, address) = address.expect("a line tells the port");
        address.trim().parse().expect("an address")
    }

    /// Asserts that none of its tasks has panicked since it was last started, and none stayed behind
    /// at its end. Such a panic shows nowhere else: the process lives on.
    pub fn assert_no_panic(&self) {
        let printed = self.printed();
        let complaints = ["panicked at", "did not close in time"];
        assert!(!complaints.iter().any(|complaint| printed.contains(complaint)), "{printed}");
    }

    /// Asserts that the process lives, has not panicked, and serves a new client.
    pub fn assert_sound(&mut self) {
        let (running, _) = self.running.as_mut().expect("the broker runs");
        let ended = running.has_ended();
        assert!(ended.is_none(), "the broker ended: {ended:?}\n{}", self.printed());
        self.assert_no_panic();
        self.broker().connect_bare().round_trip(b"sound");
    }

    /// Its resident memory, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let path = format!("/proc/{}/statm", self.pid());
        let text = std::fs::read_to_string(path).expect("the process is there");
        let resident = text.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
        resident.expect("a number of pages") * rustix::param::page_size()
    }

    /// Sends SIGTERM; `terminate` waits for the end.
    pub fn ask_to_end(&self) {
        self.running().0.ask_to_end();
    }

    /// Processor time it has used so far.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.pid());
        let text = std::fs::read_to_string(path).expect("the process is there");
        let (_, fields) = text.rsplit_once(')').expect("a name in parentheses");
        // utime and stime are fields 14 and 15, of which the name is the second.
        let ticks = fields.split_whitespace().skip(11).take(2).map(|word| word.parse::<u64>());
        let ticks: u64 = ticks.map(|count| count.expect("a number of ticks")).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
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
        wait_until("a killed broker lets go of its data", || lock.try_lock_shared().is_ok());
    }
}

/// A broker for a test that asks for one: one of ours, or the outside one, which is lent to one test
/// at a time, because tests share names on it.
#[derive(Debug)]
pub struct Lent {
    broker: Broker,
    _started: Option<BrokerUnderTest>,
    _outside: Option<MutexGuard<'static, ()>>,
}

impl Lent {
    /// Starts ours, or waits for the outside broker to be free.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// As [`Self::start`]; ours has these lines in its configuration file.
    #[must_use]
    pub fn start_with(config: &str) -> Self {
        /// Guards the outside broker against two tests at once.
        static OUTSIDE: Mutex<()> = Mutex::new(());
        if let Some(broker) = Broker::peer() {
            let lent = OUTSIDE.lock().unwrap_or_else(PoisonError::into_inner);
            return Self { broker, _started: None, _outside: Some(lent) };
        }
        let started = BrokerUnderTest::start_with(config);
        Self { broker: started.broker(), _started: Some(started), _outside: None }
    }

    /// How to reach it.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The URL of the vhost `/`, in the form that every client reads.
    #[must_use]
    pub fn url(&self) -> String {
        self.broker.url()
    }

    /// As [`Self::start`], with the management API.
    #[must_use]
    pub fn start_with_management() -> Self {
        Self::start_with(MANAGEMENT)
    }

    /// Where the management API is: of ours, if it was started so, or `LEVERET_PEER_HTTP`.
    #[must_use]
    pub fn management(&self) -> SocketAddr {
        let Some(started) = &self._started else {
            let url = std::env::var("LEVERET_PEER_HTTP").expect("where the peer is managed");
            let authority =
                url.trim_end_matches('/').rsplit(['/', '@']).next().expect("an address");
            return authority.parse().expect("an address");
        };
        started.management()
    }
}

/// Has a broker of ours offer the management API, on a port that is free.
pub const MANAGEMENT: &str = "management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = 0\n";

/// Runs `leveret` with these arguments to its end.
#[must_use]
pub fn run_leveret<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    run(Command::new(binary()).args(arguments))
}

/// `LEVERET_BIN`, or what cargo builds.
fn binary() -> PathBuf {
    std::env::var_os("LEVERET_BIN").map_or_else(|| built("leveret"), PathBuf::from)
}

/// The path of a program of the workspace, `leveret` or `examples/NAME`. The first call builds them
/// all, so that no test drives a stale one, and with the features that `cargo test --workspace` gives
/// to the dependencies, lest both build everything in turn.
#[must_use]
pub fn built(program: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let profile = profile_directory();
    BUILT.call_once(|| build(profile.ends_with("release")));
    profile.join(program)
}

fn build(release: bool) {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--workspace", "--bins", "--examples"]);
    build.current_dir(repository());
    // Cargo says to a test which package it is of. Build scripts look at that, and whatever depends on one
    // of them would be built anew.
    for (name, _) in std::env::vars_os() {
        let own = name.to_string_lossy();
        if own.starts_with("CARGO_MANIFEST_") || own.starts_with("CARGO_PKG_") {
            build.env_remove(name);
        }
    }
    if release {
        build.arg("--release");
    }
    let mut building = build.spawn().expect("cargo starts");
    let status = exit_of("the build of the programs under test", &mut building, TO_BUILD);
    assert!(status.success(), "{build:?}: {status}");
}

/// The top of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the repository")
}

/// `target/debug` or `target/release`: a test runs from its `deps` folder.
fn profile_directory() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors().nth(2).expect("tests lie in target/<profile>/deps").to_owned()
}

/// Where cargo puts what it builds: the folder above `debug` and `release`.
#[must_use]
pub fn target_directory() -> PathBuf {
    profile_directory().parent().expect("a profile folder is in the target folder").to_owned()
}
