//! What is there when a store is opened again, after an orderly end or a crash.

use super::{
    Batch, Bench, KNOWN, Recovered, content, expected, next_sequence, on_every_store, place,
    publish, publishes, recovered_sequences, settles,
};
use crate::messages::{Quarantined, RecoveredMessage};

/// Runs a case with both ways to open a store again.
fn after_each_end(test: impl Fn(&mut Bench, fn(&mut Bench) -> Recovered)) {
    for end in [Bench::reopen as fn(&mut Bench) -> Recovered, Bench::crash] {
        on_every_store(|bench| test(bench, end));
    }
}

#[test]
fn an_empty_store_stays_empty() {
    after_each_end(|bench, end| {
        for _ in 0..3 {
            let recovered = end(bench);
            assert!(recovered.queues.values().all(|queue| queue.messages.is_empty()));
            assert!(recovered.quarantined.is_empty());
        }
    });
}

#[test]
fn what_is_durable_comes_back_in_order() {
    after_each_end(|bench, end| {
        bench.append(publishes(1, (500..600).rev()));
        bench.append(publishes(2, [9, 3]));
        bench.commit(publishes(1, (0..500).step_by(3)));
        let all: Vec<u64> = (0..500).step_by(3).chain(500..600).collect();
        for _ in 0..2 {
            let recovered = end(bench);
            assert_eq!(recovered_sequences(&recovered, 1), all);
            assert_eq!(recovered_sequences(&recovered, 2), [3, 9]);
            assert!(recovered.quarantined.is_empty());
            assert_eq!(bench.queue(1), expected(1, all.iter().copied()));
            assert_eq!(bench.queue(2), expected(2, [3, 9]));
        }
    });
}

#[test]
fn a_recovered_message_is_described() {
    after_each_end(|bench, end| {
        let mut message = publish(content("some text"), &[(1, 4)]);
        message.content.note = u64::MAX - 7;
        message.content.arrived_ms = 1_700_000_000_123;
        let mut other = publish(content("expires"), &[(1, 5)]);
        other.content.until_ms = Some(1_700_000_000_777);
        bench.commit(Batch { publishes: vec![message, other], ..Batch::default() });
        let recovered = end(bench);
        let described = [
            RecoveredMessage {
                sequence: 4,
                note: u64::MAX - 7,
                arrived_ms: 1_700_000_000_123,
                size: 9,
                ..RecoveredMessage::default()
            },
            RecoveredMessage {
                sequence: 5,
                note: 7,
                until_ms: Some(1_700_000_000_777),
                size: 7,
                ..RecoveredMessage::default()
            },
        ];
        assert!(recovered.queues[&1].messages.iter().eq(described), "{recovered:?}");
        let all = 0..9;
        let read = bench.store.read(1, std::slice::from_ref(&all)).unwrap().messages;
        assert_eq!(read[0].content.arrived_ms, 1_700_000_000_123);
        assert_eq!(read[1].content.until_ms, Some(1_700_000_000_777));
    });
}

#[test]
fn what_was_settled_stays_settled() {
    after_each_end(|bench, end| {
        bench.commit(publishes(1, 0..3000));
        bench.commit(settles(1, 0..2900));
        bench.commit(settles(1, 2901..2999));
        // A store may sync settlements later than messages; a message synced after them covers them.
        bench.commit(publishes(2, [0]));
        let recovered = end(bench);
        assert_eq!(recovered_sequences(&recovered, 1), [2900, 2999]);
        assert_eq!(bench.queue(1), expected(1, [2900, 2999]));
        bench.commit(settles(1, 2900..2901));
        bench.commit(publishes(2, [1]));
        assert_eq!(recovered_sequences(&end(bench), 1), [2999]);
    });
}

#[test]
fn a_message_in_many_queues_comes_back_where_it_is_not_settled() {
    after_each_end(|bench, end| {
        let shared = publish(content("shared"), &[(1, 0), (2, 0), (3, 0)]);
        bench.commit(Batch { publishes: vec![shared], ..Batch::default() });
        bench.commit(settles(2, 0..1));
        bench.commit(publishes(4, [0]));
        for _ in 0..2 {
            let recovered = end(bench);
            let found = [1, 2, 3].map(|queue| recovered_sequences(&recovered, queue).len());
            assert_eq!(found, [1, 0, 1]);
            assert_eq!(bench.queue(3), [(0, b"shared".to_vec())]);
        }
        bench.commit(settles(1, 0..1));
        bench.commit(settles(3, 0..1));
        bench.commit(publishes(4, [1]));
        let recovered = end(bench);
        assert!(recovered_sequences(&recovered, 1).is_empty());
        assert_eq!(bench.store.statistics().live_messages, 2);
    });
}

#[test]
fn the_highest_delivery_count_comes_back() {
    after_each_end(|bench, end| {
        bench.commit(Batch { delivery_counts: vec![(place(1, 2), 1)], ..publishes(1, 0..4) });
        for counts in [[(0, 1), (1, 5)], [(0, 2), (1, 4)]] {
            let delivery_counts = counts.map(|(sequence, count)| (place(1, sequence), count));
            bench.commit(Batch { delivery_counts: delivery_counts.to_vec(), ..Batch::default() });
        }
        for _ in 0..2 {
            let recovered = end(bench);
            let counts = recovered.queues[&1].messages.iter().map(|one| one.delivery_count);
            assert_eq!(counts.collect::<Vec<_>>(), [2, 5, 1, 0]);
        }
        bench.commit(settles(1, 0..2));
        bench.commit(publishes(2, [0]));
        let recovered = end(bench);
        assert_eq!(recovered.queues[&1].messages.len(), 2);
    });
}

