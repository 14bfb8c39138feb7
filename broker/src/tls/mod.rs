//! TLS at a listener: what it serves with, kept up to date with its files, and the handshake.
//!
//! `connection::arrival` asks for handshakes, `transport` carries the `session` that comes of one,
//! the server has `Tls::refresh` called. Files: `server` puts together what is served of `files`,
//! `suites` and `verifier`; `sentences` says what a failure means; `certificate` on `der`, and
//! `names`, say whose a certificate is.
//!
//! Stays true: a change of files that cannot be served changes nothing, and no change touches a
//! connection that is open.

mod certificate;
mod der;
mod files;
mod names;
mod sentences;
mod server;
pub(crate) mod session;
mod suites;
mod verifier;

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::BytesMut;
use parking_lot::Mutex;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{error, info, warn};

use self::certificate::Certificate;
use self::server::Loaded;
use self::session::{HandshakeFailure, Session};
use crate::config::{CertificateLogin, TlsOptions};
use crate::encryption::{Encryption, PeerCertificate};

/// Bytes of a handshake that are read at once.
const READ_SIZE: usize = 4 * 1024;

/// TLS cannot be served. `Display` is one line.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    /// Without it there is no TLS.
    #[error("{0}: not set, and a listener with TLS needs it")]
    Missing(&'static str),
    /// A file cannot be used.
    #[error("{key}: {path} {detail}")]
    File {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A setting makes no sense beside the others.
    #[error("{key}: {detail}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl TlsError {
    fn file(key: &'static str, path: &Path, detail: String) -> Self {
        Self::File { key, path: path.display().to_string(), detail }
    }

    fn setting(key: &'static str, detail: impl Display) -> Self {
        Self::Setting { key, detail: detail.to_string() }
    }
}

/// What a listener would serve with.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// The certificate in a few words.
    pub(crate) about: String,
    /// Until when all of its chain is good, in seconds since 1970.
    pub(crate) expires_seconds: u64,
    /// What is odd.
    pub(crate) warnings: Vec<String>,
}

/// Reads the files of a listener as it would.
///
/// # Errors
/// They cannot be served.
pub(crate) fn inspect(options: &TlsOptions) -> Result<Inspected, TlsError> {
    let Loaded { about, expires_seconds, mut warnings, .. } = server::load(options)?;
    warnings.extend(server::stands_alone(options)?);
    Ok(Inspected { about, expires_seconds, warnings })
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Tls {
    options: ArcSwap<TlsOptions>,
    served: ArcSwap<Loaded>,
    /// Of the files that were read last, whether they could be served or not.
    stamp: Mutex<files::Stamp>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be served.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let stamp = files::stamp(options);
        let loaded = server::load(options)?;
        warn_of(&loaded);
        info!("TLS certificate: {}", loaded.about);
        let served = ArcSwap::from_pointee(loaded);
        let options = ArcSwap::from_pointee(options.clone());
        Ok(Self { options, served, stamp: Mutex::new(stamp) })
    }

    /// Goes by other settings from the next reading of the files on, which has to follow.
    pub(crate) fn adopt(&self, options: &TlsOptions) {
        if **self.options.load() != *options {
            self.options.store(Arc::new(options.clone()));
        }
    }

    /// Reads the files again if they have changed, or because somebody asks for it. What cannot be
    /// served is told, and what was served stays.
    pub(crate) fn refresh(&self, is_asked_for: bool) {
        let options = self.options.load_full();
        let stamp = files::stamp(&options);
        if *self.stamp.lock() == stamp && !is_asked_for {
            return;
        }
        *self.stamp.lock() = stamp;
        match server::load(&options) {
            Ok(loaded) => {
                warn_of(&loaded);
                info!("TLS certificate was read again: {}", loaded.about);
                self.served.store(Arc::new(loaded));
            }
            Err(error) => error!("TLS goes on with the certificate it had: {error}"),
        }
    }

    /// What is served with now, for whoever shakes hands by itself.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.served.load().config)
    }

    /// Our certificate in a few words.
    pub(crate) fn about(&self) -> String {
        self.served.load().about.clone()
    }

    /// The names it is for.
    pub(crate) fn names(&self) -> String {
        self.served.load().names.clone()
    }

    /// Until when it is good, in seconds since 1970.
    pub(crate) fn expires_seconds(&self) -> u64 {
        self.served.load().expires_seconds
    }

    /// Shakes hands with a client. `input` gets what it sent along with the end of its handshake.
    ///
    /// # Errors
    /// There is no connection; the sentence says why.
    pub(crate) async fn accept(
        &self,
        socket: TcpStream,
        input: &mut BytesMut,
    ) -> Result<(Session, Encryption), Refusal> {
        let served = self.served.load_full();
        let options = self.options.load_full();
        let limit = options.handshake_timeout;
        let shaken = timeout(limit, shake_hands(socket, &served, input)).await;
        let session = shaken.unwrap_or_else(|_| {
            Err(Refusal::Said(format!(
                "the client did not finish the TLS handshake within ssl_handshake_timeout ({} ms)",
                limit.as_millis()
            )))
        })?;
        let encryption = session.ask(|connection| encryption(connection, options.login));
        Ok((session, encryption))
    }
}

/// Why a handshake came to nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The client hung up.
    Gone,
    /// What an operator can act on.
    Said(String),
}

fn warn_of(loaded: &Loaded) {
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
}

async fn shake_hands(
    mut socket: TcpStream,
    served: &Loaded,
    input: &mut BytesMut,
) -> Result<Session, Refusal> {
    let connection = ServerConnection::new(Arc::clone(&served.config))
        .map_err(|error| Refusal::Said(error.to_string()))?;
    let mut received = vec![0; READ_SIZE];
    let mut count = socket.read(&mut received).await.unwrap_or(0);
    if let Some(sentence) = received.get(..count).and_then(sentences::of_first_bytes) {
        return Err(Refusal::Said(sentence.to_owned()));
    }
    let session = Session::new(socket, connection);
    // Who says nothing at all looks whether the port is open.
    let mut gone = Refusal::Gone;
    loop {
        let Some(bytes @ [_, ..]) = received.get(..count) else { return Err(gone) };
        gone = Refusal::Said(sentences::GONE.to_owned());
        match session.shake_hands(bytes, input).await {
            Ok(true) => return Ok(session),
            Ok(false) => count = session.receive_raw(&mut received).await.unwrap_or(0),
            Err(HandshakeFailure::Tls(error)) => {
                return Err(Refusal::Said(sentences::of(&error, &served.names)));
            }
            Err(HandshakeFailure::Io) => return Err(gone),
        }
    }
}

fn encryption(connection: &ServerConnection, login: CertificateLogin) -> Encryption {
    let used = connection.negotiated_cipher_suite();
    let (key_exchange, cipher, hash) = used.map(suites::told).unwrap_or_default();
    let protocol = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "tlsv1.3",
        Some(_) => "tlsv1.2",
        None => "",
    };
    let certificate = connection.peer_certificates().and_then(|chain| chain.first());
    let certificate =
        certificate.and_then(|der| Certificate::parse(der)).map(|parsed| PeerCertificate {
            subject: names::distinguished_name(parsed.subject),
            issuer: names::distinguished_name(parsed.issuer),
            serial_number: parsed.serial_number(),
            validity: parsed.validity.text(),
            user: names::login(&parsed, login),
        });
    Encryption { protocol, key_exchange, cipher, hash, certificate }
}
