//! What becomes of definitions: proposed to the metadata store, and waited for.
//!
//! `vhost` and `auth` propose commands while they hold the lock that orders their changes, so the
//! store sees them in the order they take effect; channels wait for the `Durable` of what they speak
//! of before they answer. Stays true: nothing durable is answered before it is on disk, and nothing
//! that is not durable costs a write.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use leveret_storage::StorageError;
use leveret_storage::messages::Ticket;
use leveret_storage::metadata::{MetadataStore, Proposal, Snapshot};

use super::command::Command;
use crate::keys::QueueId;
use crate::stores::Messages;

/// A moment: when a change is on disk.
#[derive(Default)]
#[must_use = "whoever is answered before a change is durable may be told a lie"]
pub(crate) struct Durable {
    defined: Option<Proposal>,
    stored: Option<(Arc<Messages>, Ticket)>,
    forgotten: Option<(Arc<Messages>, Ticket)>,
    /// The change is not made as a whole yet: whoever waits makes the rest, and waits for that.
    rest: Option<Rest>,
}

type Rest = Pin<Box<dyn Future<Output = Durable> + Send>>;

impl Durable {
    /// There is nothing to wait for.
    pub(crate) fn now() -> Self {
        Self::default()
    }

    /// When the rest of the change is on disk, too, which is made step by step by waiting.
    pub(crate) fn and_rest(mut self, rest: impl Future<Output = Self> + Send + 'static) -> Self {
        self.rest = Some(Box::pin(rest));
        self
    }

    /// When messages are stored as well, if there are any.
    pub(crate) fn and_stored(mut self, messages: &Arc<Messages>, ticket: Option<Ticket>) -> Self {
        self.stored = ticket.map(|ticket| (Arc::clone(messages), ticket));
        self
    }

    /// When the messages of a queue are forgotten as well, if there are any. On a full disk, where
    /// messages wait for room, that does not.
    pub(crate) fn and_forgotten(
        mut self,
        messages: &Arc<Messages>,
        ticket: Option<Ticket>,
    ) -> Self {
        self.forgotten = ticket.map(|ticket| (Arc::clone(messages), ticket));
        self
    }

    /// Whether there is nothing to wait for, or no longer.
    pub(crate) fn is_now(&self) -> bool {
        let Self { defined, stored, forgotten, rest } = self;
        let waits = rest.is_some() || stored.is_some() || forgotten.is_some();
        !waits && defined.as_ref().is_none_or(is_done)
    }

    /// Waits.
    ///
    /// # Errors
    /// The change could not be stored.
    pub(crate) async fn wait(self) -> Result<(), StorageError> {
        let Self { mut defined, mut stored, mut forgotten, mut rest } = self;
        loop {
            if let Some(proposal) = defined {
                proposal.await?;
            }
            if let Some((messages, ticket)) = stored {
                messages.progress().reached(ticket).await?;
            }
            if let Some((messages, ticket)) = forgotten {
                messages.progress().reached_settled(ticket).await?;
            }
            let Some(more) = rest else { return Ok(()) };
            Self { defined, stored, forgotten, rest } = more.await;
        }
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { defined, stored, forgotten, rest } = self;
        let [stored, forgotten] =
            [stored, forgotten].map(|one| one.as_ref().map(|(_, ticket)| ticket));
        f.debug_struct("Durable")
            .field("defined", defined)
            .field("stored", &stored)
            .field("forgotten", &forgotten)
            .field("rest", &rest.is_some())
            .finish()
    }
}

impl From<Proposal> for Durable {
    fn from(proposal: Proposal) -> Self {
        Self { defined: Some(proposal), ..Self::default() }
    }
}

/// Whether a proposal is on disk. One that failed is never done.
pub(crate) fn is_done(proposal: &Proposal) -> bool {
    matches!(proposal.outcome(), Some(Ok(_)))
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
        Self { store, next_queue_id: AtomicU64::new(u64::from(boot_epoch) << u32::BITS) }
    }

    /// The store itself, to be copied.
    pub(crate) fn store(&self) -> &dyn MetadataStore {
        &*self.store
    }

    /// A number that no queue ever had: the count of starts, then the count within this one.
    pub(crate) fn next_queue_id(&self) -> QueueId {
        QueueId(self.next_queue_id.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether new definitions may be proposed: the disk is not full. A system call.
    pub(crate) fn has_room(&self) -> bool {
        self.store.has_room()
    }

    /// Hands a batch to the store, without waiting; `None` when it is empty. Applied whole or not
    /// at all, and after every batch proposed before it.
    pub(crate) fn propose(&self, commands: &[Command]) -> Option<Proposal> {
        let changes: Vec<_> = commands.iter().map(Command::change).collect();
        (!changes.is_empty()).then(|| self.store.propose(changes))
    }

    /// Everything that is on disk now.
    ///
    /// # Errors
    /// The store has failed.
    pub(crate) fn read(&self) -> Result<Snapshot, StorageError> {
        self.store.read()
    }

    /// When everything that was proposed so far is on disk.
    pub(crate) fn settled(&self) -> Proposal {
        self.store.propose(Vec::new())
    }
}
