//! What a failed handshake means, in one sentence that says what to do.
//!
//! Pure. Specification of alerts: RFC 8446 §6.

#![expect(clippy::wildcard_enum_match_arm, reason = "the others say themselves what they mean")]

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// The client hung up in the middle, as many do who do not like our certificate.
pub(super) const GONE: &str = "the client closed the socket during the handshake and did not say why: \
     most often it does not know the authority of our certificate, or connects to a name that is not \
     in it";

/// What a first read says of a client that does not speak TLS; nothing if it does.
pub(super) fn of_first_bytes(bytes: &[u8]) -> Option<&'static str> {
    let is_http =
        [&b"GET "[..], b"POST", b"PUT ", b"HEAD"].iter().any(|verb| bytes.starts_with(verb));
    match bytes.first() {
        _ if bytes.starts_with(b"AMQP") => Some(
            "the client speaks AMQP without TLS to a port with TLS: let it connect with TLS \
             (amqps://), or to a port of listeners.tcp",
        ),
        _ if is_http => Some("the client speaks HTTP to a port for AMQP over TLS"),
        Some(0x16) | None => None,
        Some(_) => Some("the client does not speak TLS"),
    }
}

/// What a failed handshake means; `names` are those that our certificate is good for.
pub(super) fn of(error: &Error, names: &str) -> String {
    match error {
        Error::AlertReceived(alert) => of_alert(*alert, names),
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => {
            "the client has no certificate, and ssl_options.fail_if_no_peer_cert asks for one"
                .to_owned()
        }
        Error::PeerIncompatible(why) => of_incompatibility(why),
        Error::InvalidMessage(_) => format!("what the client sends is no TLS ({error})"),
        _ => error.to_string(),
    }
}

/// The client gave up, and this is why.
fn of_alert(alert: AlertDescription, names: &str) -> String {
    let because = match alert {
        AlertDescription::UnknownCA => {
            "it does not know the authority of our certificate (unknown_ca): give the client the \
             certificate of that authority, and certfile those between"
        }
        AlertDescription::CertificateExpired => {
            "our certificate has expired, or is not valid yet by the client's clock \
             (certificate_expired): renew ssl_options.certfile"
        }
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            let names = if names.is_empty() { "none" } else { names };
            return format!(
                "the client refuses our certificate ({}): most often the name it connects to is \
                 not among those of the certificate, which are: {names}; or it does not know the \
                 authority",
                words(alert)
            );
        }
        AlertDescription::CertificateRevoked => "our certificate was revoked (certificate_revoked)",
        AlertDescription::ProtocolVersion => {
            "it speaks no version of TLS that is offered here (protocol_version): see \
             ssl_options.versions"
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "it has no cipher suite or key exchange in common with what is offered here \
             (handshake_failure): see ssl_options.ciphers"
        }
        AlertDescription::UserCanceled => "it gave up (user_canceled)",
        other => return format!("the client broke the handshake off: {}", words(other)),
    };
    format!("the client refuses: {because}")
}

/// An alert by the name of its RFC.
fn words(alert: AlertDescription) -> String {
    let mut words = String::new();
    let name = format!("{alert:?}");
    let mut before = 'A';
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
        before = letter;
    }
    words
}

/// We do not accept the client's certificate.
fn of_certificate(error: &CertificateError) -> String {
    let because = match error {
        CertificateError::UnknownIssuer => {
            "no authority of ssl_options.cacertfile has issued it (unknown CA), or what stands \
             between was not sent, or is more than ssl_options.depth"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            return format!("the client's certificate has expired{}", moment(error));
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            return format!("the client's certificate is not valid yet{}", moment(error));
        }
        CertificateError::Revoked => "it was revoked",
        CertificateError::UnknownRevocationStatus => {
            "no revocation list of ssl_options.crl_sources speaks of it: add that of its authority, \
             or let ssl_options.crl_check be best_effort"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not one for clients (extended key usage)"
        }
        other => return format!("the client's certificate cannot be accepted: {other}"),
    };
    format!("the client's certificate cannot be accepted: {because}")
}

/// Until or from when, where rustls says so.
fn moment(error: &CertificateError) -> String {
    if let CertificateError::ExpiredContext { not_after, .. } = error {
        return format!(": it was valid until {}", super::certificate::date(not_after.as_secs()));
    }
    if let CertificateError::NotValidYetContext { not_before, .. } = error {
        return format!(": it is from {}", super::certificate::date(not_before.as_secs()));
    }
    String::new()
}

fn of_incompatibility(why: &PeerIncompatible) -> String {
    let because = match why {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        // rustls looks at signatures first, which TLS 1.0 and 1.1 do not name.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
            "no version of TLS in common: see ssl_options.versions"
        }
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon => {
            "no cipher suite, key exchange or signature in common: see ssl_options.ciphers"
        }
        other => return format!("the client's TLS does not fit: {other:?}"),
    };
    format!("the client's TLS does not fit: {because}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_told_by_their_first_bytes() {
        for (bytes, expected) in [
            (b"AMQP\0\0\x09\x01".as_slice(), Some("AMQP without TLS")),
            (b"AMQP", Some("AMQP without TLS")),
            (b"GET / HTTP/1.1", Some("HTTP")),
            (b"\x16\x03\x01\x02\0\x01", None),
            (b"\0\0", Some("does not speak TLS")),
            (b"", None),
        ] {
            let sentence = of_first_bytes(bytes);
            assert_eq!(sentence.is_some(), expected.is_some(), "{bytes:?}");
            assert!(sentence.unwrap_or("").contains(expected.unwrap_or("")), "{sentence:?}");
        }
    }

    #[test]
    fn alerts_say_what_to_do() {
        for (alert, expected) in [
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::CertificateExpired, "certificate_expired"),
            (AlertDescription::BadCertificate, "bad_certificate): most often the name"),
            (AlertDescription::ProtocolVersion, "ssl_options.versions"),
            (AlertDescription::DecryptError, "decrypt_error"),
            (AlertDescription::InsufficientSecurity, "ssl_options.ciphers"),
        ] {
            let sentence = of(&Error::AlertReceived(alert), "broker.example");
            assert!(sentence.contains(expected) && !sentence.contains('\n'), "{sentence}");
        }
        let sentence = of(&Error::AlertReceived(AlertDescription::CertificateUnknown), "a, b");
        assert!(sentence.contains("which are: a, b;"), "{sentence}");
    }

    #[test]
    fn certificates_of_clients_are_refused_with_a_reason() {
        for (error, expected) in [
            (CertificateError::UnknownIssuer, "unknown CA"),
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::Revoked, "revoked"),
            (CertificateError::BadSignature, "cannot be accepted"),
        ] {
            let sentence = of(&Error::InvalidCertificate(error), "");
            assert!(sentence.contains(expected), "{sentence}");
        }
    }
}
