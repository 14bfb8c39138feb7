//! RabbitMQ's hashes: base64 of a salt of 4 bytes and the digest over salt and password.
//!
//! A room of `password`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use subtle::ConstantTimeEq;

const SALT_BYTES: usize = 4;

type Salt = [u8; SALT_BYTES];

pub(super) fn hash<D: Digest>(salt: Salt, password: &[u8]) -> String {
    let mut bytes = salt.to_vec();
    bytes.extend_from_slice(&digest::<D>(salt, password));
    STANDARD.encode(bytes)
}

pub(super) fn verify<D: Digest>(hash: &str, password: &[u8]) -> bool {
    let decoded = STANDARD.decode(hash).unwrap_or_default();
    let Some((salt, expected)) = decoded.split_first_chunk::<SALT_BYTES>() else {
        // As slow as a wrong password.
        drop(digest::<D>(Salt::default(), password));
        return false;
    };
    digest::<D>(*salt, password).as_slice().ct_eq(expected).into()
}

/// RabbitMQ: whatever is base64 may stand there.
pub(super) fn assert_base64(hash: &str) -> Result<(), &'static str> {
    match STANDARD.decode(hash) {
        Ok(_) => Ok(()),
        Err(_) => Err("is not base64"),
    }
}

fn digest<D: Digest>(salt: Salt, password: &[u8]) -> Vec<u8> {
    D::new().chain_update(salt).chain_update(password).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use md5::Md5;
    use sha2::{Sha256, Sha512};

    use super::*;

    /// Made by RabbitMQ for guest.
    const GUEST: &str = "xMHW4aXhn1pgEzVfcaTVn9oSCoFdwlO7uqpEDrTX7kVkia13";

    #[test]
    fn rabbitmqs_hashes_are_ours() {
        assert!(verify::<Sha256>(GUEST, b"guest"));
        assert!(!verify::<Sha256>(GUEST, b"Guest"));
        assert!(!verify::<Sha256>(GUEST, b""));
        assert_eq!(hash::<Sha256>([0xc4, 0xc1, 0xd6, 0xe1], b"guest"), GUEST);
    }

    /// Salt and digest as RabbitMQ puts them together, made by coreutils:
    /// `printf '\x01\x02\x03\x04guest' | sha512sum`.
    #[test]
    fn hashes_of_sha512_verify() {
        let hash = "AQIDBANSvkE51MvG7pNDq4NjmP8SFay7rWsolg//30q7jnApCiuE049Jxcha\
                    pptDh7ryvu/VdvUXYHbwdpa9veVAv14=";
        assert!(verify::<Sha512>(hash, b"guest"));
        assert!(!verify::<Sha512>(hash, b"Guest") && !verify::<Sha512>(GUEST, b"guest"));
        assert!(!verify::<Sha256>(hash, b"guest"));
    }

    /// As above, by `md5sum`.
    #[test]
    fn hashes_of_md5_verify() {
        let hash = "AQIDBH/JkOf0oGZ5yhQgSBXkHS0=";
        assert!(verify::<Md5>(hash, b"guest"));
        assert!(!verify::<Md5>(hash, b"Guest") && !verify::<Md5>(GUEST, b"guest"));
    }
}
