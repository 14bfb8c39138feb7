//! Waiting, with an end: the one place where tests wait for what others do.
//!
//! Every wait names what it waits for, and fails with that name when its time is up, so that a test
//! ends whatever the broker does. `tests/tidy` sees to it that no test waits in another way.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{JoinHandle, ScopedJoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use crate::now;

/// How long a test waits for what must come. Long, for a busy machine: no passing test waits it out.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a whole program may take that a test runs to its end.
pub const TO_RUN: Duration = Duration::from_secs(120);
/// How long cargo may take to build what a test drives, with nothing built before.
pub const TO_BUILD: Duration = Duration::from_secs(20 * 60);
/// Between two looks at what gives no sign of its own.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The end of a wait.
#[derive(Debug, Clone)]
pub struct Deadline {
    what: String,
    within: Duration,
    end: Instant,
}

impl Deadline {
    /// [`PATIENCE`] from now.
    #[must_use]
    pub fn of(what: &str) -> Self {
        Self::within(what, PATIENCE)
    }

    /// So long from now.
    #[must_use]
    pub fn within(what: &str, within: Duration) -> Self {
        Self { what: what.to_owned(), within, end: now() + within }
    }

    /// When it is.
    #[must_use]
    pub fn end(&self) -> Instant {
        self.end
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        now() >= self.end
    }

    /// Fails once it has passed: for each turn of a loop that ends by what others do.
    pub fn check(&self) {
        assert!(!self.has_passed(), "{}: not within {:?}", self.what, self.within);
    }
}

/// Waits until `look` finds something.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_within(what, PATIENCE, look)
}

/// Waits until `holds` does.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// As [`wait_for`], with another patience.
pub fn wait_within<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::within(what, within);
    loop {
        if let Some(found) = look() {
            return found;
        }
        deadline.check();
        sleep(LOOK_EVERY);
    }
}

/// As [`wait_until`], where it is no failure that the time runs out first.
pub fn wait_at_most(within: Duration, mut holds: impl FnMut() -> bool) {
    let end = now() + within;
    while !holds() && now() < end {
        sleep(LOOK_EVERY);
    }
}

/// Whether so much time has passed, but for the millisecond that a broker may lose that counts in
/// them.
#[must_use]
pub fn has_waited(since: Instant, least: Duration) -> bool {
    since.elapsed() + Duration::from_millis(1) >= least
}

/// Lets time pass: only for what is about time itself, such as a moment at random.
pub fn let_pass(time: Duration) {
    sleep(time);
}

/// The next thing from a channel.
#[must_use]
pub fn receive<T>(what: &str, receiver: &Receiver<T>) -> T {
    match receiver.recv_timeout(PATIENCE) {
        Ok(received) => received,
        Err(RecvTimeoutError::Timeout) => panic!("{what}: not within {PATIENCE:?}"),
        Err(RecvTimeoutError::Disconnected) => panic!("{what}: it never came"),
    }
}

/// What a thread returns, which must end within [`TO_RUN`]; panics as it did.
pub fn join<T>(what: &str, thread: JoinHandle<T>) -> T {
    wait_within(what, TO_RUN, || thread.is_finished().then_some(()));
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// As [`join`], for a thread of a scope.
pub fn join_scoped<T>(what: &str, thread: ScopedJoinHandle<'_, T>) -> T {
    wait_within(what, TO_RUN, || thread.is_finished().then_some(()));
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// How a child ends; one that does not is left to its owner.
pub fn exit_of(what: &str, child: &mut Child, within: Duration) -> ExitStatus {
    wait_within(what, within, || child.try_wait().expect("our child can be asked"))
}

/// Ends a child that must not outlive its owner.
pub fn end(child: &mut Child) {
    child.kill().ok();
    // After SIGKILL only the kernel is waited for.
    child.wait().ok();
}

/// Runs a command to its end and keeps what it prints.
pub fn run(command: &mut Command) -> Output {
    run_within(command, TO_RUN)
}

/// As [`run`], with another patience.
pub fn run_within(command: &mut Command, within: Duration) -> Output {
    let what = format!("the end of {command:?}");
    let spawned =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let stdout = read_all(child.stdout.take().expect("stdout is piped"));
    let stderr = read_all(child.stderr.take().expect("stderr is piped"));
    let deadline = Deadline::within(&what, within);
    let status = loop {
        if let Some(status) = child.try_wait().expect("our child can be asked") {
            break status;
        }
        if deadline.has_passed() {
            end(&mut child);
            deadline.check();
        }
        sleep(LOOK_EVERY);
    };
    Output { status, stdout: join(&what, stdout), stderr: join(&what, stderr) }
}

fn read_all(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    spawn(move || {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("a pipe can be read");
        all
    })
}

/// Runs a future on a runtime of its own to its end, which must come within [`TO_RUN`].
pub fn run_in_time<F: Future>(what: &str, future: F) -> F::Output {
    let runtime = tokio::runtime::Runtime::new().expect("a tokio runtime");
    let outcome = runtime.block_on(async { tokio::time::timeout(TO_RUN, future).await });
    outcome.unwrap_or_else(|_| panic!("{what}: not within {TO_RUN:?}"))
}

/// What a future gives, which must do so in time.
///
/// # Panics
/// When it does not.
pub async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;

    fn said_by(failing: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(failing)).expect_err("it fails");
        *panic.downcast::<String>().expect("a text")
    }

    #[test]
    fn a_wait_that_fails_says_for_what() {
        let moment = Duration::from_millis(1);
        let said = said_by(|| wait_within("the moon", moment, || None));
        assert_eq!(said, "the moon: not within 1ms");
        let (sender, receiver) = mpsc::channel::<()>();
        drop(sender);
        assert_eq!(said_by(|| receive("news", &receiver)), "news: it never came");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let said = said_by(|| {
            run_within(Command::new("sleep").arg("1000"), Duration::from_millis(20));
        });
        assert_eq!(said, "the end of \"sleep\" \"1000\": not within 20ms");
    }

    #[test]
    fn what_a_program_prints_is_kept() {
        let output = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));
        assert_eq!(output.status.code(), Some(3));
    }
}
