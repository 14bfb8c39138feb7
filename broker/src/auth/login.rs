//! Whether a client is who it says it is.
//!
//! Asked once per connection by the handshake. Who fails again and again waits before it is answered
//! (`slowdown`); passwords are verified off the threads that serve connections, few at a time, so
//! that hashes which are slow on purpose take neither all cores nor all memory; and a password that
//! was right a moment ago is known (`verified`). Stays true: an unknown user takes as long as a
//! wrong password, a blank password is never right, and whoever waits waits alone.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::sasl::{Claim, Identity};
use super::slowdown::{Line, Slowdown};
use super::users::Users;
use super::verified::Verified;
use crate::definitions::records::UserRecord;
use crate::password::{self, HashingAlgorithm};

/// Why a login is refused: for the log only, the client is never told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginRefused {
    /// No such user, or another password.
    #[error("user '{0}' - invalid credentials")]
    InvalidCredentials(String),
    /// The password is empty, which is never right.
    #[error("user '{0}' attempted to log in with a blank password")]
    BlankPassword(String),
    /// Nothing says who the client is.
    #[error("{0}")]
    Unproved(&'static str),
    /// The user may log in from this machine only.
    #[error("user '{0}' can only connect via localhost")]
    NotLoopback(String),
}

/// A login is refused, and the log is to be told or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    why: LoginRefused,
    line: Line,
}

/// How many logins there were since the broker started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    /// Those that got in.
    pub succeeded: u64,
    /// Those that did not.
    pub failed: u64,
    /// Those that had to wait, because others had failed before.
    pub slowed: u64,
}

/// See the module documentation.
pub(crate) struct Logins {
    hashing: HashingAlgorithm,
    /// What an unknown user's password is verified against.
    nobody: String,
    verifications: Arc<Semaphore>,
    verified: Mutex<Verified>,
    slowdown: Mutex<Slowdown>,
    started: Instant,
    succeeded: AtomicU64,
    failed: AtomicU64,
    slowed: AtomicU64,
}

impl Logins {
    /// Nobody has logged in. New passwords are hashed with `hashing`.
    pub(crate) fn new(hashing: HashingAlgorithm) -> Self {
        Self {
            hashing,
            nobody: password::hash(hashing, &rand::random::<[u8; 16]>()),
            verifications: Arc::new(Semaphore::new(verifications_at_once())),
            verified: Mutex::new(Verified::new(rand::random())),
            slowdown: Mutex::default(),
            started: Instant::now(),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            slowed: AtomicU64::new(0),
        }
    }

    /// How new passwords are hashed.
    pub(crate) fn hashing(&self) -> HashingAlgorithm {
        self.hashing
    }

    /// How many logins there were.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts {
            succeeded: self.succeeded.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            slowed: self.slowed.load(Ordering::Relaxed),
        }
    }

    /// The user that a client claims to be, if it is. Waits if others like it have failed before.
    ///
    /// # Errors
    /// It is not, or may not log in from there.
    pub(crate) async fn admit(
        &self,
        users: &Users,
        claim: &Claim,
        peer: IpAddr,
    ) -> Result<Arc<UserRecord>, Refusal> {
        let wait = self.slowdown.lock().wait(claim.user(), peer, self.now());
        if wait > Duration::ZERO {
            self.slowed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
        }
        let admitted = match claim {
            Claim::Password(identity) => self.verify(users, identity).await,
            Claim::Certificate(name) => {
                users.user(name).ok_or_else(|| LoginRefused::InvalidCredentials(name.clone()))
            }
            Claim::Unproved(reason) => Err(LoginRefused::Unproved(reason)),
        };
        let admitted = admitted.and_then(|user| may_come_from(users, user, peer));
        self.noted(claim, peer, admitted)
    }

    async fn verify(
        &self,
        users: &Users,
        identity: &Identity,
    ) -> Result<Arc<UserRecord>, LoginRefused> {
        let Identity { user: name, password } = identity;
        let user = users.user(name);
        let proof = user.as_ref().map(|user| self.verified.lock().proof(user, password));
        if let (Some(user), Some(proof)) = (&user, &proof)
            && self.verified.lock().is_known(name, proof, self.now())
        {
            return Ok(Arc::clone(user));
        }
        // Before any refusal: an unknown user takes as long as a wrong password.
        let (algorithm, hash) = match &user {
            Some(user) => (user.hashing_algorithm, user.password_hash.clone()),
            None => (self.hashing, self.nobody.clone()),
        };
        let is_right = self.is_right(algorithm, hash, password.clone()).await;
        let invalid = || LoginRefused::InvalidCredentials(name.clone());
        let (Some(user), Some(proof)) = (user, proof) else { return Err(invalid()) };
        if password.is_empty() {
            return Err(LoginRefused::BlankPassword(name.clone()));
        }
        if !is_right {
            return Err(invalid());
        }
        self.verified.lock().remember(name, proof, self.now());
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

    fn noted<T>(
        &self,
        claim: &Claim,
        peer: IpAddr,
        admitted: Result<T, LoginRefused>,
    ) -> Result<T, Refusal> {
        let mut slowdown = self.slowdown.lock();
        match admitted {
            Ok(user) => {
                self.succeeded.fetch_add(1, Ordering::Relaxed);
                slowdown.succeeded(claim.user(), peer);
                Ok(user)
            }
            Err(why) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let line = slowdown.failed(claim.user(), peer, self.now());
                Err(Refusal { why, line })
            }
        }
    }

    /// Since the broker started.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Refusal {
    /// Tells the log, unless this address has had lines enough.
    pub(crate) fn log(&self, connection: &str, user: &str, mechanism: &str) {
        let Self { why, line } = self;
        let more = match line {
            Line::None => return,
            Line::Written { unwritten: 0 } => String::new(),
            Line::Written { unwritten } => format!(" ({unwritten} more from there before it)"),
        };
        tracing::error!(
            event = "login.refused",
            connection,
            user,
            mechanism,
            "login refused on AMQP connection {connection}: {why}{more}"
        );
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").field("attempts", &self.attempts()).finish_non_exhaustive()
    }
}

