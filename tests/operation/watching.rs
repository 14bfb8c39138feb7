//! `leveret tap`, `leveret trace` and `leveret top`: what goes through a broker, while it does.

use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::Duration;

use leveret_tests::broker_under_test::{BrokerUnderTest, built};
use leveret_tests::deadline::{end, exit_of, wait_for, wait_until};
use leveret_tests::raw_client::Message;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{broker, ctl, run, socket};

/// A command that goes on until it has seen enough.
struct Watching {
    child: Child,
    printed: NamedTempFile,
}

impl Drop for Watching {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl Watching {
    fn start(words: &[&str]) -> Self {
        let printed = NamedTempFile::new().expect("a file");
        let out = File::create(printed.path()).expect("a file");
        let socket = socket();
        let mut command = Command::new(built("leveret"));
        let child = command.args(words).args(["--socket", &socket]).stdout(out).spawn();
        Self { child: child.expect("it starts"), printed }
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.printed.path()).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    fn ends_well(&mut self) {
        let patience = Duration::from_secs(30);
        let status = exit_of("a command that has seen enough", &mut self.child, patience);
        assert!(status.success(), "{status}");
    }

    fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::INT).expect("it runs");
    }
}

/// Queues that look on at an exchange.
fn looking(exchange: &str) -> usize {
    let bindings = ctl(&["-s", "list_bindings", "source_name", "destination_name"]).good();
    let is_it = |line: &&str| line.starts_with(&format!("{exchange}\tleveret.tap-"));
    bindings.lines().filter(is_it).count()
}

#[test]
fn a_tap_shows_what_goes_by_and_leaves_nothing() {
    let mut client = broker().connect();
    client.declare_exchange("tapped", "topic");
    client.declare_bound_queue("taken", "tapped", "#");
    let mut tap = Watching::start(&["tap", "tapped", "a.#", "--count", "2", "--json"]);
    wait_until("the tap is there", || looking("tapped") == 1);
    for (key, body) in [("a.b", "one"), ("b", "other"), ("a", "two")] {
        client.publish(&Message::to("tapped", key).body(body));
    }
    tap.ends_well();
    let seen = tap.lines().into_iter().map(|line| {
        let seen: Value = serde_json::from_str(&line).expect("JSON");
        format!("{} {}", seen["routing_key"], seen["payload"])
    });
    assert_eq!(seen.collect::<Vec<_>>(), ["\"a.b\" \"one\"", "\"a\" \"two\""]);
    client.expect_count("taken", 3);
    wait_until("nothing of it is left", || looking("tapped") == 0);
    let mut tap = Watching::start(&["tap", "tapped"]);
    wait_until("the tap is there", || looking("tapped") == 1);
    client.publish(&Message::to("tapped", "k").body("a\nb"));
    wait_until("a line is printed", || !tap.lines().is_empty());
    tap.interrupt();
    tap.ends_well();
    assert!(tap.lines()[0].ends_with(" tapped k 3 bytes: a\\nb"), "{:?}", tap.lines());
    wait_until("nothing of it is left", || looking("tapped") == 0);
    let socket = socket();
    let missing = run(&["tap", "no-such", "--socket", &socket]);
    let text = "leveret: there is no exchange 'no-such' in vhost '/'\n";
    assert_eq!((missing.code, missing.err.as_str()), (1, text));
    assert_eq!(run(&["tap", "", "--socket", &socket]).code, 1);
}

#[test]
fn a_trace_tells_what_happens_to_messages_and_is_off_again() {
    let is_traced = || {
        let vhosts = ctl(&["-s", "list_vhosts", "name", "tracing"]).good();
        vhosts.lines().any(|line| line == "/\ttrue")
    };
    let mut client = broker().connect();
    client.declare_queue("traced");
    client.declare_queue("others");
    let mut trace = Watching::start(&["trace", "--queue", "traced", "--count", "2"]);
    wait_until("the vhost is traced", is_traced);
    client.fill("others", &["not this"]);
    client.fill("traced", &["this"]);
    client.get("traced");
    trace.ends_well();
    let lines = trace.lines();
    let published = " published to (the default exchange) with traced by ";
    assert!(lines[0].contains(published), "{lines:?}");
    assert!(lines[0].ends_with(", into traced; 4 bytes: this"), "{lines:?}");
    assert!(lines[1].contains(" delivered from traced to "), "{lines:?}");
    assert!(!is_traced(), "it was not before");
    wait_until("nothing of it is left", || looking("amq.rabbitmq.trace") == 0);
}

#[test]
fn a_broker_is_seen_in_one_table_where_there_is_no_terminal() {
    let mut client = broker().connect();
    client.declare_queue("seen-by-top");
    client.fill("seen-by-top", &["one", "two"]);
    let socket = socket();
    for once in [&["--once"][..], &[]] {
        let words = [&["top", "--filter", "seen-by", "--socket", &socket], once].concat();
        let table = run(&words).good();
        let row = table.lines().find(|line| line.starts_with("seen-by-top")).expect("a row");
        let cells: Vec<_> = row.split_whitespace().collect();
        assert_eq!(cells[1..5], ["/", "classic", "2", "0"], "{table}");
        assert!(table.contains(" connections  "), "{table}");
    }
    let gone = run(&["top", "--socket", "/nowhere/leveret.sock"]);
    assert!(gone.code == 1 && gone.err.contains("/nowhere/leveret.sock"), "{gone:?}");
}

#[test]
fn connections_that_are_held_are_seen_with_the_reason() {
    let blocked = BrokerUnderTest::start_with("disk_free_limit.absolute = 900000TB\n");
    blocked.expect_line(&["low on disk"]);
    let _client = blocked.broker().connect();
    let socket = blocked.data_directory().join("leveret.sock").display().to_string();
    let row = wait_for("a connection that is held", || {
        let table = run(&["top", "--once", "--socket", &socket]).good();
        let (_, held) = table.split_once("held connection ")?;
        held.lines().nth(1).map(str::to_owned)
    });
    assert!(row.contains("  guest  ") && row.contains("disk"), "{row}");
}
