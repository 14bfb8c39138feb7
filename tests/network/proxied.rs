//! Headers of the PROXY protocol before everything else, TLS included.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::PATIENCE;
use leveret_tests::raw_client::RawClient;

use crate::rig::Rig;

const PROXIED: &str = "proxy_protocol = true\nloopback_users = none\n";

/// Version 2, IPv4, from 192.0.2.1:50000 to 192.0.2.2:5672.
const BINARY: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xc3\x50\x16\x28";
const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 5672\r\n";

#[test]
fn the_client_is_whom_the_header_names() {
    let rig = Rig::start(PROXIED);
    let guest = rig.broker.broker();
    for header in [LINE, BINARY] {
        let mut client = guest.socket();
        client.send_bytes(header);
        client.shake_hands(&guest.handshake());
        client.close();
        rig.expect_line(&["accepting AMQP connection 192.0.2.1:50000 -> 192.0.2.2:5672"]);
        let mut client = RawClient::connect(rig.address());
        client.send_bytes(header);
        let mut client = client.over_tls(rig.client().connection());
        client.shake_hands(&guest.handshake());
        client.close();
    }
    let mut check = guest.socket();
    check.send_bytes(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    check.shake_hands(&guest.handshake());
    check.close();
    rig.broker.assert_no_panic();
}

#[test]
fn guest_is_not_here_when_the_proxy_alone_is() {
    let broker = BrokerUnderTest::start_with("proxy_protocol = true\n");
    let guest = broker.broker();
    let mut client = guest.socket();
    client.send_bytes(LINE);
    client.greet();
    client.start_ok(&guest.handshake());
    client.expect_connection_close(
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see \
         the broker logfile.",
        (0, 0),
    );
    assert!(broker.printed().contains("can only connect via localhost"), "{}", broker.printed());
}

#[test]
fn without_a_header_nobody_gets_in() {
    let rig = Rig::start(&format!("{PROXIED}handshake_timeout = 1000\n"));
    let mut client = rig.broker.broker().socket();
    client.send_bytes(b"AMQP\0\0\x09\x01");
    client.expect_socket_closed(PATIENCE);
    rig.expect_line(&["a header of the PROXY protocol was expected", "proxy_protocol = false"]);
    let mut silent = rig.broker.broker().socket();
    silent.expect_socket_closed(PATIENCE);
    rig.expect_line(&["no header of the PROXY protocol within handshake_timeout"]);
}
