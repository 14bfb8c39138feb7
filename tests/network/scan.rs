//! What the broker's TLS lets itself be talked into, as a scanner sees it: every version and every
//! cipher suite that OpenSSL knows, offered alone.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use leveret_tests::deadline::{PATIENCE, exit_of, run};

use crate::rig::Rig;

/// The suite that was agreed on, when these are all that is offered; none if there was none.
fn agreed(rig: &Rig, options: &[&str]) -> Option<String> {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &rig.address().to_string(), "-CAfile"]);
    client.arg(rig.path("ca.pem")).args(options);
    let finished = run(&mut client);
    let said = String::from_utf8_lossy(&finished.stdout).into_owned();
    let (_, suite) = said.split_once("Cipher is ")?;
    suite.lines().next().map(str::to_owned).filter(|suite| suite != "(NONE)")
}

/// Every suite of TLS 1.2 and before that OpenSSL has, weak ones too.
fn every_suite() -> Vec<String> {
    let all = ["ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"];
    let finished = run(Command::new("openssl").args(all));
    let said = String::from_utf8_lossy(&finished.stdout).into_owned();
    said.trim().split(':').map(str::to_owned).collect()
}

#[test]
fn nothing_weak_is_agreed_on() {
    let rig = Rig::start("");
    let every = every_suite();
    assert!(every.len() > 60, "OpenSSL knows few suites: {every:?}");
    let offered =
        |suite: &String| agreed(&rig, &["-tls1_2", "-cipher", &format!("{suite}:@SECLEVEL=0")]);
    let mut agreed_on: Vec<String> = every.iter().filter_map(offered).collect();
    agreed_on.sort();
    // Of these a certificate of elliptic curves can serve three.
    let strong = [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ];
    assert_eq!(agreed_on, strong);
}

#[test]
fn old_versions_are_refused() {
    let rig = Rig::start("");
    for version in ["-tls1", "-tls1_1"] {
        let all = [version, "-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"];
        assert_eq!(agreed(&rig, &all), None, "{version}");
    }
    rig.expect_line(&["closing TLS connection", "ssl_options.versions"]);
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(agreed(&rig, &[version]).is_some(), "{version}");
    }
}

/// TLS 1.2 has it, and nobody needs it: whoever asks is told no, or is gone.
#[test]
fn nothing_is_negotiated_anew() {
    let rig = Rig::start("");
    let path = rig.path("said");
    let file = || File::options().create(true).append(true).open(&path).expect("a file");
    let mut client = Command::new("openssl");
    client.args(["s_client", "-tls1_2", "-connect", &rig.address().to_string(), "-CAfile"]);
    client.arg(rig.path("ca.pem")).stdin(Stdio::piped()).stdout(file()).stderr(file());
    let mut client = client.spawn().expect("openssl starts");
    let mut keys = client.stdin.take().expect("stdin is a pipe");
    // Its letter for "ask for a new handshake".
    keys.write_all(b"R\n").expect("it reads");
    exit_of("the end of a client that negotiates anew", &mut client, PATIENCE);
    drop(keys);
    let said = std::fs::read_to_string(path).expect("text");
    assert!(said.contains("RENEGOTIATING"), "{said}");
    let refused = ["no renegotiation", "unexpected message", "write:errno"];
    assert!(refused.iter().any(|how| said.contains(how)), "{said}");
    assert!(agreed(&rig, &["-tls1_2"]).is_some(), "others are served");
}
