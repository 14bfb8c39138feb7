//! From the queue's state machine to its consumers' connections.
//!
//! Called by `queue::Queue` with its lock held, for at most a step of messages at a time, so that a
//! full connection is noticed early. Stays true: every delivery either is in an outgoing buffer or
//! is back in the state machine, in its old place; each buffer is locked once a step, and each
//! connection's deliveries keep their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::MutexGuard;

use super::state::{Delivery, QueueState, Verdict};
use super::taps::{Tap, is_of_firehose};
use super::{Effects, Inner, Sink};
use crate::outgoing::ConnectionHandle;
use crate::outgoing::outbox::{Handover, Outbox};

/// Memory for handing over, kept between steps.
#[derive(Debug, Default)]
pub(super) struct Desk {
    verdicts: Vec<Verdict>,
    /// Deliveries by connection, when they are for several.
    order: Vec<(u64, u32)>,
    /// Whether what is delivered is told to the firehose: the vhost's word.
    is_traced: Arc<AtomicBool>,
    /// What was delivered meanwhile, and whether for another time.
    taps: Vec<(Tap, bool)>,
}

impl Desk {
    /// Of a queue in a vhost that says whether it is traced.
    pub(super) fn new(is_traced: Arc<AtomicBool>) -> Self {
        Self { is_traced, ..Self::default() }
    }

    /// What was delivered since the last call, if the firehose wants to know.
    pub(super) fn take_taps(&mut self) -> Vec<(Tap, bool)> {
        std::mem::take(&mut self.taps)
    }
}

/// Sends at most `limit` messages on their way and hands them over; returns how many were accepted,
/// `None` when there was nothing to hand out or nobody to hand it to.
pub(super) fn step(inner: &mut Inner, limit: usize, effects: &mut Effects) -> Option<usize> {
    inner.state.dispatch(limit);
    let sent = inner.state.under_way().len();
    (sent > 0).then(|| hand_over(inner, effects))
}

/// Encodes the deliveries on their way into their connections' outgoing buffers. Returns how many
/// were accepted.
pub(super) fn hand_over(inner: &mut Inner, effects: &mut Effects) -> usize {
    let Inner { state, sinks, desk, .. } = inner;
    let Desk { verdicts, order, is_traced, taps } = desk;
    let count = state.under_way().len();
    if count == 0 {
        return 0;
    }
    verdicts.clear();
    verdicts.resize(count, Verdict::Refused);
    if is_for_one(state.under_way(), sinks) {
        encode(state, sinks, 0..count, verdicts, effects);
    } else {
        by_connection(state.under_way(), sinks, order);
        let order = order.iter().map(|&(_, at)| at as usize);
        encode(state, sinks, order, verdicts, effects);
    }
    if is_traced.load(Ordering::Relaxed) {
        tap(state, sinks, verdicts, taps);
    }
    state.conclude(verdicts)
}

/// Notes what was delivered.
fn tap(
    state: &QueueState,
    sinks: &[Option<Sink>],
    verdicts: &[Verdict],
    taps: &mut Vec<(Tap, bool)>,
) {
    for (delivery, verdict) in state.under_way().iter().zip(verdicts) {
        if !matches!(verdict, Verdict::Refused)
            && let Some(sink) = sink_of(sinks, delivery)
            && let Some((message, redelivered)) = state.parcel(delivery)
            && !is_of_firehose(message)
        {
            let (connection, channel) = (Arc::clone(&sink.connection), sink.channel_number);
            taps.push((Tap { connection, channel, message: message.clone() }, redelivered));
        }
    }
}

fn sink_of<'a>(sinks: &'a [Option<Sink>], delivery: &Delivery) -> Option<&'a Sink> {
    sinks.get(delivery.consumer.slot as usize)?.as_ref()
}

/// Whether all deliveries are for one connection, as they mostly are.
fn is_for_one(deliveries: &[Delivery], sinks: &[Option<Sink>]) -> bool {
    let mut all = deliveries.iter().map(|delivery| sink_of(sinks, delivery));
    let Some(Some(first)) = all.next() else { return false };
    all.all(|sink| sink.is_some_and(|sink| Arc::ptr_eq(&sink.connection, &first.connection)))
}

fn by_connection(deliveries: &[Delivery], sinks: &[Option<Sink>], order: &mut Vec<(u64, u32)>) {
    order.clear();
    for (at, delivery) in (0..).zip(deliveries) {
        if let Some(sink) = sink_of(sinks, delivery) {
            order.push((sink.connection.id().0, at));
        }
    }
    order.sort_unstable();
}

/// Encodes deliveries in this order, in which those of one connection stand together.
fn encode(
    state: &QueueState,
    sinks: &[Option<Sink>],
    order: impl Iterator<Item = usize>,
    verdicts: &mut [Verdict],
    effects: &mut Effects,
) {
    let mut open: Option<(&Arc<ConnectionHandle>, MutexGuard<'_, Outbox>)> = None;
    for at in order {
        let (Some(delivery), Some(verdict)) = (state.under_way().get(at), verdicts.get_mut(at))
        else {
            continue;
        };
        let Some(sink) = sink_of(sinks, delivery) else { continue };
        let is_open = |(known, _): &(&Arc<_>, _)| Arc::ptr_eq(known, &sink.connection);
        if !open.as_ref().is_some_and(is_open) {
            // Never two at once.
            open = None;
            effects.touch(&sink.connection);
        }
        let (_, outbox) = open.get_or_insert_with(|| (&sink.connection, sink.connection.outbox()));
        *verdict = deliver(outbox, sink, state, delivery);
    }
}

fn deliver(outbox: &mut Outbox, sink: &Sink, state: &QueueState, delivery: &Delivery) -> Verdict {
    let Some((message, redelivered)) = state.parcel(delivery) else { return Verdict::Refused };
    let (tag, key) = (sink.consumer_tag.as_bytes(), delivery.key());
    match outbox.deliver(sink.channel, sink.source, tag, key, message, redelivered) {
        Handover::Accepted => Verdict::Accepted,
        Handover::AcceptedAndFull => Verdict::AcceptedAndFull,
        Handover::Refused => Verdict::Refused,
    }
}
