//! Where answers to direct reply-to requests go, by the name that the requester's messages carry.
//!
//! Made and ended by `session::channel::reply_to`, found by `vhost::routing` and by whoever asks
//! whether a requester still waits. They are no queues of the vhost: what stands here is looked up
//! by no other method, so that nobody but the requester can consume, fetch, purge or delete it.
//! Stays true: a name is here exactly while its consumer lives.

use std::sync::Arc;

use super::Vhost;
use crate::queue::{Queue, QueueSettings};

impl Vhost {
    /// Makes a place for answers.
    pub(crate) fn open_reply_queue(&self, name: &str) -> Arc<Queue> {
        let settings = QueueSettings::plain(false);
        let queue = self.new_queue(self.definitions.next_queue_id(), name, settings);
        self.reply_queues.insert(name.into(), Arc::clone(&queue));
        self.topology_changed();
        queue
    }

    /// The place with this name, while its consumer lives.
    pub(crate) fn reply_queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.reply_queues.get(name).map(|entry| Arc::clone(entry.value()))
    }

    /// Its consumer is gone: what comes for it from now on is dropped.
    pub(crate) fn close_reply_queue(&self, queue: &Queue) {
        self.reply_queues.remove(queue.name());
        queue.leave();
        // Cannot be refused: there are no conditions. Nor is it known to a durable store.
        let _ = queue.delete(false, false);
        let _ = queue.forget_messages();
        self.topology_changed();
    }
}
