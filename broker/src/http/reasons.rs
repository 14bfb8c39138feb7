//! Why nothing is delivered, and why publishers wait: from what is known of a queue to words.
//!
//! Called by `why`. Pure. Stays true: a reason has a word for programs, which stays, and a text for people.

use serde_json::{Value, json};

use crate::alarms::Alarms;
use crate::outgoing::pressure::{Cause, Hold, State};
use crate::pause::Pause;
use crate::queue::QueueCounts;
use crate::queue::truth::ConsumerTruth;

/// Why something is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub word: &'static str,
    pub text: String,
}

impl Reason {
    pub(super) fn new(word: &'static str, text: impl Into<String>) -> Self {
        Self { word, text: text.into() }
    }

    /// As it is told.
    pub(super) fn told(&self) -> Value {
        json!({"reason": self.word, "text": self.text})
    }
}

/// How a consumer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It gets the next message.
    Ready,
    /// Another one gets all of them.
    WaitsItsTurn,
    /// It holds as many as it may.
    AtPrefetch,
    /// Its client does not read, or its channel holds as many as it may.
    HeldBack,
}

impl Standing {
    /// Of this consumer.
    pub(super) fn of(consumer: &ConsumerTruth) -> Self {
        let limit = u32::from(consumer.prefetch_count);
        match consumer {
            _ if !consumer.is_active => Self::WaitsItsTurn,
            _ if !consumer.no_ack && limit != 0 && consumer.unacked >= limit => Self::AtPrefetch,
            _ if consumer.is_held_back => Self::HeldBack,
            _ => Self::Ready,
        }
    }

    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::WaitsItsTurn => "waits_its_turn",
            Self::AtPrefetch => "at_prefetch",
            Self::HeldBack => "held_back",
        }
    }
}

/// Why nothing of a queue is delivered at this moment; nothing if something could be.
pub(super) fn of_no_delivery(
    counts: &QueueCounts,
    pause: &Pause,
    consumers: &[ConsumerTruth],
    is_grouped: bool,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(reason) = &pause.consumers {
        let text = format!("its consumers are paused{}", because(reason));
        reasons.push(Reason::new("consumers_paused", text));
    }
    if counts.ready == 0 {
        reasons.push(match (counts.delayed, counts.unacked) {
            (0, 0) => Reason::new("empty", "there are no messages"),
            (0, held) => {
                Reason::new("all_handed_out", format!("all {held} messages are with consumers"))
            }
            (delayed, _) => Reason::new(
                "all_delayed",
                format!("{delayed} messages wait until they may be tried again"),
            ),
        });
    }
    if consumers.is_empty() {
        reasons.push(Reason::new("no_consumers", "nobody consumes from it"));
        return reasons;
    }
    let standings: Vec<Standing> = consumers.iter().map(Standing::of).collect();
    let count = |standing| standings.iter().filter(|own| **own == standing).count();
    if count(Standing::Ready) == 0 {
        for (standing, text) in [
            (Standing::AtPrefetch, "hold as many messages as they may, and acknowledge none"),
            (Standing::HeldBack, "have a client that does not read, or a channel at its limit"),
        ] {
            let number = count(standing);
            if number > 0 {
                let text = format!("{number} of {} consumers {text}", consumers.len());
                reasons.push(Reason::new(standing.word(), text));
            }
        }
    } else if is_grouped && reasons.is_empty() && counts.unacked > 0 {
        let text = "the groups of what is ready may be with consumers that have not acknowledged \
                    what they got of them";
        reasons.push(Reason::new("groups", text));
    }
    reasons
}

/// What a queue does with what is published to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Taking {
    /// What is told of a budget that is used up.
    pub over_budget: Option<String>,
    /// It refuses what is too much, and this is how much it may have.
    pub refuses_beyond: Option<(Limit, u64)>,
    /// Its consumers are to catch up first.
    pub is_gated: bool,
    /// The message store is full.
    pub is_store_full: bool,
}

/// A limit of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Messages,
    Bytes,
}

