//! What waits to be written to one client: the only part of a connection that other tasks touch.
//!
//! Whoever has frames for a client (its own connection task, or a publisher whose message goes to
//! one of its consumers) locks the outbox for a moment and encodes straight into it; nobody holds
//! the lock over a system call. `outgoing::writer` takes the bytes out. Stays true:
//! - frames of one content stand together;
//! - a delivery is recorded in its channel's unacknowledged list in the same critical section that
//!   encodes it, so an ack can never arrive before its record;
//! - deliveries stop at `DELIVERY_BYTES_MAX`; replies are few and are not held back.
//!
//! Lock order: a queue's lock may be held when an outbox is locked, never the other way round.

use std::collections::VecDeque;
use std::sync::Arc;

use leveret_protocol::constants::FRAME_END;
use leveret_protocol::encoder;
use slab::Slab;

use super::batch::Batch;
use super::ledger::Ledger;
use crate::keys::{ChannelSlot, DeliveryKey, SourceKey};
use crate::message::Message;
use crate::meters::channels::{ChannelCounts, ChannelMeter};

/// A connection with more unsent bytes than this gets no further deliveries until half is written:
/// a slow consumer's messages wait in the queue, not here.
pub(crate) const DELIVERY_BYTES_MAX: usize = 1 << 20;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    /// It is in the buffer.
    Accepted,
    /// It is in the buffer, and that is as much as the buffer takes for now.
    AcceptedAndFull,
    /// The channel takes nothing now.
    Refused,
}

/// Who brings the bytes of an outbox to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Nobody: whoever adds bytes must see to it.
    Idle,
    /// Somebody is at it and will come back for what is added meanwhile.
    Busy,
}

/// The state behind a connection's outgoing lock.
#[derive(Debug)]
pub(crate) struct Outbox {
    pending: Batch,
    /// A batch that the socket took only in part, on its way to the writer task.
    interrupted: Option<Batch>,
    /// The batch last written, kept for its memory.
    spare: Option<Batch>,
    /// Bytes in the batch that is being written now.
    in_flight: usize,
    writing: Writing,
    /// A delivery found the buffer full; cleared when half is written.
    congested: bool,
    /// The client is not read from before it has read.
    owes: bool,
    closed: bool,
    frame_max: u32,
    channels: Slab<Ledger>,
    /// Consumers held back because the buffer was full, in the order of their turns.
    held_back: VecDeque<(ChannelSlot, SourceKey)>,
    frames_written: u64,
}

impl Outbox {
    /// Empty, for a connection that negotiated `frame_max` bytes.
    pub(crate) fn new(frame_max: u32) -> Self {
        Self {
            pending: Batch::default(),
            interrupted: None,
            spare: None,
            in_flight: 0,
            writing: Writing::Idle,
            congested: false,
            owes: false,
            closed: false,
            frame_max,
            channels: Slab::new(),
            held_back: VecDeque::new(),
            frames_written: 0,
        }
    }

    /// Where a reply is encoded: whole frames only.
    pub(crate) fn frames(&mut self) -> &mut Vec<u8> {
        self.frames_written += 1;
        self.pending.frames()
    }

    /// Bytes not yet written.
    pub(crate) fn unsent(&self) -> usize {
        self.pending.remaining() + self.in_flight
    }

    /// Whether more than so many bytes wait for a client that may yet read them. If so, the end of
    /// a batch is told (`batch_written`).
    pub(crate) fn owes_more_than(&mut self, bytes: usize) -> bool {
        self.owes = !self.closed && self.unsent() > bytes;
        self.owes
    }

    /// Grows whenever something is added: the heartbeat sender compares it.
    pub(crate) fn activity(&self) -> u64 {
        self.frames_written
    }

    /// Ends the outbox: deliveries are refused and nothing more is written after what is here.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether it takes no deliveries until half is written.
    pub(crate) fn is_congested(&self) -> bool {
        self.congested
    }

    /// Whether `close` was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Makes room for a channel's deliveries.
    pub(crate) fn open_channel(&mut self, number: u16) -> ChannelSlot {
        // Most connections have one channel, and a slab that grows makes room for four at first.
        if self.channels.capacity() == 0 {
            self.channels.reserve_exact(1);
        }
        let slot = self.channels.insert(Ledger::new(number));
        ChannelSlot(u32::try_from(slot).unwrap_or(u32::MAX))
    }

    /// Forgets a channel. Its consumers are off their queues by now.
    pub(crate) fn close_channel(&mut self, slot: ChannelSlot) -> Option<Ledger> {
        self.channels.try_remove(slot.0 as usize)
    }

    /// A channel's delivery state.
    pub(crate) fn channel(&mut self, slot: ChannelSlot) -> Option<&mut Ledger> {
        self.channels.get_mut(slot.0 as usize)
    }

