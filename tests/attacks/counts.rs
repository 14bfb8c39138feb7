//! What the broker says it has, as Prometheus is told it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{Deadline, PATIENCE, wait_until};

/// What has to be zero when every client is gone.
const OF_CLIENTS: &[&str] = &[
    "rabbitmq_connections",
    "rabbitmq_consumers",
    "rabbitmq_queue_messages_unacked",
    "leveret_store_pending_bytes",
];

/// Every figure without labels that speaks of now.
pub(crate) fn counts(broker: &BrokerUnderTest) -> Vec<(String, f64)> {
    let mut socket = TcpStream::connect(address(broker)).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    socket
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .expect("it reads");
    let mut text = Vec::new();
    let deadline = Deadline::of("the figures");
    let mut piece = [0; 65536];
    loop {
        deadline.check();
        match socket.read(&mut piece).expect("it answers") {
            0 => break,
            count => text.extend(&piece[..count]),
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let figures = text.lines().filter(|line| !line.starts_with('#'));
    let figures = figures.filter_map(|line| line.rsplit_once(' '));
    figures
        .filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
        .collect()
}

fn address(broker: &BrokerUnderTest) -> SocketAddr {
    let printed = broker.printed();
    let mut lines =
        printed.lines().filter_map(|line| line.split_once("started Prometheus listener on "));
    let (_, address) = lines.next().expect("a line tells the port");
    address.trim().parse().expect("an address")
}

/// Waits until nothing of any client is left.
pub(crate) fn expect_nothing_of_clients(broker: &BrokerUnderTest) {
    wait_until("every count of clients is zero", || {
        let counts = counts(broker);
        OF_CLIENTS.iter().all(|name| {
            let found = counts.iter().find(|(of, _)| of == name);
            let (_, value) = found.unwrap_or_else(|| panic!("there is no figure {name}"));
            *value == 0.0
        })
    });
}
