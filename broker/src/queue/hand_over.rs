//! From the queue's state machine to its consumers' connections.
//!
//! Called by `queue::Queue` with its lock held, for at most a step of messages at a time, so that a
//! full connection is noticed early. Stays true: every delivery either is in an outgoing buffer or
//! is back in the state machine, in its old place.

use std::sync::Arc;

use super::state::{Delivery, QueueState};
use super::{Effects, Inner, Sink};
use crate::outgoing::outbox::{Handover, Outbox};

/// Hands out at most `limit` messages; returns how many were accepted, `None` when there was
/// nothing to hand out or nobody to hand it to.
pub(super) fn step(inner: &mut Inner, limit: usize, effects: &mut Effects) -> Option<usize> {
    let Inner { state, sinks, deliveries, .. } = inner;
    let count = state.dispatch(limit, deliveries);
    if count == 0 {
        return None;
    }
    Some(count - hand_over(state, sinks, deliveries, effects))
}

/// Encodes deliveries into their connections' outgoing buffers: each buffer is locked once, and
/// each connection's deliveries keep their order. Returns how many were refused.
fn hand_over(
    state: &mut QueueState,
    sinks: &[Option<Sink>],
    deliveries: &mut Vec<Delivery>,
    effects: &mut Effects,
) -> usize {
    let sink_of = |delivery: &Delivery| sinks.get(delivery.consumer.0 as usize)?.as_ref();
    let mut held_back: Vec<(Delivery, Handover)> = Vec::new();
    while let Some(first) = deliveries.first() {
        let Some(sink) = sink_of(first) else {
            held_back.push((deliveries.remove(0), Handover::Refused));
            continue;
        };
        let connection = &sink.connection;
        effects.touch(connection);
        let mut outbox = connection.outbox();
        for delivery in deliveries.extract_if(.., |delivery| {
            sink_of(delivery).is_some_and(|other| Arc::ptr_eq(&other.connection, connection))
        }) {
            let Some(sink) = sink_of(&delivery) else { continue };
            let outcome = deliver(&mut outbox, sink, &delivery);
            if outcome == Handover::Accepted {
                state.accepted(delivery);
            } else {
                held_back.push((delivery, outcome));
            }
        }
    }
    let mut refused = 0;
    // Latest first: each goes back in front of the one before it.
    for (delivery, outcome) in held_back.into_iter().rev() {
        match outcome {
            Handover::Refused => {
                refused += 1;
                state.refuse(delivery);
            }
            Handover::Accepted | Handover::AcceptedAndFull => {
                state.pause(delivery.consumer);
                state.accepted(delivery);
            }
        }
    }
    refused
}

fn deliver(outbox: &mut Outbox, sink: &Sink, delivery: &Delivery) -> Handover {
    outbox.deliver(
        sink.channel,
        sink.source,
        sink.consumer_tag.as_bytes(),
        delivery.key,
        &delivery.message,
        delivery.redelivered,
    )
}
