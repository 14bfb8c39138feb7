//! What is written, what is not, and when it is durable.

use std::thread;
use std::time::Duration;

use super::*;
use crate::messages::FsyncPolicy;

fn gated(options: Options) -> (Bench, Gate) {
    let gate = Gate::default();
    let bench = Bench::new(options, |_| Arc::new(gate.clone()));
    (bench, gate)
}

/// Holds up the log thread in the write of a message, so that what follows is one group.
fn hold_up(bench: &Bench, gate: &Gate, sequence: u64) -> Ticket {
    gate.change(|held| held.writes = true);
    let ticket = bench.append(publishes(9, [sequence]));
    gate.await_waiting();
    ticket
}

#[test]
fn messages_come_back_in_order_less_what_was_settled() {
    let mut bench = Bench::real(small());
    for first in (0..600).step_by(50) {
        bench.append(publishes(1, (first..first + 50).rev()));
        bench.append(publishes(2, first..first + 50));
    }
    bench.commit(settles(1, 100, 400));
    bench.commit(settles(1, 7, 1));
    let left = || (0..100).chain(500..600).filter(|sequence| *sequence != 7);
    assert_eq!(bench.queue(1), expected(1, left()));
    assert_eq!(bench.log.read(2, &[3..5, 598..900]).unwrap().messages.len(), 4);
    assert!(bench.log.statistics().segments > 2, "it has rolled");
    let found = bench.reopen();
    assert_eq!(recovered(&found, 1), left().collect::<Vec<_>>());
    assert_eq!(found.queues[&1].next_sequence, 600);
    assert_eq!(found.queues[&1].messages.iter().next().unwrap().note, 3);
    assert!(found.notes.is_empty());
    assert_eq!(bench.queue(1), expected(1, left()));
    assert_eq!(bench.queue(2), expected(2, 0..600));
    bench.commit(settles(2, 0, 600));
    assert!(bench.reopen().queues[&2].messages.is_empty());
    assert_eq!(bench.log.statistics().live_messages, 199);
}

#[test]
fn a_message_settled_before_its_turn_is_never_written_nor_synced() {
    let (bench, gate) = gated(Options::default());
    let first = hold_up(&bench, &gate, 0);
    bench.append(publishes(1, 0..100));
    let shared = publish("needed by one of two", &[(1, 100), (2, 0)]);
    bench.append(Batch { publishes: vec![shared], ..Batch::default() });
    let last = bench.append(settles(1, 0, 101));
    assert_eq!(bench.queue(1), []);
    assert_eq!(bench.queue(2), [(0, "needed by one of two".to_owned())]);
    gate.change(|held| held.writes = false);
    bench.wait(last).unwrap();
    assert!(bench.log.progress().durable() >= first);
    let statistics = bench.log.statistics();
    assert_eq!((statistics.elided_messages, statistics.live_messages), (100, 2));
    assert_eq!(statistics.pending_bytes, 0);
    assert!(!bench.disk().windows(4).any(|bytes| bytes == b"1/50"));

    // Alone in its group it waits for no sync at all.
    hold_up(&bench, &gate, 1);
    gate.change(|held| held.writes = false);
    bench.wait(bench.append(Batch::default())).unwrap();
    gate.change(|held| held.syncs = true);
    let mut both = publishes(1, 200..210);
    both.settled = settles(1, 200, 10).settled;
    let elided = bench.append(both);
    bench.wait(elided).unwrap();
    gate.change(|held| held.syncs = false);
}

#[test]
fn a_message_in_many_queues_is_written_once() {
    let mut bench = Bench::real(Options::default());
    let places: Vec<_> = (1..10).map(|queue| (queue, 5)).collect();
    let text = "one body for all of them";
    bench.commit(Batch {
        publishes: vec![publish(text, &places)],
        awaited: true,
        ..Batch::default()
    });
    let disk = bench.disk();
    let count = disk.windows(text.len()).filter(|bytes| *bytes == text.as_bytes()).count();
    assert_eq!(count, 1);
    for queue in 1..9 {
        bench.append(settles(queue, 5, 1));
    }
    bench.reopen();
    assert!(bench.queue(1).is_empty());
    assert_eq!(bench.queue(9), [(5, text.to_owned())]);
}

