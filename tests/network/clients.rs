//! Stock clients over TLS: by password, with a certificate beside it, and by the certificate alone.
//! Python and Node bring OpenSSL, Java and Go their own.

use std::process::Command;

use leveret_tests::broker_under_test::{repository, run_leveret, target_directory};
use leveret_tests::certificates::{Issued, LOCAL, Wanted, written};
use leveret_tests::deadline::TO_RUN;
use leveret_tests::program::{Finished, Program, require};
use rcgen::DnType;

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

/// What a client is told of where it connects, and whom to trust.
fn client(rig: &Rig, mut command: Command) -> Finished {
    let subject = &[(DnType::CommonName, "guest")];
    let Issued { chain, key } = rig.authority.issue(&Wanted { subject, ..LOCAL });
    let certificate = written(rig.directory.path(), "client.pem", &chain);
    let key = written(rig.directory.path(), "client_key.pem", &key);
    command.env("PORT", rig.address().port().to_string());
    command.env("CA", rig.path("ca.pem")).env("CERTIFICATE", certificate).env("KEY", key);
    command.env("PKCS12", rig.path("client.p12"));
    Program::start(&mut command).finish(TO_RUN)
}

/// A broker that knows its clients by password and by certificate.
fn rig() -> Rig {
    Rig::start(
        "ssl_options.verify = verify_peer\n\
         ssl_cert_login_from = common_name\n\
         auth_mechanisms.1 = EXTERNAL\n\
         auth_mechanisms.2 = PLAIN\n",
    )
}

/// It logs in three ways, and goes away when it does not know our authority.
fn logs_in(rig: &Rig, command: Command) {
    let finished = client(rig, command);
    let steps = ["ok tls", "ok mutual_tls", "ok external", "ok unknown_authority", "done"];
    assert_eq!(finished.stdout, steps, "{}", finished.stderr);
    // Some say so, some only that they do not like it, some hang up.
    rig.expect_line(&["closing TLS connection", "authority"]);
    assert!(finished.status.success(), "{}", finished.stderr);
}

#[test]
fn aio_pika_logs_in() {
    let interpreter = target_directory().join("venv/bin/python");
    require(&interpreter);
    let mut command = Command::new(interpreter);
    command.arg(repository().join("tests/interop/python/aio_pika_tls.py"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    logs_in(&rig(), command);
}

#[test]
fn amqplib_logs_in() {
    let modules = target_directory().join("node/node_modules");
    require(&modules);
    let mut command = Command::new("node");
    command.arg(repository().join("tests/interop/node/amqplib_tls.js")).env("NODE_PATH", modules);
    logs_in(&rig(), command);
}

#[test]
fn the_go_client_logs_in() {
    let mut command = Command::new("go");
    command.arg("run").arg(repository().join("tests/interop/go/tls_client.go"));
    command.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode");
    command.env("GOCACHE", target_directory().join("go"));
    logs_in(&rig(), command);
}

/// Java reads no PEM of a key.
#[test]
fn the_java_client_logs_in() {
    let rig = rig();
    let subject = &[(DnType::CommonName, "guest")];
    let Issued { chain, key } = rig.authority.issue(&Wanted { subject, ..LOCAL });
    let both = written(rig.directory.path(), "both.pem", &format!("{chain}{key}"));
    let mut export = Command::new("openssl");
    export.args(["pkcs12", "-export", "-passout", "pass:changeit", "-in"]).arg(both);
    let exported = Program::start(export.arg("-out").arg(rig.path("client.p12"))).finish(TO_RUN);
    assert!(exported.status.success(), "{}", exported.stderr);
    let jars = "/usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar";
    let mut command = Command::new("java");
    command.args(["-cp", jars]).arg(repository().join("tests/interop/java/TlsClient.java"));
    logs_in(&rig, command);
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
