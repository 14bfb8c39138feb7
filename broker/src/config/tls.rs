//! `listeners.ssl.*`, `ssl_options.*` and `ssl_cert_login_*`: TLS as RabbitMQ's keys have it
//! (<https://www.rabbitmq.com/docs/ssl>).
//!
//! `tls` makes a server of it. Only what settings say is checked here; files are not read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::keys;
use super::settings::Settings;
use super::types_tls::{CrlCheck, LoginFrom, SanType, TlsVersion};

/// Where TLS is spoken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsListeners {
    /// AMQP over TLS; may be empty. As `Listeners::addresses`.
    pub addresses: Vec<SocketAddr>,
    /// How it is spoken, the same at every listener.
    pub options: TlsOptions,
}

/// `ssl_options.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// Authorities of clients.
    pub cacertfile: Option<PathBuf>,
    /// Ours.
    pub certfile: Option<PathBuf>,
    /// Its key.
    pub keyfile: Option<PathBuf>,
    /// Whether clients are asked for a certificate.
    pub verify_peer: bool,
    /// Whether they must have one.
    pub fail_if_no_peer_cert: bool,
    /// Certificates between theirs and the authority's.
    pub depth: usize,
    /// Empty is all there are.
    pub versions: Vec<TlsVersion>,
    /// Empty is all there are.
    pub ciphers: Vec<String>,
    /// Whether our order of suites counts.
    pub honor_cipher_order: bool,
    /// How far revocation lists are asked.
    pub crl_check: CrlCheck,
    /// The directories of those lists.
    pub crl_directories: Vec<PathBuf>,
    /// From accept to the end of the handshake.
    pub handshake_timeout: Duration,
    /// Who a client is that logs in with EXTERNAL.
    pub login: CertificateLogin,
}

/// `ssl_cert_login_*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateLogin {
    /// What of the certificate is the name.
    pub from: LoginFrom,
    /// The kind of alternative name.
    pub san_type: SanType,
    /// Which of that kind, from 0.
    pub san_index: usize,
}

impl TlsListeners {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let default = settings.find(&keys::SSL_DEFAULT)?.flatten();
        let named = settings.each(&keys::SSL_NAMED)?.into_iter();
        let named = named.filter_map(|(_, listener)| listener);
        let mut addresses: Vec<SocketAddr> = default.into_iter().chain(named).collect();
        if settings.find(&keys::SSL_NONE)?.is_some() {
            addresses.clear();
        }
        Ok(Self { addresses, options: TlsOptions::build(settings)? })
    }
}

impl TlsOptions {
    /// Those of the management API: what it does not say itself is as for AMQP.
    pub(super) fn of_management(settings: &Settings) -> Result<Self, ConfigError> {
        let amqp = Self::build(settings)?;
        let or = |own: Option<bool>, other| own.unwrap_or(other);
        let of_list = |own: Vec<_>, others| match own.is_empty() {
            true => others,
            false => own.into_iter().map(|(_, name)| name).collect(),
        };
        let versions = settings.each(&keys::MANAGEMENT_VERSIONS)?.into_iter();
        let versions: Vec<TlsVersion> = versions.map(|(_, version)| version).collect();
        Ok(Self {
            cacertfile: settings.find(&keys::MANAGEMENT_CACERTFILE)?.or(amqp.cacertfile),
            certfile: settings.find(&keys::MANAGEMENT_CERTFILE)?.or(amqp.certfile),
            keyfile: settings.find(&keys::MANAGEMENT_KEYFILE)?.or(amqp.keyfile),
            // Browsers and tools have no certificate, whatever clients of AMQP have.
            verify_peer: or(settings.find(&keys::MANAGEMENT_VERIFY)?, false),
            fail_if_no_peer_cert: or(settings.find(&keys::MANAGEMENT_FAIL_IF_NO_PEER_CERT)?, false),
            depth: settings.find(&keys::MANAGEMENT_DEPTH)?.unwrap_or(amqp.depth),
            versions: if versions.is_empty() { amqp.versions } else { versions },
            ciphers: of_list(settings.each(&keys::MANAGEMENT_CIPHERS)?, amqp.ciphers),
            honor_cipher_order: or(
                settings.find(&keys::MANAGEMENT_HONOR_CIPHER_ORDER)?,
                amqp.honor_cipher_order,
            ),
            crl_check: amqp.crl_check,
            crl_directories: amqp.crl_directories,
            handshake_timeout: amqp.handshake_timeout,
            login: amqp.login,
        })
    }

    fn build(settings: &Settings) -> Result<Self, ConfigError> {
        // Both were checked when they were set: there is one source, and keys that have a password
        // are refused with their file.
        settings.each(&keys::TLS_CRL_SOURCE)?;
        settings.find(&keys::TLS_PASSWORD)?;
        Ok(Self {
            cacertfile: settings.find(&keys::TLS_CACERTFILE)?,
            certfile: settings.find(&keys::TLS_CERTFILE)?,
            keyfile: settings.find(&keys::TLS_KEYFILE)?,
            verify_peer: settings.get(&keys::TLS_VERIFY)?,
            fail_if_no_peer_cert: settings.get(&keys::TLS_FAIL_IF_NO_PEER_CERT)?,
            depth: settings.get(&keys::TLS_DEPTH)?,
            versions: settings
                .each(&keys::TLS_VERSIONS)?
                .into_iter()
                .map(|(_, version)| version)
                .collect(),
            ciphers: settings.each(&keys::TLS_CIPHERS)?.into_iter().map(|(_, name)| name).collect(),
            honor_cipher_order: settings.get(&keys::TLS_HONOR_CIPHER_ORDER)?,
            crl_check: settings.get(&keys::TLS_CRL_CHECK)?,
            crl_directories: settings
                .each(&keys::TLS_CRL_PATH)?
                .into_iter()
                .map(|(_, path)| path)
                .collect(),
            handshake_timeout: settings.get(&keys::TLS_HANDSHAKE_TIMEOUT)?,
            login: CertificateLogin {
                from: settings.get(&keys::TLS_LOGIN_FROM)?,
                san_type: settings.get(&keys::TLS_LOGIN_SAN_TYPE)?,
                san_index: settings.get(&keys::TLS_LOGIN_SAN_INDEX)?,
            },
        })
    }
}