#[test]
fn bodies_in_two_parts_come_back_cut_at_the_same_place() {
    let mut bench = Bench::real(Options::default());
    let tail = vec![b'x'; 9 << 20];
    let parts = Content {
        note: 77,
        head: (*b"head").into(),
        tail: Some(Arc::new(tail.clone().into())),
        ..Content::default()
    };
    let places = [place(1, 0)].into_iter().collect();
    bench.append(publishes(1, 1..3));
    bench.commit(Batch {
        publishes: vec![Publish { content: parts, places }],
        awaited: true,
        ..Batch::default()
    });
    for _ in 0..2 {
        let read = bench.log.read(1, &[0..9]).unwrap().messages;
        let content = &read[0].content;
        assert_eq!((content.note, &*content.head), (77, &b"head"[..]));
        assert!(content.tail.as_ref().is_some_and(|read| read.as_ref() == tail.as_slice()));
        assert_eq!(read.len(), 3);
        assert!(read[1].content.tail.is_none());
        bench.reopen();
    }
}

#[test]
fn a_message_larger_than_a_segment_has_one_of_its_own() {
    let mut bench = Bench::real(small());
    bench.commit(publishes(1, 0..3));
    let large = "large ".repeat(10_000);
    bench.append(Batch { publishes: vec![publish(&large, &[(1, 3)])], ..Batch::default() });
    bench.commit(publishes(1, 4..6));
    bench.reopen();
    let queue = bench.queue(1);
    assert_eq!(queue.len(), 6);
    assert_eq!(queue[3], (3, large));
}

#[test]
fn segments_are_as_large_as_was_asked_for() {
    let bench = Bench::real(small());
    for first in (0..20_000).step_by(1000) {
        bench.append(publishes(1, first..first + 1000));
    }
    bench.commit(publishes(1, [20_000]));
    let sizes: Vec<u64> = RealFiles
        .list(bench.directory.path())
        .unwrap()
        .into_iter()
        .filter(|entry| entry.name.starts_with("hot-"))
        .map(|entry| entry.size)
        .collect();
    assert!(sizes.len() > 20);
    // Of messages as small as these the footer is a good part, and a group is cut before it is known.
    assert!(sizes.iter().all(|size| *size <= 20 << 10), "{sizes:?}");
    let full = sizes.iter().filter(|size| **size > 14 << 10).count();
    assert!(full >= sizes.len() - 2, "{sizes:?}");
}

#[test]
fn what_an_atomic_batch_settles_goes_with_what_it_publishes() {
    let mut bench = Bench::real(Options::default());
    bench.commit(publishes(1, 0..10));
    let mut moved = publishes(2, 0..3);
    moved.atomic = true;
    moved.settled = settles(1, 2, 3).settled;
    moved.delivery_counts = vec![(place(1, 0), 4)];
    moved.deleted_queues = vec![7];
    bench.commit(moved);
    for _ in 0..2 {
        assert_eq!(bench.sequences(1), [0, 1, 5, 6, 7, 8, 9]);
        assert_eq!(bench.queue(2), expected(2, 0..3));
        let found = bench.reopen();
        assert_eq!(recovered(&found, 2), [0, 1, 2]);
        assert_eq!(found.queues[&1].messages.iter().next().unwrap().delivery_count, 4);
    }
    bench.commit(settles(2, 0, 3));
    assert!(recovered(&bench.reopen(), 2).is_empty());
}

#[test]
fn delivery_counts_outlive_the_segment_they_were_written_in() {
    let mut bench = Bench::real(small());
    bench.commit(publishes(1, 0..3));
    bench.commit(Batch { delivery_counts: vec![(place(1, 1), 2)], ..publishes(2, [0]) });
    let counts = |recovered: &Recovered| {
        let messages = recovered.queues[&1].messages.iter();
        messages.map(|message| message.delivery_count).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        assert_eq!(counts(&bench.reopen()), [0, 2, 0]);
    }
}

