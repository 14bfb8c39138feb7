//! A configuration of TLS that cannot work stops the start, in one line that says what to do.

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::certificates::{Authority, LOCAL, written};

use crate::rig::prepared;

/// The one line of a broker that does not start.
fn complaint(config: &str) -> String {
    let refusal = BrokerUnderTest::stopped(config, None).expect_refusal();
    assert_eq!(refusal.code, Some(1), "{refusal:?}");
    assert_eq!(refusal.stderr.lines().count(), 1, "{refusal:?}");
    refusal.stderr
}

#[test]
fn every_setting_that_cannot_work_is_named() {
    let (directory, _authority, config) = prepared(|authority| authority.issue(&LOCAL));
    for (more, expected) in [
        ("ssl_options.certfile = /nowhere.pem", "ssl_options.certfile: /nowhere.pem No such file"),
        ("ssl_options.keyfile = /nowhere.pem", "ssl_options.keyfile: /nowhere.pem No such file"),
        ("ssl_options.cacertfile = /nowhere.pem", "ssl_options.cacertfile: /nowhere.pem No such"),
        (
            "ssl_options.fail_if_no_peer_cert = true",
            "ssl_options.fail_if_no_peer_cert: needs ssl_options.verify = verify_peer",
        ),
        ("ssl_options.versions.1 = tlsv1.1", "ssl_options.versions: tlsv1.2 or tlsv1.3 must be"),
        ("ssl_options.versions.1 = sslv3", "expected tlsv1.3 or tlsv1.2"),
        (
            "ssl_options.ciphers.1 = RC4-SHA",
            "ssl_options.ciphers: none is offered here: TLS_AES_256_GCM_SHA384, ",
        ),
        ("ssl_options.verify = verify_all", "expected verify_peer or verify_none"),
    ] {
        let line = complaint(&format!("{config}{more}\n"));
        assert!(line.contains(expected), "{line}");
    }
    drop(directory);
}

#[test]
fn what_is_missing_is_named() {
    let line = complaint("listeners.ssl.default = 127.0.0.1:0\n");
    assert!(
        line.contains("ssl_options.certfile: not set, and a listener with TLS needs it"),
        "{line}"
    );
    let (_directory, _, config) = prepared(|authority| authority.issue(&LOCAL));
    let without = |key: &str| -> String {
        config.lines().filter(|line| !line.contains(key)).map(|line| format!("{line}\n")).collect()
    };
    let line = complaint(&without("keyfile"));
    assert!(line.contains("ssl_options.keyfile: not set"), "{line}");
    let line = complaint(&format!("{}ssl_options.verify = verify_peer\n", without("cacertfile")));
    assert!(line.contains("verify_peer needs ssl_options.cacertfile"), "{line}");
}

#[test]
fn a_key_must_be_readable_and_fit() {
    let (directory, _authority, config) = prepared(|authority| authority.issue(&LOCAL));
    let other = Authority::new("Another").issue(&LOCAL).key;
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (key, expected) in [
        (other.as_str(), "is not the key of the certificate in "),
        (encrypted, "is encrypted; encrypted keys are not read: decrypt it with 'openssl pkey "),
        (old, "is encrypted; "),
        ("", "holds no private key in PEM"),
    ] {
        let _path = written(directory.path(), "key.pem", key);
        let line = complaint(&config);
        assert!(line.contains(expected) && line.contains("ssl_options.keyfile: "), "{line}");
    }
}
