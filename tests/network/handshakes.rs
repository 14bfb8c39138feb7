//! What TLS carries, who gets in, and what is said of who does not.

use std::io::Write;
use std::net::TcpStream;

use leveret_tests::certificates::{Authority, Issued, LOCAL, TlsClient, Wanted};
use leveret_tests::deadline::{PATIENCE, wait_until};
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use crate::rig::Rig;

const NEW: &[&SupportedProtocolVersion] = &[&TLS13];
const OLD: &[&SupportedProtocolVersion] = &[&TLS12];

const MUTUAL: &str = "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n";

#[test]
fn both_versions_carry_messages_of_every_size() {
    let mut rig = Rig::start("");
    for versions in [NEW, OLD] {
        let mut client = rig.connect(&TlsClient { versions, ..rig.client() });
        client.call(queue::declare("sizes").with(Flag::Exclusive));
        for size in [0, 1, 100, 4096, 16_384, 131_064, 131_065, 3_000_000] {
            let body: Vec<u8> = (0..=255).cycle().take(size).collect();
            client.publish(&Message::to_queue("sizes").body(&body));
            assert!(client.get("sizes").content.body == body, "{size} bytes");
        }
        client.close();
    }
    rig.broker.assert_sound();
}

#[test]
fn a_client_that_does_not_read_gets_all_of_it_in_the_end() {
    let mut rig = Rig::start("");
    let mut slow = rig.connect(&rig.client());
    slow.call(queue::declare("much"));
    slow.call(basic::consume("much", "c").with(Flag::NoAck));
    let mut publisher = rig.connect(&rig.client());
    // More than the buffers of two sockets hold, in bodies that are copied and bodies that are not.
    let bodies: Vec<Vec<u8>> = (0..400_usize)
        .map(|n| vec![u8::try_from(n % 251).expect("a byte"); 50_000 + n % 7 * 10_000])
        .collect();
    for body in &bodies {
        publisher.publish(&Message::to_queue("much").body(body));
    }
    publisher.round_trip(b"all is on its way");
    for (n, body) in bodies.iter().enumerate() {
        assert!(slow.expect(basic::DELIVER).delivery().content.body == *body, "delivery {n}");
    }
    // The session is as good as new.
    slow.round_trip(b"and back");
    rig.broker.assert_sound();
}

#[test]
fn many_small_messages_pass_in_both_directions() {
    let mut rig = Rig::start("");
    let mut client = rig.connect(&rig.client());
    client.call(queue::declare("small").with(Flag::Exclusive));
    client.call(basic::consume("small", "c").with(Flag::NoAck));
    let mut bytes = Vec::new();
    for n in 0..5000_u32 {
        bytes.extend(Message::to_queue("small").body(n.to_be_bytes()).encode(131_072));
    }
    client.send_bytes(&bytes);
    for n in 0..5000_u32 {
        assert_eq!(client.expect(basic::DELIVER).delivery().content.body, n.to_be_bytes());
    }
    client.close();
    rig.broker.assert_sound();
}

#[test]
fn with_mutual_tls_a_client_needs_a_certificate_of_the_authority() {
    let mut rig = Rig::start(MUTUAL);
    let known = rig.client().showing(rig.authority.issue(&LOCAL));
    rig.connect(&known).close();
    rig.expect_refusal(&rig.client(), &["the client has no certificate"]);
    let stranger = Authority::new("Another Authority").issue(&LOCAL);
    rig.expect_refusal(&rig.client().showing(stranger), &["ssl_options.cacertfile", "unknown CA"]);
    let old = rig.authority.issue(&Wanted { years: (2020, 2021), ..LOCAL });
    let until = "was valid until 2021-01-01T00:00:00Z";
    rig.expect_refusal(&rig.client().showing(old), &["certificate has expired", until]);
    let young = rig.authority.issue(&Wanted { years: (2110, 2120), ..LOCAL });
    rig.expect_refusal(&rig.client().showing(young), &["not valid yet", "from 2110-01-01"]);
    rig.connect(&known).close();
    rig.broker.assert_sound();
}

#[test]
fn a_certificate_may_be_optional() {
    let rig = Rig::start("ssl_options.verify = verify_peer\n");
    rig.connect(&rig.client()).close();
    rig.connect(&rig.client().showing(rig.authority.issue(&LOCAL))).close();
    let stranger = Authority::new("Another Authority").issue(&LOCAL);
    rig.expect_refusal(&rig.client().showing(stranger), &["unknown CA"]);
}

/// A certificate of an authority below, with that authority's behind it.
fn below(authority: &Authority) -> Issued {
    let between = authority.below("Authority Between");
    let Issued { chain, key } = between.issue(&LOCAL);
    Issued { chain: format!("{chain}{}", between.pem), key }
}

