//! What was handed out and is settled: gone, dead, or back in its place.
//!
//! A room of `queue::state`, and as pure. Stays true: whoever held a settled message has room for
//! another one at once; what came back once too often does not come back.

use slab::Slab;

use super::super::deaths::Reason;
use super::super::held::{QueuedMessage, footprint};
use super::{QueueState, Slot, Unacked};
use crate::keys::{DeliveryKey, Outcome};

/// Memory for more unacknowledged messages than this is given back when there are none.
const UNACKED_KEPT_MAX: usize = 4096;

impl QueueState {
    /// Settles unacknowledged messages. A key that is not outstanding is no error: the queue may
    /// have been purged of it by deletion meanwhile.
    pub(in crate::queue) fn settle(
        &mut self,
        deliveries: impl Iterator<Item = (DeliveryKey, Outcome)>,
    ) {
        let mut given_back = false;
        for (key, outcome) in deliveries {
            let Some(unacked) = self.take_unacked(key) else { continue };
            let Unacked { message, consumer, delivered_ms } = unacked;
            self.consumers.release(consumer);
            self.ask_for(consumer);
            match outcome {
                Outcome::Ack => {
                    self.note_ack(consumer, delivered_ms);
                    self.ready.settled(message.sequence);
                    self.drop_message(message.sequence, &message.held);
                }
                Outcome::Discard => {
                    self.ready.settled(message.sequence);
                    self.bury(message, Reason::Rejected);
                }
                Outcome::Requeue | Outcome::Failed => {
                    given_back = true;
                    self.give_back(message, outcome);
                }
            }
        }
        if given_back {
            self.enforce_limit();
        }
        if self.unacked.is_empty() && self.unacked.capacity() > UNACKED_KEPT_MAX {
            self.unacked = Slab::new();
        }
    }

    pub(super) fn give_back(&mut self, mut message: QueuedMessage, outcome: Outcome) {
        message.redelivered = true;
        let before = message.returns;
        message.returns = before.given_back(outcome, self.kind.counts_deliveries);
        if self.kind.delivery_limit.is_some_and(|limit| message.returns.failures() > limit) {
            self.ready.settled(message.sequence);
            return self.bury(message, Reason::DeliveryLimit);
        }
        if message.returns != before && self.is_durable(&message.held) {
            self.changes.count_delivery(message.sequence, message.returns.stored());
        }
        self.retry(message, outcome);
    }

    // By value it is as large as a message: out of line it is copied twice more for every ack.
    #[inline(always)]
    pub(super) fn take_unacked(&mut self, key: DeliveryKey) -> Option<Unacked> {
        let Slot::Held(unacked) = self.unacked.try_remove(key.0 as usize)? else {
            self.timeouts.let_go();
            return None;
        };
        self.timeouts.settled(unacked.consumer, key);
        self.unacked_bytes -= unacked.message.held.size();
        self.unacked_resident_bytes -= footprint(&unacked.message.held);
        Some(unacked)
    }
}
