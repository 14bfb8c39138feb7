//! What holds while a store is open: reading, settling, tickets, statistics, closing.

use std::ops::Range;
use std::sync::Arc;
use std::thread;

use bytes::Bytes;

use super::{
    Batch, Content, content, expected, on_every_store, place, publish, publishes, settles, wait,
    with_tail,
};
use crate::messages::{Health, Settled, Ticket};

#[test]
fn a_message_is_readable_when_append_returns() {
    on_every_store(|bench| {
        for sequence in 0..50 {
            bench.append(publishes(1, [sequence]));
            assert_eq!(bench.range(1, sequence..sequence + 1), expected(1, [sequence]));
        }
        assert_eq!(bench.queue(1), expected(1, 0..50));
        assert!(bench.queue(2).is_empty());
        assert!(bench.queue(77).is_empty(), "a queue that nobody mentioned is empty");
    });
}

#[test]
fn ranges_are_read_ascending_and_each_message_once() {
    on_every_store(|bench| {
        bench.commit(publishes(1, [1, 2, 3, 300, 301, 1000]));
        let read = bench.ranges(1, &[2..4, 5..5, 301..2000, 10..20]);
        assert_eq!(read, expected(1, [2, 3, 301, 1000]));
        assert!(bench.ranges(1, &[]).is_empty());
    });
}

#[test]
fn a_message_comes_back_cut_where_it_was() {
    on_every_store(|bench| {
        let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        let contents = [content(""), content("only a head"), with_tail("head", large)];
        let message = |(sequence, content)| publish(content, &[(1, sequence)]);
        bench.commit(Batch {
            publishes: (0..).zip(contents.clone()).map(message).collect(),
            ..Batch::default()
        });
        for _ in 0..2 {
            let read = bench.store.read(1, &[0..1, 1..10]).unwrap().messages;
            assert_eq!(read.len(), 3);
            for (message, original) in read.iter().zip(&contents) {
                assert_eq!(message.content.note, original.note);
                assert!(message.content.head == original.head);
                let tail = |content: &Content| content.tail.clone().unwrap_or_default();
                assert!(tail(&message.content) == tail(original));
            }
            bench.reopen();
        }
    });
}

#[test]
fn settled_messages_are_left_out() {
    on_every_store(|bench| {
        bench.commit(publishes(1, 0..10));
        bench.append(settles(1, 2..5));
        assert_eq!(bench.sequences(1), [0, 1, 5, 6, 7, 8, 9]);
        bench.commit(settles(1, 9..10));
        assert_eq!(bench.sequences(1), [0, 1, 5, 6, 7, 8]);
        bench.commit(settles(1, 0..100));
        assert!(bench.sequences(1).is_empty());
    });
}

#[test]
fn settling_twice_or_where_nothing_is_does_nothing() {
    on_every_store(|bench| {
        bench.commit(publishes(1, 0..3));
        for _ in 0..2 {
            bench.commit(settles(1, 1..2));
            bench.commit(settles(77, 0..3));
        }
        assert_eq!(bench.sequences(1), [0, 2]);
        assert_eq!(bench.store.statistics().live_messages, 2);
    });
}

#[test]
fn a_message_that_is_settled_before_it_arrives_is_never_seen() {
    on_every_store(|bench| {
        bench.append(settles(1, 3..5));
        bench.append(publishes(1, [5, 4, 3, 2]));
        assert_eq!(bench.sequences(1), [2, 5]);
        let mut both = publishes(2, 0..4);
        both.settled = settles(2, 1..3).settled;
        bench.commit(both);
        assert_eq!(bench.sequences(2), [0, 3]);
        let recovered = bench.reopen();
        assert_eq!(super::recovered_sequences(&recovered, 1), [2, 5]);
        assert_eq!(super::recovered_sequences(&recovered, 2), [0, 3]);
    });
}

