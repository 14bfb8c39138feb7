//! Ten thousand connections that do nothing: what they cost, and that they are in nobody's way.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use leveret_tests::broker_under_test::BrokerUnderTest;

const CONNECTIONS: u64 = 10_000;
/// With fewer the test says nothing.
const CONNECTIONS_MIN: u64 = 2000;
/// Files that the test and the broker need beside their connections.
const OTHER_FILES: u64 = 500;
/// Memory that one may cost the broker, in bytes.
const BYTES_EACH: usize = 10 * 1024;
/// Handshakes under way at once: fewer than the listener's backlog.
const AT_ONCE: u64 = 100;

/// As many connections as the system lets both ends have.
fn affordable() -> u64 {
    let limit = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit { current: limit, maximum: limit };
    setrlimit(Resource::Nofile, raised).expect("the hard limit is allowed");
    limit.map_or(CONNECTIONS, |files| CONNECTIONS.min(files.saturating_sub(OTHER_FILES)))
}

#[test]
fn ten_thousand_idle_connections_cost_little() {
    let wanted = affordable();
    assert!(wanted >= CONNECTIONS_MIN, "the limit of open files allows only {wanted} connections");
    let mut broker = BrokerUnderTest::start();
    let reach = broker.broker();
    let greeting = reach.handshake().without_capabilities().greeting(1);
    let mut other = reach.connect_bare();
    other.round_trip(b"before");
    let before = broker.memory();
    let mut idle = Vec::new();
    while (idle.len() as u64) < wanted {
        let mut batch: Vec<_> = (0..AT_ONCE).map(|_| reach.socket()).collect();
        batch.iter_mut().for_each(|client| client.send_bytes(&greeting));
        batch.iter_mut().for_each(|client| client.expect_greeting(1));
        idle.extend(batch);
        other.round_trip(b"meanwhile");
    }
    let each = broker.memory().saturating_sub(before) / idle.len();
    println!("{} idle connections cost {each} bytes each (wanted {CONNECTIONS})", idle.len());
    assert!(each < BYTES_EACH, "{each} bytes for each of {} connections", idle.len());
    for client in idle.iter_mut().step_by(997) {
        client.round_trip(b"not forgotten");
    }
    drop(idle);
    broker.assert_sound();
}
