//! What a connection may do whose rights another server knows, as far as it was asked.
//!
//! A connection's handlers ask and never wait: what is not known yet is noted, the dispatch makes a
//! step of it, and the connection's task has it answered ([`RemoteRights::find_out`]) before the
//! frame is looked at again. Stays true: a permission that was found is good for its lifetime, after
//! which routes that were found with it are forgotten ([`RemoteRights::changes`]) and it is asked
//! anew; a refusal is good for the method that asked.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::http::{Http, Question, Verdict, Who};

/// Permissions that a connection remembers; all are forgotten when there are more.
const KNOWN_MAX: usize = 4096;
/// Between two times at which permissions are forgotten.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module documentation.
pub(crate) struct RemoteRights {
    backend: Arc<Http>,
    who: Who,
    lifetime: Duration,
    inner: Mutex<Inner>,
    changes: AtomicU64,
}

#[derive(Default)]
struct Inner {
    allowed: HashMap<Question, Instant>,
    /// Refusals, until the method that asked is done.
    refused: HashMap<Question, Verdict>,
    /// What is to be found out before the method goes on.
    asked: Option<Question>,
    /// Somebody waits for the first permission to expire.
    has_timer: bool,
}

impl RemoteRights {
    /// Of a user who entered a vhost. Permissions are good for so long.
    pub(super) fn new(backend: Arc<Http>, who: Who, lifetime: Duration) -> Self {
        let (inner, changes) = (Mutex::default(), AtomicU64::new(0));
        Self { backend, who, lifetime, inner, changes }
    }

    /// The answer; `None` notes the question.
    pub(super) fn verdict(&self, question: Question) -> Option<Verdict> {
        let mut inner = self.inner.lock();
        if inner.allowed.contains_key(&question) {
            return Some(Verdict::Allowed);
        }
        let refused = inner.refused.get(&question).cloned();
        if refused.is_none() {
            inner.asked = Some(question);
        }
        refused
    }

    /// Whether there is something to find out.
    pub(crate) fn is_asked(&self) -> bool {
        self.inner.lock().asked.is_some()
    }

    /// Grows when permissions have expired.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The method that asked is done.
    pub(crate) fn forget_refusals(&self) {
        self.inner.lock().refused.clear();
    }

    /// Asks what was noted.
    pub(crate) async fn find_out(self: Arc<Self>) {
        let Some(question) = self.inner.lock().asked.clone() else { return };
        let verdict = self.backend.judge(&self.who, &question).await;
        if let Verdict::Failed(reason) = &verdict {
            tracing::error!(user = self.who.name, "cannot ask what the user may do: {reason}");
        }
        let mut inner = self.inner.lock();
        inner.asked = None;
        if verdict != Verdict::Allowed {
            inner.refused.insert(question, verdict);
            return;
        }
        if inner.allowed.len() >= KNOWN_MAX {
            inner.allowed.clear();
            self.changes.fetch_add(1, Ordering::Release);
        }
        inner.allowed.insert(question, Instant::now() + self.lifetime);
        if !std::mem::replace(&mut inner.has_timer, true) {
            let first = Instant::now() + self.lifetime;
            let rights = Arc::downgrade(&self);
            tokio::spawn(async move {
                let mut next = Some(first);
                while let Some(end) = next {
                    sleep_until(end).await;
                    next = rights.upgrade().and_then(|rights| rights.expire());
                }
            });
        }
    }

    /// Forgets what is too old. The moment when the next is, if there is any.
    fn expire(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        inner.allowed.retain(|_, until| now < *until);
        self.changes.fetch_add(1, Ordering::Release);
        // Not for each that ends a moment later than another.
        let next = inner.allowed.values().min().map(|first| (*first).max(now + PAUSE));
        inner.has_timer = next.is_some();
        next
    }
}

impl fmt::Debug for RemoteRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteRights").field("who", &self.who).finish_non_exhaustive()
    }
}
