//! What there is to tell of a connection with TLS: how it is encrypted, and who is at its other end.
//!
//! Made by `tls`, told by `events`; the login with EXTERNAL goes by it.

/// What a connection with TLS is besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Encryption {
    /// `tlsv1.3` or `tlsv1.2`.
    pub protocol: &'static str,
    /// In RabbitMQ's words.
    pub key_exchange: &'static str,
    /// In RabbitMQ's words.
    pub cipher: &'static str,
    /// In RabbitMQ's words.
    pub hash: &'static str,
    /// The client's certificate, if it was asked for one and had one.
    pub certificate: Option<PeerCertificate>,
}

/// The certificate of a client, which was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerCertificate {
    /// Whose it is (RFC 4514).
    pub subject: String,
    /// Whose word that is (RFC 4514).
    pub issuer: String,
    /// In hexadecimal digits.
    pub serial_number: String,
    /// From when until when.
    pub validity: String,
    /// The user it names, if it does.
    pub user: Option<String>,
}
