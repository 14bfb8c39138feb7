//! A bounded line of what happens, for whoever wants to look: events, and lines of the log.
//!
//! Used by `events` and `logging`; looked at over HTTP. Stays true: whoever tells never waits; who looks
//! too slowly loses the oldest and is told how many; while nobody looks it costs one load.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender};

/// What is kept for those who have not looked yet.
const KEPT_MAX: usize = 1024;

/// See the module documentation.
pub(crate) struct Watched<T> {
    line: Sender<Arc<T>>,
    watching: Arc<AtomicUsize>,
}

impl<T: Send + Sync + 'static> Default for Watched<T> {
    fn default() -> Self {
        Self { line: Sender::new(KEPT_MAX), watching: Arc::default() }
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched by {}", self.watching.load(Ordering::Relaxed))
    }
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Whether somebody looks.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.watching.load(Ordering::Relaxed) > 0
    }

    /// This happened.
    pub(crate) fn tell(&self, what: T) {
        // Whoever looked may be gone.
        let _ = self.line.send(Arc::new(what));
    }

    /// Looks from now on.
    pub(crate) fn watch(&self) -> Watch<T> {
        self.watching.fetch_add(1, Ordering::Relaxed);
        Watch { line: self.line.subscribe(), watching: Arc::clone(&self.watching) }
    }
}

/// Somebody who looks.
pub(crate) struct Watch<T> {
    line: Receiver<Arc<T>>,
    watching: Arc<AtomicUsize>,
}

/// So many were lost, because they were not looked at in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost(pub u64);

impl<T: Send + Sync + 'static> Watch<T> {
    /// Waits for what comes next; `None` when nothing will. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Result<Arc<T>, Lost>> {
        match self.line.recv().await {
            Ok(what) => Some(Ok(what)),
            Err(RecvError::Lagged(count)) => Some(Err(Lost(count))),
            Err(RecvError::Closed) => None,
        }
    }
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_slow_loses_the_oldest_and_holds_nobody() {
        let watched = Watched::default();
        assert!(!watched.is_on());
        watched.tell(0);
        let (mut slow, mut fast) = (watched.watch(), watched.watch());
        for number in 1..=KEPT_MAX + 2 {
            watched.tell(number);
            assert_eq!(fast.next().await, Some(Ok(Arc::new(number))));
        }
        assert_eq!(slow.next().await, Some(Err(Lost(2))));
        assert_eq!(slow.next().await, Some(Ok(Arc::new(3))));
        drop((slow, fast));
        assert!(!watched.is_on());
    }
}
