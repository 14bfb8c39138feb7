//! Cipher suites by the names that configurations have for them.
//!
//! Pure.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::cipher_suite as suite;

/// What `ring` offers, all of it authenticated encryption: the name of IANA and that of OpenSSL.
const SUITES: &[(&str, &str, SupportedCipherSuite)] = &[
    ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_CHACHA20_POLY1305_SHA256",
        suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The suite of that name, if it is offered here.
pub(super) fn by_name(name: &str) -> Option<SupportedCipherSuite> {
    let is_named = |(iana, openssl, _): &&(&str, &str, _)| *iana == name || *openssl == name;
    SUITES.iter().find(is_named).map(|(_, _, suite)| *suite)
}

/// What RabbitMQ tells of a suite: key exchange, cipher and hash.
pub(super) fn told(used: SupportedCipherSuite) -> (&'static str, &'static str, &'static str) {
    let named = SUITES.iter().find(|(_, _, suite)| suite.suite() == used.suite());
    let name = named.map_or("", |(iana, _, _)| iana);
    let exchange = match name {
        name if name.contains("ECDHE_ECDSA") => "ecdhe_ecdsa",
        name if name.contains("ECDHE_RSA") => "ecdhe_rsa",
        _ => "any",
    };
    let cipher = match name {
        name if name.contains("AES_256_GCM") => "aes_256_gcm",
        name if name.contains("AES_128_GCM") => "aes_128_gcm",
        _ => "chacha20_poly1305",
    };
    (exchange, cipher, "aead")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_its_names() {
        for known in rustls::crypto::ring::ALL_CIPHER_SUITES {
            let name = format!("{:?}", known.suite()).replace("TLS13_", "TLS_");
            assert_eq!(by_name(&name), Some(*known), "{name}");
        }
        let openssl = by_name("ECDHE-RSA-AES256-GCM-SHA384");
        assert_eq!(openssl, by_name("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"));
        assert_eq!(by_name("ECDHE-RSA-AES256-SHA"), None);
    }

    #[test]
    fn what_is_told_is_in_rabbitmqs_words() {
        let of = |name| told(by_name(name).unwrap());
        assert_eq!(of("TLS_AES_256_GCM_SHA384"), ("any", "aes_256_gcm", "aead"));
        let old = of("ECDHE-RSA-CHACHA20-POLY1305");
        assert_eq!(old, ("ecdhe_rsa", "chacha20_poly1305", "aead"));
    }
}
