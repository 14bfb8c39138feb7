//! From `ssl_options` to what answers a client's hello: certificate, key, authorities, versions.
//!
//! Called at start and whenever a file has changed. Stays true: what it returns can serve; whatever
//! cannot is an error in one line, whatever is only odd a warning.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::certificate::{AlternativeName, Certificate, date};
use super::names::distinguished_name;
use super::verifier::Shallow;
use super::{TlsError, files, suites};
use crate::config::{CrlCheck, TlsOptions, TlsVersion};

/// Longest chain that is put together of the authorities' file.
const CHAIN_MAX: usize = 10;

/// What a listener serves with, read from its files.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// Our certificate in a few words.
    pub(super) about: String,
    /// Until when it is good, in seconds since 1970; for ever if it does not say.
    pub(super) expires_seconds: u64,
    /// The names our certificate is good for.
    pub(super) names: String,
    pub(super) warnings: Vec<String>,
}

/// Reads all files and puts a server together.
pub(super) fn load(options: &TlsOptions) -> Result<Loaded, TlsError> {
    let (certfile, keyfile) = match (&options.certfile, &options.keyfile) {
        (Some(certfile), Some(keyfile)) => (certfile, keyfile),
        (None, _) => return Err(TlsError::Missing("ssl_options.certfile")),
        (_, None) => return Err(TlsError::Missing("ssl_options.keyfile")),
    };
    let mut warnings = Vec::new();
    let mut chain = files::certificates("ssl_options.certfile", certfile)?;
    let key = files::private_key(keyfile)?;
    let authorities = match &options.cacertfile {
        Some(path) => files::certificates("ssl_options.cacertfile", path)?,
        None => Vec::new(),
    };
    complete(&mut chain, &authorities);
    let expires_seconds = chain
        .iter()
        .filter_map(|der| Certificate::parse(der))
        .map(|certificate| certificate.validity.not_after)
        .min()
        .unwrap_or(u64::MAX);
    let (about, names) = describe(&chain, &mut warnings);
    let provider = Arc::new(provider(options, &mut warnings)?);
    let versions = versions(options, &mut warnings)?;
    let verifier = verifier(options, authorities, &provider)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| TlsError::setting("ssl_options.ciphers", error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key);
    let mut config = config.map_err(|error| {
        let detail = match matches!(error, rustls::Error::InconsistentKeys(_)) {
            true => format!("is not the key of the certificate in {}", certfile.display()),
            false => error.to_string(),
        };
        TlsError::file("ssl_options.keyfile", keyfile, detail)
    })?;
    config.ignore_client_order = options.honor_cipher_order;
    Ok(Loaded { config: Arc::new(config), about, expires_seconds, names, warnings })
}

/// Adds what stands between our certificate and its root, where the authorities' file has it: so
/// Erlang does, and certificate files for RabbitMQ may leave it out.
fn complete(chain: &mut Vec<CertificateDer<'static>>, authorities: &[CertificateDer<'static>]) {
    while chain.len() < CHAIN_MAX {
        let Some(last) = chain.last().and_then(|der| Certificate::parse(der)) else { return };
        let issued_it = |der: &&CertificateDer<'static>| {
            Certificate::parse(der).is_some_and(|authority| {
                authority.subject == last.issuer && authority.issuer != authority.subject
            })
        };
        if last.issuer == last.subject {
            return;
        }
        let Some(next) = authorities.iter().find(issued_it).cloned() else { return };
        chain.push(next);
    }
}

/// What there is to say of a certificate whose issuer is in none of the files: a root is nowhere, and is
/// not missed, but what stands between is.
pub(super) fn stands_alone(options: &TlsOptions) -> Result<Option<String>, TlsError> {
    let Some(certfile) = &options.certfile else { return Ok(None) };
    let mut chain = files::certificates("ssl_options.certfile", certfile)?;
    let authorities = match &options.cacertfile {
        Some(path) => files::certificates("ssl_options.cacertfile", path)?,
        None => Vec::new(),
    };
    complete(&mut chain, &authorities);
    let [own] = chain.as_slice() else { return Ok(None) };
    let Some(own) = Certificate::parse(own) else { return Ok(None) };
    let mut parsed = authorities.iter().filter_map(|der| Certificate::parse(der));
    let is_known = parsed.any(|authority| authority.subject == own.issuer);
    Ok((own.issuer != own.subject && !is_known).then(|| {
        format!(
            "the TLS certificate of {} stands alone: clients that know its issuer, {}, only by the \
             authority above that will refuse it; put what issued it behind it in {}",
            distinguished_name(own.subject),
            distinguished_name(own.issuer),
            certfile.display()
        )
    }))
}