#[test]
fn a_chain_is_as_long_as_the_depth_allows() {
    let rig = Rig::start(&format!("{MUTUAL}ssl_options.depth = 1\n"));
    rig.connect(&rig.client().showing(below(&rig.authority))).close();
    let rig = Rig::start(&format!("{MUTUAL}ssl_options.depth = 0\n"));
    rig.connect(&rig.client().showing(rig.authority.issue(&LOCAL))).close();
    rig.expect_refusal(&rig.client().showing(below(&rig.authority)), &["ssl_options.depth"]);
}

#[test]
fn the_brokers_chain_is_sent() {
    let rig = Rig::serving(below);
    rig.connect(&rig.client()).close();
}

#[test]
fn a_client_that_refuses_us_is_told_of() {
    let rig = Rig::start("");
    let stranger = TlsClient { authority: Authority::new("Else").pem, ..rig.client() };
    rig.expect_refusal(&stranger, &["does not know the authority of our certificate"]);
    let elsewhere = TlsClient { name: "elsewhere.example", ..rig.client() };
    rig.expect_refusal(&elsewhere, &["the name it connects to", "localhost, 127.0.0.1"]);
}

#[test]
fn an_old_certificate_of_ours_is_warned_of() {
    let old = Wanted { years: (2020, 2021), ..LOCAL };
    let rig = Rig::serving(|authority| authority.issue(&old));
    rig.expect_line(&["expired at 2021-01-01T00:00:00Z", "ssl_options.certfile"]);
    rig.expect_refusal(&rig.client(), &["our certificate has expired"]);
}

#[test]
fn versions_and_suites_are_those_of_the_configuration() {
    let rig = Rig::start("ssl_options.versions.1 = tlsv1.3\nssl_options.versions.2 = tlsv1.1\n");
    rig.expect_line(&["TLS before 1.2 is not spoken here"]);
    rig.connect(&rig.client()).close();
    let old = TlsClient { versions: OLD, ..rig.client() };
    rig.expect_refusal(&old, &["ssl_options.versions"]);
    let suite = "ssl_options.ciphers.1 = ECDHE-ECDSA-AES128-GCM-SHA256\n";
    let rig = Rig::start(suite);
    let client = rig.connect(&rig.client());
    let used = client.session().and_then(|session| session.negotiated_cipher_suite());
    let used = used.map(|suite| suite.suite());
    assert_eq!(used, Some(rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256));
    let new = TlsClient { versions: NEW, ..rig.client() };
    rig.expect_refusal(&new, &["ssl_options."]);
}

#[test]
fn the_wrong_port_is_told_of_in_words() {
    let mut rig = Rig::start("");
    let mut plain = RawClient::connect(rig.address());
    plain.send_bytes(b"AMQP\0\0\x09\x01");
    plain.expect_socket_closed(PATIENCE);
    rig.expect_line(&["closing TLS connection", "speaks AMQP without TLS to a port with TLS"]);
    let mut http = RawClient::connect(rig.address());
    http.send_bytes(b"GET / HTTP/1.1\r\n\r\n");
    http.expect_socket_closed(PATIENCE);
    rig.expect_line(&["speaks HTTP to a port for AMQP over TLS"]);
    let mut encrypted = rig.client().connect(rig.broker.broker().address);
    encrypted.try_send_bytes(b"AMQP\0\0\x09\x01");
    encrypted.expect_socket_closed(PATIENCE);
    rig.expect_line(&["closing AMQP connection", "speaks TLS to a port without"]);
    rig.broker.assert_sound();
}

#[test]
fn a_handshake_takes_no_longer_than_it_may() {
    let rig = Rig::start("ssl_handshake_timeout = 300\n");
    for said in [&b""[..], b"\x16\x03\x01\x02\x00"] {
        let mut silent = RawClient::connect(rig.address());
        silent.send_bytes(said);
        silent.expect_socket_closed(PATIENCE);
    }
    let timed_out = |line: &&str| line.contains("within ssl_handshake_timeout (300 ms)");
    wait_until("both were told of", || rig.broker.printed().lines().filter(timed_out).count() == 2);
}

#[test]
fn a_broken_record_ends_its_connection_alone() {
    let mut rig = Rig::start("");
    let mut good = rig.connect(&rig.client());
    let bad = rig.connect(&rig.client());
    let mut socket: TcpStream = bad.into_socket();
    socket.write_all(&[0x17, 0x03, 0x03, 0x00, 0x20]).expect("the socket is open");
    socket.write_all(&[0x55; 0x20]).expect("the socket is open");
    rig.expect_line(&["client unexpectedly closed TCP connection"]);
    good.round_trip(b"not ours");
    rig.broker.assert_sound();
}
