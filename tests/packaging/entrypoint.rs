//! The entrypoint itself: what it starts, as whom, and what it leaves to others.

use std::fs;

use super::container::Container;

#[test]
fn the_broker_is_asked_for_in_many_ways() {
    let container = Container::new();
    for words in [
        [].as_slice(),
        &["rabbitmq-server"],
        &["leveret"],
        &["leveret", "server"],
        &["--log-level", "info"],
        &["leveret", "--log-level", "info"],
        &["bash", "-c", "true && rabbitmq-server"],
    ] {
        assert!(container.start_by(words).is_healthy(), "{words:?}");
    }
}

#[test]
fn other_programs_run_as_they_are() {
    let container = Container::new();
    let output = container.run(&["sh", "-c", "echo $RABBITMQ_CONFIG_FILES; exit 7"]);
    assert_eq!(output.status.code(), Some(7));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(printed.trim(), container.path("conf.d").display().to_string());
    let version = container.run(&["leveret", "--version"]);
    assert!(version.status.success() && version.stdout.starts_with(b"leveret "), "{version:?}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_said_by_the_broker() {
    let container = Container::new().with_file("conf.d/20.conf", "hartbeat = 60\n");
    let output = container.run(&["rabbitmq-server"]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("did you mean 'heartbeat'?"), "{complaint}");
}

#[test]
fn secrets_come_in_files() {
    let container = Container::new()
        .with_file("password", "from a file\n")
        .with_file_variable("RABBITMQ_DEFAULT_PASS_FILE", "password");
    drop(container.start().connect("guest", "from a file"));
}

/// What is asked for is carried out by programs that note it.
#[test]
fn root_gives_the_data_away_and_becomes_another_user() {
    let container = Container::new();
    container.program("id", "echo 0");
    let notes = container.path("notes").display().to_string();
    container.program("chown", &format!("echo chown \"$@\" >>{notes}"));
    container.program(
        "setpriv",
        &format!("echo setpriv \"$@\" >>{notes}\nwhile [ \"$1\" != --clear-groups ]; do shift; done\nshift\nexec \"$@\""),
    );
    let base = container.path("var/lib/rabbitmq");
    fs::write(base.join("of-somebody"), "").expect("a writable file");
    drop(container.start());
    let notes = fs::read_to_string(container.path("notes")).expect("notes");
    let lines: Vec<&str> = notes.lines().collect();
    let [asked, given, became] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(*asked, "setpriv --reuid 999 --regid 999 --clear-groups true");
    assert!(given.starts_with("chown 999:999 "), "{given}");
    assert!(given.contains(&base.join("of-somebody").display().to_string()), "{given}");
    assert_eq!(*became, "setpriv --reuid 999 --regid 999 --clear-groups leveret server");
}

#[test]
fn root_without_capabilities_stays_and_serves() {
    let container = Container::new();
    container.program("id", "echo 0");
    container.program("setpriv", "exit 1");
    container.program("chown", "exit 1");
    assert!(container.start().is_healthy());
}
