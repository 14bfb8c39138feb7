//! A publishing connection.
//!
//! The frames of many messages are laid out once; what changes from message to message are the 16
//! bytes of the stamp, written in place, and a long run of messages leaves with one system call.
//! With confirms at most a window of messages is outstanding.

use crate::client::frames::Incoming;
use crate::client::link::Link;
use crate::client::session::unexpected;
use crate::clock::Pace;
use crate::message::Template;
use crate::run::engine::{Next, Party, Progress, Signals};
use crate::run::window::Window;
use crate::sequence::{STAMP_SIZE, Stamp};
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
    /// Queues it addresses; each has sequence numbers of its own.
    pub(crate) destinations: usize,
    /// Messages with the place of their destination; they are sent in turn.
    pub(crate) templates: Vec<(usize, Template)>,
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
    /// In lockstep: who takes the messages.
    follows: Option<Arc<Progress>>,
}

/// Many messages' frames in one piece, in the order of the templates.
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
    fn new(templates: &[(usize, Template)]) -> Self {
        let mut layout = Self { bytes: Vec::new(), slots: Vec::new() };
        while layout.bytes.len() < LAYOUT_SIZE && !templates.is_empty() {
            for (destination, template) in templates {
                let start = layout.bytes.len();
                layout.bytes.extend_from_slice(&template.frames);
                layout.slots.push(Slot {
                    destination: *destination,
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
        let Order { number, destinations, templates, confirm, rate, messages } = order;
        Self {
            link,
            number,
            sent: vec![0; destinations],
            layout: Layout::new(&templates),
            slot: 0,
            unsent: 0..0,
            total: 0,
            quota: messages.unwrap_or(u64::MAX),
            window: confirm.map(Window::new),
            pace: rate.map(|rate| Pace::new(rate.get(), now)),
            progress: Arc::default(),
            follows: None,
        }
    }

    /// From now on sends a message only when the one before has arrived, by the count of who takes
    /// them, in the same thread and before this one.
    pub(crate) fn follow(&mut self, consumer: Arc<Progress>) {
        self.follows = Some(consumer);
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
                    (other, _) => return Err(unexpected(other)),
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
        allowed.min(self.ahead())
    }

    /// How many messages it may be ahead of whom it follows, less those it is.
    fn ahead(&self) -> u64 {
        let arrived = self.follows.as_ref().map(|consumer| consumer.messages());
        arrived.map_or(u64::MAX, |arrived| (arrived + 1).saturating_sub(self.total))
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
                let next = self.wait();
                if next == Next::Done {
                    self.progress.end();
                }
                return Ok(next);
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
        let has_room = has_room && self.ahead() > 0;
        match &self.pace {
            Some(pace) if has_room && self.quota > self.total => Next::At(pace.next_at()),
            Some(_) | None => Next::Socket,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Start;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    #[test]
    fn a_layout_repeats_the_destinations_in_turn() {
        let template =
            |place, length| (place, Template { frames: vec![7; length], stamp_at: Some(1) });
        let mut layout = Layout::new(&[template(0, 100), template(1, 50)]);
        assert!(layout.bytes.len() >= LAYOUT_SIZE);
        assert_eq!((layout.start_of(0), layout.start_of(1), layout.start_of(2)), (0, 100, 150));
        assert_eq!(layout.slots[3].destination, 1);
        let stamp = Stamp { publisher: 1, sequence: 2, nanoseconds: 3 };
        layout.stamp(layout.slots[1], stamp);
        assert_eq!(Stamp::read(&layout.bytes[101..]), Some(stamp));
        assert_eq!((layout.bytes[100], layout.bytes[117]), (7, 7));
    }

    #[test]
    fn in_lockstep_the_next_message_waits_for_the_one_before() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let link = Link::new(stream, Duration::from_secs(1)).unwrap();
        let templates = vec![(0, Template { frames: vec![0; 20], stamp_at: Some(1) })];
        let (confirm, rate, messages) = (None, None, Some(2));
        let order = Order { number: 0, destinations: 1, templates, confirm, rate, messages };
        let mut publisher = Publisher::new(link, order, 0);
        let consumer = Arc::<Progress>::default();
        publisher.follow(Arc::clone(&consumer));
        let signals = Signals::new(Start::now());
        publisher.link.set_blocking(false).unwrap();
        assert_eq!(publisher.progress(&signals).unwrap(), Next::Socket);
        assert_eq!(publisher.progress_of().messages(), 1, "and no further");
        consumer.set(1, 0);
        assert_eq!(publisher.progress(&signals).unwrap(), Next::Done);
        assert!(publisher.progress_of().messages() == 2 && publisher.progress_of().has_ended());
    }
}
