//! A client program run as a child process: what it prints, line by line, and
//! how it ends, each within a time limit.
//!
//! Used by the tests that drive clients in other languages and the examples. A
//! program never outlives the [`Program`] that started it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::broker_under_test::watch_over;
use crate::deadline::{end, exit_of, join, run};

/// Fails with the way out if a prerequisite is missing: a test that cannot run
/// must not pass.
pub fn require(path: &Path) {
    assert!(path.exists(), "{} is missing: run ./tests/setup first", path.display());
}

/// A running program and the lines it has printed so far.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
    /// Kills a server whose test dies before it.
    watchdog: Option<Child>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed, by line.
    pub stdout: Vec<String>,
    /// What it complained about.
    pub stderr: String,
}

impl Program {
    /// Starts `command` with its output captured.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let (stdout, stderr) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
        let readers = vec![
            read_into(child.stdout.take().expect("stdout is piped"), Arc::clone(&stdout)),
            read_into(child.stderr.take().expect("stderr is piped"), Arc::clone(&stderr)),
        ];
        Self { name, child, stdout, stderr, readers, watchdog: None }
    }

    /// As [`Self::start`], for a program that does not end by itself: it ends with the tests.
    #[must_use]
    pub fn start_watched(command: &mut Command) -> Self {
        let mut started = Self::start(command);
        started.watchdog = Some(watch_over(started.child.id()));
        started
    }

    /// What it has printed so far.
    #[must_use]
    pub fn printed(&self) -> Vec<String> {
        self.stdout.now()
    }

    /// Waits for a line that has this in it.
    pub fn wait_until(&self, limit: Duration, part: &str) {
        let is_there = |lines: &[String]| lines.iter().any(|line| line.contains(part));
        let lines = self.stdout.wait(limit, is_there);
        let complaint = self.stderr.now().join("\n");
        assert!(
            is_there(&lines),
            "{} did not print {part:?} within {limit:?} but {lines:?}\n{complaint}",
            self.name
        );
    }

    /// Sends SIGTERM and waits for the end.
    #[must_use]
    pub fn terminate(self, limit: Duration) -> ExitStatus {
        let sent = run(Command::new("kill").arg(self.child.id().to_string()));
        assert!(sent.status.success(), "{} is not running", self.name);
        self.finish(limit).status
    }

    /// Waits until the program has printed at least `count` lines; gives all.
    #[must_use]
    pub fn wait_for_lines(&self, count: usize, limit: Duration) -> Vec<String> {
        let lines = self.stdout.wait(limit, |lines| lines.len() >= count);
        let complaint = self.stderr.now().join("\n");
        assert!(
            lines.len() >= count,
            "{} printed {lines:?} and no more within {limit:?}\n{complaint}",
            self.name
        );
        lines
    }

    /// Waits for a line that equals `line`.
    pub fn wait_for_line(&self, line: &str, limit: Duration) {
        let lines = self.stdout.wait(limit, |lines| lines.iter().any(|printed| printed == line));
        let complaint = self.stderr.now().join("\n");
        assert!(
            lines.iter().any(|printed| printed == line),
            "{} did not print {line:?} within {limit:?} but {lines:?}\n{complaint}",
            self.name
        );
    }

    /// Sends SIGINT, as CTRL+C does.
    pub fn interrupt(&self) {
        let sent = run(Command::new("kill").args(["-INT", &self.child.id().to_string()]));
        assert!(sent.status.success(), "{} is not running", self.name);
    }

    /// Waits for the program to end by itself.
    #[must_use]
    pub fn finish(mut self, limit: Duration) -> Finished {
        // Its output ends when it does: wait for that, not for a clock.
        self.stdout.wait(limit, |_| false);
        if !self.stdout.ended() {
            let (printed, complaint) = (self.stdout.now(), self.stderr.now().join("\n"));
            panic!("{} did not end within {limit:?}; printed {printed:?}\n{complaint}", self.name);
        }
        let status = exit_of(&self.name, &mut self.child, limit);
        for reader in self.readers.drain(..) {
            join(&self.name, reader);
        }
        Finished { status, stdout: self.stdout.now(), stderr: self.stderr.now().join("\n") }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The watchdog goes first: see `RunningBroker`.
        for child in self.watchdog.iter_mut().chain([&mut self.child]) {
            end(child);
        }
    }
}

/// The lines of one stream, and a bell that rings when one is added.
#[derive(Debug, Default)]
struct Lines {
    /// Guards the lines between the reader thread and the test.
    read: Mutex<Output>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Output {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Output> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    fn ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits until `enough` holds, the stream ends, or `limit` passes.
    fn wait(&self, limit: Duration, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let (read, _) = self
            .bell
            .wait_timeout_while(self.lock(), limit, |read| !read.ended && !enough(&read.lines))
            .unwrap_or_else(PoisonError::into_inner);
        read.lines.clone()
    }
}

fn read_into(stream: impl Read + Send + 'static, into: Arc<Lines>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            into.lock().lines.push(line);
            into.bell.notify_all();
        }
        into.lock().ended = true;
        into.bell.notify_all();
    })
}
