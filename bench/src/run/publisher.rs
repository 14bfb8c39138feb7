//! A publishing connection.
//!
//! The frames of many messages are laid out once; what changes from message to message are the 16
//! bytes of the stamp, written in place, and a long run of messages leaves with one system call.
//! With confirms at most a window of messages is outstanding.

use crate::client::frames::Incoming;
use crate::client::link::Link;
use crate::clock::Pace;
use crate::message::Template;
use crate::run::engine::{Next, Party, Progress, Signals};
use crate::sequence::{STAMP_SIZE, Stamp};
use crate::statistics::Latencies;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes of frames laid out, unless one message alone is longer.
const LAYOUT_SIZE: usize = 128 * 1024;
/// Messages stamped with one look at the clock.
const STAMPED_AT_ONCE: u64 = 64;
/// Bytes written before other connections get their turn.
const TURN_BYTES: usize = 512 * 1024;

/// What a publisher is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) number: u16,
    /// One for each destination; they are served in turn.
    pub(crate) templates: Vec<Template>,
    pub(crate) confirm: Option<NonZeroU32>,
    pub(crate) rate: Option<NonZeroU32>,
    /// Messages to send; none if only the signal ends it.
    pub(crate) messages: Option<u64>,
}

/// What a publisher did.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) number: u16,
    /// Messages for each destination.
    pub(crate) destinations: Vec<u64>,
    /// When the last one was stamped or confirmed.
    pub(crate) last_at: u64,
    /// The confirms, if there were to be any.
    pub(crate) window: Option<Window>,
}

/// A publisher at work.
#[derive(Debug)]
pub(crate) struct Publisher {
    link: Link,
    number: u16,
    layout: Layout,
    /// Place in the layout of the next message.
    slot: usize,
    /// Stamped bytes that the socket has not taken.
    unsent: std::ops::Range<usize>,
    /// Messages for each destination so far.
    sent: Vec<u64>,
    total: u64,
    quota: u64,
    window: Option<Window>,
    pace: Option<Pace>,
    progress: Arc<Progress>,
}

/// Many messages' frames in one piece, in the order of their destinations.
#[derive(Debug)]
struct Layout {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    destination: usize,
    stamp_at: Option<usize>,
    end: usize,
}

impl Layout {
    /// Repeats the templates until there is enough for one write.
    fn new(templates: &[Template]) -> Self {
        let mut layout = Self { bytes: Vec::new(), slots: Vec::new() };
        while layout.bytes.len() < LAYOUT_SIZE && !templates.is_empty() {
            for (destination, template) in templates.iter().enumerate() {
                let start = layout.bytes.len();
                layout.bytes.extend_from_slice(&template.frames);
                layout.slots.push(Slot {
                    destination,
                    stamp_at: template.stamp_at.map(|at| start + at),
                    end: layout.bytes.len(),
                });
            }
        }
        layout
    }

    fn start_of(&self, slot: usize) -> usize {
        slot.checked_sub(1).and_then(|before| self.slots.get(before)).map_or(0, |slot| slot.end)
    }

    fn stamp(&mut self, slot: Slot, stamp: Stamp) {
        let place = slot.stamp_at.and_then(|at| self.bytes.get_mut(at..at + STAMP_SIZE));
        if let Some(place) = place {
            place.copy_from_slice(&stamp.to_bytes());
        }
    }
}

impl Publisher {
    pub(crate) fn new(link: Link, order: Order, now: u64) -> Self {
        let Order { number, templates, confirm, rate, messages } = order;
        Self {
            link,
            number,
            sent: vec![0; templates.len()],
            layout: Layout::new(&templates),
            slot: 0,
            unsent: 0..0,
            total: 0,
            quota: messages.unwrap_or(u64::MAX),
            window: confirm.map(Window::new),
            pace: rate.map(|rate| Pace::new(rate.get(), now)),
            progress: Arc::default(),
        }
    }

