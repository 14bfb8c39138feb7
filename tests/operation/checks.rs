//! `leveret check`, and the commands of `ctl` that have a name of their own.

use leveret_tests::broker_under_test::BrokerUnderTest;
use serde_json::json;

use crate::{Printed, broker, ctl, run, socket};

/// A check of the shared broker.
fn check(words: &[&str]) -> Printed {
    let socket = socket();
    let whom = ["--socket", &socket];
    run(&["check"].iter().chain(words).chain(&whom).copied().collect::<Vec<_>>())
}

/// What it printed, whatever it found.
#[track_caller]
fn found(words: &[&str]) -> (String, i32) {
    let printed = check(words);
    assert_eq!((printed.err.as_str(), printed.out.lines().count()), ("", 1), "{printed:?}");
    (printed.out.trim_end().to_owned(), printed.code)
}

#[test]
fn a_broker_that_is_well_is_ok_in_one_line_with_data() {
    let (line, code) = found(&["--disk-warning", "1MB", "--disk-critical", "1MB"]);
    assert_eq!(code, 0, "{line}");
    assert!(line.starts_with("LEVERET OK - no alarms; port "), "{line}");
    let (_, data) = line.split_once(" | ").expect("data");
    for label in ["alarms=0;;0", "port_", "memory=", "disk_free=", "descriptors="] {
        assert!(data.split(' ').any(|datum| datum.starts_with(label)), "{label}: {data}");
    }
    assert!(line.contains("no certificates"), "{line}");
    let (line, code) = found(&["disk", "--disk-warning", "1MB", "--disk-critical", "900000TB"]);
    assert!(code == 2 && line.starts_with("LEVERET CRITICAL - disk "), "{line}");
    let (line, code) = found(&["memory", "--memory-warning", "0", "--memory-critical", "999"]);
    assert!((code == 1 && line.contains("memory=")) || line.contains("memory 0 %"), "{line}");
    let _client = broker().connect();
    let (line, code) = found(&["connections", "--connections-critical", "0"]);
    assert!(code == 2 && line.contains("connections"), "{line}");
}

#[test]
fn queues_are_held_to_their_levels() {
    let mut client = broker().connect();
    client.declare_queue("checked");
    client.fill_persistent("checked", &["one", "two", "three"]);
    let queue = ["queues", "--queue", "checked"];
    let of = |levels: &[&str]| found(&[&queue, levels].concat());
    let numbers = "queue 'checked': 3 messages, 3 ready, 0 unacked, 0 consumers";
    assert_eq!(
        of(&["--messages-warning", "3", "--messages-critical", "10"]),
        (format!("LEVERET OK - {numbers} | messages=3;3;10 ready=3 unacked=0 consumers=0"), 0)
    );
    let (line, code) = of(&["--messages-warning", "2"]);
    assert!(code == 1 && line.starts_with(&format!("LEVERET WARNING - {numbers}")), "{line}");
    let (line, code) = of(&["--messages-warning", "2", "--consumers-critical", "1"]);
    assert!(code == 2 && line.ends_with("consumers=0;;1:"), "{line}");
    let (line, code) = of(&["--age-critical", "3600"]);
    assert!(code == 0 && line.contains("the oldest waits 0 s"), "{line}");
    let (line, code) = found(&["queues", "--ready-critical", "2"]);
    assert!(code == 2 && line.contains("queue 'checked' in '/': 3 ready"), "{line}");
    let (line, code) = found(&["--queue", "none-such"]);
    assert_eq!(code, 2);
    assert!(line.contains("there is no queue 'none-such' in vhost '/'"), "{line}");
}

#[test]
fn who_does_not_answer_is_critical_and_a_mistake_unknown() {
    let gone = run(&["check", "alarms", "--socket", "/nowhere/leveret.sock"]);
    assert_eq!(gone.code, 2, "{gone:?}");
    assert!(gone.out.starts_with("LEVERET CRITICAL - ") && gone.out.contains("/nowhere/"));
    let mistake = run(&["check", "--disk-critical", "much"]);
    assert_eq!((mistake.code, mistake.out.as_str()), (3, ""), "{mistake:?}");
    let port = broker().address.port().to_string();
    let (line, code) = found(&["--port", &port]);
    assert!(code == 0 && line.contains(&format!("port {port} answers")), "{line}");
    let (line, code) = found(&["port", "--port", "1"]);
    assert!(code == 2 && line.starts_with("LEVERET CRITICAL - port 1: "), "{line}");
}

#[test]
fn an_alarm_is_critical() {
    let broker = BrokerUnderTest::start_with("disk_free_limit.absolute = 900000TB\n");
    broker.expect_line(&["low on disk"]);
    let socket = broker.data_directory().join("leveret.sock").display().to_string();
    let alarmed = run(&["check", "alarms", "--socket", &socket]);
    let expected = "LEVERET CRITICAL - publishers are blocked: low on disk | alarms=1;;0\n";
    assert_eq!((alarmed.out.as_str(), alarmed.code), (expected, 2));
}

#[test]
fn commands_of_ours_are_there_without_ctl() {
    let mut client = broker().connect();
    client.declare_queue("named");
    client.fill_persistent("named", &["body"]);
    let socket = socket();
    for words in [
        &["explain", "queue", "named"][..],
        &["explain", "publish", "", "named"],
        &["route", "", "named"],
        &["peek", "named"],
        &["redrive", "named", "--dry-run"],
    ] {
        let words: Vec<&str> = [words, &["--socket", &socket]].concat();
        let (own, of_ctl) = (run(&words), ctl(&words));
        assert_eq!((own.code, &own.out, &own.err), (of_ctl.code, &of_ctl.out, &of_ctl.err));
        assert_eq!(own.code, 0, "{own:?}");
    }
    let told = run(&["route", "", "named", "--formatter", "json", "--socket", &socket]).good();
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["queues"], json!(["named"]));
}
