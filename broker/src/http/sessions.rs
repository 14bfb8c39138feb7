//! Who is signed in at the management page: pure, with the time as an argument.
//!
//! Held by `Management`, asked by `session`. Stays true: a token is known by its digest alone; there are
//! at most [`SESSIONS_MAX`]; one that nobody used for as long as the timeout says is over, and so is one
//! whose user is not what it was when it signed in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::authority::{Admitted, Authority};
use crate::definitions::records::UserRecord;

/// At a time; beyond that the one goes that was not used for the longest time.
const SESSIONS_MAX: usize = 1024;

/// What a token is known by.
pub(super) type Digest = [u8; 32];

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Sessions {
    timeout: Duration,
    open: HashMap<Digest, Session>,
}

#[derive(Debug)]
struct Session {
    who: Arc<Admitted>,
    /// What was known of the user; `None` if others know it.
    user: Option<Arc<UserRecord>>,
    since: Duration,
    used: Duration,
}

impl Sessions {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, open: HashMap::new() }
    }

    /// Somebody signed in.
    pub(super) fn open(
        &mut self,
        token: Digest,
        (who, user): (Arc<Admitted>, Option<Arc<UserRecord>>),
        now: Duration,
    ) {
        let timeout = self.timeout;
        self.open.retain(|_, session| !session.is_over(timeout, now));
        if self.open.len() >= SESSIONS_MAX {
            let oldest = self.open.iter().min_by_key(|(_, session)| session.used);
            if let Some(oldest) = oldest.map(|(token, _)| *token) {
                self.open.remove(&oldest);
            }
        }
        self.open.insert(token, Session { who, user, since: now, used: now });
    }

    /// Whose it is. `user` says what is known of a user now, and `unix_seconds` what time it is.
    pub(super) fn find(
        &mut self,
        token: &Digest,
        user: impl FnOnce(&str) -> Option<Arc<UserRecord>>,
        (now, unix_seconds): (Duration, u64),
    ) -> Option<Arc<Admitted>> {
        let session = self.open.get_mut(token)?;
        let is_over =
            session.is_over(self.timeout, now) || session.is_of_another(user, unix_seconds);
        if is_over {
            self.open.remove(token);
            return None;
        }
        session.used = now;
        Some(Arc::clone(&session.who))
    }

    /// Signs out.
    pub(super) fn close(&mut self, token: &Digest) {
        self.open.remove(token);
    }
}

impl Session {
    /// What others know of a user is not asked again: such a session lasts no longer than the timeout,
    /// used or not.
    fn is_over(&self, timeout: Duration, now: Duration) -> bool {
        let from = if self.user.is_some() { self.used } else { self.since };
        now.saturating_sub(from) >= timeout
    }

    fn is_of_another(
        &self,
        user: impl FnOnce(&str) -> Option<Arc<UserRecord>>,
        unix_seconds: u64,
    ) -> bool {
        if let Authority::Token(_, token) = &self.who.authority {
            return token.expires.is_some_and(|end| end <= unix_seconds);
        }
        let Some(then) = &self.user else { return false };
        user(&self.who.name)
            .is_none_or(|now| now.password_hash != then.password_hash || now.tags != then.tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::records::UserLimits;
    use crate::password::HashingAlgorithm;

    const HOUR: Duration = Duration::from_secs(3600);

    fn record(hash: &str, tags: &[&str]) -> Arc<UserRecord> {
        Arc::new(UserRecord {
            name: "bob".to_owned(),
            password_hash: hash.to_owned(),
            hashing_algorithm: HashingAlgorithm::Sha256,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            limits: UserLimits::default(),
        })
    }

    fn bob() -> Arc<Admitted> {
        let (name, tags) = ("bob".to_owned(), vec!["management".to_owned()]);
        Arc::new(Admitted { name, tags, authority: Authority::Internal })
    }

    fn signed_in() -> (Sessions, Arc<UserRecord>) {
        let (mut sessions, user) = (Sessions::new(HOUR), record("x", &["management"]));
        sessions.open([1; 32], (bob(), Some(Arc::clone(&user))), Duration::ZERO);
        (sessions, user)
    }

    #[test]
    fn a_session_lasts_as_long_as_it_is_used() {
        let (mut sessions, user) = signed_in();
        for minutes in [59, 118, 177] {
            let now = Duration::from_secs(minutes * 60);
            assert!(sessions.find(&[1; 32], |_| Some(Arc::clone(&user)), (now, 0)).is_some());
        }
        let now = Duration::from_secs(237 * 60);
        assert!(sessions.find(&[1; 32], |_| Some(Arc::clone(&user)), (now, 0)).is_none());
        assert!(sessions.open.is_empty());
        assert!(sessions.find(&[2; 32], |_| Some(user), (now, 0)).is_none());
    }

    #[test]
    fn one_of_a_user_whom_others_know_lasts_no_longer_than_the_timeout() {
        let mut sessions = Sessions::new(HOUR);
        sessions.open([1; 32], (bob(), None), Duration::ZERO);
        assert!(sessions.find(&[1; 32], |_| None, (HOUR / 2, 0)).is_some());
        assert!(sessions.find(&[1; 32], |_| None, (HOUR, 0)).is_none());
    }

    #[test]
    fn a_user_who_is_not_what_it_was_has_none() {
        let others =
            [None, Some(record("y", &["management"])), Some(record("x", &["administrator"]))];
        for now in others {
            let (mut sessions, _) = signed_in();
            assert!(sessions.find(&[1; 32], |_| now.clone(), (Duration::ZERO, 0)).is_none());
            assert!(sessions.open.is_empty(), "{now:?}");
        }
        let (mut sessions, _) = signed_in();
        sessions.close(&[1; 32]);
        assert!(sessions.open.is_empty());
    }

    #[test]
    fn there_are_at_most_so_many() {
        let (mut sessions, user) = signed_in();
        for n in 1..=SESSIONS_MAX {
            let mut token = [0; 32];
            token[..8].copy_from_slice(&(n as u64).to_le_bytes());
            let now = Duration::from_millis(n as u64);
            sessions.open(token, (bob(), Some(Arc::clone(&user))), now);
        }
        assert_eq!(sessions.open.len(), SESSIONS_MAX);
        assert!(!sessions.open.contains_key(&[1; 32]), "the one that was not used for the longest");
    }
}
