//! What should not happen and is counted, for metrics.
//!
//! Owned by the broker; told wherever it happens. Nothing here is on the way of a message.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    panics: AtomicU64,
    made_room: AtomicU64,
    unread: AtomicU64,
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IncidentCounts {
    /// Connections that ended in a fault of the broker.
    pub panics: u64,
    /// Connections that were not open yet and had to make room.
    pub made_room: u64,
    /// Connections that were closed because their clients did not read.
    pub unread: u64,
}

impl Incidents {
    /// A connection ended in a fault of the broker.
    pub(crate) fn note_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection that was not open yet had to make room.
    pub(crate) fn note_made_room(&self) {
        self.made_room.fetch_add(1, Ordering::Relaxed);
    }

    /// A client did not read what it was sent.
    pub(crate) fn note_unread(&self) {
        self.unread.fetch_add(1, Ordering::Relaxed);
    }

    /// How often what happened.
    pub(crate) fn counts(&self) -> IncidentCounts {
        IncidentCounts {
            panics: self.panics.load(Ordering::Relaxed),
            made_room: self.made_room.load(Ordering::Relaxed),
            unread: self.unread.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_counted_by_itself() {
        let incidents = Incidents::default();
        incidents.note_panic();
        incidents.note_unread();
        incidents.note_unread();
        let counts = IncidentCounts { panics: 1, made_room: 0, unread: 2 };
        assert_eq!(incidents.counts(), counts);
    }
}
