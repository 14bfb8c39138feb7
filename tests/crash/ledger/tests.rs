//! The ledger against lives whose outcome is known.

use super::*;
use crate::layout::Route;
use crate::record::{Sent, Stream, Taken, Transaction};

const NONE: [Vec<Stamp>; QUEUES.len()] = [const { Vec::new() }; QUEUES.len()];

fn stamp(number: u64) -> Stamp {
    Stamp { publisher: 1, number }
}

/// A life that ended a while after `start`, with nothing in it.
fn life(start: Instant, ending: Ending) -> Life {
    let end_began = start + Duration::from_secs(10);
    Life { sent: vec![], transactions: vec![], streams: vec![], ending, end_began }
}

/// Message `number`, sent and confirmed after so many milliseconds.
fn sent(start: Instant, number: u64, route: Route, confirmed_ms: Option<u64>) -> Sent {
    let confirmed_at = confirmed_ms.map(|ms| start + Duration::from_millis(ms));
    Sent { stamp: stamp(number), route, sent_at: start, confirmed_at }
}

/// A first delivery of message `number` that was settled and answered after so many milliseconds.
fn settled(start: Instant, number: u64, at_ms: u64, answered_ms: Option<u64>) -> Stream {
    let after = |ms| start + Duration::from_millis(ms);
    let fate = Fate::Settled { at: after(at_ms), answered_at: answered_ms.map(after) };
    let taken = Taken { stamp: stamp(number), redelivered: false, at: start, fate };
    Stream { queue: 0, taken: vec![taken] }
}

/// What the queues hold, of which all but one are empty.
fn holding(queue: QueueIndex, numbers: &[u64]) -> [Vec<Stamp>; QUEUES.len()] {
    let mut found = NONE;
    found[queue] = numbers.iter().map(|number| stamp(*number)).collect();
    found
}

/// A ledger after a life in which message 1 was confirmed, 2 was not, both to queue 0.
fn after_two(ending: Ending, confirmed_ms: u64) -> Ledger {
    let start = leveret_tests::now();
    let mut ledger = Ledger::new();
    let mut life = life(start, ending);
    life.sent.push(sent(start, 1, Route::Queue(0), Some(confirmed_ms)));
    life.sent.push(sent(start, 2, Route::Queue(0), None));
    ledger.absorb(&life);
    ledger
}

#[test]
fn what_is_not_confirmed_may_be_there() {
    after_two(Ending::Kill, 5).check_recovered(&holding(0, &[1]));
    after_two(Ending::Kill, 5).check_recovered(&holding(0, &[1, 2]));
}

#[test]
#[should_panic(expected = "single: 1 messages lost, such as [1-1]")]
fn what_is_confirmed_must_be_there() {
    after_two(Ending::Kill, 5).check_recovered(&holding(0, &[2]));
}

#[test]
#[should_panic(expected = "single holds a message twice")]
fn what_is_there_is_there_once() {
    after_two(Ending::Kill, 5).check_recovered(&holding(0, &[1, 1]));
}

#[test]
#[should_panic(expected = "shared: 1 messages back though settled, or never sent, such as [1-1]")]
fn what_was_sent_elsewhere_is_unknown() {
    let mut ledger = after_two(Ending::Kill, 5);
    let mut found = holding(0, &[1]);
    found[1] = vec![stamp(1)];
    ledger.check_recovered(&found);
}

#[test]
fn a_confirm_after_the_power_loss_is_none() {
    after_two(Ending::PowerLoss, 10_001).check_recovered(&NONE);
}

#[test]
#[should_panic(expected = "1 messages lost")]
fn what_was_missing_once_does_not_come_back() {
    let mut ledger = after_two(Ending::Kill, 5);
    ledger.check_recovered(&holding(0, &[1, 2]));
    ledger.check_recovered(&holding(0, &[1]));
}

#[test]
#[should_panic(expected = "copies: 1 messages lost")]
fn a_copy_is_owed_in_every_queue() {
    let start = leveret_tests::now();
    let mut ledger = Ledger::new();
    let mut life = life(start, Ending::Kill);
    life.sent.push(sent(start, 1, Route::Copies, Some(5)));
    ledger.absorb(&life);
    ledger.check_recovered(&holding(KEPT, &[1]));
}

/// A ledger after a life in which message 1 was settled and message 2 was stored after 1000 ms.
fn after_settling(ending: Ending, at_ms: u64, answered_ms: Option<u64>) -> Ledger {
    let start = leveret_tests::now();
    let mut ledger = Ledger::new();
    let mut life = life(start, ending);
    life.sent.push(sent(start, 1, Route::Queue(0), Some(5)));
    let marker = sent(start + Duration::from_secs(1), 2, Route::Queue(KEPT), Some(1005));
    life.sent.push(marker);
    life.streams.push(settled(start, 1, at_ms, answered_ms));
    ledger.absorb(&life);
    ledger
}

fn with_marker(numbers: &[u64]) -> [Vec<Stamp>; QUEUES.len()] {
    let mut found = holding(0, numbers);
    found[KEPT] = vec![stamp(2)];
    found
}

#[test]
fn what_is_settled_is_not_owed() {
    for ending in [Ending::Kill, Ending::PowerLoss, Ending::Terminate] {
        after_settling(ending, 500, Some(501)).check_recovered(&with_marker(&[]));
    }
}

#[test]
#[should_panic(expected = "1 messages back though settled")]
fn what_was_settled_before_something_was_stored_stays_settled() {
    after_settling(Ending::Kill, 500, Some(501)).check_recovered(&with_marker(&[1]));
}

#[test]
#[should_panic(expected = "1 messages back though settled")]
fn what_was_settled_before_an_orderly_end_stays_settled() {
    after_settling(Ending::Terminate, 9_900, Some(9_901)).check_recovered(&with_marker(&[1]));
}

#[test]
fn what_was_settled_late_may_come_back() {
    // After the last message that is known to be stored, or without an answer.
    after_settling(Ending::Kill, 1500, Some(1501)).check_recovered(&with_marker(&[1]));
    after_settling(Ending::Kill, 500, None).check_recovered(&with_marker(&[1]));
    after_settling(Ending::Terminate, 500, None).check_recovered(&with_marker(&[1]));
}

/// A ledger after a life with a transaction of messages 1 to two queues.
fn after_transaction(committed: bool) -> Ledger {
    let start = leveret_tests::now();
    let mut ledger = Ledger::new();
    let mut life = life(start, Ending::Kill);
    let messages = vec![(stamp(1), Route::Queue(0)), (stamp(2), Route::Queue(1))];
    let committed_at = committed.then_some(start);
    life.transactions.push(Transaction { messages, committed_at });
    ledger.absorb(&life);
    ledger
}

fn both() -> [Vec<Stamp>; QUEUES.len()] {
    let mut found = holding(0, &[1]);
    found[1] = vec![stamp(2)];
    found
}

#[test]
fn a_transaction_is_whole_or_absent() {
    after_transaction(false).check_recovered(&NONE);
    after_transaction(false).check_recovered(&both());
    after_transaction(true).check_recovered(&both());
}

#[test]
#[should_panic(expected = "half a transaction: [1-1] without [1-2]")]
fn half_a_transaction_is_noticed() {
    after_transaction(false).check_recovered(&holding(0, &[1]));
}

#[test]
#[should_panic(expected = "1 messages lost")]
fn a_committed_transaction_is_owed() {
    after_transaction(true).check_recovered(&NONE);
}
