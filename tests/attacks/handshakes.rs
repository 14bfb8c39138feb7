//! Connections that never come to be: half open, one byte at a time, and more in a second than anybody
//! needs.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::certificates::{Authority, LOCAL, TlsClient, broker_with_tls, tls_address};
use leveret_tests::deadline::{let_pass, wait_until};
use leveret_tests::raw_client::Flag;
use leveret_tests::raw_client::handshake::PROTOCOL_HEADER;
use leveret_tests::raw_client::method::{Method, basic, channel, connection, queue};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::field::{Attack, sized, while_it_lasts};

/// Clients in each state at once.
const SLOW_ONES: usize = 5;
/// Between two of their bytes.
const BYTE_EVERY: Duration = Duration::from_millis(20);

/// As many sockets as the system lets us hold, at most so many.
fn affordable(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit { current: limit, maximum: limit };
    setrlimit(Resource::Nofile, raised).expect("the hard limit is allowed");
    limit.map_or(wanted, |files| wanted.min(files / 4))
}

/// A socket to the broker, if it takes one more.
fn socket(broker: &Broker) -> Option<TcpStream> {
    TcpStream::connect_timeout(&broker.address, Duration::from_secs(5)).ok()
}

/// In waves, each held until it is whole: those who say nothing, those who say the header, and those
/// who say a part of start-ok.
#[test]
fn half_open_handshakes() {
    let (wanted, wave) = (sized(600, 100_000), sized(300, 5000));
    let wave = usize::try_from(affordable(wave)).expect("not that many");
    let attack = Attack { name: "half-open handshakes", config: "", memory_mib: 256 };
    attack.run(|_, broker| {
        let greeting = broker.handshake().greeting(1);
        let said: [&[u8]; 3] = [b"", PROTOCOL_HEADER, &greeting[..60]];
        let mut begun = 0;
        while begun < wanted {
            let mut held = Vec::new();
            for said in said.iter().cycle().take(wave) {
                let Some(mut socket) = socket(broker) else { break };
                // Who is too much is hung up on.
                socket.write_all(said).ok();
                held.push(socket);
            }
            assert!(!held.is_empty(), "nobody is accepted any more");
            begun += held.len();
            broker.connect().close();
        }
    });
}

/// All that a client says, cut where it matters.
fn sayings(broker: &Broker) -> Vec<Vec<u8>> {
    let handshake = broker.handshake();
    let start_ok = connection::start_ok(
        &handshake.client_properties(),
        &handshake.mechanism,
        &handshake.response,
        "en_US",
    );
    let mut whole = PROTOCOL_HEADER.to_vec();
    let mut sayings = vec![whole.clone()];
    let own = queue::declare("").with(Flag::Exclusive);
    let steps: [Method; 7] = [
        start_ok,
        connection::tune_ok(2047, 131_072, 0),
        connection::open("/"),
        channel::open(1),
        own,
        basic::publish("", "nobody"),
        basic::qos(1),
    ];
    for step in steps {
        whole.extend(step.frame());
        sayings.push(whole.clone());
    }
    sayings
}

/// What a state has said, and what it says byte by byte.
fn slow_one(broker: &Broker, said: &[u8], all: &[u8]) -> Option<(TcpStream, Vec<u8>)> {
    let mut socket = socket(broker)?;
    socket.write_all(said).ok()?;
    let rest = all[said.len()..].to_vec();
    Some((socket, rest))
}

#[test]
fn a_byte_at_a_time_in_every_state() {
    let config = "handshake_timeout = 1000\n";
    let attack = Attack { name: "slowloris", config, memory_mib: 256 };
    attack.run(|_, broker| {
        let sayings = sayings(broker);
        let all = sayings.last().expect("some").clone();
        let mut slow: Vec<_> = (0..SLOW_ONES)
            .flat_map(|_| sayings.iter().filter_map(|said| slow_one(broker, said, &all)))
            .collect();
        assert_eq!(slow.len(), SLOW_ONES * sayings.len());
        let deadline = while_it_lasts("the bytes of slow clients");
        let mut at = 0;
        while !deadline.has_passed() {
            for (socket, rest) in &mut slow {
                if let Some(byte) = rest.get(at..=at) {
                    socket.write_all(byte).ok();
                }
            }
            at += 1;
            let_pass(BYTE_EVERY);
        }
        // Who has not opened its connection in time is gone though it was never silent.
        let (mut first, rest) = slow_one(broker, &sayings[0], &all).expect("it is accepted");
        let mut rest = rest.iter().cycle();
        wait_until("a slow client is hung up on", || {
            let byte = [*rest.next().expect("without end")];
            let_pass(BYTE_EVERY);
            first.write_all(&byte).is_err()
        });
    });
}

/// Clients that connect, open a channel and go, as fast as they can.
#[test]
fn churn_of_connections() {
    let attack = Attack { name: "churn", config: "", memory_mib: 256 };
    attack.run(|_, broker| {
        let greeting = broker.handshake().greeting(1);
        let deadline = while_it_lasts("churn");
        let mut count = 0_u32;
        while !deadline.has_passed() {
            let mut some: Vec<_> = (0..20).map(|_| broker.socket()).collect();
            some.iter_mut().for_each(|client| client.send_bytes(&greeting));
            for (number, mut client) in some.into_iter().enumerate() {
                client.expect_greeting(1);
                match number % 3 {
                    0 => client.close(),
                    1 => client.reset(),
                    _ => drop(client),
                }
                count += 1;
            }
        }
        println!("{count} connections came and went");
    });
}

/// Handshakes of TLS that stop, that come byte by byte, that are none, and that trust nobody.
#[test]
fn handshakes_of_tls() {
    let authority = Authority::new("Test Authority");
    let (_directory, config) = broker_with_tls(&authority, &authority.issue(&LOCAL));
    let config = format!("{config}ssl_handshake_timeout = 1000\n");
    let attack = Attack { name: "handshakes of TLS", config: &config, memory_mib: 256 };
    attack.run(|under_test, broker| {
        let address = tls_address(&under_test.printed());
        let hello = {
            let mut session = TlsClient::trusting(&authority).connection();
            let mut bytes = Vec::new();
            session.write_tls(&mut bytes).expect("bytes in memory");
            bytes
        };
        let stranger = Authority::new("Somebody Else");
        let deadline = while_it_lasts("handshakes");
        let mut held = Vec::new();
        let mut count = 0;
        while !deadline.has_passed() {
            let mut socket = TcpStream::connect(address).expect("it is accepted");
            match count % 4 {
                0 => socket.write_all(&hello[..hello.len() / 2]).expect("it reads"),
                1 => socket.write_all(&hello).expect("it reads"),
                2 => socket.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it reads"),
                _ => {
                    let mut client = TlsClient::trusting(&stranger).connect(address);
                    assert!(!client.try_send_bytes(PROTOCOL_HEADER), "it trusted a stranger");
                }
            }
            held.push(socket);
            if held.len() > 200 {
                held.clear();
            }
            count += 1;
        }
        let mut client = TlsClient::trusting(&authority).connect(address);
        client.shake_hands(&broker.handshake());
        client.close();
        println!("{count} handshakes of TLS");
    });
}
