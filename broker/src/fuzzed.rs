//! What reads octets of strangers, as the fuzzer calls it (`tests/fuzz`, `just fuzz`).
//!
//! In no other build. Each function returns, whatever it is given, and asserts what must hold of the
//! outcome.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::auth::{fuzzed_token, sasl};
use crate::config::Report;
use crate::definitions::document::Document;
use crate::password::HashingAlgorithm;
use crate::proxy_protocol;

/// The response of a mechanism; the first octet chooses it.
pub fn sasl_response(octets: &[u8]) {
    let Some((&first, response)) = octets.split_first() else { return };
    let mechanism = ["PLAIN", "AMQPLAIN", "EXTERNAL", "?"].get(usize::from(first % 4));
    let certificate = (first & 4 != 0).then_some(Some("somebody"));
    if let Err(error) = sasl::parse(mechanism.copied().unwrap_or(""), response, certificate) {
        assert!(!error.to_string().is_empty());
    }
}

/// A token where a password is expected, and what stands in it.
pub fn web_token(octets: &[u8]) {
    fuzzed_token(octets);
}

/// The header of a proxy, and what comes behind it.
pub fn proxy_header(mut octets: &[u8]) {
    let length = octets.len();
    {
        let read = pin!(proxy_protocol::read(&mut octets));
        // Octets that are in memory are there at once.
        let outcome = read.poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(outcome, Poll::Ready(_)));
    }
    assert!(
        length - octets.len() <= 16 + usize::from(u16::MAX),
        "it reads no further than its end"
    );
}

/// A configuration file.
pub fn configuration(octets: &[u8]) {
    let file = std::env::temp_dir().join(format!("leveret-fuzz-{}.conf", std::process::id()));
    if std::fs::write(&file, octets).is_ok() {
        let report = Report::of(&file, |_| None);
        assert_eq!(report.is_sound(), report.errors.is_empty());
    }
}

/// A file of definitions.
pub fn definitions(octets: &[u8]) {
    if let Err(error) = Document::read(octets, HashingAlgorithm::Sha256) {
        assert!(!error.to_string().contains('\n'), "one line: {error}");
    }
}