    /// What its channels did.
    pub(super) fn channel_counts(&self) -> Vec<(Arc<ChannelMeter>, ChannelCounts)> {
        let ledgers = self.channels.iter().map(|(_, ledger)| ledger);
        ledgers.map(|ledger| (Arc::clone(ledger.meter()), ledger.counts())).collect()
    }

    /// Its channels: numbers, what they did, what they have not settled.
    pub(crate) fn channels_told(&self) -> Vec<(u16, ChannelCounts, u64)> {
        let ledgers = self.channels.iter().map(|(_, ledger)| ledger);
        let told = |of: &Ledger| (of.number(), of.counts(), of.unacked_count() as u64);
        ledgers.map(told).collect()
    }

    /// Whether any channel has unsettled deliveries.
    pub(crate) fn has_unacked(&self) -> bool {
        self.channels.iter().any(|(_, channel)| channel.unacked_count() > 0)
    }

    /// Encodes a `basic.deliver` and records it as unacknowledged, unless the channel or the whole
    /// connection takes nothing now.
    pub(crate) fn deliver(
        &mut self,
        slot: ChannelSlot,
        source: SourceKey,
        consumer_tag: &[u8],
        key: DeliveryKey,
        message: &Message,
        redelivered: bool,
    ) -> Handover {
        if self.closed {
            return Handover::Refused;
        }
        if self.congested {
            self.hold_back(slot, source);
            return Handover::Refused;
        }
        let Some(channel) = self.channels.get_mut(slot.0 as usize) else {
            return Handover::Refused;
        };
        if !channel.takes_deliveries() {
            channel.wait_for_room(source);
            return Handover::Refused;
        }
        let tag = channel.record(key, source);
        if redelivered {
            channel.note_redelivered();
        }
        let number = channel.number();
        self.frames_written += 1;
        encode_deliver(self.pending.frames(), number, consumer_tag, tag, redelivered, message);
        encode_content(&mut self.pending, number, message, self.frame_max);
        if self.unsent() > DELIVERY_BYTES_MAX {
            self.congested = true;
            self.hold_back(slot, source);
            return Handover::AcceptedAndFull;
        }
        Handover::Accepted
    }

    /// A consumer waits until half of the buffer is written, behind all others.
    pub(crate) fn hold_back(&mut self, slot: ChannelSlot, source: SourceKey) {
        if self.channel(slot).is_some_and(|channel| channel.hold_back(source)) {
            self.held_back.push_back((slot, source));
        }
    }

    /// The consumers that wait for the buffer, to be served now. Those that are not go back by
    /// `not_served`.
    pub(crate) fn take_held_back(&mut self) -> VecDeque<(ChannelSlot, SourceKey)> {
        std::mem::take(&mut self.held_back)
    }

    /// The buffer is full again: these wait on, before all others.
    pub(crate) fn not_served(&mut self, mut waiting: VecDeque<(ChannelSlot, SourceKey)>) {
        waiting.append(&mut self.held_back);
        self.held_back = waiting;
    }

    /// Encodes the content of a message after a method frame written to `frames`.
    pub(crate) fn content(&mut self, number: u16, message: &Message) {
        encode_content(&mut self.pending, number, message, self.frame_max);
    }

    /// Claims the writing of what is here, if somebody has to and nobody does.
    pub(crate) fn start_writing(&mut self) -> Option<Batch> {
        if self.writing == Writing::Busy {
            return None;
        }
        self.next_batch()
    }

    /// Whether somebody is writing now.
    pub(crate) fn writing(&self) -> Writing {
        self.writing
    }

    /// Whether there is something to write and nobody writing: claims it for the writer task.
    pub(crate) fn claim_for_writer(&mut self) -> bool {
        let claim = self.writing == Writing::Idle && self.pending.remaining() > 0;
        if claim {
            self.writing = Writing::Busy;
        }
        claim
    }

    /// The next bytes to write, or `None` and the end of this writer's turn.
    pub(crate) fn next_batch(&mut self) -> Option<Batch> {
        if self.pending.remaining() == 0 {
            self.writing = Writing::Idle;
            return None;
        }
        self.writing = Writing::Busy;
        let next = self.spare.take().unwrap_or_default();
        let batch = std::mem::replace(&mut self.pending, next);
        self.in_flight = batch.remaining();
        Some(batch)
    }

    /// Leaves a partly written batch to the writer task, which owns the writing from now on.
    pub(crate) fn leave_to_writer(&mut self, batch: Batch) {
        self.in_flight = batch.remaining();
        self.interrupted = Some(batch);
    }

    /// For the writer task: the interrupted batch, or else the next one.
    pub(crate) fn resume_writing(&mut self) -> Option<Batch> {
        self.interrupted.take().or_else(|| self.next_batch())
    }

