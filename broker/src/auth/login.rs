//! Whether a client gets in.
//!
//! Asked once per connection by the handshake. Who fails again and again waits before it is answered
//! (`slowdown`); who a client is and who says what it may do is for the `backends`. Stays true:
//! whoever waits waits alone, and a client that is refused is not told why.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::authority::Admitted;
use super::backends::{BackendError, Backends, Reason};
use super::sasl::Claim;
use super::slowdown::{Line, Slowdown};
use super::users::Users;
use crate::config::Authentication;
use crate::password::HashingAlgorithm;

/// Why a login is refused: for the log only, the client is never told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LoginRefused {
    /// What each backend said.
    ByBackends(Vec<Reason>),
    /// The user may log in from this machine only.
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
    backends: Backends,
    slowdown: Mutex<Slowdown>,
    started: Instant,
    succeeded: AtomicU64,
    failed: AtomicU64,
    slowed: AtomicU64,
}

impl Logins {
    /// Nobody has logged in.
    ///
    /// # Errors
    /// A backend cannot be set up.
    pub(crate) fn new(authentication: &Authentication) -> Result<Self, BackendError> {
        Ok(Self {
            hashing: authentication.password_hashing,
            backends: Backends::new(authentication)?,
            slowdown: Mutex::default(),
            started: Instant::now(),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            slowed: AtomicU64::new(0),
        })
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
    ) -> Result<Admitted, Refusal> {
        let guesses = !self.backends.is_token(claim);
        let wait = match guesses {
            true => self.slowdown.lock().wait(claim.user(), peer, self.started.elapsed()),
            false => Duration::ZERO,
        };
        if wait > Duration::ZERO {
            self.slowed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
        }
        let admitted = self.backends.login(users, claim).await;
        let admitted = admitted.map_err(LoginRefused::ByBackends).and_then(|admitted| {
            let is_here = peer.to_canonical().is_loopback();
            match users.is_loopback_only(&admitted.name) && !is_here {
                true => Err(LoginRefused::NotLoopback(admitted.name)),
                false => Ok(admitted),
            }
        });
        self.noted(claim, (peer, guesses), admitted)
    }

    fn noted<T>(
        &self,
        claim: &Claim,
        (peer, guesses): (IpAddr, bool),
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
                let now = self.started.elapsed();
                let line = match guesses {
                    true => slowdown.failed(claim.user(), peer, now),
                    false => slowdown.failed_without_guessing(peer, now),
                };
                Err(Refusal { why, line })
            }
        }
    }
}

impl fmt::Display for LoginRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(user) => write!(f, "user '{user}' can only connect via localhost"),
            Self::ByBackends(reasons) => {
                let several = reasons.len() > 1;
                for (n, Reason { backend, text }) in reasons.iter().enumerate() {
                    let between = if n == 0 { "" } else { "; " };
                    match several {
                        true => write!(f, "{between}{}: {text}", backend.name())?,
                        false => f.write_str(text)?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl Refusal {
    /// Whether the password was right, and the address was not.
    pub(crate) fn is_of_address(&self) -> bool {
        matches!(self.why, LoginRefused::NotLoopback(_))
    }

    /// Tells the log of a login over HTTP, unless this address has had lines enough.
    pub(crate) fn log_http(&self, peer: &str, user: &str) {
        let Self { why, line } = self;
        if let Some(more) = line.more() {
            tracing::error!(
                event = "login.refused",
                connection = peer,
                user,
                mechanism = "HTTP",
                "login refused on the management API from {peer}: {why}{more}"
            );
        }
    }

    /// Tells the log, unless this address has had lines enough.
    pub(crate) fn log(&self, connection: &str, user: &str, mechanism: &str) {
        let Self { why, line } = self;
        let Some(more) = line.more() else { return };
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::Arc;

    use leveret_storage::metadata::MemoryMetadata;

    use super::*;
    use crate::auth::sasl::Identity;
    use crate::config::{Config, ServeOptions};
    use crate::definitions::command::Access;
    use crate::definitions::records::{Definitions, UserLimits, UserRecord};
    use crate::definitions::store::DefinitionStore;
    use crate::password;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn config() -> Authentication {
        let options = ServeOptions { config: Some("/dev/null".into()), ..ServeOptions::default() };
        Config::load(&options, |_| None).unwrap().authentication
    }

    struct Rig {
        users: Users,
        logins: Logins,
    }

    impl Rig {
        fn new(users: &[(&str, &str)]) -> Self {
            let stored = Definitions::default();
            let definitions = DefinitionStore::new(Arc::new(MemoryMetadata::new()), 1);
            let registry = Users::new(Arc::new(definitions), &stored, &[], &["guest".to_owned()]);
            let logins = Logins::new(&config()).unwrap();
            let rig = Self { users: registry, logins };
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
            admitted.map(|user| user.name).map_err(|refusal| refusal.why.to_string())
        }
    }

    type Answer = Result<String, String>;

    fn invalid(name: &str) -> Answer {
        Err(format!("user '{name}' - invalid credentials"))
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
            let refused = Err(format!("user '{name}' attempted to log in with a blank password"));
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
        let refused = Err("user 'guest' can only connect via localhost".to_owned());
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
