//! One run with every default filled in: who publishes what, and who consumes it.
//!
//! Made of the command line or of a named scenario. A combination that could not work is refused
//! here, before anything is declared on a broker.

use crate::sequence::STAMP_SIZE;
use clap::ValueEnum;
use std::num::NonZeroU32;
use std::time::Duration;

/// Time a run takes when neither time nor number of messages was asked for.
pub(crate) const DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// How long consuming may go on after publishing has ended.
pub(crate) const OVERTIME: Duration = Duration::from_secs(300);
/// Unacknowledged deliveries a consumer may hold unless told otherwise.
pub(crate) const PREFETCH_DEFAULT: u16 = 1000;

/// What the publishers publish to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Exchange {
    /// The default exchange: straight to the queue
    Default,
    /// A direct exchange, a key or several for each queue
    Direct,
    /// A fanout exchange bound to every queue
    Fanout,
    /// A topic exchange, one pattern for each queue
    Topic,
    /// A headers exchange, one set of arguments for each queue
    Headers,
}

/// What messages carry beside their bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Properties {
    /// Nothing that was not asked for
    Plain,
    /// What tracing and a task or message framework add: content type, correlation id, reply to and
    /// ten headers
    Typical,
}

/// In which order publishing and consuming happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phases {
    /// Both at once.
    Together,
    /// Publishing only.
    Fill,
    /// Publishing first, then consuming; only the latter is measured.
    Drain,
}

/// One run, completely told.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) label: String,
    pub(crate) publishers: u16,
    pub(crate) consumers: u16,
    pub(crate) queues: u16,
    pub(crate) size: usize,
    pub(crate) persistent: bool,
    pub(crate) durable: bool,
    /// Confirms outstanding at most; none publishes without confirms.
    pub(crate) confirm: Option<NonZeroU32>,
    /// None consumes without acknowledgements.
    pub(crate) ack_every: Option<NonZeroU32>,
    pub(crate) prefetch: u16,
    pub(crate) exchange: Exchange,
    pub(crate) extra_bindings: u32,
    /// Keys over all queues of a direct exchange; none is one for each queue.
    pub(crate) routing_keys: Option<u16>,
    pub(crate) properties: Properties,
    /// Exclusive queues a second that one more connection declares and deletes.
    pub(crate) churn: Option<NonZeroU32>,
    /// Messages a second and publisher.
    pub(crate) rate: Option<NonZeroU32>,
    /// Messages a second and consumer.
    pub(crate) consumer_rate: Option<NonZeroU32>,
    /// How long publishing may take.
    pub(crate) duration: Duration,
    /// How long consuming may go on after that.
    pub(crate) overtime: Duration,
    /// Messages of all publishers together.
    pub(crate) messages: Option<u64>,
    /// A publisher sends its next message when the one before has been delivered; there are as many
    /// consumers and queues as publishers.
    pub(crate) lockstep: bool,
    /// Messages are published into queues before the queues, rejected there, and get on as dead
    /// letters.
    pub(crate) reject: bool,
    pub(crate) phases: Phases,
    pub(crate) threads: u16,
}

/// A combination of options that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// The broker would never get the acknowledgement it waits for.
    #[error("--ack-every {ack_every} needs a --prefetch of at least as much, or 0, not {prefetch}")]
    AckBeyondPrefetch {
        /// Deliveries for each acknowledgement.
        ack_every: u32,
        /// Deliveries the broker hands out without one.
        prefetch: u16,
    },
    /// Only a fanout exchange has this option.
    #[error("--fanout-queues needs --exchange fanout")]
    FanoutQueues,
    /// These exchanges do not look at bindings one by one.
    #[error("--extra-bindings needs --exchange direct, topic or headers")]
    ExtraBindings,
    /// Every queue needs a key, and only a direct exchange is bound by several.
    #[error("--routing-keys needs --exchange direct, and at least as many as there are --queues")]
    RoutingKeys,
    /// A publisher waits for one consumer, which has one queue.
    #[error(
        "--lockstep needs as many --consumers and --queues as --publishers, no fanout exchange \
             and --ack-every 1"
    )]
    Lockstep,
    /// What is not published through the default exchange does not come past whoever rejects.
    #[error("--reject needs the default exchange, and publishing and consuming at once")]
    Reject,
}

