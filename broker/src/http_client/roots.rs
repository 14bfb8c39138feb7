//! Whose certificates a server may have: those of a file, or those that the system trusts.
//!
//! A room of `http_client`.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Nobody can be trusted. One line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct RootsError(String);

pub(super) fn client(cacertfile: Option<&Path>) -> Result<ClientConfig, RootsError> {
    let mut roots = RootCertStore::empty();
    match cacertfile {
        Some(path) => {
            let wrong = |detail: &dyn std::fmt::Display| {
                RootsError(format!("cannot read certificates from {}: {detail}", path.display()))
            };
            let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| wrong(&error))?;
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
            if roots.is_empty() {
                return Err(wrong(&"it holds none"));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let text = "this system trusts no certificates: name a cacertfile";
                return Err(RootsError(text.to_owned()));
            }
        }
    }
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
        .map_err(|error| RootsError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_come_from_the_named_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let trust = Some(path.as_path());
        assert!(client(trust).unwrap_err().to_string().contains("ca.pem"), "it is missing");
        std::fs::write(&path, "nothing").unwrap();
        assert!(client(trust).unwrap_err().to_string().contains("holds none"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&path, made.cert.pem()).unwrap();
        assert!(client(trust).is_ok());
    }
}