    pub(crate) fn progress_of(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// What it did, and the connection: in order only when all that was stamped is written.
    pub(crate) fn into_parts(self) -> (Sent, Link) {
        let sent = Sent {
            number: self.number,
            destinations: self.sent,
            last_at: self.progress.at(),
            window: self.window,
        };
        (sent, self.link)
    }

    fn read_confirms(&mut self, signals: &Signals) -> io::Result<()> {
        while self.link.is_readable() && self.link.fill()? {
            let now = signals.start.nanoseconds();
            while let Some((incoming, length)) = self.link.frame()? {
                match (incoming, &mut self.window) {
                    (Incoming::Confirm { delivery_tag, multiple, positive }, Some(window)) => {
                        window.settle(delivery_tag, multiple, positive, now);
                    }
                    (Incoming::Ignorable, _) => {}
                    (other, _) => return Err(crate::client::session::unexpected(other)),
                }
                self.link.consume(length);
            }
            self.progress.set(self.total, now);
        }
        Ok(())
    }

    /// How many messages may be stamped and sent in one piece now.
    fn allowance(&mut self, now: u64) -> u64 {
        let mut allowed = self.quota - self.total;
        if let Some(window) = &self.window {
            allowed = allowed.min(window.room());
        }
        if let Some(pace) = &mut self.pace {
            allowed = allowed.min(pace.allowed(now));
        }
        allowed
    }

    /// Stamps the next messages up to the end of the layout; they become the unsent ones.
    fn stamp(&mut self, count: u64, signals: &Signals) {
        let start = self.layout.start_of(self.slot);
        let mut end = start;
        let mut now = signals.start.nanoseconds();
        for done in 0..count {
            let Some(slot) = self.layout.slots.get(self.slot).copied() else { break };
            let Some(sequence) = self.sent.get_mut(slot.destination) else { break };
            if done % STAMPED_AT_ONCE == STAMPED_AT_ONCE - 1 {
                now = signals.start.nanoseconds();
            }
            let stamp = Stamp { publisher: self.number, sequence: *sequence, nanoseconds: now };
            self.layout.stamp(slot, stamp);
            *sequence += 1;
            self.total += 1;
            if let Some(window) = &mut self.window {
                window.open(now);
            }
            if let Some(pace) = &mut self.pace {
                pace.spend(1);
            }
            end = slot.end;
            self.slot += 1;
        }
        if self.slot >= self.layout.slots.len() {
            self.slot = 0;
        }
        self.unsent = start..end;
        self.progress.set(self.total, now);
    }

    /// Writes what is stamped; false when the socket takes no more.
    fn send(&mut self) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            if !self.link.is_writable() {
                return Ok(false);
            }
            let bytes = self.layout.bytes.get(self.unsent.clone()).unwrap_or_default();
            self.unsent.start += self.link.write(bytes)?;
        }
        Ok(true)
    }
}

impl Party for Publisher {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn progress(&mut self, signals: &Signals) -> io::Result<Next> {
        self.read_confirms(signals)?;
        let mut turn = 0;
        while turn < TURN_BYTES {
            if !self.send()? {
                return Ok(Next::Socket);
            }
            if signals.stop_publishing.load(Ordering::Relaxed) {
                self.quota = self.total;
            }
            let allowed = self.allowance(signals.start.nanoseconds());
            if allowed == 0 {
                return Ok(self.wait());
            }
            self.stamp(allowed, signals);
            turn += self.unsent.len();
        }
        Ok(Next::Again)
    }
}

impl Publisher {
    /// What to wait for when nothing may be sent.
    fn wait(&self) -> Next {
        let outstanding = self.window.as_ref().map_or(0, Window::outstanding);
        if self.quota == self.total && outstanding == 0 {
            return Next::Done;
        }
        let has_room = self.window.as_ref().is_none_or(|window| window.room() > 0);
        match &self.pace {
            Some(pace) if has_room && self.quota > self.total => Next::At(pace.next_at()),
            Some(_) | None => Next::Socket,
        }
    }
}

/// Messages sent and not yet confirmed.
#[derive(Debug)]
pub(crate) struct Window {
    size: u64,
    /// Time of sending by publish sequence number, modulo the length; 0 once confirmed.
    sent_at: Vec<u64>,
    /// The lowest sequence number that is not confirmed.
    lowest: u64,
    /// The next sequence number.
    next: u64,
    outstanding: u64,
    positive: u64,
    negative: u64,
    latencies: Latencies,
}

impl Window {
    fn new(size: NonZeroU32) -> Self {
        let size = u64::from(size.get());
        Self {
            size,
            sent_at: vec![0; usize::try_from(size).unwrap_or(usize::MAX)],
            lowest: 1,
            next: 1,
            outstanding: 0,
            positive: 0,
            negative: 0,
            latencies: Latencies::new(),
        }
    }

    /// How many more may be sent. Sequence numbers span at most the size, so that a straggler
    /// keeps its place.
    fn room(&self) -> u64 {
        self.size - (self.next - self.lowest)
    }

