//! The broker under a service manager: what it tells, by the socket that `NOTIFY_SOCKET` names.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::container::Container;

/// Longer than any start or end takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that begins with this, and lets other things pass.
fn expect_told(socket: &UnixDatagram, beginning: &str) {
    let mut told = String::new();
    while !told.starts_with(beginning) {
        let mut buffer = [0; 512];
        let count = socket.recv(&mut buffer);
        let count = count.unwrap_or_else(|error| panic!("no {beginning}: {error}"));
        told = String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()).into_owned();
    }
}

#[test]
fn it_is_told_of_the_start_of_life_and_of_the_end() {
    let container = Container::new().with("WATCHDOG_USEC", "100000");
    let container = container.with_file_variable("NOTIFY_SOCKET", "notify");
    let socket = UnixDatagram::bind(container.path("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket of ours");
    let running = container.start();
    expect_told(&socket, "STATUS=Starting\nEXTEND_TIMEOUT_USEC=");
    expect_told(&socket, "READY=1\n");
    for _ in 0..3 {
        expect_told(&socket, "WATCHDOG=1");
    }
    assert!(running.stop().success());
    expect_told(&socket, "STOPPING=1\n");
}
