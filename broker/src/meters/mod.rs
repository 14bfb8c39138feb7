//! What is counted on the way of messages, at the price of an addition: by whoever owns the work, read by
//! whoever shows it.
//!
//! `publishing` is what clients publish, by connection, vhost and exchange; `channels` what one channel
//! did; `octets` what went over a socket; `history` what of all that was some time ago. Stays true: counts only rise, unless it says otherwise; nothing
//! of it is an atomic that two publishers change for every message.

pub(crate) mod channels;
pub(crate) mod history;
pub(crate) mod octets;
pub(crate) mod publishing;

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that one task at a time changes, and any may read. Costs what a plain number costs.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// So many more. Whoever else may call it is kept out meanwhile, by a lock or by being one task.
    #[inline]
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    /// One less: of what is a number of things that are there.
    pub(crate) fn take_one(&self) {
        self.0.store(self.get().saturating_sub(1), Ordering::Relaxed);
    }

    /// What it is now.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
