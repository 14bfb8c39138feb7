//! EXTERNAL: a user is who the client's certificate says.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::certificates::{Issued, LOCAL, Wanted, written};
use leveret_tests::raw_client::method::connection;
use leveret_tests::raw_client::{Handshake, RawClient};
use rcgen::DnType;

use crate::rig::{Rig, prepared};

const SUBJECT: &[(DnType, &str)] =
    &[(DnType::OrganizationName, "Leveret, Ltd"), (DnType::CommonName, "client")];

fn definitions(user: &str) -> String {
    format!(
        r#"{{"vhosts": [{{"name": "/"}}],
            "users": [{{"name": "{user}", "password_hash": "",
                        "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": []}}],
            "permissions": [{{"user": "{user}", "vhost": "/",
                              "configure": ".*", "write": ".*", "read": ".*"}}]}}"#
    )
}

/// A broker that has this user alone.
fn rig(user: &str, more: &str) -> Rig {
    let (directory, authority, config) = prepared(|authority| authority.issue(&LOCAL));
    let user = user.replace('\\', "\\\\");
    let path = written(directory.path(), "definitions.json", &definitions(&user));
    let config = format!(
        "{config}{more}load_definitions = {}\nauth_mechanisms.1 = EXTERNAL\n\
         auth_mechanisms.2 = PLAIN\n",
        path.display()
    );
    Rig { broker: BrokerUnderTest::start_with(&config), directory, authority }
}

const VERIFY: &str = "ssl_options.verify = verify_peer\n";

fn external() -> Handshake {
    let mechanism = "EXTERNAL".to_owned();
    Handshake { mechanism, response: Vec::new(), ..Handshake::plain("", "") }
}

fn certificate(rig: &Rig) -> Issued {
    let names = &["client.example", "other.example"];
    rig.authority.issue(&Wanted { names, subject: SUBJECT, ..LOCAL })
}

fn shown(rig: &Rig) -> RawClient {
    rig.client().showing(certificate(rig)).connect(rig.address())
}

#[test]
fn the_name_is_what_the_configuration_says() {
    for (user, more) in [
        (r"CN=client,O=Leveret\, Ltd", ""),
        ("client", "ssl_cert_login_from = common_name\n"),
        ("client.example", "ssl_cert_login_from = subject_alternative_name\n"),
        (
            "other.example",
            "ssl_cert_login_from = subject_alt_name\nssl_cert_login_san_type = dns\n\
             ssl_cert_login_san_index = 1\n",
        ),
    ] {
        let rig = rig(user, &format!("{VERIFY}{more}"));
        let mut client = shown(&rig);
        client.shake_hands(&external());
        client.open_channel(1);
        rig.expect_line(&[&format!("user '{user}' authenticated")]);
        client.close();
    }
}

fn expect_refused(mut client: RawClient) {
    client.greet();
    client.start_ok(&external());
    client.expect_connection_close(
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism EXTERNAL. For details \
         see the broker logfile.",
        (0, 0),
    );
}

#[test]
fn whoever_is_not_known_is_refused() {
    let rig = rig("somebody else", VERIFY);
    expect_refused(shown(&rig));
    rig.expect_line(&["login refused", r"user 'CN=client,O=Leveret\, Ltd' - invalid credentials"]);
    expect_refused(rig.client().connect(rig.address()));
    rig.expect_line(&["connection peer presented no TLS (x.509) certificate"]);
}

#[test]
fn a_certificate_without_the_name_is_refused() {
    let rig = rig(
        "x",
        &format!(
            "{VERIFY}ssl_cert_login_from = subject_alternative_name\nssl_cert_login_san_type = email\n"
        ),
    );
    expect_refused(shown(&rig));
    rig.expect_line(&["login refused", "no name found"]);
}

#[test]
fn it_is_offered_with_tls_alone() {
    let rig = rig("client", VERIFY);
    assert_eq!(shown(&rig).greet().mechanisms, "EXTERNAL PLAIN");
    let mut plain = rig.broker.broker().socket();
    assert_eq!(plain.greet().mechanisms, "PLAIN");
    plain.start_ok(&external());
    plain.expect_socket_closed(leveret_tests::deadline::PATIENCE);
    let _ = connection::START;
}
