//! A consuming connection: takes deliveries, checks their stamps, acknowledges or rejects.

use crate::client::frames::Incoming;
use crate::client::link::Link;
use crate::client::session::{CHANNEL, unexpected};
use crate::clock::Pace;
use crate::run::engine::{Next, Party, Progress, Signals};
use crate::sequence::{Arrivals, Stamp};
use crate::statistics::Latencies;
use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::basic;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Reads before other connections get their turn.
const TURN_READS: u32 = 8;
/// Latencies recorded of one read, about: enough for quantiles at high rates, and every one at
/// low rates.
const SAMPLES_PER_READ: u64 = 32;

/// What a consumer is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// The queues it consumes from; its consumer tags are places in this list.
    pub(crate) queues: Vec<u16>,
    pub(crate) publishers: u16,
    /// Acknowledge so many at once; none consumes without acknowledgements.
    pub(crate) ack_every: Option<NonZeroU32>,
    /// Reject what it would acknowledge.
    pub(crate) rejects: bool,
    pub(crate) rate: Option<NonZeroU32>,
    /// Whether bodies bear stamps.
    pub(crate) checked: bool,
}

/// A consumer at work.
#[derive(Debug)]
pub(crate) struct Consumer {
    link: Link,
    order: Order,
    /// One for each queue and publisher, the publishers of a queue together.
    arrivals: Vec<Arrivals>,
    current: Delivery,
    delivered: u64,
    foreign: u64,
    unacked: u32,
    acks: Vec<u8>,
    acks_written: usize,
    latencies: Latencies,
    /// Every so many messages a latency is recorded.
    stride: u64,
    pace: Option<Pace>,
    progress: Arc<Progress>,
}

/// What a consumer received.
#[derive(Debug)]
pub(crate) struct Arrived {
    queues: Vec<u16>,
    publishers: u16,
    arrivals: Vec<Arrivals>,
    pub(crate) messages: u64,
    /// Messages without a stamp of this run.
    pub(crate) foreign: u64,
    /// When the last one was taken.
    pub(crate) last_at: u64,
    pub(crate) latencies: Latencies,
}

impl Arrived {
    /// The stamps that arrived, with queue and publisher.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = (u16, u16, &Arrivals)> {
        let publishers = 0..self.publishers;
        let places = self
            .queues
            .iter()
            .flat_map(move |queue| publishers.clone().map(|publisher| (*queue, publisher)));
        places
            .zip(&self.arrivals)
            .map(|((queue, publisher), arrivals)| (queue, publisher, arrivals))
    }
}

/// The message whose frames are arriving.
#[derive(Clone, Copy, Debug, Default)]
struct Delivery {
    slot: usize,
    delivery_tag: u64,
    body_left: u64,
    has_body: bool,
}

impl Consumer {
    pub(crate) fn new(link: Link, order: Order, now: u64) -> Self {
        let places = order.queues.len() * usize::from(order.publishers);
        Self {
            link,
            arrivals: vec![Arrivals::default(); places],
            current: Delivery::default(),
            delivered: 0,
            foreign: 0,
            unacked: 0,
            acks: Vec::new(),
            acks_written: 0,
            latencies: Latencies::new(),
            stride: 1,
            pace: order.rate.map(|rate| Pace::new(rate.get(), now)),
            progress: Arc::default(),
            order,
        }
    }

