//! `leveret doctor` and `leveret upgrade check`: what they find, and what they do not give away.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use leveret_tests::broker_under_test::{BrokerUnderTest, MANAGEMENT};
use leveret_tests::certificates::{Authority, LOCAL, written};
use leveret_tests::deadline;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Printed, run};

/// A directory with a configuration.
struct Case {
    directory: TempDir,
}

impl Case {
    fn new(config: &str) -> Self {
        let directory = TempDir::with_prefix("leveret-doctor-").expect("a directory");
        fs::write(directory.path().join("leveret.conf"), config).expect("a file");
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn doctor(&self, words: &[&str]) -> Printed {
        let (config, data) = (self.path("leveret.conf"), self.path("data"));
        let line = ["doctor", "--config", &config, "--data-dir", &data];
        run(&line.iter().chain(words).copied().collect::<Vec<_>>())
    }
}

/// The findings about something: level and text.
fn about(printed: &Printed, what: &str) -> Vec<(String, String)> {
    let findings: Vec<Value> = serde_json::from_str(&printed.out).expect("JSON");
    let of_it = findings.iter().filter(|one| one["about"] == what);
    let word = |one: &Value, name: &str| one[name].as_str().expect("text").to_owned();
    of_it.map(|one| (word(one, "level"), word(one, "text"))).collect()
}

const QUIET: &str = "listeners.tcp.1 = 127.0.0.1:0\nmanagement.tcp.port = none\n\
                     default_user = operator\ndefault_pass = a-long-one\n\
                     disk_free_limit.absolute = 1MB\n";

#[test]
fn a_machine_that_is_well_has_nothing_bad() {
    let case = Case::new(QUIET);
    let told = case.doctor(&["--json"]);
    assert_eq!(told.code, 0, "{told:?}");
    for what in ["configuration", "broker", "password", "memory", "clock", "disk", "files"] {
        assert!(!about(&told, what).is_empty(), "{what}: {told:?}");
    }
    let syncs = about(&told, "disk");
    assert!(syncs.iter().any(|(_, text)| text.starts_with("a sync takes")), "{syncs:?}");
    let lines = case.doctor(&[]);
    assert!(lines.out.lines().last().expect("a sum").contains(" checks: 0 bad, "), "{lines:?}");
}

#[test]
fn what_is_bad_is_named_with_what_to_do_and_ends_with_1() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let config = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\nlisteners.tcp.2 = 0.0.0.0:0\nloopback_users = none\n\
         management.tcp.port = none\nnet_ticktime = 60\ndisk_free_limit.absolute = 900000TB\n\
         listeners.ssl.1 = 127.0.0.1:0\nssl_options.certfile = /nowhere/c.pem\n\
         ssl_options.keyfile = /nowhere/k.pem\n"
    );
    let case = Case::new(&config);
    let told = case.doctor(&["--json"]);
    assert_eq!(told.code, 1, "{told:?}");
    for (what, level, part) in [
        ("port", "bad", format!("{port} for AMQP is held by process operation")),
        ("configuration", "warn", "net_ticktime".to_owned()),
        (
            "password",
            "bad",
            "user 'guest' has the password 'guest' and gets in from anywhere".to_owned(),
        ),
        ("certificate", "bad", "/nowhere/c.pem".to_owned()),
        ("disk", "bad", "publishers wait below".to_owned()),
    ] {
        let found = about(&told, what);
        let is_it = |(its, text): &(String, String)| its == level && text.contains(&part);
        assert!(found.iter().any(is_it), "{what}: {part} in {found:?}");
    }
    let wrong = Case::new("heartbeat = x\nnonsense\n").doctor(&["--json"]);
    assert_eq!(wrong.code, 1);
    let mistakes = about(&wrong, "configuration");
    assert_eq!(mistakes.len(), 2, "both mistakes are told: {mistakes:?}");
}

#[test]
fn certificates_are_looked_at() {
    let case = Case::new("");
    let authority = Authority::new("root");
    let issued = authority.issue(&LOCAL);
    let config = format!(
        "{QUIET}listeners.ssl.1 = 127.0.0.1:0\nssl_options.certfile = {}\nssl_options.keyfile = {}\n",
        written(case.directory.path(), "cert.pem", &issued.chain).display(),
        written(case.directory.path(), "key.pem", &issued.key).display(),
    );
    fs::write(case.path("leveret.conf"), config).expect("a file");
    let told = case.doctor(&["--json"]);
    let found = about(&told, "certificate");
    assert!(
        found.iter().any(|(level, text)| level == "ok" && text.contains("valid until")),
        "{found:?}"
    );
    assert!(found.iter().any(|(_, text)| text.contains("stands alone")), "{found:?}");
}

