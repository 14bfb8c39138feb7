//! What scripts do with a broker.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::raw_client::Handshake;

use crate::{ctl, ctl_over};

/// A command, what it prints and its exit code. What goes wrong is printed on standard error.
type Said<'a> = (&'a [&'a str], &'a str, i32);

#[track_caller]
fn say(lines: &[Said<'_>]) {
    for (words, expected, code) in lines {
        let printed = ctl(words);
        let said = if printed.err.is_empty() {
            printed.out.trim_end().to_owned()
        } else {
            [printed.out.trim_end(), printed.err.trim_end()].join("\n").trim_start().to_owned()
        };
        assert_eq!((said.as_str(), printed.code), (*expected, *code), "{words:?}");
    }
}

#[test]
fn a_user_is_set_up_and_taken_away() {
    say(&[
        (&["add_vhost", "cv", "--description", "d", "--tags", "a,b"], "Adding vhost \"cv\" ...", 0),
        (&["-q", "add_vhost", "cv", "--description", "d", "--tags", "a,b"], "", 0),
        (
            &["add_user", "cu", "secret"],
            "Adding user \"cu\" ...\nDone. Don't forget to grant the user permissions to some virtual \
             hosts! See 'rabbitmqctl help set_permissions' to learn more.",
            0,
        ),
        (
            &["add_user", "cu", "secret"],
            "Adding user \"cu\" ...\nError:\nUser \"cu\" already exists",
            70,
        ),
        (
            &["set_user_tags", "cu", "monitoring", "policymaker"],
            "Setting tags for user \"cu\" to [monitoring, policymaker] ...",
            0,
        ),
        (
            &["set_permissions", "-p", "cv", "cu", "a", ".*", ""],
            "Setting permissions for user \"cu\" in vhost \"cv\" ...",
            0,
        ),
        (
            &["-p", "no-such", "set_permissions", "cu", "", "", ""],
            "Setting permissions for user \"cu\" in vhost \"no-such\" ...\nError:\nVirtual host \
             no-such does not exist",
            69,
        ),
        (
            &["set_permissions", "-p", "cv", "nobody", "", "", ""],
            "Setting permissions for user \"nobody\" in vhost \"cv\" ...\nError:\nUser nobody does not \
             exist",
            67,
        ),
        (
            &["list_permissions", "-p", "cv"],
            "Listing permissions for vhost \"cv\" ...\nuser\tconfigure\twrite\tread\ncu\ta\t.*",
            0,
        ),
        (&["-s", "list_user_permissions", "cu"], "cv\ta\t.*", 0),
        (
            &["list_permissions", "-p", "no-such"],
            "Listing permissions for vhost \"no-such\" ...\nVirtual host 'no-such' does not exist",
            65,
        ),
        (&["-q", "authenticate_user", "cu", "secret"], "Success", 0),
        (
            &["-q", "authenticate_user", "cu", "wrong"],
            "Error:\nError: failed to authenticate user \"cu\"\nuser 'cu' - invalid credentials",
            65,
        ),
        (&["-q", "change_password", "cu", "other"], "", 0),
        (&["-q", "authenticate_user", "cu", "other"], "Success", 0),
        (&["delete_user", "cu"], "Deleting user \"cu\" ...", 0),
        (&["-q", "delete_user", "cu"], "", 0),
    ]);
}

#[test]
fn limits_are_set_and_cleared() {
    say(&[
        (&["-q", "add_vhost", "lv"], "", 0),
        (
            &["-q", "add_user", "lu", "secret"],
            "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help set_permissions' to learn more.",
            0,
        ),
        (&["-q", "set_user_limits", "lu", "{\"max-channels\": 5}"], "", 0),
        (&["-q", "list_user_limits", "--user", "lu"], "{\"max-channels\":5}", 0),
        (&["-q", "set_vhost_limits", "-p", "lv", "{\"max-queues\": 5}"], "", 0),
        (&["-q", "list_vhost_limits", "-p", "lv"], "{\"max-queues\":5}", 0),
        (
            &["-q", "set_vhost_limits", "-p", "lv", "{\"foo\": 5}"],
            "Error:\nValidation failed\n\nUnrecognised terms [{<<\"foo\">>,5}] in limits",
            69,
        ),
        (&["-q", "clear_vhost_limits", "-p", "lv"], "", 0),
        (&["-q", "list_vhost_limits", "-p", "lv"], "", 0),
        (
            &["trace_on", "-p", "lv"],
            "Starting tracing for vhost \"lv\" ...\nTrace enabled for vhost lv",
            0,
        ),
        (&["-q", "delete_vhost", "lv"], "", 0),
        (&["-q", "delete_vhost", "lv"], "Virtual host 'lv' does not exist", 65),
        (&["delete_user", "lu"], "Deleting user \"lu\" ...", 0),
        (&["-q", "delete_user", "lu"], "", 0),
    ]);
}

#[test]
fn what_is_kept_of_a_vhost_or_a_user_stays_where_something_else_is_set() {
    say(&[
        (&["-q", "add_vhost", "kv", "--description", "d", "--default-queue-type", "quorum"], "", 0),
        (&["-q", "trace_on", "-p", "kv"], "Trace enabled for vhost kv", 0),
    ]);
    let said = ctl(&["-q", "list_vhosts", "name", "description", "default_queue_type", "tracing"]);
    assert!(said.good().lines().any(|line| line == "kv\td\tquorum\ttrue"));
    ctl(&["-q", "add_user", "ku", "p"]).good();
    say(&[
        (&["-q", "set_user_tags", "ku", "x", "y"], "", 0),
        (&["-q", "authenticate_user", "ku", "p"], "Success", 0),
        (&["-q", "change_password", "ku", "q"], "", 0),
    ]);
    let users = ctl(&["list_users", "--formatter", "json"]).good();
    assert!(users.contains("{\"user\":\"ku\",\"tags\":[\"x\",\"y\"]}"), "{users}");
}

#[test]
fn the_broker_says_how_it_is() {
    say(&[
        (&["-q", "ping"], "Ping succeeded", 0),
        (&["await_startup"], "", 0),
        (
            &["-q", "list_nothing"],
            "Command 'list_nothing' not found. \nDid you mean 'list_bindings'?",
            64,
        ),
        (&["-q", "check_virtual_hosts", "too", "many"], TOO_MANY, 64),
        (&["-q", "set_vm_memory_high_watermark", "0.5"], "", 0),
        (&["-q", "set_disk_free_limit", "60MB"], "", 0),
        (
            &["set_log_level", "foo"],
            "Error:\nlevel foo is not supported. Try one of debug, info, warning, error, critical, none",
            69,
        ),
        (&["set_log_level", "info"], "Setting log level to \"info\" ...", 0),
    ]);
    for check in ["check_running", "check_alarms", "check_local_alarms", "check_virtual_hosts"] {
        assert_eq!(ctl(&["-q", check]).code, 0, "{check}");
    }
    let connected = ctl(&["-q", "check_port_connectivity"]).good();
    assert!(connected.starts_with("Successfully connected to ports "), "{connected}");
    assert_eq!(ctl(&["-q", "check_port_listener", "1"]).code, 69);
    assert_eq!(ctl(&["-q", "check_protocol_listener", "amqp"]).code, 0);
    let status = ctl(&["status"]).good();
    for part in
        ["Runtime\n", "\nMemory\n", "Low free disk space watermark: 0.06 gb", "\nListeners\n"]
    {
        assert!(status.contains(part), "{part}: {status}");
    }
    let environment = ctl(&["environment", "--formatter", "json"]).good();
    assert!(environment.contains("\"disk_free_limit\":60000000"), "{environment}");
}

const TOO_MANY: &str = "Error (argument validation): too many arguments.\nArguments given:\n\t\
                        check_virtual_hosts too many\n\nUsage\n\nrabbitmqctl [--node <node>] \
                        [--longnames] [--quiet] check_virtual_hosts";

#[test]
fn a_broker_is_stopped_in_order_and_then_is_not_there() {
    let mut broker = BrokerUnderTest::start();
    let socket = broker.data_directory().join("leveret.sock").display().to_string();
    assert_eq!(ctl_over(&socket, &["-q", "stop"]).good(), "");
    assert!(broker.terminate(std::time::Duration::from_secs(30)).success());
    let gone = ctl_over(&socket, &["-q", "ping"]);
    assert_eq!(gone.code, 69, "{gone:?}");
    assert!(gone.err.contains("leveret.sock"), "{gone:?}");
}

#[test]
fn messages_are_seen_moved_and_explained() {
    say(&[(&["-q", "add_vhost", "mv"], "", 0)]);
    let document = r#"{"queues": [{"name": "from", "vhost": "mv"}, {"name": "to", "vhost": "mv"}],
        "exchanges": [{"name": "x", "vhost": "mv", "type": "topic"}],
        "bindings": [{"source": "x", "vhost": "mv", "destination": "from",
                      "destination_type": "queue", "routing_key": "a.#"}],
        "permissions": [{"user": "guest", "vhost": "mv", "configure": ".*", "write": ".*", "read": ".*"}]}"#;
    let path = std::env::temp_dir().join(format!("leveret-moves-{}.json", std::process::id()));
    std::fs::write(&path, document).expect("a file");
    ctl(&["-q", "import_definitions", path.to_str().expect("UTF-8")]).good();
    std::fs::remove_file(&path).expect("a file");
    let broker = crate::broker();
    let handshake = Handshake { vhost: "mv".to_owned(), ..broker.handshake() };
    let mut client = broker.connect_as(&handshake);
    client.fill_persistent("from", &["one", "two", "three"]);
    let peek = ["-q", "peek", "-p", "mv", "from", "--count", "1", "--text", "two"];
    let seen = ctl(&peek).good();
    let (header, row) = seen.trim_end().split_once('\n').expect("a header and a row");
    assert_eq!(header, "cursor\texchange\trouting_key\tredelivered\tsize\tpayload");
    assert!(row.ends_with("\ttwo") && row.contains("\t\tfrom\tfalse\t"), "{row}");
    say(&[
        (
            &["-q", "move_messages", "-p", "mv", "from", "to", "--text", "t", "--dry-run"],
            "2 of 3 messages are meant; nothing was changed: this is what would be",
            0,
        ),
        (
            &["-q", "move_messages", "-p", "mv", "from", "to", "--text", "t"],
            "2 of 3 messages are meant, 2 done",
            0,
        ),
        (
            &["-q", "copy_messages", "-p", "mv", "to", "from"],
            "2 of 2 messages are meant, 2 done",
            0,
        ),
        (
            &["-q", "delete_messages", "-p", "mv", "to", "--limit", "1"],
            "1 of 2 messages are meant, 1 done",
            0,
        ),
        (&["route", "-p", "mv", "x", "a.b"], "x (topic): from\nit would go to from", 0),
        (
            &["explain", "-p", "mv", "publish", "x", "b"],
            "x (topic): no queue\nit would go nowhere",
            0,
        ),
        (&["-q", "pause_queue", "-p", "mv", "to", "consumers"], "", 0),
    ]);
    let explained = ctl(&["explain", "-p", "mv", "queue", "to"]).good();
    assert!(explained.starts_with("1 ready, 0 unacknowledged, 0 delayed\n"), "{explained}");
    assert!(explained.contains("paused"), "{explained}");
    say(&[
        (&["-q", "resume_queue", "-p", "mv", "to"], "", 0),
        (&["-q", "pause_queue", "-p", "mv", "none"], "Not Found", 65),
        (&["-q", "delete_vhost", "mv"], "", 0),
    ]);
}
