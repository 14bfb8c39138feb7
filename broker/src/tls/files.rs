//! Certificates, keys and revocation lists from their files, and whether these have changed.
//!
//! Called by `server`. Whatever is wrong with a file is told in one line that names the setting and
//! the path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::TlsError;
use crate::config::{CrlCheck, TlsOptions};

/// Certificates in PEM, in their order; at least one.
pub(super) fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(key, path)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let wrong = |detail: String| TlsError::file(key, path, detail);
    match parsed {
        Ok(certificates) if certificates.is_empty() => {
            Err(wrong("holds no certificate in PEM".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(wrong(said(&error))),
    }
}

/// A private key in PEM: PKCS#8, PKCS#1 or SEC1.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let key = "ssl_options.keyfile";
    let pem = read(key, path)?;
    let is_encrypted = String::from_utf8_lossy(&pem).lines().any(|line| {
        line.starts_with("-----BEGIN ENCRYPTED ") || line.starts_with("Proc-Type: 4,ENCRYPTED")
    });
    if is_encrypted {
        let detail = format!(
            "is encrypted; encrypted keys are not read: decrypt it with 'openssl pkey -in {} -out KEY'",
            path.display()
        );
        return Err(TlsError::file(key, path, detail));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| TlsError::file(key, path, said(&error)))
}

/// The revocation lists of all directories.
pub(super) fn revocation_lists(
    options: &TlsOptions,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let key = "ssl_options.crl_sources";
    let mut lists = Vec::new();
    for path in crl_files(options)? {
        let bytes = read(key, &path)?;
        let is_pem = bytes.windows(11).any(|window| window == b"-----BEGIN ");
        if !is_pem {
            lists.push(bytes.into());
            continue;
        }
        for list in CertificateRevocationListDer::pem_slice_iter(&bytes) {
            lists.push(list.map_err(|error| TlsError::file(key, &path, said(&error)))?);
        }
    }
    Ok(lists)
}

/// When each file was last written and how long it is: what tells that there is something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

/// The stamp of all files as they are now.
pub(super) fn stamp(options: &TlsOptions) -> Stamp {
    let named = [&options.cacertfile, &options.certfile, &options.keyfile];
    let named = named.into_iter().flatten().cloned();
    let written = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    let all = named.chain(crl_files(options).unwrap_or_default());
    Stamp(all.map(|path| (path.clone(), written(&path))).collect())
}

fn crl_files(options: &TlsOptions) -> Result<Vec<PathBuf>, TlsError> {
    let mut files = Vec::new();
    if options.crl_check == CrlCheck::Off {
        return Ok(files);
    }
    for directory in &options.crl_directories {
        let failed = |error: io::Error| {
            TlsError::file("ssl_options.crl_sources", directory, error.to_string())
        };
        for entry in fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::file(key, path, error.to_string()))
}

/// What is wrong with PEM, without the bytes: they may be those of a key.
fn said(error: &PemError) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of the others there is nothing to say")]
    match error {
        PemError::NoItemsFound => "holds no private key in PEM".to_owned(),
        PemError::MissingSectionEnd { end_marker } => {
            format!("ends before '{}'", String::from_utf8_lossy(end_marker).trim())
        }
        PemError::Base64Decode(_) => "is not in base64 between its lines of PEM".to_owned(),
        _ => "is not in PEM".to_owned(),
    }
}
