//! Arguments of a queue that change in place, by whoever administrates it: without its being declared anew.
//!
//! For management, which is above. What a policy could set can be changed, since a queue takes that while it
//! runs; everything else is fixed. Stays true: what is changed counts and is kept as if it had been declared,
//! policies come on top, and who declares the queue afterwards has to name what it has now.

use std::sync::Arc;

use leveret_protocol::types::{FieldTable, FieldValue};

use super::Vhost;
use super::records::TopologyChanges;
use super::topology::assert_room;
use crate::definitions::store::Durable;
use crate::error::{AmqpError, ChannelError};
use crate::policy;
use crate::queue::{Queue, arguments};

/// Why arguments are not changed.
#[derive(Debug)]
pub(crate) enum Unchanged {
    /// This one is fixed when the queue is declared.
    Fixed(String),
    /// They cannot be declared so.
    Refused(AmqpError),
}

impl From<ChannelError> for Unchanged {
    fn from(error: ChannelError) -> Self {
        Self::Refused(error.into())
    }
}

impl Vhost {
    /// Gives arguments of a queue other values; `None` takes one away.
    ///
    /// # Errors
    /// One is fixed, they cannot be declared, or the disk is full; then nothing is changed.
    pub(crate) fn amend_queue(
        &self,
        queue: &Arc<Queue>,
        changes: Vec<(String, Option<FieldValue>)>,
    ) -> Result<Durable, Unchanged> {
        let has_room = self.definitions.has_room();
        let one_at_a_time = self.governing.lock();
        let ordered = self.topology.lock();
        let mut amended = FieldTable::clone(&queue.arguments());
        for (argument, value) in changes {
            if !policy::can_set(&argument) {
                return Err(Unchanged::Fixed(argument));
            }
            drop(match value {
                Some(value) => amended.insert(argument, value),
                None => amended.remove(&argument),
            });
        }
        arguments::parse(&amended, &self.queue_name(queue.name()))?;
        assert_room(queue.settings().durable, has_room)
            .map_err(|error| Unchanged::Refused(error.into()))?;
        queue.amend(amended);
        let mut changes = TopologyChanges::default();
        changes.queue_declared(queue);
        let durable = self.propose(changes).map(Durable::from).unwrap_or_default();
        drop(ordered);
        self.govern_queue(queue);
        drop(one_at_a_time);
        Ok(durable)
    }
}