#[test]
fn a_deleted_queue_stays_deleted() {
    let mut bench = Bench::real(small());
    bench.commit(publishes(40, 0..100));
    bench.commit(publishes(41, 0..2));
    bench.commit(Batch { deleted_queues: vec![40], awaited: true, ..Batch::default() });
    bench.commit(publishes(40, 100..200));
    assert!(bench.queue(40).is_empty());
    for _ in 0..3 {
        let found = bench.reopen();
        assert!(found.queues.is_empty());
        let quarantined: Vec<_> =
            found.quarantined.iter().map(|one| (one.queue, one.messages)).collect();
        assert_eq!(quarantined, [(41, 2)]);
    }
}

#[test]
fn tickets_wait_for_the_sync_that_covers_them() {
    let (bench, gate) = gated(Options::default());
    bench.commit(publishes(1, [0]));
    gate.change(|held| held.syncs = true);
    let first = bench.append(publishes(1, [1]));
    gate.await_waiting();
    let second = bench.append(publishes(1, [2]));
    assert_eq!(bench.sequences(1), [0, 1, 2], "what is not durable can be read");
    assert!(bench.log.progress().durable() < first);
    gate.change(|held| held.syncs = false);
    bench.wait(second).unwrap();
    let syncs = gate.syncs_done();
    let unawaited = bench.append(Batch { awaited: false, ..publishes(1, [3]) });
    bench.wait(unawaited).unwrap();
    assert!(gate.syncs_done() > syncs);
}

#[test]
fn under_other_policies_what_is_written_is_durable() {
    for fsync in [FsyncPolicy::Os, FsyncPolicy::Interval(Duration::from_millis(1))] {
        let (mut bench, gate) = gated(Options { fsync, ..Options::default() });
        gate.change(|held| held.syncs = true);
        bench.commit(publishes(1, 0..10));
        if fsync != FsyncPolicy::Os {
            gate.await_waiting();
        }
        gate.change(|held| held.syncs = false);
        let before = gate.syncs_done();
        assert_eq!(recovered(&bench.reopen(), 1).len(), 10);
        assert!(gate.syncs_done() > before || fsync != FsyncPolicy::Os, "closing syncs");
    }
}

/// Between a group's write and its hand-over a sync could pass that did not cover it, though the index
/// knew the group: what it had settled was removed from the disk, and came to nothing with the power.
#[test]
fn a_sync_covers_every_group_that_the_index_knows() {
    let (bench, gate) = gated(Options::default());
    bench.commit(publishes(1, [0]));
    for sequence in 1..20 {
        let ticket = hold_up(&bench, &gate, sequence);
        let shared = &bench.log.shared;
        thread::scope(|scope| {
            // It waits for the group that is being written, and has its turn the moment that the
            // log thread lets go of it.
            let waiting = scope.spawn(|| {
                drop(shared.backlog.write());
                let knows = shared.holdings.lock().index().get(place(9, sequence)).is_some();
                shared.wal.sync().unwrap();
                (knows, bench.log.progress().durable())
            });
            while shared.backlog.try_read().is_some() {
                thread::yield_now();
            }
            gate.change(|held| held.writes = false);
            let (knows, durable) = waiting.join().unwrap();
            assert!(knows && durable >= ticket, "{sequence}: {durable:?} of {ticket:?}");
        });
    }
}

/// Every message of a transaction was read with all of it: draining 120 MB read 7.3 GB.
#[test]
fn a_message_of_a_long_transaction_is_read_by_itself() {
    let mut files = None;
    let bench = Bench::new(Options::default(), |directory| {
        let faulty = crate::wal::faults::FaultyFiles::new(directory);
        files = Some(faulty.clone());
        Arc::new(faulty)
    });
    let files = files.unwrap();
    let mut transaction = publishes(1, 0..2000);
    transaction.atomic = true;
    for publish in &mut transaction.publishes {
        publish.content.tail = Some(Arc::new(vec![b'.'; 2000].into()));
    }
    bench.commit(transaction);
    let before = files.bytes_read();
    for sequence in 0..2000 {
        assert_eq!(bench.log.read(1, &[sequence..sequence + 1]).unwrap().messages.len(), 1);
    }
    let read = files.bytes_read() - before;
    assert!(read < 2000 * 2200, "{read} bytes for 4 MB");
}