    /// Takes a written batch back. True when a congested connection takes deliveries again, or one
    /// that owed too much may owe less.
    pub(crate) fn batch_written(&mut self, mut batch: Batch) -> bool {
        batch.clear();
        self.spare = Some(batch);
        self.in_flight = 0;
        let relieved = self.congested && self.pending.remaining() < DELIVERY_BYTES_MAX / 2;
        if relieved {
            self.congested = false;
        }
        std::mem::take(&mut self.owes) || relieved
    }

    /// Gives back the memory of buffers that are not in use: called when a connection is idle.
    pub(crate) fn release_memory(&mut self) {
        self.spare = None;
        if self.pending.remaining() == 0 {
            self.pending.release();
        }
    }
}

/// basic.deliver is class 60, method 60. Written by hand because the exchange and routing key of a
/// message already stand in wire form in its envelope.
fn encode_deliver(
    out: &mut Vec<u8>,
    channel: u16,
    consumer_tag: &[u8],
    tag: u64,
    redelivered: bool,
    message: &Message,
) {
    let envelope = message.envelope();
    let payload = 2 + 2 + 1 + consumer_tag.len() + 8 + 1 + envelope.len();
    encoder::write_method_with(out, channel, payload, |out| {
        out.extend_from_slice(&[0, 60, 0, 60]);
        out.push(u8::try_from(consumer_tag.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(consumer_tag);
        out.extend_from_slice(&tag.to_be_bytes());
        out.push(u8::from(redelivered));
        out.extend_from_slice(envelope);
    });
}

fn encode_content(pending: &mut Batch, channel: u16, message: &Message, frame_max: u32) {
    let body = message.body();
    let body_size = body.len() as u64;
    encoder::write_content_header(
        pending.frames(),
        channel,
        BASIC_CLASS,
        body_size,
        message.properties(),
    );
    match message.large_body() {
        None => encoder::write_body(pending.frames(), channel, body, frame_max),
        Some(large) => {
            let step = encoder::body_piece_max(frame_max);
            let mut from = 0;
            while from < large.len() {
                let part = large.slice(from..large.len().min(from + step));
                from += part.len();
                encoder::write_body_frame_header(pending.frames(), channel, part.len());
                pending.splice(part);
                pending.frames().push(FRAME_END);
            }
        }
    }
}

const BASIC_CLASS: u16 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::message;

    fn outbox_with_channel() -> (Outbox, ChannelSlot) {
        let mut outbox = Outbox::new(4096);
        let slot = outbox.open_channel(7);
        (outbox, slot)
    }

    fn deliver(outbox: &mut Outbox, slot: ChannelSlot, body: &[u8]) -> Handover {
        let message = message("key", body);
        outbox.deliver(slot, SourceKey(0), b"ctag", DeliveryKey::NONE, &message, false)
    }

    #[test]
    fn a_delivery_stands_in_the_buffer_as_method_header_and_body() {
        let (mut outbox, slot) = outbox_with_channel();
        assert_eq!(deliver(&mut outbox, slot, b"hi"), Handover::Accepted);
        let batch = outbox.next_batch().expect("bytes");
        let bytes: Vec<u8> = batch.slices().iter().flat_map(|s| s.to_vec()).collect();
        let method = b"\x00\x3c\x00\x3c\x04ctag\0\0\0\0\0\0\0\x01\0\x01x\x03key";
        let mut expected = vec![1, 0, 7, 0, 0, 0, u8::try_from(method.len()).expect("short")];
        expected.extend_from_slice(method);
        expected.extend_from_slice(b"\xce\x02\0\x07\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\x02\0\0\xce");
        expected.extend_from_slice(b"\x03\0\x07\0\0\0\x02hi\xce");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_full_buffer_refuses_deliveries_until_half_is_written() {
        let (mut outbox, slot) = outbox_with_channel();
        let body = vec![0; 3000];
        let mut outcome = Handover::Accepted;
        while outcome == Handover::Accepted {
            outcome = deliver(&mut outbox, slot, &body);
        }
        assert_eq!(outcome, Handover::AcceptedAndFull);
        assert_eq!(deliver(&mut outbox, slot, &body), Handover::Refused);
        let batch = outbox.start_writing().expect("bytes");
        assert!(outbox.start_writing().is_none(), "one writer at a time");
        assert_eq!(deliver(&mut outbox, slot, &body), Handover::Refused);
        assert!(outbox.batch_written(batch), "relieved");
        assert_eq!(deliver(&mut outbox, slot, &body), Handover::Accepted);
    }

    #[test]
    fn a_closed_outbox_refuses() {
        let (mut outbox, slot) = outbox_with_channel();
        outbox.close();
        assert_eq!(deliver(&mut outbox, slot, b""), Handover::Refused);
        assert_eq!(outbox.unsent(), 0);
    }
}
