//! What the log of the real binary says, what it must not say, and configuration that changes under
//! a running broker. A bystander goes on meanwhile.

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest, run_leveret};
use leveret_tests::deadline::wait_until;
use leveret_tests::raw_client::content::frame;
use leveret_tests::raw_client::method::{basic, connection, queue};
use leveret_tests::raw_client::{Handshake, Message, RawClient, Table};

/// Stands in every password and in every message, in ways in which it might be printed.
const MARK: &str = "hunter2-geheim";

/// Forms in which bytes could get into a line: as text, and as Erlang, Rust or JSON print bytes.
fn forms() -> Vec<String> {
    let bytes = MARK.as_bytes().get(..6).expect("it is longer");
    let join = |between: &str, form: &dyn Fn(&u8) -> String| {
        bytes.iter().map(form).collect::<Vec<_>>().join(between)
    };
    let hex = join("", &|byte| format!("{byte:02x}"));
    let spaced = join(", ", &|byte| format!("{byte:02x}"));
    let numbers = [",", ", "].map(|between| join(between, &u8::to_string));
    [MARK.get(..7).map(str::to_owned), Some(hex), Some(spaced)]
        .into_iter()
        .flatten()
        .chain(numbers)
        .collect()
}

fn refused(broker: &Broker, mechanism: &str, response: &[u8]) {
    let mut client = broker.socket();
    let handshake = Handshake {
        mechanism: mechanism.to_owned(),
        response: response.to_vec(),
        ..broker.handshake()
    };
    client.greet();
    client.start_ok(&handshake);
    // Answered or not, it ends, and is not waited for when the broker is silent.
    client.hang_up();
    drop(client);
}

fn log_in_oddly(broker: &Broker) {
    let mark = MARK.as_bytes();
    for odd in ["", "\n[error] forged", "\0", "'; --", "\u{1b}[31m", "\u{fc}"] {
        refused(broker, "PLAIN", format!("\0guest\0{MARK}{odd}").as_bytes());
        refused(broker, "PLAIN", format!("{MARK}\0odd{odd}\0{MARK}").as_bytes());
    }
    refused(broker, "PLAIN", mark);
    refused(broker, "EXTERNAL", mark);
    let table = |fields: &[&str]| {
        let with = |table: Table, name: &&str| table.with(name, MARK);
        fields.iter().fold(Table::new(), with).encode()
    };
    for fields in [&["PASSWORD"][..], &["LOGIN2", "PASSWORD"]] {
        let bytes = table(fields);
        refused(broker, "AMQPLAIN", &bytes);
        refused(broker, "AMQPLAIN", bytes.get(..bytes.len() - 3).expect("a shorter one"));
    }
    refused(broker, "AMQPLAIN", mark);
}

/// Frames that are none, with the mark in them: before the login and after it.
fn speak_badly(broker: &Broker) {
    let start_ok =
        |payload: &[u8]| [&[0, 10, 0, 11, 0, 0, 0, 0, 5], &b"PLAIN"[..], payload].concat();
    let mark = MARK.as_bytes();
    for bytes in [
        frame(1, 0, &start_ok(mark)),
        frame(1, 0, mark),
        frame(9, 0, mark),
        [&frame(1, 0, mark)[..7 + mark.len()], b"x"].concat(),
        frame(8, 0, mark),
        frame(2, 0, mark),
        frame(3, 0, mark),
        mark.to_vec(),
    ] {
        let mut client = broker.socket();
        client.greet();
        client.try_send_bytes(&bytes);
        client.hang_up();
        drop(client);
        let mut client = broker.connect();
        client.try_send_bytes(&bytes);
        client.expect(connection::CLOSE);
    }
}

fn publish(client: &mut RawClient) {
    client.call(queue::declare("marked"));
    client.select_confirms();
    let marked = Message::to_queue("marked").header("marked", MARK).body(MARK).persistent();
    client.publish(&marked);
    client.expect_confirm();
    client.call(basic::consume("marked", "marked"));
    client.expect_delivery();
    client.send(basic::ack(1));
}