/// Our certificate and its names in words; with a warning if clients will not accept it.
fn describe(chain: &[CertificateDer<'_>], warnings: &mut Vec<String>) -> (String, String) {
    let Some(own) = chain.first().and_then(|der| Certificate::parse(der)) else {
        return Default::default();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let subject = distinguished_name(own.subject);
    let (from, until) = (own.validity.not_before, own.validity.not_after);
    if until < now {
        warnings.push(format!(
            "the TLS certificate of {subject} expired at {}: clients that verify it will refuse \
             to connect until ssl_options.certfile has a new one",
            date(until)
        ));
    } else if from > now {
        warnings.push(format!(
            "the TLS certificate of {subject} is not valid before {}: clients that verify it will \
             refuse to connect until then; is the clock of this machine right?",
            date(from)
        ));
    }
    let names: Vec<String> = own.alternative_names.iter().filter_map(shown).collect();
    if names.is_empty() {
        warnings.push(format!(
            "the TLS certificate of {subject} has no subject alternative name: clients that verify \
             the name they connect to will refuse it"
        ));
    }
    (format!("{subject}, valid until {}", date(until)), names.join(", "))
}

fn shown(name: &AlternativeName<'_>) -> Option<String> {
    match name {
        AlternativeName::Dns(name) => Some((*name).to_owned()),
        AlternativeName::Ip(address) => Some(address.to_string()),
        AlternativeName::Email(_) | AlternativeName::Uri(_) | AlternativeName::Other(_) => None,
    }
}

fn provider(options: &TlsOptions, warnings: &mut Vec<String>) -> Result<CryptoProvider, TlsError> {
    let mut provider = default_provider();
    if options.ciphers.is_empty() {
        return Ok(provider);
    }
    provider.cipher_suites.clear();
    for name in &options.ciphers {
        match suites::by_name(name) {
            Some(suite) => provider.cipher_suites.push(suite),
            None => warnings.push(format!("ssl_options.ciphers: '{name}' is not offered here")),
        }
    }
    if provider.cipher_suites.is_empty() {
        let known: Vec<String> = default_provider()
            .cipher_suites
            .iter()
            .map(|suite| format!("{:?}", suite.suite()))
            .collect();
        let known = known.join(", ").replace("TLS13_", "TLS_");
        return Err(TlsError::setting(
            "ssl_options.ciphers",
            format!("none is offered here: {known}"),
        ));
    }
    Ok(provider)
}

fn versions(
    options: &TlsOptions,
    warnings: &mut Vec<String>,
) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let wanted = |version| options.versions.is_empty() || options.versions.contains(&version);
    if options.versions.contains(&TlsVersion::Older) {
        warnings.push("ssl_options.versions: TLS before 1.2 is not spoken here".to_owned());
    }
    let mut versions = Vec::new();
    if wanted(TlsVersion::Tls13) {
        versions.push(&version::TLS13);
    }
    if wanted(TlsVersion::Tls12) {
        versions.push(&version::TLS12);
    }
    if versions.is_empty() {
        return Err(TlsError::setting(
            "ssl_options.versions",
            "tlsv1.2 or tlsv1.3 must be among them",
        ));
    }
    Ok(versions)
}

/// Who clients must be.
fn verifier(
    options: &TlsOptions,
    authorities: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if !options.verify_peer {
        if options.fail_if_no_peer_cert {
            let detail = "needs ssl_options.verify = verify_peer";
            return Err(TlsError::setting("ssl_options.fail_if_no_peer_cert", detail));
        }
        return Ok(Arc::new(NoClientAuth));
    }
    let Some(cacertfile) = &options.cacertfile else {
        let detail = "verify_peer needs ssl_options.cacertfile, the authorities of clients";
        return Err(TlsError::setting("ssl_options.verify", detail));
    };
    let mut roots = RootCertStore::empty();
    let wrong = |detail: String| TlsError::file("ssl_options.cacertfile", cacertfile, detail);
    for authority in authorities {
        roots.add(authority).map_err(|error| wrong(error.to_string()))?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if !options.fail_if_no_peer_cert {
        builder = builder.allow_unauthenticated();
    }
    if options.crl_check != CrlCheck::Off {
        builder = builder.with_crls(files::revocation_lists(options)?);
    }
    match options.crl_check {
        CrlCheck::Off | CrlCheck::Chain => {}
        CrlCheck::Peer => builder = builder.only_check_end_entity_revocation(),
        CrlCheck::BestEffort => {
            builder = builder.only_check_end_entity_revocation().allow_unknown_revocation_status();
        }
    }
    let inner = builder.build().map_err(|error| wrong(error.to_string()))?;
    Ok(Arc::new(Shallow { inner, depth: options.depth }))
}
