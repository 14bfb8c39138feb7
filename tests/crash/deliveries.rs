//! What may be delivered from one queue within one life of the broker: nothing unknown, nothing
//! twice unless it was given back, every redelivered flag right, and each publisher's messages in
//! order. Called by the ledger.

use std::collections::HashMap;
use std::time::Instant;

use crate::record::{Fate, Stream, Taken};
use crate::stamp::Stamp;

/// What is known of a message before it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was in the queue when the broker started, and was handed out before, or the broker had
    /// crashed: then everything counts as handed out.
    HandedOut,
    /// It was in the queue when the broker started. Whether it was on its way to a consumer when the
    /// broker ended, nobody else can know.
    Before,
    /// It was sent in this life.
    SentNow,
}

/// Judges the deliveries of a queue; what became of each message in the end. An orderly end began at
/// `closing_from`: then connections close one after the other, and what one held or had not even
/// read goes to the next.
pub(crate) fn check<'a>(
    queue: &str,
    streams: impl Iterator<Item = &'a Stream>,
    closing_from: Option<Instant>,
    known: impl Fn(Stamp) -> Option<Known>,
) -> HashMap<Stamp, Fate> {
    let mut all: Vec<(usize, Taken)> = streams
        .enumerate()
        .flat_map(|(consumer, stream)| stream.taken.iter().map(move |taken| (consumer, *taken)))
        .collect();
    all.sort_by_key(|(_, taken)| taken.at);
    let mut fates = HashMap::new();
    let mut newest = HashMap::new();
    for (consumer, taken) in all {
        let is_closing = closing_from.is_some_and(|from| taken.at >= from);
        let Taken { stamp, redelivered, fate, .. } = taken;
        let before = fates.insert(stamp, fate);
        if let Some(before) = before.filter(|_| is_closing) {
            fates.insert(stamp, more_settled(before, fate));
            continue;
        }
        if let Some(before) = before {
            assert_eq!(before, Fate::Requeued, "{queue}: {stamp:?} was delivered again");
            assert!(redelivered, "{queue}: {stamp:?} is not marked redelivered");
            continue;
        }
        let Some(known) = known(stamp) else {
            panic!("{queue}: {stamp:?} was never sent there, or was settled before this life")
        };
        let is_right = match known {
            Known::HandedOut => redelivered,
            Known::Before => true,
            // What a closed connection had not yet read goes to the next, too.
            Known::SentNow => !redelivered || is_closing,
        };
        assert!(is_right, "{queue}: redelivered is {redelivered} for {stamp:?}, {known:?}");
        if is_closing {
            continue;
        }
        let line = (consumer, stamp.publisher, stamp.priority());
        let before = newest.insert(line, stamp.number);
        assert!(before < Some(stamp.number), "{queue}: {stamp:?} came after number {before:?}");
    }
    fates
}

