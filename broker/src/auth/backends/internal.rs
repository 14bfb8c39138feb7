//! The internal backend: the broker's own users and their passwords.
//!
//! A room of `auth::backends`. Passwords are verified off the threads that serve connections, few at
//! a time, so that hashes which are slow on purpose take neither all cores nor all memory; and one
//! that was right a moment ago is known (`verified`). Stays true: an unknown user takes as long as a
//! wrong password, and a blank password is never right.

use std::sync::Arc;
use std::thread::available_parallelism;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::auth::sasl::Identity;
use crate::auth::users::Users;
use crate::auth::verified::Verified;
use crate::definitions::records::UserRecord;
use crate::password::{self, HashingAlgorithm};

/// See the module documentation.
pub(super) struct Internal {
    hashing: HashingAlgorithm,
    /// What an unknown user's password is verified against.
    nobody: String,
    verifications: Arc<Semaphore>,
    verified: Mutex<Verified>,
    started: Instant,
}

impl Internal {
    /// Nobody has logged in. An unknown user takes as long as one whose password was hashed with
    /// `hashing`.
    pub(super) fn new(hashing: HashingAlgorithm) -> Self {
        Self {
            hashing,
            nobody: password::hash(hashing, &rand::random::<[u8; 16]>()),
            verifications: Arc::new(Semaphore::new(verifications_at_once())),
            verified: Mutex::new(Verified::new(rand::random())),
            started: Instant::now(),
        }
    }

    /// The user, if the password is its.
    ///
    /// # Errors
    /// The reason, for the log.
    pub(super) async fn verify(
        &self,
        users: &Users,
        identity: &Identity,
    ) -> Result<Arc<UserRecord>, String> {
        let Identity { user: name, password } = identity;
        let user = users.user(name);
        let proof = user.as_ref().map(|user| self.verified.lock().proof(user, password));
        let now = self.started.elapsed();
        if let (Some(user), Some(proof)) = (&user, &proof)
            && self.verified.lock().is_known(name, proof, now)
        {
            return Ok(Arc::clone(user));
        }
        // Before any refusal: an unknown user takes as long as a wrong password.
        let (algorithm, hash) = match &user {
            Some(user) => (user.hashing_algorithm, user.password_hash.clone()),
            None => (self.hashing, self.nobody.clone()),
        };
        let is_right = self.is_right(algorithm, hash, password.clone()).await;
        let (Some(user), Some(proof)) = (user, proof) else { return Err(invalid(name)) };
        if password.is_empty() {
            return Err(format!("user '{name}' attempted to log in with a blank password"));
        }
        if !is_right {
            return Err(invalid(name));
        }
        self.verified.lock().remember(name, proof, self.started.elapsed());
        Ok(user)
    }

    async fn is_right(&self, algorithm: HashingAlgorithm, hash: String, password: Vec<u8>) -> bool {
        // The permit goes with the work, which goes on when the client is gone.
        let Ok(permit) = Arc::clone(&self.verifications).acquire_owned().await else {
            return false;
        };
        let verified = spawn_blocking(move || {
            let _permit = permit;
            password::verify(algorithm, &hash, &password)
        });
        verified.await.unwrap_or(false)
    }
}

/// RabbitMQ says no more of an unknown user.
pub(super) fn invalid(name: &str) -> String {
    format!("user '{name}' - invalid credentials")
}

/// Half of the cores are for those who are in; each may take 64 MiB.
fn verifications_at_once() -> usize {
    available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, 4)
}
