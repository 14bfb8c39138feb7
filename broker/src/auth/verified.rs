//! Which passwords were right a moment ago, so that clients who come back again and again do not
//! cost a verification each.
//!
//! Pure; `login` holds it. A proof is a keyed hash of the password and of the hash it is to match,
//! so a password that was changed is not known any more. Stays true: at most [`USERS_MAX`] users are
//! remembered, and none longer than [`VALID`]; no password is, in whatever form.

use std::collections::HashMap;
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::definitions::records::UserRecord;

/// How long a right password is known.
const VALID: Duration = Duration::from_secs(30);
/// How many users are remembered.
const USERS_MAX: usize = 4096;

/// That a password is the one of a user's record.
#[derive(Clone, Copy)]
pub(super) struct Proof([u8; 32]);

/// See the module documentation.
pub(super) struct Verified {
    key: [u8; 32],
    users: HashMap<Box<str>, (Proof, Duration)>,
}

impl Verified {
    /// Knows nobody. The key is random, and nobody else's.
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key, users: HashMap::new() }
    }

    /// What would prove that the password is this user's.
    pub(super) fn proof(&self, user: &UserRecord, password: &[u8]) -> Proof {
        let hash = user.password_hash.as_bytes();
        let inner = Sha256::new()
            .chain_update(self.key)
            .chain_update(user.hashing_algorithm.name())
            .chain_update((hash.len() as u64).to_be_bytes())
            .chain_update(hash)
            .chain_update(password)
            .finalize();
        // Twice, so that nothing can be appended to what was hashed.
        Proof(Sha256::new().chain_update(self.key).chain_update(inner).finalize().into())
    }

    /// Whether it was right lately. `now` is a time since any fixed moment.
    pub(super) fn is_known(&self, user: &str, proof: &Proof, now: Duration) -> bool {
        let known = self.users.get(user);
        known.is_some_and(|(known, until)| *until > now && known.0.ct_eq(&proof.0).into())
    }

    /// It is right.
    pub(super) fn remember(&mut self, user: &str, proof: Proof, now: Duration) {
        if self.users.len() >= USERS_MAX && !self.users.contains_key(user) {
            self.users.retain(|_, (_, until)| *until > now);
            // Whoever is forgotten too early is verified once more.
            if self.users.len() >= USERS_MAX {
                self.users.clear();
            }
        }
        self.users.insert(user.into(), (proof, now + VALID));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::records::UserLimits;
    use crate::password::HashingAlgorithm;

    const NOW: Duration = Duration::from_secs(1000);

    fn user(hash: &str) -> UserRecord {
        UserRecord {
            name: "bob".to_owned(),
            password_hash: hash.to_owned(),
            hashing_algorithm: HashingAlgorithm::Sha256,
            tags: Vec::new(),
            limits: UserLimits::default(),
        }
    }

    #[test]
    fn a_right_password_is_known_for_a_while_and_no_other_is() {
        let mut verified = Verified::new([7; 32]);
        let right = verified.proof(&user("hash"), b"secret");
        assert!(!verified.is_known("bob", &right, NOW));
        verified.remember("bob", right, NOW);
        let end = NOW + VALID;
        assert!(verified.is_known("bob", &right, end - Duration::from_millis(1)));
        assert!(!verified.is_known("bob", &right, end));
        assert!(!verified.is_known("eve", &right, NOW));
        for wrong in [b"Secret".as_slice(), b"", b"secret\0"] {
            let wrong = verified.proof(&user("hash"), wrong);
            assert!(!verified.is_known("bob", &wrong, NOW));
        }
    }

    #[test]
    fn a_changed_password_counts_at_once() {
        let mut verified = Verified::new([7; 32]);
        verified.remember("bob", verified.proof(&user("old"), b"secret"), NOW);
        assert!(!verified.is_known("bob", &verified.proof(&user("new"), b"secret"), NOW));
        let rehashed = UserRecord { hashing_algorithm: HashingAlgorithm::Md5, ..user("old") };
        assert!(!verified.is_known("bob", &verified.proof(&rehashed, b"secret"), NOW));
    }

    #[test]
    fn proofs_are_of_no_use_elsewhere() {
        let (one, other) = (Verified::new([1; 32]), Verified::new([2; 32]));
        let bob = user("hash");
        assert_ne!(one.proof(&bob, b"secret").0, other.proof(&bob, b"secret").0);
    }

    #[test]
    fn there_is_a_bound() {
        let mut verified = Verified::new([7; 32]);
        let proof = verified.proof(&user("hash"), b"secret");
        for n in 0..USERS_MAX * 3 {
            verified.remember(&n.to_string(), proof, NOW);
            assert!(verified.users.len() <= USERS_MAX);
            assert!(verified.is_known(&n.to_string(), &proof, NOW));
        }
    }
}