#[test]
fn a_message_in_many_queues_lives_until_the_last_is_done() {
    on_every_store(|bench| {
        let shared = publish(content("shared"), &[(1, 10), (2, 0), (3, 7)]);
        bench.commit(Batch { publishes: vec![shared], ..Batch::default() });
        assert_eq!(bench.store.statistics().live_messages, 3);
        for (queue, sequence) in [(1, 10), (3, 7)] {
            bench.commit(settles(queue, sequence..sequence + 1));
            assert!(bench.queue(queue).is_empty());
            assert_eq!(bench.queue(2), [(0, b"shared".to_vec())]);
        }
        assert_eq!(bench.store.statistics().live_messages, 1);
        bench.commit(settles(2, 0..1));
        let statistics = bench.store.statistics();
        assert_eq!((statistics.live_messages, statistics.live_bytes), (0, 0));
    });
}

#[test]
fn absent_places_hold_nothing() {
    on_every_store(|bench| {
        let absent = vec![Settled { queue: 1, first: 1, count: 2 }];
        bench.commit(Batch { absent, ..publishes(1, [0, 3]) });
        assert_eq!(bench.sequences(1), [0, 3]);
        bench.commit(settles(1, 0..4));
        assert!(bench.sequences(1).is_empty());
        let recovered = bench.reopen();
        assert!(super::recovered_sequences(&recovered, 1).is_empty());
    });
}

#[test]
fn a_deleted_queue_is_empty_also_for_what_arrives_late() {
    on_every_store(|bench| {
        bench.commit(publishes(1, 0..5));
        bench.commit(publishes(2, 0..2));
        let mut batch = publishes(1, [5]);
        batch.deleted_queues = vec![1];
        bench.append(batch);
        assert!(bench.queue(1).is_empty());
        bench.commit(publishes(1, [6, 7]));
        assert!(bench.queue(1).is_empty());
        assert_eq!(bench.queue(2), expected(2, 0..2));
        assert_eq!(bench.store.statistics().live_messages, 2);
    });
}

#[test]
fn tickets_ascend_and_become_durable_in_order() {
    on_every_store(|bench| {
        let none = bench.append(Batch::default());
        let tickets: Vec<Ticket> =
            (0..100).map(|sequence| bench.append(publishes(1, [sequence]))).collect();
        assert!(none < tickets[0]);
        assert!(tickets.is_sorted() && tickets.first() < tickets.last());
        let last = bench.append(Batch::default());
        assert_eq!(Some(&last), tickets.last(), "nothing appended: the ticket before");
        let awaited = bench.append(Batch { awaited: true, ..publishes(2, [0]) });
        wait(&*bench.store, awaited);
        for ticket in tickets {
            wait(&*bench.store, ticket);
        }
        let durable = bench.store.progress().durable();
        assert!(durable >= awaited);
        assert!(durable <= bench.append(Batch::default()), "durable passes what was appended");
    });
}

#[test]
fn what_nobody_waits_for_becomes_durable_too() {
    on_every_store(|bench| {
        let published = bench.append(publishes(1, 0..3));
        wait(&*bench.store, published);
        let settled = bench.append(settles(1, 0..3));
        wait(&*bench.store, settled);
        let pending = bench.store.progress().pending();
        assert_eq!(pending, 0, "bytes wait though everything is durable");
    });
}

#[test]
fn threads_append_side_by_side() {
    on_every_store(|bench| {
        thread::scope(|scope| {
            for queue in 1..5 {
                let bench = &*bench.store;
                scope.spawn(move || {
                    for first in (0..200).step_by(10) {
                        let ticket = bench.append(&mut publishes(queue, first..first + 10));
                        bench.append(&mut settles(queue, first..first + 5));
                        wait(bench, ticket);
                    }
                });
            }
        });
        let left = || (0..200).filter(|sequence| sequence % 10 >= 5);
        for queue in 1..5 {
            assert_eq!(bench.queue(queue), expected(queue, left()));
        }
        let recovered = bench.reopen();
        for queue in 1..5 {
            assert_eq!(super::recovered_sequences(&recovered, queue), left().collect::<Vec<_>>());
        }
    });
}