/// What became of a message that two consumers had while their connections were closed. Who had it
/// last nobody can tell: what was delivered first may be read last.
fn more_settled(one: Fate, other: Fate) -> Fate {
    let is_answered = |fate| matches!(fate, Fate::Settled { answered_at: Some(_), .. });
    let is_settled = |fate| matches!(fate, Fate::Settled { .. });
    if is_answered(one) || is_settled(one) && !is_answered(other) { one } else { other }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A delivery of message `number`.
    fn taken(number: u64, redelivered: bool, fate: Fate) -> Taken {
        let stamp = Stamp { publisher: 1, number };
        Taken { stamp, redelivered, at: leveret_tests::now(), fate }
    }

    fn run(streams: &[Vec<Taken>]) -> HashMap<Stamp, Fate> {
        run_closing(streams, None)
    }

    fn run_closing(streams: &[Vec<Taken>], closing_from: Option<Instant>) -> HashMap<Stamp, Fate> {
        let streams: Vec<Stream> =
            streams.iter().map(|taken| Stream { queue: 0, taken: taken.clone() }).collect();
        // Numbers below 100 were there before, those from 1000 were never sent.
        check("q", streams.iter(), closing_from, |stamp| match stamp.number {
            0..50 => Some(Known::HandedOut),
            50..100 => Some(Known::Before),
            100..1000 => Some(Known::SentNow),
            _ => None,
        })
    }

    /// Two numbers of the same priority, ascending, at or above `from`.
    fn pair(from: u64) -> (u64, u64) {
        let priority = |number| Stamp { publisher: 1, number }.priority();
        let next = (from + 1..).find(|next| priority(*next) == priority(from));
        (from, next.expect("there are few priorities"))
    }

    #[test]
    fn what_is_right_passes() {
        let (first, second) = pair(100);
        let settled = Fate::Settled { at: leveret_tests::now(), answered_at: None };
        let one = vec![taken(3, true, settled), taken(first, false, Fate::Requeued)];
        let other = vec![taken(second, false, Fate::Held), taken(first, true, settled)];
        let fates = run(&[one, other]);
        let fate = |number| fates[&Stamp { publisher: 1, number }];
        assert_eq!((fate(3), fate(first), fate(second)), (settled, settled, Fate::Held));
    }

    #[test]
    #[should_panic(expected = "1-100 was delivered again")]
    fn a_delivery_that_is_held_comes_once() {
        run(&[vec![taken(100, false, Fate::Held)], vec![taken(100, true, Fate::Held)]]);
    }

    #[test]
    fn what_a_closed_connection_held_goes_to_the_next() {
        let from = leveret_tests::now();
        let held = vec![taken(100, false, Fate::Held)];
        run_closing(&[held, vec![taken(100, true, Fate::Held)]], Some(from));
    }

    #[test]
    fn what_either_of_two_has_settled_is_settled() {
        let now = leveret_tests::now();
        let settled = |answered_at| Fate::Settled { at: now, answered_at };
        let (heard, said) = (settled(Some(now)), settled(None));
        let fate = |one, other| {
            let streams = [vec![taken(100, false, one)], vec![taken(100, true, other)]];
            run_closing(&streams, Some(now))[&Stamp { publisher: 1, number: 100 }]
        };
        assert_eq!((fate(said, Fate::Held), fate(Fate::Held, said)), (said, said));
        assert_eq!((fate(said, heard), fate(heard, said)), (heard, heard));
        assert_eq!(fate(Fate::Requeued, Fate::Held), Fate::Held);
    }

    #[test]
    #[should_panic(expected = "1-100 is not marked redelivered")]
    fn what_was_given_back_is_marked() {
        run(&[vec![taken(100, false, Fate::Requeued), taken(100, false, Fate::Held)]]);
    }

    #[test]
    #[should_panic(expected = "redelivered is false for 1-3, HandedOut")]
    fn what_was_handed_out_is_marked() {
        run(&[vec![taken(3, false, Fate::Held)]]);
    }

    #[test]
    #[should_panic(expected = "redelivered is true for 1-100, SentNow")]
    fn what_is_new_is_not_marked() {
        run(&[vec![taken(100, true, Fate::Held)]]);
    }

    #[test]
    fn what_may_have_been_on_its_way_may_be_marked() {
        run(&[vec![taken(50, true, Fate::Held)]]);
        run(&[vec![taken(50, false, Fate::Held)]]);
    }

    #[test]
    #[should_panic(expected = "1-1000 was never sent there")]
    fn what_was_never_sent_does_not_come() {
        run(&[vec![taken(1000, false, Fate::Held)]]);
    }

    #[test]
    #[should_panic(expected = "came after number")]
    fn a_publishers_messages_keep_their_order() {
        let (first, second) = pair(100);
        run(&[vec![taken(second, false, Fate::Held), taken(first, false, Fate::Held)]]);
    }

    #[test]
    fn consumers_of_one_queue_are_each_in_order_for_themselves() {
        let (first, second) = pair(100);
        let mut late = taken(first, false, Fate::Held);
        late.at += Duration::from_secs(1);
        run(&[vec![taken(second, false, Fate::Held)], vec![late]]);
    }
}