/// Half of the cores are for those who are in; each may take 64 MiB.
fn verifications_at_once() -> usize {
    available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, 4)
}

fn may_come_from(
    users: &Users,
    user: Arc<UserRecord>,
    address: IpAddr,
) -> Result<Arc<UserRecord>, LoginRefused> {
    if users.is_loopback_only(&user.name) && !address.to_canonical().is_loopback() {
        return Err(LoginRefused::NotLoopback(user.name.clone()));
    }
    Ok(user)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use leveret_storage::metadata::MemoryMetadata;

    use super::*;
    use crate::definitions::command::Access;
    use crate::definitions::records::{Definitions, UserLimits};
    use crate::definitions::store::DefinitionStore;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    struct Rig {
        users: Users,
        logins: Logins,
    }

    impl Rig {
        fn new(users: &[(&str, &str)]) -> Self {
            let stored = Definitions::default();
            let definitions = DefinitionStore::new(Arc::new(MemoryMetadata::new()), 1);
            let registry = Users::new(Arc::new(definitions), &stored, &[], &["guest".to_owned()]);
            let rig = Self { users: registry, logins: Logins::new(HashingAlgorithm::Sha256) };
            for (name, password) in users {
                rig.put(name, HashingAlgorithm::Sha256, password);
            }
            rig
        }

        fn put(&self, name: &str, algorithm: HashingAlgorithm, password: &str) {
            self.put_hash(name, algorithm, password::hash(algorithm, password.as_bytes()));
        }

        fn put_hash(&self, name: &str, hashing_algorithm: HashingAlgorithm, hash: String) {
            let user = UserRecord {
                name: name.to_owned(),
                password_hash: hash,
                hashing_algorithm,
                tags: Vec::new(),
                limits: UserLimits::default(),
            };
            self.users.change(vec![Access::PutUser(user)]).unwrap().unwrap().wait().unwrap();
        }

        async fn login(&self, name: &str, password: &str, from: IpAddr) -> Answer {
            let identity = Identity { user: name.to_owned(), password: password.into() };
            let admitted = self.logins.admit(&self.users, &Claim::Password(identity), from).await;
            admitted.map(|user| user.name.clone()).map_err(|refusal| refusal.why)
        }
    }

    type Answer = Result<String, LoginRefused>;

    fn invalid(name: &str) -> Answer {
        Err(LoginRefused::InvalidCredentials(name.to_owned()))
    }

    fn admitted(name: &str) -> Answer {
        Ok(name.to_owned())
    }

    #[tokio::test]
    async fn the_right_password_logs_in() {
        let rig = Rig::new(&[("guest", "guest"), ("bob", "secret")]);
        // The second time it is known.
        for _ in 0..2 {
            assert_eq!(rig.login("bob", "secret", ELSEWHERE).await, admitted("bob"));
        }
        assert_eq!(rig.login("bob", "Secret", ELSEWHERE).await, invalid("bob"));
        assert_eq!(rig.login("eve", "secret", ELSEWHERE).await, invalid("eve"));
        assert_eq!(rig.login("", "", ELSEWHERE).await, invalid(""));
        let attempts = Attempts { succeeded: 2, failed: 3, slowed: 0 };
        assert_eq!(rig.logins.attempts(), attempts);
    }

    #[tokio::test]
    async fn whatever_way_it_was_hashed() {
        let rig = Rig::new(&[]);
        let algorithms = [
            HashingAlgorithm::Sha256,
            HashingAlgorithm::Sha512,
            HashingAlgorithm::Md5,
            HashingAlgorithm::Argon2id,
        ];
        for algorithm in algorithms {
            rig.put("bob", algorithm, "secret");
            assert_eq!(rig.login("bob", "secret", HERE).await, admitted("bob"), "{algorithm:?}");
            assert_eq!(rig.login("bob", "other", HERE).await, invalid("bob"), "{algorithm:?}");
            assert_eq!(rig.login("bob", "secret", HERE).await, admitted("bob"), "{algorithm:?}");
        }
    }

    #[tokio::test]
    async fn a_changed_password_counts_at_once_and_a_deleted_user_too() {
        let rig = Rig::new(&[("bob", "old")]);
        assert_eq!(rig.login("bob", "old", HERE).await, admitted("bob"));
        rig.put("bob", HashingAlgorithm::Sha256, "new");
        assert_eq!(rig.login("bob", "old", HERE).await, invalid("bob"));
        assert_eq!(rig.login("bob", "new", HERE).await, admitted("bob"));
        let key = crate::definitions::records::UserKey { name: "bob".to_owned() };
        drop(rig.users.change(vec![Access::DeleteUser(key)]).unwrap());
        assert_eq!(rig.login("bob", "new", HERE).await, invalid("bob"));
    }

    #[tokio::test]
    async fn a_blank_password_is_never_right() {
        let rig = Rig::new(&[("bob", "")]);
        rig.put_hash("eve", HashingAlgorithm::Sha256, String::new());
        rig.put_hash("ann", HashingAlgorithm::Argon2id, String::new());
        for name in ["bob", "eve", "ann"] {
            let refused = Err(LoginRefused::BlankPassword(name.to_owned()));
            assert_eq!(rig.login(name, "", HERE).await, refused);
        }
        assert_eq!(rig.login("eve", "x", HERE).await, invalid("eve"));
    }

    #[tokio::test]
    async fn guest_logs_in_from_this_machine_only() {
        let rig = Rig::new(&[("guest", "guest")]);
        let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        for peer in [HERE, mapped, IpAddr::V6(Ipv6Addr::LOCALHOST), [127, 8, 8, 8].into()] {
            assert_eq!(rig.login("guest", "guest", peer).await, admitted("guest"), "{peer}");
        }
        let refused = Err(LoginRefused::NotLoopback("guest".to_owned()));
        assert_eq!(rig.login("guest", "guest", ELSEWHERE).await, refused);
        // A wrong password from elsewhere does not tell that the right one would be refused.
        assert_eq!(rig.login("guest", "wrong", ELSEWHERE).await, invalid("guest"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_again_and_again_waits_and_nobody_else_does() {
        let rig = Rig::new(&[("bob", "secret"), ("eve", "secret")]);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(rig.login("bob", "wrong", ELSEWHERE).await, invalid("bob"));
        }
        assert_eq!((start.elapsed(), rig.logins.attempts().slowed), (Duration::ZERO, 0));
        for _ in 0..12 {
            assert_eq!(rig.login("bob", "wrong", ELSEWHERE).await, invalid("bob"));
        }
        let waited = start.elapsed();
        assert!(waited > Duration::from_secs(20), "{waited:?}");
        assert_eq!(rig.login("bob", "secret", HERE).await, admitted("bob"));
        assert_eq!(rig.login("eve", "secret", ELSEWHERE).await, admitted("eve"));
        assert_eq!(start.elapsed(), waited);
        // The right password waits, too, or guesses could be given up early.
        assert_eq!(rig.login("bob", "secret", ELSEWHERE).await, admitted("bob"));
        assert!(start.elapsed() >= waited + Duration::from_secs(4));
        let waited = start.elapsed();
        assert_eq!(rig.login("bob", "wrong", ELSEWHERE).await, invalid("bob"));
        assert_eq!(start.elapsed(), waited, "it was forgiven");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_storm_of_slow_hashes_leaves_its_thread_to_others() {
        let rig = Arc::new(Rig::new(&[]));
        rig.put("bob", HashingAlgorithm::Argon2id, "secret");
        let storm: Vec<_> = (0..3)
            .map(|n| {
                let rig = Arc::clone(&rig);
                // Each is a wrong one from an address of its own: none is known, none is slowed.
                let from = IpAddr::from([192, 0, 2, n]);
                tokio::spawn(async move { rig.login("bob", "wrong", from).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let turns = tokio::spawn(async {
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
        });
        turns.await.unwrap();
        assert!(storm.iter().any(|login| !login.is_finished()), "it is still going on");
        for login in storm {
            assert_eq!(login.await.unwrap(), invalid("bob"));
        }
    }
}