    pub(crate) const fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Messages the broker took responsibility for.
    pub(crate) const fn positive(&self) -> u64 {
        self.positive
    }

    /// Messages the broker refused.
    pub(crate) const fn negative(&self) -> u64 {
        self.negative
    }

    pub(crate) const fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    fn place(&mut self, sequence: u64) -> Option<&mut u64> {
        let at = usize::try_from(sequence % self.size).ok()?;
        self.sent_at.get_mut(at)
    }

    /// Notes a message sent at `now`.
    fn open(&mut self, now: u64) {
        let sequence = self.next;
        self.next += 1;
        self.outstanding += 1;
        if let Some(place) = self.place(sequence) {
            *place = now.max(1);
        }
    }

    /// Notes a confirm; what was settled before is left alone.
    fn settle(&mut self, tag: u64, multiple: bool, positive: bool, now: u64) {
        if tag == 0 && multiple {
            return self.settle(self.next - 1, true, positive, now);
        }
        if tag < self.lowest || tag >= self.next {
            return;
        }
        let first = if multiple { self.lowest } else { tag };
        // Messages stamped with one look at the clock took equally long.
        let (mut alike_at, mut alike) = (0, 0);
        for sequence in first..=tag {
            let sent_at = self.place(sequence).map_or(0, std::mem::take);
            if sent_at == 0 {
                continue;
            }
            self.outstanding -= 1;
            if positive {
                self.positive += 1;
            } else {
                self.negative += 1;
            }
            if sent_at != alike_at {
                self.latencies.record_all(now.saturating_sub(alike_at), alike);
                (alike_at, alike) = (sent_at, 0);
            }
            alike += 1;
        }
        self.latencies.record_all(now.saturating_sub(alike_at), alike);
        while self.lowest < self.next && self.place(self.lowest).is_some_and(|at| *at == 0) {
            self.lowest += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(size: u32) -> Window {
        Window::new(NonZeroU32::new(size).unwrap())
    }

    #[test]
    fn a_window_opens_with_confirms() {
        let mut window = window(4);
        (0..4).for_each(|now| window.open(now));
        assert_eq!((window.room(), window.outstanding()), (0, 4));
        window.settle(3, false, true, 10);
        assert_eq!((window.room(), window.outstanding()), (0, 3), "the first still has its place");
        window.settle(2, true, true, 10);
        assert_eq!((window.room(), window.outstanding()), (3, 1));
        window.open(20);
        window.settle(5, true, false, 30);
        assert_eq!((window.room(), window.outstanding()), (4, 0));
        assert_eq!((window.positive(), window.negative()), (3, 2));
    }

    #[test]
    fn foreign_and_repeated_confirms_change_nothing() {
        let mut window = window(4);
        window.open(1);
        window.settle(2, true, true, 5);
        window.settle(1, false, true, 5);
        window.settle(1, false, true, 5);
        window.settle(0, false, true, 5);
        assert_eq!((window.positive(), window.outstanding(), window.room()), (1, 0, 4));
        window.open(1);
        window.settle(0, true, true, 5);
        assert_eq!((window.positive(), window.outstanding()), (2, 0));
    }

    #[test]
    fn every_message_of_a_confirm_counts_with_its_own_time() {
        let mut window = window(10);
        for now in [1_000, 1_000, 1_000, 5_000] {
            window.open(now);
        }
        window.settle(4, true, true, 9_000);
        let summary = window.latencies().summary().unwrap();
        assert!((summary.p50_us - 8.0).abs() < 0.1, "not the 4 us of the last: {summary:?}");
        assert!((summary.max_us - 8.0).abs() < 0.1);
    }

    #[test]
    fn a_layout_repeats_the_destinations_in_turn() {
        let template = |length: usize| Template { frames: vec![7; length], stamp_at: Some(1) };
        let mut layout = Layout::new(&[template(100), template(50)]);
        assert!(layout.bytes.len() >= LAYOUT_SIZE);
        assert_eq!((layout.start_of(0), layout.start_of(1), layout.start_of(2)), (0, 100, 150));
        assert_eq!(layout.slots[3].destination, 1);
        let stamp = Stamp { publisher: 1, sequence: 2, nanoseconds: 3 };
        layout.stamp(layout.slots[1], stamp);
        assert_eq!(Stamp::read(&layout.bytes[101..]), Some(stamp));
        assert_eq!((layout.bytes[100], layout.bytes[117]), (7, 7));
    }
}
