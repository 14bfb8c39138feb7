//! Certificates are read again when their files change, and open connections stay.

use leveret_tests::broker_under_test::{BrokerUnderTest, MANAGEMENT};
use leveret_tests::certificates::{Issued, LOCAL, TlsClient, Wanted, written};
use leveret_tests::deadline::wait_until;
use leveret_tests::http::{HttpClient, Place};
use serde_json::Value;

use crate::rig::{Rig, prepared};

/// Writes another certificate in place of the one that is served.
fn replace(rig: &Rig, name: &'static str) {
    let Issued { chain, key } = rig.authority.issue(&Wanted { names: &[name], ..LOCAL });
    let _key = written(rig.directory.path(), "key.pem", &key);
    let _chain = written(rig.directory.path(), "cert.pem", &chain);
}

fn hang_up(rig: &Rig) {
    rig.broker.hang_up();
}

#[test]
fn a_change_is_found_and_served_to_new_connections() {
    let mut rig = Rig::start("");
    let mut before = rig.connect(&rig.client());
    replace(&rig, "new.example");
    rig.expect_line(&["TLS certificate was read again"]);
    let new = TlsClient { name: "new.example", ..rig.client() };
    rig.connect(&new).close();
    rig.expect_refusal(&rig.client(), &["which are: new.example"]);
    before.round_trip(b"still here");
    rig.broker.assert_sound();
}

#[test]
fn a_signal_has_them_read_at_once() {
    let mut rig = Rig::start("");
    let mut before = rig.connect(&rig.client());
    let count = |rig: &Rig| rig.broker.printed().matches("TLS certificate was read again").count();
    for n in 1..=2 {
        hang_up(&rig);
        wait_until("the certificate was read again", || count(&rig) == n);
    }
    before.round_trip(b"still here");
    rig.broker.assert_sound();
}

#[test]
fn other_settings_count_for_new_connections() {
    let (directory, authority, config) = prepared(|authority| authority.issue(&LOCAL));
    let broker = BrokerUnderTest::start_with(&config);
    let mut rig = Rig { directory, authority, broker };
    let mut before = rig.connect(&rig.client());
    let Issued { chain, key } = rig.authority.issue(&Wanted { names: &["other.example"], ..LOCAL });
    let _chain = written(rig.directory.path(), "other.pem", &chain);
    let _key = written(rig.directory.path(), "other-key.pem", &key);
    let other = config.replace("/cert.pem", "/other.pem").replace("/key.pem", "/other-key.pem");
    rig.broker.reconfigure(&format!("{other}ssl_options.versions.1 = tlsv1.3\n"));
    hang_up(&rig);
    rig.expect_line(&["ssl_options.certfile changed: it counts for connections that are opened"]);
    let new = TlsClient { name: "other.example", ..rig.client() };
    wait_until("it is served", || rig.broker.printed().contains("certificate was read again"));
    rig.connect(&new).close();
    before.round_trip(b"still here");
    rig.broker.assert_sound();
}

#[test]
fn what_cannot_be_served_changes_nothing() {
    let mut rig = Rig::start("");
    for text in ["", "-----BEGIN CERTIFICATE-----\nA\n", "nonsense"] {
        let _path = written(rig.directory.path(), "cert.pem", text);
        hang_up(&rig);
    }
    rig.expect_line(&["TLS goes on with the certificate it had", "holds no certificate"]);
    rig.connect(&rig.client()).close();
    std::fs::remove_file(rig.path("key.pem")).expect("a file");
    hang_up(&rig);
    rig.connect(&rig.client()).close();
    replace(&rig, "localhost");
    hang_up(&rig);
    rig.expect_line(&["TLS certificate was read again"]);
    rig.connect(&rig.client()).close();
    rig.broker.assert_sound();
}

#[test]
fn without_tls_a_hang_up_means_nothing() {
    let mut broker = BrokerUnderTest::start();
    let mut client = broker.broker().connect();
    broker.hang_up();
    client.round_trip(b"still here");
    broker.assert_sound();
}

/// What is served, and until when, as the management page tells it before it ends.
#[test]
fn whoever_manages_is_told_until_when_it_is_good() {
    let mut rig = Rig::start(MANAGEMENT);
    let place = Place::Tcp(rig.broker.management());
    let http = HttpClient { place, authorization: Some("Basic Z3Vlc3Q6Z3Vlc3Q=".to_owned()) };
    let told = || {
        let overview = http.ask("GET", "/api/overview?columns=certificates", "").expect(200).json();
        let [only] = overview["certificates"].as_array().expect("a list").as_slice() else {
            panic!("one certificate: {overview}");
        };
        (only["names"].as_str().expect("text").to_owned(), only["expires_ms"].clone())
    };
    let first_of_2120: Value = 4_733_510_400_000_u64.into();
    let before = told();
    assert!(before.0.contains("localhost"), "{before:?}");
    assert_eq!(before.1, first_of_2120);
    replace(&rig, "new.example");
    hang_up(&rig);
    rig.expect_line(&["TLS certificate was read again"]);
    assert!(told().0.contains("new.example"), "{:?}", told());
    rig.broker.assert_sound();
}