#[test]
fn an_atomic_batch_comes_back_whole() {
    after_each_end(|bench, end| {
        bench.commit(publishes(1, 0..3));
        let moved = publish(content("moved"), &[(2, 0)]);
        bench.commit(Batch {
            atomic: true,
            publishes: vec![moved, publish(content("other"), &[(2, 1), (3, 1)])],
            settled: settles(1, 0..1).settled,
            delivery_counts: vec![(place(1, 1), 2)],
            ..Batch::default()
        });
        let recovered = end(bench);
        assert_eq!(recovered_sequences(&recovered, 1), [1, 2]);
        assert_eq!(recovered.queues[&1].messages.iter().next().unwrap().delivery_count, 2);
        assert_eq!(bench.queue(2), [(0, b"moved".to_vec()), (1, b"other".to_vec())]);
        assert_eq!(bench.queue(3), [(1, b"other".to_vec())]);
    });
}

#[test]
fn a_deleted_queue_stays_deleted() {
    after_each_end(|bench, end| {
        bench.commit(publishes(1, 0..300));
        let shared = publish(content("shared"), &[(1, 300), (2, 0)]);
        bench.commit(Batch { publishes: vec![shared], ..Batch::default() });
        bench.commit(Batch { deleted_queues: vec![1], ..Batch::default() });
        bench.known_queues.remove(&1);
        bench.commit(publishes(3, [0]));
        for _ in 0..2 {
            let recovered = end(bench);
            assert!(recovered_sequences(&recovered, 1).is_empty());
            assert!(recovered.quarantined.is_empty(), "somebody deleted it: nothing to keep");
            assert_eq!(recovered_sequences(&recovered, 2), [0]);
            assert_eq!(bench.store.statistics().live_messages, 2);
        }
    });
}

#[test]
fn messages_of_an_unknown_queue_are_kept_until_somebody_knows_it() {
    on_every_store(|bench| {
        bench.commit(publishes(1, 0..3));
        let shared = publish(content("shared"), &[(2, 0), (3, 0)]);
        bench.commit(Batch { publishes: vec![shared], ..Batch::default() });
        bench.commit(publishes(2, [5]));
        bench.commit(publishes(4, 0..2));
        bench.commit(settles(4, 0..2));
        bench.commit(publishes(1, [3]));
        for _ in 0..2 {
            bench.store.close().unwrap();
            let recovered = bench.open_knowing([1, 3]);
            let kept = Quarantined { queue: 2, messages: 2 };
            assert_eq!(recovered.quarantined, [kept], "queue 4 has nothing to keep");
            assert_eq!(recovered.queues.keys().filter(|queue| **queue == 2).count(), 0);
            assert_eq!(recovered_sequences(&recovered, 1), [0, 1, 2, 3]);
            assert_eq!(recovered_sequences(&recovered, 3), [0]);
        }
        bench.commit(settles(3, 0..1));
        bench.store.close().unwrap();
        let recovered = bench.open_knowing(KNOWN);
        assert!(recovered.quarantined.is_empty());
        assert_eq!(recovered_sequences(&recovered, 2), [0, 5]);
        assert_eq!(bench.range(2, 0..1), [(0, b"shared".to_vec())]);
    });
}

#[test]
fn an_unknown_queue_can_be_deleted() {
    on_every_store(|bench| {
        bench.commit(publishes(1, 0..3));
        bench.store.close().unwrap();
        assert_eq!(bench.open_knowing([2]).quarantined.len(), 1);
        bench.commit(Batch { deleted_queues: vec![1], ..Batch::default() });
        bench.store.close().unwrap();
        let recovered = bench.open_knowing([2]);
        assert!(recovered.quarantined.is_empty());
        assert_eq!(bench.store.statistics().live_messages, 0);
    });
}

#[test]
fn the_next_sequence_number_is_free() {
    after_each_end(|bench, end| {
        bench.commit(publishes(1, [7, 3]));
        bench.commit(publishes(2, 0..600));
        bench.commit(settles(2, 0..600));
        bench.commit(publishes(3, [0]));
        for round in 0..3 {
            let recovered = end(bench);
            assert_eq!(next_sequence(&recovered, 1), 8 + round);
            // Whatever it is for a queue that was drained, what is published there is new.
            let next = next_sequence(&recovered, 2);
            bench.commit(publishes(1, [8 + round]));
            bench.commit(publishes(2, [next]));
            assert_eq!(bench.queue(2), expected(2, [next]));
            assert_eq!(recovered_sequences(&end(bench), 2), [next]);
            bench.commit(settles(2, next..next + 1));
            bench.commit(publishes(3, [1 + round]));
        }
    });
}

/// New queues got numbers that the store knew after the definitions had been moved away: their
/// messages were taken for settled ones and lost.
#[test]
fn the_highest_queue_number_ever_named_is_told() {
    on_every_store(|bench| {
        bench.commit(publishes(3, 0..3));
        bench.commit(publishes(1 << 40, [0]));
        bench.commit(settles(3, 0..3));
        bench.store.close().unwrap();
        let recovered = bench.open_knowing([]);
        assert_eq!(recovered.highest_queue, 1 << 40);
        bench.commit(publishes(recovered.highest_queue + 1, 0..3));
        bench.store.close().unwrap();
        let recovered = bench.open_knowing([(1 << 40) + 1]);
        assert_eq!(recovered_sequences(&recovered, (1 << 40) + 1), [0, 1, 2]);
    });
}
