//! Certificates made for one test: an authority, what it issues, and clients that trust it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use tempfile::TempDir;

use crate::raw_client::RawClient;

/// Who issues certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub pem: String,
}

/// A certificate, with those between it and its authority, and its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate first.
    pub chain: String,
    /// PKCS#8.
    pub key: String,
}

/// What a certificate is to say.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Alternative names; addresses are told from host names.
    pub names: &'a [&'a str],
    /// The years it is valid from and until, each from the first of January.
    pub years: (i32, i32),
    /// The subject, the most general part first.
    pub subject: &'a [(DnType, &'a str)],
}

/// For a broker on this machine, or a client, for a long time.
pub const LOCAL: Wanted<'_> =
    Wanted { names: &["localhost", "127.0.0.1"], years: (2020, 2120), subject: &[] };

impl Authority {
    /// An authority of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = authority(name);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// An authority below this one, and its certificate.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = authority(name);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Issues a certificate.
    #[must_use]
    pub fn issue(&self, wanted: &Wanted<'_>) -> Issued {
        let names: Vec<String> = wanted.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in wanted.subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.not_before = date_time_ymd(wanted.years.0, 1, 1);
        params.not_after = date_time_ymd(wanted.years.1, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2020, 1, 1);
    params
}

/// Writes a file and gives its path.
#[must_use]
pub fn written(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("a writable file");
    path
}

/// The lines that switch TLS on, on a free port; their files are in the directory.
#[must_use]
pub fn broker_with_tls(authority: &Authority, certificate: &Issued) -> (TempDir, String) {
    let directory = TempDir::with_prefix("leveret-tls-").expect("a temporary directory");
    let path = |name, text| written(directory.path(), name, text).display().to_string();
    let config = format!(
        "listeners.ssl.default = 127.0.0.1:0\n\
         ssl_options.cacertfile = {}\n\
         ssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\n",
        path("ca.pem", &authority.pem),
        path("cert.pem", &certificate.chain),
        path("key.pem", &certificate.key),
    );
    (directory, config)
}

/// Where a broker speaks TLS that printed this.
#[must_use]
pub fn tls_address(printed: &str) -> SocketAddr {
    let line = printed.lines().find_map(|line| line.split_once("started TLS (SSL) listener on "));
    line.and_then(|(_, address)| address.trim().parse().ok()).expect("a line tells the port")
}

/// A client of TLS.
#[derive(Debug, Clone)]
pub struct TlsClient {
    /// Whom it trusts.
    pub authority: String,
    /// The name it wants to find at the other end.
    pub name: &'static str,
    /// What it shows of itself.
    pub certificate: Option<Issued>,
    /// What it speaks.
    pub versions: &'static [&'static SupportedProtocolVersion],
}

impl TlsClient {
    /// One that trusts this authority, and shows nothing.
    #[must_use]
    pub fn trusting(authority: &Authority) -> Self {
        let (name, versions) = ("localhost", rustls::ALL_VERSIONS);
        Self { authority: authority.pem.clone(), name, certificate: None, versions }
    }

    /// The same with a certificate.
    #[must_use]
    pub fn showing(mut self, certificate: Issued) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Connects, and leaves the handshake to the first byte that is sent or awaited.
    #[must_use]
    pub fn connect(&self, address: SocketAddr) -> RawClient {
        RawClient::connect(address).over_tls(self.connection())
    }

    /// The state of a connection before its handshake.
    #[must_use]
    pub fn connection(&self) -> ClientConnection {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&self.authority));
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let config = match &self.certificate {
            None => config.with_no_client_auth(),
            Some(Issued { chain, key }) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                config.with_client_auth_cert(certificates(chain), key).expect("a pair")
            }
        };
        let name = ServerName::try_from(self.name).expect("a name");
        ClientConnection::new(Arc::new(config), name).expect("a client")
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.expect("certificates")
}
