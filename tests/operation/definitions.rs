//! Definitions of RabbitMQ in and out again.

use std::fs;

use leveret_tests::broker_under_test::{BrokerUnderTest, run_leveret};
use serde_json::Value;

use crate::{ctl, ctl_over, file};

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Lists in one order, whoever wrote them.
fn sorted(document: &Value, category: &str) -> Vec<String> {
    let all = document[category].as_array().expect("a list");
    let mut all: Vec<_> = all.iter().map(Value::to_string).collect();
    all.sort();
    all
}

/// An export of RabbitMQ 4.3.6.
#[test]
fn what_rabbitmq_exports_is_imported_and_exported_the_same_after_a_restart_too() {
    let mut broker = BrokerUnderTest::start();
    let socket = || broker.data_directory().join("leveret.sock").display().to_string();
    let path = file("rabbitmq-4.3.6.json");
    let path = path.to_str().expect("UTF-8");
    ctl_over(&socket(), &["import_definitions", path]).good();
    let given = json(&fs::read_to_string(path).expect("a file"));
    let there = json(&ctl_over(&socket(), &["export_definitions", "-"]).good());
    for category in
        ["queues", "bindings", "exchanges", "policies", "parameters", "topic_permissions"]
    {
        assert_eq!(sorted(&there, category), sorted(&given, category), "{category}");
    }
    for category in ["users", "vhosts", "permissions"] {
        let there = sorted(&there, category);
        for one in sorted(&given, category) {
            assert!(there.contains(&one), "{one} among {there:?}");
        }
    }
    let would = ctl_over(&socket(), &["apply", "--dry-run", "-f", path]).good();
    let nothing = "0 added, 0 changed, 0 removed\nnothing was changed: this is what would be\n";
    assert_eq!(would, nothing);
    broker.terminate(std::time::Duration::from_secs(30));
    broker.start_again();
    let socket = broker.data_directory().join("leveret.sock").display().to_string();
    let after = json(&ctl_over(&socket, &["export_definitions", "-"]).good());
    for (category, before) in there.as_object().expect("an object") {
        // `x5` is the exchange of each vhost that is not durable.
        let stays = |one: &&Value| one["name"] != "x5" && one["source"] != "x5";
        match before.as_array() {
            Some(all) => {
                let stay: Vec<_> = all.iter().filter(stays).collect();
                assert_eq!(after[category], serde_json::json!(stay), "{category}");
            }
            None => assert_eq!(&after[category], before, "{category}"),
        }
    }
    broker.assert_sound();
}

const YAML: &str = "\
vhosts: [{name: applied}]
exchanges: [{name: x, vhost: applied, type: topic}]
queues:
  - {name: q, vhost: applied, arguments: {x-max-length: 10}}
bindings:
  - {source: x, vhost: applied, destination: q, destination_type: queue, routing_key: a.*}
policies:
  - {name: p, vhost: applied, pattern: ^q, definition: {message-ttl: 1000}}
";

#[test]
fn a_file_is_applied_told_before_and_no_more_than_it_says() {
    let directory = std::env::temp_dir().join(format!("leveret-apply-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("topology.yaml");
    fs::write(&path, YAML).expect("a file");
    let path = path.to_str().expect("UTF-8");
    let socket = crate::socket();
    let apply = |more: &[&str]| {
        let line: Vec<_> =
            ["apply", "--socket", &socket, "-f", path].iter().chain(more).copied().collect();
        let ended = run_leveret(&line);
        let text = String::from_utf8([ended.stdout, ended.stderr].concat()).expect("UTF-8");
        (text, ended.status.code())
    };
    let added = "+ vhost 'applied'\n+ exchange 'x' in vhost 'applied'\n+ policy 'p' in vhost \
                 'applied'\n+ queue 'q' in vhost 'applied'\n+ binding from 'x' to queue 'q' with key \
                 'a.*' in vhost 'applied'\n5 added, 0 changed, 0 removed\n";
    let (would, code) = apply(&["--dry-run"]);
    assert_eq!(
        (would, code),
        (format!("{added}nothing was changed: this is what would be\n"), Some(0))
    );
    assert_eq!(ctl(&["-q", "list_exchanges", "-p", "applied"]).code, 65, "nothing was");
    assert_eq!(apply(&[]), (added.to_owned(), Some(0)));
    assert_eq!(apply(&[]), ("0 added, 0 changed, 0 removed\n".to_owned(), Some(0)));
    let fewer = YAML.replace("policies:\n", "policies: []\nother:\n").replace("1000", "2000");
    fs::write(path, fewer).expect("a file");
    assert_eq!(
        apply(&["-p", "applied"]).0,
        "! vhosts: only vhost 'applied' is meant\n\
         0 added, 0 changed, 0 removed\n"
    );
    let gone = "! vhosts: only vhost 'applied' is meant\n- policy 'p' in vhost 'applied'\n\
                0 added, 0 changed, 1 removed\n";
    assert_eq!(apply(&["-p", "applied", "--prune"]).0, gone);
    fs::write(path, "queues: [{name: q, vhost: nowhere}]").expect("a file");
    let refused =
        "Error:\nPlease create virtual host \"nowhere\" prior to importing definitions.\n";
    assert_eq!(apply(&[]), (refused.to_owned(), Some(69)));
    fs::remove_dir_all(&directory).expect("it is ours");
}

#[test]
fn what_cannot_be_imported_is_refused_with_a_reason() {
    for (words, code, part) in [
        (vec!["import_definitions", "/no/such/file"], 65, "File /no/such/file does not exist"),
        (vec!["import_definitions", file("main.rs").to_str().expect("UTF-8")], 65, "JSON"),
        (vec!["export_definitions", "-", "-p", "no-such"], 69, "vhost_not_found"),
    ] {
        let printed = ctl(&words);
        assert_eq!(printed.code, code, "{printed:?}");
        assert!(printed.err.contains(part), "{printed:?}");
    }
}