/// Why publishers of a queue wait, or are refused.
pub(super) fn of_no_publish(
    counts: &QueueCounts,
    pause: &Pause,
    taking: &Taking,
    alarms: &Alarms,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(reason) = &pause.publishers {
        let text = format!("its publishers are paused{}", because(reason));
        reasons.push(Reason::new("publishers_paused", text));
    }
    if let Some(text) = &taking.over_budget {
        reasons.push(Reason::new("max_held_bytes", text.clone()));
    }
    if let Some((limit, most)) = taking.refuses_beyond {
        let (now, what) = match limit {
            Limit::Messages => (counts.ready, "messages"),
            Limit::Bytes => (counts.bytes.saturating_sub(counts.unacked_bytes), "bytes"),
        };
        if now as u64 >= most {
            let text = format!("it has {now} {what} of {most} that it may have, and refuses more");
            reasons.push(Reason::new("full", text));
        }
    }
    for (is_low, word, text) in [
        (alarms.is_memory_low(), "memory", "the broker is low on memory"),
        (alarms.is_disk_low(), "disk", "the broker is low on disk"),
        (taking.is_store_full, "store_full", "the message store has no room on the disk"),
        (taking.is_gated, "queue", "it takes no more until its consumers have caught up"),
    ] {
        if is_low {
            reasons.push(Reason::new(word, text));
        }
    }
    reasons
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// Why a connection is held back.
pub(super) fn of_hold(hold: &Hold) -> String {
    let queue =
        hold.queue.as_deref().map_or_else(|| "a queue".to_owned(), |q| format!("queue '{q}'"));
    let text = match hold.cause {
        Cause::None => "nothing holds it back".to_owned(),
        Cause::Memory => "the broker is low on memory".to_owned(),
        Cause::Disk => "the broker is low on disk".to_owned(),
        Cause::DiskAndMemory => "the broker is low on disk and memory".to_owned(),
        Cause::Budget => format!("{queue} or its vhost holds more bytes than it may"),
        Cause::RateOfUser => "its user has published more in a second than it may".to_owned(),
        Cause::RateOfVhost => "its vhost was given more in a second than it may".to_owned(),
        Cause::RateOfQueue => format!("{queue} was given more in a second than it may"),
        Cause::Store => "the message store has no room on the disk".to_owned(),
        Cause::Backlog => "what it published waits to be written to the disk".to_owned(),
        Cause::Queue => format!("the consumers of {queue} are to catch up"),
        Cause::Unread => "its client does not read what is sent to it".to_owned(),
    };
    match hold.state {
        State::Blocking => format!("{text}: it will be blocked when it publishes"),
        State::Running | State::Flow | State::Blocked => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer() -> ConsumerTruth {
        ConsumerTruth {
            connection: 1,
            channel: 1,
            consumer_tag: "t".to_owned(),
            priority: 0,
            prefetch_count: 2,
            no_ack: false,
            exclusive: false,
            timeout_ms: None,
            is_active: true,
            is_held_back: false,
            unacked: 0,
            oldest_unacked_ms: None,
            acks: 0,
            history: crate::queue::truth::ConsumerHistory::default(),
        }
    }

    fn words(reasons: &[Reason]) -> Vec<&'static str> {
        reasons.iter().map(|reason| reason.word).collect()
    }

    fn counts(ready: usize, unacked: usize, delayed: usize) -> QueueCounts {
        QueueCounts { ready, unacked, delayed, bytes: 100, ..QueueCounts::default() }
    }

    #[test]
    fn consumers_that_could_get_something_are_no_reason() {
        let said = |counts: QueueCounts, consumers: &[ConsumerTruth]| {
            words(&of_no_delivery(&counts, &Pause::default(), consumers, false))
        };
        assert!(said(counts(1, 0, 0), &[consumer()]).is_empty());
        let full = ConsumerTruth { unacked: 2, ..consumer() };
        let waiting = ConsumerTruth { is_active: false, ..consumer() };
        let deaf = ConsumerTruth { is_held_back: true, ..consumer() };
        assert_eq!(said(counts(1, 2, 0), std::slice::from_ref(&full)), ["at_prefetch"]);
        assert!(said(counts(1, 2, 0), &[full.clone(), consumer()]).is_empty());
        assert_eq!(said(counts(1, 2, 0), &[full.clone(), deaf]), ["at_prefetch", "held_back"]);
        assert_eq!(said(counts(1, 2, 0), &[full, waiting]), ["at_prefetch"]);
        assert_eq!(said(counts(1, 0, 0), &[]), ["no_consumers"]);
        assert_eq!(said(counts(0, 0, 0), &[]), ["empty", "no_consumers"]);
        assert_eq!(said(counts(0, 3, 0), &[consumer()]), ["all_handed_out"]);
        assert_eq!(said(counts(0, 3, 1), &[consumer()]), ["all_delayed"]);
        let limitless = ConsumerTruth { unacked: 9, prefetch_count: 0, ..consumer() };
        assert!(said(counts(1, 9, 0), &[limitless]).is_empty());
    }

    #[test]
    fn a_pause_is_told_with_its_reason_and_groups_may_be_one() {
        let pause = Pause { consumers: Some("why".to_owned()), publishers: Some(String::new()) };
        let reasons = of_no_delivery(&counts(1, 0, 0), &pause, &[consumer()], false);
        assert_eq!(reasons[0].text, "its consumers are paused: why");
        let grouped = of_no_delivery(&counts(1, 1, 0), &Pause::default(), &[consumer()], true);
        assert_eq!(words(&grouped), ["groups"]);
        let reasons =
            of_no_publish(&counts(1, 0, 0), &pause, &Taking::default(), &Alarms::default());
        assert_eq!(reasons[0].text, "its publishers are paused");
    }

    #[test]
    fn whoever_publishes_is_told_of_limits_budgets_and_alarms() {
        let alarms = Alarms::default();
        alarms.set(true, true);
        let taking = Taking {
            over_budget: Some("it holds too much".to_owned()),
            refuses_beyond: Some((Limit::Messages, 5)),
            is_gated: true,
            is_store_full: true,
        };
        let said = |counts: &QueueCounts, taking: &Taking, alarms: &Alarms| {
            words(&of_no_publish(counts, &Pause::default(), taking, alarms))
        };
        let all = ["max_held_bytes", "full", "memory", "disk", "store_full", "queue"];
        assert_eq!(said(&counts(5, 0, 0), &taking, &alarms), all);
        let taking = Taking { refuses_beyond: Some((Limit::Messages, 5)), ..Taking::default() };
        assert!(said(&counts(4, 9, 0), &taking, &Alarms::default()).is_empty());
        let taking = Taking { refuses_beyond: Some((Limit::Bytes, 100)), ..Taking::default() };
        assert_eq!(said(&counts(1, 0, 0), &taking, &Alarms::default()), ["full"]);
    }

    #[test]
    fn every_hold_has_words() {
        let hold = |state, cause| Hold { state, cause, queue: Some("q".into()), since_ms: 0 };
        assert_eq!(
            of_hold(&hold(State::Blocked, Cause::Budget)),
            "queue 'q' or its vhost holds more bytes than it may"
        );
        assert_eq!(
            of_hold(&hold(State::Blocking, Cause::Disk)),
            "the broker is low on disk: it will be blocked when it publishes"
        );
    }
}
