//! Stock clients over TLS: pika with the ssl of Python, which is OpenSSL.

use std::process::Command;

use leveret_tests::broker_under_test::{repository, run_leveret, target_directory};
use leveret_tests::certificates::{Issued, LOCAL, written};
use leveret_tests::deadline::TO_RUN;
use leveret_tests::program::{Program, require};

use crate::rig::Rig;

#[test]
fn pika_over_tls() {
    let rig =
        Rig::start("ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n");
    let Issued { chain, key } = rig.authority.issue(&LOCAL);
    let certificate = written(rig.directory.path(), "client.pem", &chain);
    let key = written(rig.directory.path(), "client_key.pem", &key);
    let interpreter = target_directory().join("venv/bin/python");
    require(&interpreter);
    let mut script = Command::new(interpreter);
    script.arg(repository().join("tests/interop/python/pika_tls.py"));
    script.env("PYTHONDONTWRITEBYTECODE", "1");
    script.env("PORT", rig.address().port().to_string());
    script.env("CA", rig.path("ca.pem")).env("CERTIFICATE", certificate).env("KEY", key);
    let finished = Program::start(&mut script).finish(TO_RUN);
    let steps = ["ok tls_1_2", "ok tls_1_3", "ok no_certificate", "ok unknown_authority", "done"];
    assert_eq!(finished.stdout, steps, "{}", finished.stderr);
    rig.expect_line(&["does not know the authority of our certificate (unknown_ca)"]);
}

#[test]
fn the_load_generator_speaks_tls() {
    let rig = Rig::start("");
    let (port, ca) = (rig.address().port(), rig.path("ca.pem"));
    for trust in [format!("cacertfile={}", ca.display()), "verify=verify_none".to_owned()] {
        let url = format!("amqps://127.0.0.1:{port}/?{trust}");
        let arguments = ["bench", "--url", &url, "--messages", "20000", "--size", "1000"];
        let finished = run_leveret(&arguments);
        let said = String::from_utf8_lossy(&finished.stderr);
        assert!(finished.status.success(), "{url}: {said}");
    }
    let elsewhere = format!("amqps://127.0.0.1:{port}/?cacertfile=/nowhere.pem");
    assert!(!run_leveret(&["bench", "--url", &elsewhere, "--messages", "1"]).status.success());
}