    pub(crate) fn progress_of(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// What arrived, and the connection.
    pub(crate) fn into_parts(self) -> (Arrived, Link) {
        let arrived = Arrived {
            queues: self.order.queues,
            publishers: self.order.publishers,
            arrivals: self.arrivals,
            messages: self.delivered,
            foreign: self.foreign,
            last_at: self.progress.at(),
            latencies: self.latencies,
        };
        (arrived, self.link)
    }

    /// Takes up to `allowed` messages out of what has arrived.
    fn take(&mut self, allowed: u64, now: u64) -> io::Result<u64> {
        let before = self.delivered;
        while self.delivered - before < allowed {
            let Some((incoming, length)) = self.link.frame()? else { break };
            let whole = match incoming {
                Incoming::Deliver { slot, delivery_tag } => {
                    self.current = Delivery { slot, delivery_tag, ..Delivery::default() };
                    false
                }
                Incoming::Header { body_size } => {
                    self.current.body_left = body_size;
                    body_size == 0
                }
                Incoming::Body(body) => {
                    let stamp = match (self.current.has_body, self.order.checked) {
                        (false, true) => Some(Stamp::read(body)),
                        (false, false) | (true, _) => None,
                    };
                    self.current.has_body = true;
                    self.current.body_left =
                        self.current.body_left.saturating_sub(body.len() as u64);
                    if let Some(stamp) = stamp {
                        self.note(stamp, now);
                    }
                    self.current.body_left == 0
                }
                Incoming::Ignorable => false,
                other @ (Incoming::Confirm { .. } | Incoming::Method(_)) => {
                    return Err(unexpected(other));
                }
            };
            self.link.consume(length);
            if whole {
                self.settle();
            }
        }
        Ok(self.delivered - before)
    }

    fn note(&mut self, stamp: Option<Stamp>, now: u64) {
        let place =
            stamp.filter(|stamp| stamp.publisher < self.order.publishers).and_then(|stamp| {
                let publishers = usize::from(self.order.publishers);
                let at = self.current.slot * publishers + usize::from(stamp.publisher);
                Some((self.arrivals.get_mut(at)?, stamp))
            });
        let Some((arrivals, stamp)) = place else {
            self.foreign += 1;
            return;
        };
        arrivals.note(stamp.sequence);
        if self.delivered.is_multiple_of(self.stride) {
            self.latencies.record(now.saturating_sub(stamp.nanoseconds));
        }
    }

    /// Counts the message that is complete, and acknowledges when it is time.
    fn settle(&mut self) {
        self.delivered += 1;
        let Some(every) = self.order.ack_every else { return };
        self.unacked += 1;
        if self.unacked >= every.get() {
            self.append_ack();
        }
    }

    /// Acknowledges everything up to the message taken last, or rejects it for good.
    fn append_ack(&mut self) {
        let delivery_tag = self.current.delivery_tag;
        let multiple = self.unacked > 1;
        if self.order.rejects {
            let nack = basic::Nack { delivery_tag, multiple, requeue: false };
            write_method(&mut self.acks, CHANNEL, &nack);
        } else {
            write_method(&mut self.acks, CHANNEL, &basic::Ack { delivery_tag, multiple });
        }
        self.unacked = 0;
    }

    /// Acknowledges the rest of an incomplete group, waiting for the socket.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.unacked > 0 {
            self.append_ack();
        }
        let left = self.acks.get(self.acks_written..).unwrap_or_default();
        self.link.write_all(left)?;
        self.acks.clear();
        self.acks_written = 0;
        Ok(())
    }

    /// Writes acknowledgements; false when the socket takes no more.
    fn send_acks(&mut self) -> io::Result<bool> {
        while self.acks_written < self.acks.len() {
            if !self.link.is_writable() {
                return Ok(false);
            }
            let left = self.acks.get(self.acks_written..).unwrap_or_default();
            self.acks_written += self.link.write(left)?;
        }
        self.acks.clear();
        self.acks_written = 0;
        Ok(true)
    }
}

impl Party for Consumer {
    fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn progress(&mut self, signals: &Signals) -> io::Result<Next> {
        for _ in 0..TURN_READS {
            let now = signals.start.nanoseconds();
            let allowed = self.pace.as_mut().map_or(u64::MAX, |pace| pace.allowed(now));
            let taken = self.take(allowed, now)?;
            if let Some(pace) = &mut self.pace {
                pace.spend(taken);
            }
            if taken > 0 {
                self.stride = (taken / SAMPLES_PER_READ).max(1);
                self.progress.set(self.delivered, now);
            }
            if !self.send_acks()? {
                return Ok(Next::Socket);
            }
            if let Some(pace) = &self.pace
                && taken == allowed
            {
                return Ok(Next::At(pace.next_at()));
            }
            if !self.link.is_readable() || !self.link.fill()? {
                return Ok(Next::Socket);
            }
        }
        Ok(Next::Again)
    }
}