#[test]
fn readers_see_whole_messages_while_others_append_and_settle() {
    const ROUNDS: u64 = 300;
    on_every_store(|bench| {
        thread::scope(|scope| {
            let bench = &*bench;
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let read = bench.queue(1);
                        assert!(read.is_sorted_by_key(|one| one.0));
                        let sequences = read.iter().map(|one| one.0);
                        assert_eq!(read, expected(1, sequences));
                    }
                });
            }
            for round in 0..ROUNDS {
                let mut batch = publishes(1, round * 10..round * 10 + 10);
                batch.awaited = round % 8 == 0;
                let ticket = bench.append(batch);
                if round % 8 == 0 {
                    wait(&*bench.store, ticket);
                }
                if let Some(old) = round.checked_sub(20) {
                    bench.append(settles(1, old * 10..old * 10 + 9));
                }
            }
        });
        let left = (0..ROUNDS * 10).filter(|n| n % 10 == 9 || n / 10 >= ROUNDS - 20);
        assert_eq!(bench.queue(1), expected(1, left));
    });
}

#[test]
fn statistics_count_what_is_there() {
    on_every_store(|bench| {
        let messages = |texts: &[&str]| {
            let message = |(n, text): (usize, &&str)| publish(content(text), &[(1, n as u64)]);
            Batch { publishes: texts.iter().enumerate().map(message).collect(), ..Batch::default() }
        };
        bench.commit(messages(&["four", "seven77", ""]));
        let statistics = bench.store.statistics();
        assert_eq!((statistics.appended_messages, statistics.appended_bytes), (3, 11));
        assert_eq!(statistics.live_messages, 3);
        assert!(statistics.live_bytes >= 11);
        bench.commit(settles(1, 1..2));
        assert_eq!(bench.store.statistics().live_messages, 2);
        bench.reopen();
        assert_eq!(bench.store.statistics().live_messages, 2);
    });
}

#[test]
fn closing_makes_durable_what_waits_and_ends_the_store() {
    on_every_store(|bench| {
        let before = bench.append(publishes(1, 0..100));
        bench.store.close().unwrap();
        assert!(bench.store.progress().durable() >= before);
        let after = bench.append(publishes(1, [100]));
        assert!(after > before && bench.store.progress().durable() < after);
        bench.store.close().unwrap();
        assert!(matches!(bench.store.progress().health(), Health::Well));
        assert!(bench.store.progress().durable() < after);
        let recovered = bench.open();
        assert_eq!(
            super::recovered_sequences(&recovered, 1),
            (0..100).collect::<Vec<_>>(),
            "what is appended after the end is dropped"
        );
    });
}

#[test]
fn a_closed_store_can_still_be_dropped_elsewhere() {
    on_every_store(|bench| {
        bench.commit(publishes(1, [0]));
        bench.store.close().unwrap();
        let store = Arc::clone(&bench.store);
        thread::spawn(move || drop(store)).join().unwrap();
        bench.open();
        assert_eq!(bench.queue(1), expected(1, [0]));
    });
}

#[test]
fn counting_deliveries_is_no_message() {
    on_every_store(|bench| {
        bench.commit(Batch {
            delivery_counts: vec![(place(1, 0), 3), (place(77, 1), 1)],
            ..Batch::default()
        });
        assert!(bench.queue(1).is_empty());
        assert_eq!(bench.store.statistics().live_messages, 0);
    });
}

#[test]
fn what_is_too_large_to_be_stored_as_one_is_refused_and_nothing_else_is() {
    let body = Arc::new(Bytes::from(vec![0; 400 << 20]));
    on_every_store(|bench| {
        let message = |sequence| {
            let content = Content { tail: Some(Arc::clone(&body)), ..content("") };
            publish(content, &[(1, sequence)])
        };
        let publishes_of = |range: Range<u64>| range.map(message).collect();
        let mut batch = Batch { atomic: true, publishes: publishes_of(0..2), ..Batch::default() };
        batch.settled = settles(1, 7..8).settled;
        assert_eq!(bench.store.append(&mut batch), Ticket::NEVER);
        assert!(batch.is_empty());
        bench.commit(publishes(1, [2, 7]));
        assert_eq!(bench.sequences(1), [2, 7]);
    });
}
