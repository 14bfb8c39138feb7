//! The end of a vhost: everything in it goes, in steps, while others work.
//!
//! Called by `broker::vhosts`, which has it marked in the definitions before, and takes its name off
//! after. Stays true: from `close` on nothing is made in the vhost; no step holds a lock for long or
//! touches more than `STEP` queues or exchanges; what a queue or an exchange has in the message store is
//! durably gone before its definition goes, so that a crash leaves no messages that nobody knows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_storage::StorageError;
use leveret_storage::messages::Ticket;

use super::destination::{Destination, Exchange};
use super::records::TopologyChanges;
use super::{Vhost, predeclared};
use crate::definitions::command::{Command, PolicyChange};
use crate::definitions::parameters::PolicyKey;
use crate::error::ConnectionError;
use crate::events::EVENT_EXCHANGE;
use crate::events::definitions::exchange_deleted;
use crate::policy::Policies;
use crate::queue::Queue;

/// Queues or exchanges that go in one step: some milliseconds of work.
const STEP: usize = 64;

impl Vhost {
    /// From now on nothing is made in it.
    pub(crate) fn close(&self) {
        // With the lock: a change that began before is done, and the next sees it.
        let _ordered = self.topology.lock();
        self.is_closed.store(true, Ordering::Release);
    }

    /// Whether it is being deleted.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Refuses whoever wants to make something in a vhost that is being deleted (320). Called with the
    /// topology lock held.
    pub(super) fn assert_open(&self) -> Result<(), ConnectionError> {
        match self.is_closed() {
            true => Err(ConnectionError::Forced(self.reason_to_leave())),
            false => Ok(()),
        }
    }

    /// What clients are told that were in it, in RabbitMQ's words.
    pub(crate) fn reason_to_leave(&self) -> String {
        format!("vhost '{}' is deleted", self.name)
    }

    /// One step of its end, once it is closed and its connections are gone. False when nothing is left
    /// but what is in the definitions alone.
    ///
    /// # Errors
    /// The stores failed, and the process ends.
    pub(crate) async fn dissolve_some(&self) -> Result<bool, StorageError> {
        // What was on its way out before.
        self.finish_removal_gently().await;
        let queues: Vec<_> = self.queues.iter().take(STEP).map(|one| Arc::clone(&one)).collect();
        if !queues.is_empty() {
            self.forgotten(empty(&queues)).await?;
            self.remove_queues(&queues);
            return Ok(true);
        }
        let exchanges: Vec<_> =
            self.exchanges.iter().take(STEP).map(|one| Arc::clone(&one)).collect();
        if !exchanges.is_empty() {
            self.forgotten(self.forget_windows(&exchanges)).await?;
            self.remove_exchanges(&exchanges);
            return Ok(true);
        }
        if let Some(delayed) = self.delayed.get().filter(|queue| !queue.is_deleted()) {
            self.forgotten(empty(std::slice::from_ref(delayed))).await?;
            let _ordered = self.topology.lock();
            let mut changes = TopologyChanges::default();
            changes.queue_deleted(delayed);
            self.propose(changes);
        }
        self.events.tell(|| exchange_deleted(&self.name, self.default_exchange.name()));
        self.end_policies();
        Ok(false)
    }

    /// Waits until the message store has forgotten.
    async fn forgotten(&self, ticket: Option<Ticket>) -> Result<(), StorageError> {
        match ticket {
            Some(ticket) => self.messages.progress().reached_settled(ticket).await,
            None => Ok(()),
        }
    }

    fn remove_queues(&self, queues: &[Arc<Queue>]) {
        let mut topology = self.topology.lock();
        queues.iter().for_each(|queue| self.begin_queue_removal(queue, &mut topology));
        self.step(&mut topology, TopologyChanges::default());
    }

    fn forget_windows(&self, exchanges: &[Arc<Exchange>]) -> Option<Ticket> {
        let windows = exchanges.iter().filter_map(|exchange| exchange.settings().window);
        windows.map(|window| self.messages.delete_from_durable(window)).last()
    }

    /// Those that every vhost has go like all others: they may be bound to each other.
    fn remove_exchanges(&self, exchanges: &[Arc<Exchange>]) {
        let mut topology = self.topology.lock();
        for exchange in exchanges {
            if predeclared(exchange.name()).is_none() && exchange.name() != EVENT_EXCHANGE {
                self.begin_removal(exchange, &mut topology);
            } else if self.exchanges.remove(exchange.name()).is_some() {
                exchange.altered();
                topology.dismiss(Destination::Exchange(Arc::clone(exchange)));
            }
        }
        self.step(&mut topology, TopologyChanges::default());
    }

    fn end_policies(&self) {
        let _ordered = self.topology.lock();
        let policies = self.policies.load();
        let keys = policies.all().map(|policy| PolicyKey::from(&**policy));
        let ended: Vec<_> = keys.map(PolicyChange::Delete).collect();
        let commands: Vec<_> = ended.iter().cloned().map(Command::from).collect();
        self.definitions.propose(&commands);
        ended.iter().for_each(|change| self.tell_of_policy(change));
        self.policies.store(Arc::new(Policies::default()));
    }
}

/// Ends queues, whose consumers are gone. Returns when the stores have forgotten their messages.
fn empty(queues: &[Arc<Queue>]) -> Option<Ticket> {
    let mut last = None;
    for queue in queues {
        // Cannot be refused: there are no conditions. Who was ended before had the stores told.
        let _ = queue.delete(false, false);
        last = queue.forget_messages().or(last);
    }
    last
}
