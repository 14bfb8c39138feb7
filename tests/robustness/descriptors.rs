//! As many connections as the system lets the broker have, and what it needs beside them.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::wait_until;
use leveret_tests::raw_client::handshake::PROTOCOL_HEADER;
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient, ReadEnd};
use leveret_tests::{deadline, now};

/// Descriptors that the broker may have.
const LIMIT: u64 = 400;

/// A socket that the broker speaks on; none when it hung up.
fn try_connect(broker: &BrokerUnderTest) -> Option<RawClient> {
    let mut client = broker.broker().socket();
    client.try_send_bytes(PROTOCOL_HEADER);
    match client.read_frame(now() + deadline::PATIENCE) {
        Ok(_) => Some(client),
        Err(ReadEnd::Closed) => None,
        Err(ReadEnd::TimedOut) => panic!("neither a word nor a refusal"),
    }
}

/// The process ended when the log could not open its next file.
#[test]
fn connections_leave_descriptors_to_the_files_of_the_stores() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect();
    client.declare_queue("stored");
    let pid = i32::try_from(broker.pid()).ok().and_then(Pid::from_raw).expect("a process id");
    let limit = Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) };
    prlimit(Some(pid), Resource::Nofile, limit).expect("a limit of our own child");
    let mut others = Vec::new();
    while let Some(other) = try_connect(&broker) {
        others.push(other);
        assert!(others.len() < 400, "nobody was refused");
    }
    assert!(others.len() > 50, "only {} were accepted", others.len());
    for _ in 0..20 {
        assert!(try_connect(&broker).is_none(), "the descriptors left are for files");
    }
    let refusals = broker.printed().matches("connections are refused").count();
    assert_eq!(refusals, 1, "a line for each refusal fills the disk");
    for number in 0..20 {
        client.declare_queue(&format!("declared-{number}"));
    }
    client.select_confirms();
    let body = vec![b'x'; 1 << 20];
    let count = 100;
    for number in 1..=count {
        client.publish(&Message::to_queue("stored").body(&body).persistent());
        client.expect_confirmed_up_to(number, number);
    }
    drop(others);
    wait_until("a connection is accepted again", || try_connect(&broker).is_some());
    client.send(basic::get("stored").with(Flag::NoAck));
    assert!(client.expect(basic::GET_OK).fetched().content.body == body);
    client.call(queue::delete("stored"));
    broker.assert_sound();
}
