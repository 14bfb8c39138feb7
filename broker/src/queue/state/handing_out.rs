//! From what is ready to what is on its way, and what becomes of that.
//!
//! A room of `queue::state`, and as pure. Stays true: what is on its way is among the unacknowledged
//! until `conclude` says what became of it; nothing is sent whose time is up.

use super::super::held::{Held, QueuedMessage, footprint};
use super::super::paged::Shelf;
use super::super::ready::Popped;
use super::{Delivery, QueueState, Slot, Unacked, Verdict, without_body};
use crate::keys::{ConsumerKey, DeliveryKey};
use crate::message::Message;

impl QueueState {
    /// Sends at most `limit` ready messages on their way to the consumers whose turn it is. Returns
    /// how many; 0 when there is no message in memory or no consumer with credit.
    pub(in crate::queue) fn dispatch(&mut self, limit: usize) -> usize {
        if self.ready.is_grouped() {
            return self.dispatch_by_group(limit);
        }
        let mut count = 0;
        while count < limit && self.can_send() {
            let Some((consumer, acknowledges)) = self.consumers.next() else { break };
            let Popped::Message(queued) = self.ready.pop() else { break };
            self.send(consumer, acknowledges, queued);
            count += 1;
        }
        count
    }

    /// Sends at most `limit` ready messages on their way to one consumer that was held back. True
    /// when it got as many: there may be more for it, and it stays held back until it is served
    /// again. Otherwise it takes its turns again.
    pub(in crate::queue) fn serve(&mut self, consumer: ConsumerKey, limit: usize) -> bool {
        for _ in 0..limit {
            let can_send = self.can_send() && self.ready.is_for(consumer);
            let charged = if can_send { self.consumers.charge(consumer) } else { None };
            let Some(acknowledges) = charged else {
                self.resume(consumer);
                return false;
            };
            let Some(queued) = self.ready.pop_for(consumer) else { return false };
            self.send(consumer, acknowledges, queued);
        }
        true
    }

    /// Whether the next message may go. What stands before it and has no time left goes first.
    #[inline]
    pub(super) fn can_send(&mut self) -> bool {
        if self.has_expired() {
            self.expire();
        }
        !self.holds_back() && self.ready.is_resident() && !self.has_expired()
    }

    #[inline]
    pub(super) fn send(
        &mut self,
        consumer: ConsumerKey,
        acknowledges: bool,
        mut message: QueuedMessage,
    ) {
        self.tell_returns(&mut message);
        let redelivered = message.redelivered;
        let key = self.hold(message, consumer);
        self.timeouts.delivered(consumer, key, self.facts.now_ms);
        self.under_way.push(Delivery { consumer, key, acknowledges, redelivered });
    }

    #[inline]
    pub(super) fn hold(&mut self, message: QueuedMessage, consumer: ConsumerKey) -> DeliveryKey {
        self.unacked_bytes += message.held.size();
        self.unacked_resident_bytes += footprint(&message.held);
        let delivered_ms = self.facts.now_ms;
        let unacked = Unacked { message, consumer, delivered_ms };
        let slot = self.unacked.insert(Slot::Held(unacked));
        DeliveryKey(u32::try_from(slot).unwrap_or(u32::MAX))
    }

    /// The deliveries on their way.
    pub(in crate::queue) fn under_way(&self) -> &[Delivery] {
        &self.under_way
    }

    /// What a delivery carries, and whether it was handed out before.
    #[inline]
    pub(in crate::queue) fn parcel(&self, delivery: &Delivery) -> Option<(&Message, bool)> {
        let Slot::Held(Unacked { message, .. }) = self.unacked.get(delivery.key.0 as usize)? else {
            return None;
        };
        let QueuedMessage { held, redelivered, .. } = message;
        match held {
            Held::Resident(message) => Some((message, *redelivered)),
            Held::Paged(_) => None,
        }
    }

    /// Ends the deliveries on their way, each with its verdict. Returns how many were accepted.
    pub(in crate::queue) fn conclude(&mut self, verdicts: &[Verdict]) -> usize {
        let mut under_way = std::mem::take(&mut self.under_way);
        let mut refused = 0;
        for (delivery, verdict) in under_way.iter().zip(verdicts) {
            match verdict {
                Verdict::Accepted => self.accepted(delivery),
                Verdict::AcceptedAndFull => {
                    self.consumers.pause(delivery.consumer);
                    self.accepted(delivery);
                }
                Verdict::Refused => {
                    refused += 1;
                    self.refuse(delivery);
                }
            }
        }
        let accepted = under_way.len() - refused;
        if accepted > 0 {
            self.watching.last_delivery_ms = Some(self.facts.now_ms);
        }
        under_way.clear();
        self.under_way = under_way;
        if refused > 0 {
            self.enforce_limit();
        }
        accepted
    }

    /// A delivery is on its way for good. What needs no settling is done with; of what does the body
    /// may go, if a store has it.
    #[inline]
    pub(super) fn accepted(&mut self, delivery: &Delivery) {
        self.consumers.delivered(delivery.consumer, self.facts.now_ms);
        self.watching.traffic.note_delivery(delivery.acknowledges, delivery.redelivered);
        if !delivery.acknowledges {
            if let Some(Unacked { message, .. }) = self.take_unacked(delivery.key) {
                self.ready.settled(message.sequence);
                self.drop_message(message.sequence, &message.held);
            }
        } else if self.unacked_resident_bytes > self.facts.room
            && let Some(Slot::Held(unacked)) = self.unacked.get_mut(delivery.key.0 as usize)
            && let Unacked { message, .. } = unacked
            && let Held::Resident(body) = &message.held
            && message.held.is_durable(self.kind.is_stored)
        {
            self.unacked_resident_bytes -= footprint(&message.held);
            message.held = without_body(body, Shelf::Durable);
        }
    }

    /// Takes back a delivery that its channel could not take, as if it had never been handed out,
    /// and pauses the consumer.
    pub(super) fn refuse(&mut self, delivery: &Delivery) {
        self.consumers.pause(delivery.consumer);
        if delivery.acknowledges {
            self.consumers.release(delivery.consumer);
        }
        if let Some(Unacked { message, .. }) = self.take_unacked(delivery.key) {
            self.ready.give_back(message);
        }
    }
}
