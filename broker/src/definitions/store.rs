//! What becomes of definitions: handed to the metadata store, and waited for.
//!
//! `vhost::topology` proposes changes while it holds its lock, so the store sees them in the order
//! they were made; channels wait for the returned `Durable` before they answer. Stays true: a
//! declare, bind or delete of something durable is answered only after it is on disk, and nothing
//! that is not durable costs a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_storage::StorageError;
use leveret_storage::messages::Ticket;
use leveret_storage::metadata::{Change, MetadataStore, Proposal};

use crate::keys::QueueId;
use crate::stores::Messages;

/// A moment: when a change is on disk.
#[derive(Debug, Default)]
#[must_use = "whoever is answered before a change is durable may be told a lie"]
pub(crate) struct Durable {
    defined: Option<Proposal>,
    stored: Option<(Arc<Messages>, Ticket)>,
}

impl Durable {
    /// There is nothing to wait for.
    pub(crate) fn now() -> Self {
        Self::default()
    }

    /// When messages are stored as well, if there are any.
    pub(crate) fn and_stored(mut self, messages: &Arc<Messages>, ticket: Option<Ticket>) -> Self {
        self.stored = ticket.map(|ticket| (Arc::clone(messages), ticket));
        self
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_now(&self) -> bool {
        self.defined.is_none() && self.stored.is_none()
    }

    /// Waits.
    ///
    /// # Errors
    /// The change could not be stored.
    pub(crate) async fn wait(self) -> Result<(), StorageError> {
        if let Some(proposal) = self.defined {
            proposal.await?;
        }
        match self.stored {
            Some((messages, ticket)) => messages.progress().reached(ticket).await,
            None => Ok(()),
        }
    }
}

/// Where definitions are kept.
#[derive(Debug)]
pub(crate) struct DefinitionStore {
    store: Arc<dyn MetadataStore>,
    next_queue_id: AtomicU64,
}

impl DefinitionStore {
    /// In this store; `boot_epoch` was never used by an earlier start.
    pub(crate) fn new(store: Arc<dyn MetadataStore>, boot_epoch: u32) -> Self {
        Self { store, next_queue_id: AtomicU64::new(u64::from(boot_epoch) << 32) }
    }

    /// A number that no queue ever had: the count of starts, then the count within this one.
    pub(crate) fn next_queue_id(&self) -> QueueId {
        QueueId(self.next_queue_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands changes to the store, without waiting.
    pub(crate) fn propose(&self, changes: Vec<Change>) -> Durable {
        if changes.is_empty() {
            return Durable::now();
        }
        Durable { defined: Some(self.store.propose(changes)), stored: None }
    }
}
