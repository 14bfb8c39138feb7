//! `leveret dev`: a broker that leaves nothing.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, built};
use leveret_tests::deadline::{end, exit_of, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::run;

/// One that ends with its test.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

/// Starts one; what it prints once it is ready.
fn start() -> (Dev, Vec<String>) {
    let printed = NamedTempFile::new().expect("a file");
    let out = File::create(printed.path()).expect("a file");
    let child = Command::new(built("leveret")).arg("dev").stdout(out).spawn();
    let dev = Dev(child.expect("it starts"));
    let lines = wait_for("what a broker of leveret dev says", || {
        let text = fs::read_to_string(printed.path()).ok()?;
        text.contains("sendToQueue").then(|| text.lines().map(str::to_owned).collect())
    });
    (dev, lines)
}

/// What stands behind a word in a line of the greeting.
fn told<'a>(lines: &'a [String], word: &str) -> &'a str {
    let line = lines.iter().find_map(|line| line.trim_start().strip_prefix(word));
    line.unwrap_or_else(|| panic!("{word}: {lines:?}")).trim()
}

#[test]
fn a_broker_to_try_things_with_says_where_it_is_and_leaves_nothing() {
    let (first, lines) = start();
    let url = told(&lines, "AMQP").to_owned();
    let authority =
        url.strip_prefix("amqp://guest:guest@").and_then(|rest| rest.strip_suffix("/%2F"));
    let address: SocketAddr = authority.and_then(|text| text.parse().ok()).expect(&url);
    assert!(address.ip().is_loopback() && address.port() >= 5672, "{address}");
    let broker = Broker { address, user: "guest".to_owned(), password: "guest".to_owned() };
    let mut client = broker.connect();
    client.declare_queue("hello");
    client.fill_persistent("hello", &["body"]);
    let command = told(&lines, "command line");
    let directory = command.split(' ').nth(3).expect("a directory");
    let listed = run(&["ctl", "-q", "--data-dir", directory, "list_queues"]).good();
    assert_eq!(listed, "name\tmessages\nhello\t1\n");
    let management = told(&lines, "management").split(' ').next().expect("a URL").to_owned();
    let url = management.replace("http://", "http://guest:guest@");
    assert_eq!(run(&["check", "alarms", "--url", &url]).code, 0);
    let (second, others) = start();
    assert_ne!(told(&others, "AMQP"), told(&lines, "AMQP"), "two have a port each");
    for mut dev in [second, first] {
        let pid = i32::try_from(dev.0.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::INT).expect("it runs");
        let status = exit_of("the end after Ctrl-C", &mut dev.0, Duration::from_secs(20));
        assert!(status.success(), "{status}");
    }
    assert!(!Path::new(directory).exists(), "{directory} is gone");
}