#[test]
fn nothing_that_is_secret_is_in_a_bundle() {
    let log = TempDir::with_prefix("leveret-log-").expect("a directory");
    let log = log.path().join("leveret.log");
    let secrets = ["hunter-one", "hunter-two", "hunter-three", "hunter-four", "hunter-five"];
    let config = format!(
        "{MANAGEMENT}listeners.tcp.1 = 127.0.0.1:0\nlog.file = {}\ndefault_user = operator\n\
         default_pass = {}\ndefault_users.bob.password = {}\nssl_options.password = {}\n\
         auth_backends.1 = internal\nauth_http.user_path = http://me:{}@127.0.0.1:1/user?key={}\n",
        log.display(),
        secrets[0],
        secrets[1],
        secrets[2],
        secrets[3],
        secrets[4],
    );
    fs::create_dir_all(log.parent().expect("a folder")).expect("a folder");
    let case = Case::new(&config);
    fs::write(&log, format!("a line with {}\nand http://x:{}@y/\n", secrets[0], secrets[3]))
        .expect("a file");
    let file = case.path("out.tar.gz");
    let told = case.doctor(&["--bundle", &file]);
    assert!(told.err.contains("out.tar.gz"), "{told:?}");
    let unpacked = case.path("unpacked");
    fs::create_dir(&unpacked).expect("a folder");
    let tar = deadline::run(Command::new("tar").args(["-xzf", &file, "-C", &unpacked]));
    assert!(tar.status.success(), "{tar:?}");
    let folder = Path::new(&unpacked).join("leveret-doctor");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("text");
        names.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {}:\n{text}", path.display());
        }
    }
    names.sort();
    let expected = ["log.txt", "report.json", "report.txt", "settings.txt", "versions.txt"];
    assert_eq!(names, expected);
    let settings = fs::read_to_string(folder.join("settings.txt")).expect("text");
    assert!(settings.contains("default_user = operator\n"), "{settings}");
    assert!(settings.contains("default_pass = (hidden)\n"), "{settings}");
    let log = fs::read_to_string(folder.join("log.txt")).expect("text");
    assert_eq!(log, "a line with (hidden)\nand http://(hidden)@y/\n");
}

#[test]
fn a_running_broker_is_asked_too() {
    let broker = BrokerUnderTest::start_with(QUIET);
    let data = broker.data_directory().display().to_string();
    let conf = broker.data_directory().with_file_name("leveret.conf").display().to_string();
    let told = run(&["doctor", "--json", "--config", &conf, "--data-dir", &data]);
    let found = about(&told, "broker");
    assert_eq!(found, [("ok".to_owned(), "it runs, and no alarm is in effect".to_owned())]);
}

#[test]
fn a_directory_is_read_under_any_name_of_a_node() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect();
    client.declare_queue("kept");
    client.fill_persistent("kept", &["one", "two"]);
    let data = broker.data_directory();
    let shown = data.display().to_string();
    let running = run(&["upgrade", "check", &shown]);
    assert!(running.code == 1 && running.out.contains("in use by another process"), "{running:?}");
    assert!(broker.terminate(Duration::from_secs(30)).success());
    let checked = run(&["upgrade", "check", &shown]).good();
    for part in ["reads ", "format       1", " 1 queues", "in the log", "end          in order"] {
        assert!(checked.contains(part), "{part}: {checked}");
    }
    let copy = TempDir::with_prefix("leveret-copy-").expect("a directory");
    let copied = copy.path().join("data");
    let done = deadline::run(Command::new("cp").arg("-a").arg(&data).arg(&copied));
    assert!(done.status.success(), "{done:?}");
    let config = "nodename_is_no_key = 1\n";
    let named = Case::new(config);
    assert!(named.doctor(&["--json"]).code == 1, "a name is no part of the configuration");
    let mut other = BrokerUnderTest::stopped("", Some(&copied));
    other.name_the_node("hare@elsewhere");
    other.start_again();
    assert_eq!(other.broker().connect().queue_state("kept").message_count, 2);
    let socket = copied.join("leveret.sock").display().to_string();
    let overview = run(&["ctl", "--socket", &socket, "status"]).good();
    assert!(overview.contains("Node name: hare@elsewhere"), "{overview}");
}
