//! What a broker under test tells Prometheus, if its configuration has [`CONFIG`].

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::broker_under_test::BrokerUnderTest;
use crate::deadline::{Deadline, PATIENCE};

/// The lines that have the broker listen for Prometheus, on a free port.
pub const CONFIG: &str = "prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = 0\n";

/// The answer to a scrape, its head as well.
#[must_use]
pub fn scrape(broker: &BrokerUnderTest) -> String {
    let mut stream = TcpStream::connect(address(broker)).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let (mut text, deadline) = (Vec::new(), Deadline::of("a scrape"));
    let mut part = [0; 65_536];
    loop {
        deadline.check();
        match stream.read(&mut part).expect("it answers") {
            0 => return String::from_utf8(text).expect("text"),
            count => text.extend_from_slice(&part[..count]),
        }
    }
}

/// Where Prometheus may ask.
#[must_use]
pub fn address(broker: &BrokerUnderTest) -> SocketAddr {
    let printed = broker.printed();
    let mut lines =
        printed.lines().filter_map(|line| line.split_once("started Prometheus listener on "));
    let (_, address) = lines.next().expect("a line tells the port");
    address.trim().parse().expect("an address")
}
