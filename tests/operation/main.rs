//! The command line and definitions, against the real binary: what is printed, with which exit code, and
//! what the broker has afterwards.
//!
//! One broker, which every test gives names of its own. Texts and codes are those of `rabbitmqctl` 4.3.6.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod admin;
mod checks;
mod commands;
mod definitions;
mod dev;
mod doctor;
mod watching;

use std::path::PathBuf;
use std::process::Output;
use std::sync::{LazyLock, Mutex, PoisonError};

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest, run_leveret};

/// Started by the first test; its watchdog ends it with this process.
static BROKER: LazyLock<Mutex<BrokerUnderTest>> =
    LazyLock::new(|| Mutex::new(BrokerUnderTest::start()));

/// The socket of the broker that all tests share.
fn socket() -> String {
    let broker = BROKER.lock().unwrap_or_else(PoisonError::into_inner);
    broker.data_directory().join("leveret.sock").display().to_string()
}

/// Its AMQP.
fn broker() -> Broker {
    BROKER.lock().unwrap_or_else(PoisonError::into_inner).broker()
}

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Printed {
    out: String,
    err: String,
    code: i32,
}

impl Printed {
    /// Of a program that ended by itself.
    fn of(ended: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self {
            out: text(ended.stdout),
            err: text(ended.stderr),
            code: ended.status.code().expect("it was not killed"),
        }
    }

    /// What it printed, if it ended well.
    #[track_caller]
    fn good(self) -> String {
        assert_eq!((self.code, &*self.err), (0, ""), "{self:?}");
        self.out
    }
}

/// Runs a command of `leveret ctl`.
fn ctl(words: &[&str]) -> Printed {
    ctl_over(&socket(), words)
}

fn ctl_over(socket: &str, words: &[&str]) -> Printed {
    run(&["ctl", "--socket", socket].iter().chain(words).copied().collect::<Vec<_>>())
}

/// Runs `leveret` with these words.
fn run(words: &[&str]) -> Printed {
    Printed::of(run_leveret(words))
}

/// A file of this test.
fn file(name: &str) -> PathBuf {
    leveret_tests::broker_under_test::repository().join("tests/operation").join(name)
}