impl Default for Load {
    /// One publisher, one queue, one consumer, 16 byte bodies.
    fn default() -> Self {
        Self {
            label: String::new(),
            publishers: 1,
            consumers: 1,
            queues: 1,
            size: STAMP_SIZE,
            persistent: false,
            durable: false,
            confirm: None,
            ack_every: Some(NonZeroU32::MIN),
            prefetch: PREFETCH_DEFAULT,
            exchange: Exchange::Default,
            extra_bindings: 0,
            routing_keys: None,
            properties: Properties::Plain,
            churn: None,
            rate: None,
            consumer_rate: None,
            duration: DURATION_DEFAULT,
            overtime: OVERTIME,
            messages: None,
            lockstep: false,
            reject: false,
            phases: Phases::Together,
            threads: 1,
        }
    }
}

impl Load {
    pub(crate) fn check(self) -> Result<Self, LoadError> {
        if let Some(ack_every) = self.ack_every
            && self.prefetch > 0
            && ack_every.get() > u32::from(self.prefetch)
        {
            let (ack_every, prefetch) = (ack_every.get(), self.prefetch);
            return Err(LoadError::AckBeyondPrefetch { ack_every, prefetch });
        }
        if self.extra_bindings > 0 && matches!(self.exchange, Exchange::Default | Exchange::Fanout)
        {
            return Err(LoadError::ExtraBindings);
        }
        if let Some(keys) = self.routing_keys
            && (self.exchange != Exchange::Direct || keys < self.queues)
        {
            return Err(LoadError::RoutingKeys);
        }
        let paired = self.publishers == self.consumers && self.publishers == self.queues;
        let one_by_one = self.ack_every.is_none_or(|every| every == NonZeroU32::MIN);
        if self.lockstep && !(paired && one_by_one && self.copies() == 1) {
            return Err(LoadError::Lockstep);
        }
        let straight = self.exchange == Exchange::Default && self.phases == Phases::Together;
        if self.reject && !straight {
            return Err(LoadError::Reject);
        }
        Ok(self)
    }

    /// Whether bodies have room for a stamp.
    pub(crate) const fn is_checked(&self) -> bool {
        self.size >= STAMP_SIZE
    }

    /// How many queues each message reaches.
    pub(crate) const fn copies(&self) -> u16 {
        match self.exchange {
            Exchange::Fanout => self.queues,
            Exchange::Default | Exchange::Direct | Exchange::Topic | Exchange::Headers => 1,
        }
    }

    /// The queues that `publisher` addresses in turn; a fanout has one address for all.
    pub(crate) fn queues_of_publisher(&self, publisher: u16) -> Vec<u16> {
        match self.exchange {
            Exchange::Fanout => vec![0],
            Exchange::Default | Exchange::Direct | Exchange::Topic | Exchange::Headers => {
                spread(publisher, self.publishers, self.queues)
            }
        }
    }

    /// The queues that `consumer` consumes from.
    pub(crate) fn queues_of_consumer(&self, consumer: u16) -> Vec<u16> {
        spread(consumer, self.consumers, self.queues)
    }

    /// How many of the messages `publisher` has to send; none if only time ends it.
    pub(crate) fn messages_of_publisher(&self, publisher: u16) -> Option<u64> {
        let publishers = u64::from(self.publishers);
        let messages = self.messages?;
        let one_more = u64::from(publisher) < messages % publishers;
        Some(messages / publishers + u64::from(one_more))
    }
}

/// The queues of one party among many: all that are its turn, or the one it shares with others.
fn spread(party: u16, parties: u16, queues: u16) -> Vec<u16> {
    if parties >= queues {
        return vec![party % queues];
    }
    (party..queues).step_by(usize::from(parties)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_spread_over_queues() {
        let load = Load { publishers: 2, consumers: 3, queues: 5, ..Load::default() };
        assert_eq!(load.queues_of_publisher(0), [0, 2, 4]);
        assert_eq!(load.queues_of_publisher(1), [1, 3]);
        assert_eq!(load.queues_of_consumer(2), [2]);
        let crowd = Load { consumers: 7, queues: 2, messages: Some(5), ..Load::default() };
        assert_eq!(crowd.queues_of_consumer(6), [0]);
        assert_eq!(crowd.messages_of_publisher(0), Some(5));
        let many = Load { publishers: 3, messages: Some(5), ..Load::default() };
        let shares: Vec<_> = (0..3).map(|p| many.messages_of_publisher(p)).collect();
        assert_eq!(shares, [Some(2), Some(2), Some(1)]);
    }
}
