//! How far a message store has come: shared by the store, which moves it, and by everyone who waits.
//!
//! Stays true: `durable` never passes what was appended and never goes back; a failed store never
//! becomes durable again. Waiting is cancel-safe.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

use crate::StorageError;

/// A moment in the order of appends. It is durable when everything appended up to it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

impl Ticket {
    /// Never durable.
    pub const NEVER: Self = Self(u64::MAX);
}

/// How a store is.
#[derive(Clone, Debug)]
pub enum Health {
    /// It writes.
    Well,
    /// The disk is full. What waits stays in memory and is written when there is room again.
    Full,
    /// It writes nothing more, and the process must end.
    Failed(StorageError),
}

impl Health {
    /// Whether the disk is full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full)
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct Progress {
    durable: watch::Sender<Ticket>,
    /// Of what needs little room: ahead of `durable` while the disk is full.
    settled: watch::Sender<Ticket>,
    health: watch::Sender<Health>,
    pending: AtomicUsize,
    pending_max: usize,
    relieved: Notify,
}

impl Progress {
    /// Nothing appended. Callers wait while more than `pending_max` bytes are to be written.
    #[must_use]
    pub fn new(pending_max: usize) -> Self {
        Self {
            durable: watch::Sender::new(Ticket::default()),
            settled: watch::Sender::new(Ticket::default()),
            health: watch::Sender::new(Health::Well),
            pending: AtomicUsize::new(0),
            pending_max,
            relieved: Notify::new(),
        }
    }

    /// Everything appended up to this is durable.
    #[must_use]
    pub fn durable(&self) -> Ticket {
        *self.durable.borrow()
    }

    /// To be woken whenever `durable` moves.
    #[must_use]
    pub fn watch_durable(&self) -> watch::Receiver<Ticket> {
        self.durable.subscribe()
    }

    /// Waits until a ticket is durable.
    ///
    /// # Errors
    /// The store failed first.
    pub async fn reached(&self, ticket: Ticket) -> Result<(), StorageError> {
        self.wait(self.durable.subscribe(), ticket).await
    }

    /// Waits until the settlements and deletions appended up to a ticket are durable, messages or
    /// not: on a full disk, where messages wait for room, these do not.
    ///
    /// # Errors
    /// The store failed first.
    pub async fn reached_settled(&self, ticket: Ticket) -> Result<(), StorageError> {
        self.wait(self.settled.subscribe(), ticket).await
    }

    async fn wait(
        &self,
        mut durable: watch::Receiver<Ticket>,
        ticket: Ticket,
    ) -> Result<(), StorageError> {
        let mut health = self.health.subscribe();
        let is_failed = |health: &Health| matches!(health, Health::Failed(_));
        // Both senders live in `self`.
        let failed = tokio::select! {
            biased;
            _ = durable.wait_for(|durable| *durable >= ticket) => return Ok(()),
            failed = health.wait_for(is_failed) => failed.map(|health| health.clone()),
        };
        match failed {
            Ok(Health::Failed(error)) => Err(error),
            Ok(Health::Well | Health::Full) | Err(_) => Err(StorageError::Closed),
        }
    }

    /// How the store is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// To be woken whenever `health` changes.
    #[must_use]
    pub fn watch_health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Whether so much waits to be written that whoever appends should wait for `room`.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > self.pending_max
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Waits until the store is no longer crowded.
    pub async fn room(&self) {
        loop {
            let relieved = self.relieved.notified();
            if !self.is_crowded() {
                return;
            }
            relieved.await;
        }
    }

    /// For stores: this much more waits to be written.
    pub(crate) fn add_pending(&self, bytes: usize) {
        self.pending.fetch_add(bytes, Ordering::Relaxed);
    }

    /// For stores: this much is written, or need not be.
    pub(crate) fn remove_pending(&self, bytes: usize) {
        let before = self.pending.fetch_sub(bytes, Ordering::Relaxed);
        if before > self.pending_max && before - bytes <= self.pending_max {
            self.relieved.notify_waiters();
        }
    }

    /// For stores: everything up to this ticket is durable.
    pub(crate) fn set_durable(&self, ticket: Ticket) {
        raise(&self.durable, ticket);
        self.set_settled(ticket);
    }

    /// For stores: settlements and deletions up to this ticket are durable.
    pub(crate) fn set_settled(&self, ticket: Ticket) {
        raise(&self.settled, ticket);
    }

    /// For stores: a failure stays.
    pub(crate) fn set_health(&self, new: Health) {
        self.health.send_if_modified(|health| match (&*health, &new) {
            (Health::Failed(_), _)
            | (Health::Well, Health::Well)
            | (Health::Full, Health::Full) => false,
            _ => {
                *health = new;
                true
            }
        });
    }
}

fn raise(sender: &watch::Sender<Ticket>, ticket: Ticket) {
    sender.send_if_modified(|known| {
        let moved = ticket > *known;
        *known = ticket.max(*known);
        moved
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_when_the_ticket_is_durable_or_the_store_fails() {
        let progress = Progress::new(100);
        progress.set_durable(Ticket(5));
        assert!(progress.reached(Ticket(5)).await.is_ok());
        let (reached, ()) = tokio::join!(progress.reached(Ticket(7)), async {
            progress.set_durable(Ticket(6));
            progress.set_durable(Ticket(7));
        });
        assert!(reached.is_ok());
        let (reached, ()) = tokio::join!(progress.reached(Ticket(8)), async {
            progress.set_health(Health::Failed(StorageError::Closed));
        });
        assert!(matches!(reached, Err(StorageError::Closed)));
        progress.set_health(Health::Well);
        assert!(matches!(progress.health(), Health::Failed(_)), "a failure stays");
    }

    #[tokio::test]
    async fn room_comes_when_enough_is_written() {
        let progress = Progress::new(100);
        progress.add_pending(101);
        assert!(progress.is_crowded());
        tokio::join!(progress.room(), async { progress.remove_pending(1) });
        assert_eq!(progress.pending(), 100);
    }
}
