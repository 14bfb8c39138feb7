//! Password hashes as RabbitMQ makes them, so that definitions can be brought along:
//! base64 of a salt of 4 bytes and SHA-256 over salt and password. Hashes of brokers that were set to
//! SHA-512 can be verified as well.
//! See <https://www.rabbitmq.com/docs/passwords>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

const SALT_BYTES: usize = 4;

type Salt = [u8; SALT_BYTES];

/// Hashes a password with a new random salt.
#[must_use]
pub fn hash(password: &[u8]) -> String {
    hash_with(rand::random(), password)
}

/// Whether the hash was made of this password. Takes the same time for every
/// password, and never holds for a hash that is not one.
#[must_use]
pub(crate) fn verify(hash: &str, password: &[u8]) -> bool {
    verify_with::<Sha256>(hash, password)
}

/// The same for a hash that was made with SHA-512.
#[must_use]
pub(crate) fn verify_sha512(hash: &str, password: &[u8]) -> bool {
    verify_with::<Sha512>(hash, password)
}

fn verify_with<D: Digest>(hash: &str, password: &[u8]) -> bool {
    let decoded = STANDARD.decode(hash).unwrap_or_default();
    let Some((salt, expected)) = decoded.split_first_chunk::<SALT_BYTES>() else {
        // As slow as a wrong password.
        drop(digest::<D>(Salt::default(), password));
        return false;
    };
    digest::<D>(*salt, password).as_slice().ct_eq(expected).into()
}

fn hash_with(salt: Salt, password: &[u8]) -> String {
    let mut bytes = salt.to_vec();
    bytes.extend_from_slice(&digest::<Sha256>(salt, password));
    STANDARD.encode(bytes)
}

fn digest<D: Digest>(salt: Salt, password: &[u8]) -> Vec<u8> {
    D::new().chain_update(salt).chain_update(password).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by RabbitMQ for guest.
    const GUEST: &str = "xMHW4aXhn1pgEzVfcaTVn9oSCoFdwlO7uqpEDrTX7kVkia13";

    #[test]
    fn rabbitmqs_hashes_are_ours() {
        assert!(verify(GUEST, b"guest"));
        assert!(!verify(GUEST, b"Guest"));
        assert!(!verify(GUEST, b""));
        assert_eq!(hash_with([0xc4, 0xc1, 0xd6, 0xe1], b"guest"), GUEST);
    }

    /// Salt and digest as RabbitMQ puts them together, made by coreutils:
    /// `printf '\x01\x02\x03\x04guest' | sha512sum`.
    #[test]
    fn hashes_of_sha512_verify() {
        let hash = "AQIDBANSvkE51MvG7pNDq4NjmP8SFay7rWsolg//30q7jnApCiuE049Jxcha\
                    pptDh7ryvu/VdvUXYHbwdpa9veVAv14=";
        assert!(verify_sha512(hash, b"guest"));
        assert!(!verify_sha512(hash, b"Guest") && !verify_sha512(GUEST, b"guest"));
        assert!(!verify(hash, b"guest"));
    }

    #[test]
    fn each_hash_has_its_own_salt_and_verifies() {
        let (one, other) = (hash(b"secret"), hash(b"secret"));
        assert_ne!(one, other);
        assert!(verify(&one, b"secret") && verify(&other, b"secret"));
        assert!(verify(&hash(b"\xff\x00"), b"\xff\x00"));
    }

    #[test]
    fn what_is_no_hash_verifies_nothing() {
        for hash in ["", "AAAA", "not base64!", "AAAAAAA="] {
            assert!(!verify(hash, b"") && !verify(hash, b"guest"), "{hash}");
        }
    }
}
