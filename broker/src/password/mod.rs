//! Password hashes: RabbitMQ's, so that definitions can be brought along, and argon2id, which is
//! slow on purpose.
//!
//! `auth::login` verifies, whoever makes a user hashes. Which way a hash was made stands beside it
//! in the user's record. Stays true: comparisons take the same time for every password, and what is
//! no hash verifies nothing.
//! See <https://www.rabbitmq.com/docs/passwords>.

mod argon2id;
mod digests;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha512};

/// How a password hash was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HashingAlgorithm {
    /// Salted SHA-256.
    #[default]
    #[serde(rename = "rabbit_password_hashing_sha256")]
    Sha256,
    /// Salted SHA-512, as RabbitMQ makes it when it is told to.
    #[serde(rename = "rabbit_password_hashing_sha512")]
    Sha512,
    /// Salted MD5, as old versions of RabbitMQ made it.
    #[serde(rename = "rabbit_password_hashing_md5")]
    Md5,
    /// Argon2id in the PHC string format. RabbitMQ has no such hashes.
    #[serde(rename = "argon2id")]
    Argon2id,
}

impl HashingAlgorithm {
    const ALL: [Self; 4] = [Self::Sha256, Self::Sha512, Self::Md5, Self::Argon2id];

    /// The name in configuration and definitions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
            Self::Md5 => "rabbit_password_hashing_md5",
            Self::Argon2id => "argon2id",
        }
    }

    /// The algorithm of that name; of RabbitMQ's names the last part is enough.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let short = |known: Self| known.name().trim_start_matches("rabbit_password_hashing_");
        Self::ALL.into_iter().find(|known| name == known.name() || name == short(*known))
    }
}

/// Hashes a password with a new random salt.
#[must_use]
pub fn hash(algorithm: HashingAlgorithm, password: &[u8]) -> String {
    match algorithm {
        HashingAlgorithm::Sha256 => digests::hash::<Sha256>(rand::random(), password),
        HashingAlgorithm::Sha512 => digests::hash::<Sha512>(rand::random(), password),
        HashingAlgorithm::Md5 => digests::hash::<Md5>(rand::random(), password),
        HashingAlgorithm::Argon2id => argon2id::hash(rand::random(), password),
    }
}

/// Whether the hash was made of this password. Takes the same time for every password, and as long
/// for what is no hash.
#[must_use]
pub(crate) fn verify(algorithm: HashingAlgorithm, hash: &str, password: &[u8]) -> bool {
    match algorithm {
        HashingAlgorithm::Sha256 => digests::verify::<Sha256>(hash, password),
        HashingAlgorithm::Sha512 => digests::verify::<Sha512>(hash, password),
        HashingAlgorithm::Md5 => digests::verify::<Md5>(hash, password),
        HashingAlgorithm::Argon2id => argon2id::verify(hash, password),
    }
}

/// Whether the text may stand in a user's record as a hash; an empty one is a user without a
/// password.
///
/// # Errors
/// The end of a sentence that begins with the name of the text.
pub(crate) fn assert_hash(algorithm: HashingAlgorithm, hash: &str) -> Result<(), &'static str> {
    match algorithm {
        HashingAlgorithm::Argon2id if !hash.is_empty() => argon2id::assert_affordable(hash),
        HashingAlgorithm::Argon2id
        | HashingAlgorithm::Sha256
        | HashingAlgorithm::Sha512
        | HashingAlgorithm::Md5 => digests::assert_base64(hash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hash_has_its_own_salt_and_verifies_by_its_own_algorithm() {
        for algorithm in HashingAlgorithm::ALL {
            let (one, other) = (hash(algorithm, b"secret"), hash(algorithm, b"secret"));
            assert_ne!(one, other, "{algorithm:?}");
            assert!(verify(algorithm, &one, b"secret") && verify(algorithm, &other, b"secret"));
            assert!(!verify(algorithm, &one, b"Secret") && !verify(algorithm, &one, b""));
            assert_eq!(assert_hash(algorithm, &one), Ok(()), "{algorithm:?}");
            for another in HashingAlgorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                assert!(!verify(another, &one, b"secret"), "{algorithm:?} is not {another:?}");
            }
        }
        assert!(verify(
            HashingAlgorithm::Sha256,
            &hash(HashingAlgorithm::Sha256, b"\xff\x00"),
            b"\xff\x00"
        ));
    }

    #[test]
    fn what_is_no_hash_verifies_nothing() {
        for algorithm in HashingAlgorithm::ALL {
            for hash in ["", "AAAA", "not base64!", "AAAAAAA=", "$argon2id$", "$argon2id$v=19$"] {
                assert!(!verify(algorithm, hash, b"") && !verify(algorithm, hash, b"guest"));
            }
        }
    }

    #[test]
    fn algorithms_have_rabbitmqs_names() {
        for algorithm in HashingAlgorithm::ALL {
            assert_eq!(HashingAlgorithm::from_name(algorithm.name()), Some(algorithm));
            let stored = serde_json::to_value(algorithm).unwrap();
            assert_eq!(stored, algorithm.name());
        }
        assert_eq!(HashingAlgorithm::from_name("sha512"), Some(HashingAlgorithm::Sha512));
        assert_eq!(HashingAlgorithm::from_name("rot13"), None);
    }
}