#[test]
fn nothing_secret_and_nothing_of_a_message_is_in_any_line() {
    let config = format!(
        "log.console.level = debug\ndefault_pass = {MARK}\ndefault_users.odd.password = '{MARK}#1'\n"
    );
    let broker = BrokerUnderTest::start_with(&config);
    let own = Broker { password: MARK.to_owned(), ..broker.broker() };
    let mut bystander = own.connect();
    log_in_oddly(&own);
    speak_badly(&own);
    publish(&mut bystander);
    let _odd = own.connect_as(&Handshake::plain("odd", &format!("{MARK}#1")));
    broker.reconfigure(&config.replace("#1", "#2"));
    broker.hang_up();
    broker.expect_line(&["default_users.odd.password changed: it needs a restart"]);
    broker.reconfigure(&format!("{config}default_pas = {MARK}\n"));
    broker.hang_up();
    broker.expect_line(&["nothing changes", "unknown key 'default_pas'"]);
    broker.expect_line(&["login refused on AMQP connection", "user 'guest' - invalid credentials"]);
    bystander.round_trip(b"unharmed");
    broker.assert_no_panic();
    let printed = broker.printed();
    for form in forms() {
        let told = printed.lines().find(|line| line.contains(&form));
        assert_eq!(told, None, "{form:?} is in the log");
    }
    assert!(!printed.lines().any(|line| line.starts_with("[error] forged")), "{printed}");
}

#[test]
fn the_configuration_is_read_again_and_each_change_is_told() {
    let broker = BrokerUnderTest::start_with("heartbeat = 10\n");
    let mut bystander = broker.broker().connect();
    bystander.call(queue::declare("pressed"));
    bystander.select_confirms();
    broker.reconfigure(
        "heartbeat = 11\nlog.console.formatter = json\nvm_memory_high_watermark.absolute = 1\n\
         cluster_name = other\n",
    );
    broker.hang_up();
    broker.expect_line(&["\"event\":\"config.changed\"", "heartbeat changed: it counts for conn"]);
    broker.expect_line(&["cluster_name changed: it needs a restart"]);
    broker.expect_line(&["vm_memory_high_watermark.absolute changed: it counts now"]);
    broker.expect_line(&["\"event\":\"alarm.set\"", "\"resource\":\"memory\""]);
    bystander.publish(&Message::to_queue("pressed").body("x"));
    bystander.skip_to(connection::BLOCKED);
    let mut client = broker.broker().socket();
    client.greet();
    client.start_ok(&broker.broker().handshake());
    assert_eq!(client.expect(connection::TUNE).tune().heartbeat, 11);
    drop(client);
    // What cannot be used changes nothing, and what needs a restart still does.
    broker.reconfigure("heartbeat = often\nvm_memory_high_watermark.relative = 0.9\n");
    broker.hang_up();
    broker.expect_line(&["config.refused", "heartbeat: expected a number of seconds"]);
    broker.reconfigure("heartbeat = 11\nlog.console.formatter = json\n");
    broker.hang_up();
    broker.expect_line(&["\"event\":\"alarm.cleared\"", "publishers go on"]);
    bystander.skip_to(connection::UNBLOCKED);
    bystander.round_trip(b"goes on");
    broker.assert_no_panic();
}

#[test]
fn a_log_file_has_its_own_form_and_is_opened_anew() {
    let directory = tempfile::TempDir::with_prefix("leveret-log-").expect("a directory");
    let path = directory.path().join("leveret.log");
    let config = format!(
        "log.file = {}\nlog.file.formatter = json\nlog.connection.level = none\n",
        path.display()
    );
    let broker = BrokerUnderTest::start_with(&config);
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap_or_default();
    wait_until("the line", || read(&path).contains("\"msg\":\"Server startup complete"));
    drop(broker.broker().connect());
    let moved = directory.path().join("moved.log");
    std::fs::rename(&path, &moved).expect("a file");
    broker.hang_up();
    wait_until("the new file", || read(&path).contains("config.reloaded"));
    assert!(!read(&moved).contains("accepting AMQP connection"), "{}", read(&moved));
    broker.assert_no_panic();
}

#[test]
fn config_check_says_all_that_is_wrong() {
    let directory = tempfile::TempDir::with_prefix("leveret-conf-").expect("a directory");
    let file = directory.path().join("x.conf");
    let checked = |text: &str| {
        std::fs::write(&file, text).expect("a writable file");
        let path = file.display().to_string();
        let output = run_leveret(&["config", "check", &path]);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        (output.status.code(), text.replace(&path, "FILE"))
    };
    let (code, text) = checked("hartbeat = 1\nheartbeat = often\nnet_ticktime = 60\n");
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        "FILE:1: unknown key 'hartbeat', did you mean 'heartbeat'?\n\
         FILE:2: heartbeat: expected a number of seconds up to 65535\n\
         FILE:3: 'net_ticktime' has no effect in this broker: it is about clusters\n\
         leveret: the configuration cannot be used; mistakes: 2\n"
    );
    let (code, text) = checked("heartbeat = 1\n");
    assert_eq!(code, Some(0), "{text}");
}
