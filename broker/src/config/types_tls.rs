//! The types of the settings of TLS, as `types` has those of all others.

use super::types::Type;

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 8446.
    Tls13,
    /// RFC 5246.
    Tls12,
    /// An older one, which is known and not spoken.
    Older,
}

/// How far it is asked whether certificates were revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrlCheck {
    /// Not at all.
    Off,
    /// For the whole chain.
    Chain,
    /// For the client's certificate.
    Peer,
    /// For the client's certificate, if a list speaks of it.
    BestEffort,
}

/// What of a client's certificate is a user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginFrom {
    /// The whole subject (RFC 4514).
    DistinguishedName,
    /// Its common name.
    CommonName,
    /// An alternative name.
    SubjectAlternativeName,
}

/// A kind of alternative name (RFC 5280, 4.2.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SanType {
    /// dNSName.
    Dns,
    /// iPAddress.
    Ip,
    /// rfc822Name.
    Email,
    /// uniformResourceIdentifier.
    Uri,
    /// otherName.
    Other,
}

pub(super) const VERIFY: Type<bool> = Type {
    name: "verify_peer or verify_none",
    parse: |text| match text {
        "verify_peer" => Some(true),
        "verify_none" => Some(false),
        _ => None,
    },
};

pub(super) const TLS_VERSION: Type<TlsVersion> = Type {
    name: "tlsv1.3 or tlsv1.2",
    parse: |text| match text {
        "tlsv1.3" => Some(TlsVersion::Tls13),
        "tlsv1.2" => Some(TlsVersion::Tls12),
        "tlsv1.1" | "tlsv1" => Some(TlsVersion::Older),
        _ => None,
    },
};

/// Whether the suite is known is for `tls` to say, which has the list.
pub(super) const CIPHER: Type<String> = Type {
    name: "the name of a cipher suite",
    parse: |text| (!text.is_empty()).then(|| text.to_owned()),
};

pub(super) const CHAIN_DEPTH: Type<usize> =
    Type { name: "a number up to 255", parse: |text| text.parse::<u8>().ok().map(usize::from) };

pub(super) const CRL_CHECK: Type<CrlCheck> = Type {
    name: "true, peer, best_effort or false",
    parse: |text| match text {
        "false" => Some(CrlCheck::Off),
        "true" => Some(CrlCheck::Chain),
        "peer" => Some(CrlCheck::Peer),
        "best_effort" => Some(CrlCheck::BestEffort),
        _ => None,
    },
};

/// RabbitMQ's other source is HTTP.
pub(super) const CRL_SOURCE: Type<()> =
    Type { name: "the word dir", parse: |text| (text == "dir").then_some(()) };

pub(super) const LOGIN_FROM: Type<LoginFrom> = Type {
    name: "distinguished_name, common_name or subject_alternative_name",
    parse: |text| match text {
        "distinguished_name" => Some(LoginFrom::DistinguishedName),
        "common_name" => Some(LoginFrom::CommonName),
        "subject_alternative_name" | "subject_alt_name" => Some(LoginFrom::SubjectAlternativeName),
        _ => None,
    },
};

pub(super) const SAN_TYPE: Type<SanType> = Type {
    name: "dns, ip, email, uri or other_name",
    parse: |text| match text {
        "dns" => Some(SanType::Dns),
        "ip" => Some(SanType::Ip),
        "email" => Some(SanType::Email),
        "uri" => Some(SanType::Uri),
        "other_name" => Some(SanType::Other),
        _ => None,
    },
};

pub(super) const SAN_INDEX: Type<usize> =
    Type { name: "a number from 0", parse: |text| text.parse().ok() };
