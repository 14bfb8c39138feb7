//! Stock clients over TLS: pika with the ssl of Python, which is OpenSSL.

use std::process::Command;

use leveret_tests::broker_under_test::{repository, target_directory};
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
