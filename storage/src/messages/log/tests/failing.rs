//! A full disk, and a broken one.

use super::*;
use crate::wal::faults::{Fault, FaultyFiles, Operation};

fn faulty(options: Options) -> (Bench, FaultyFiles) {
    let mut files = None;
    let bench = Bench::new(options, |directory| {
        let faulty = FaultyFiles::new(directory);
        files = Some(faulty.clone());
        Arc::new(faulty)
    });
    (bench, files.unwrap())
}

fn is_well(health: &Health) -> bool {
    matches!(health, Health::Well)
}

fn is_failed(health: &Health) -> bool {
    matches!(health, Health::Failed(_))
}

/// Appends until the disk is full; gives the sequence number after the last.
fn fill(bench: &Bench, queue: u64) -> u64 {
    let mut next = 0;
    while !bench.log.progress().health().is_full() {
        bench.append(publishes(queue, next..next + 50));
        next += 50;
        assert!(next < 1_000_000, "the disk is never full");
    }
    next
}

#[test]
fn on_a_full_disk_everything_can_be_read_and_it_goes_on_when_there_is_room() {
    let (mut bench, files) = faulty(small());
    bench.commit(publishes(1, 0..10));
    files.set_capacity(Some(files.used() + (40 << 10)));
    let next = fill(&bench, 1);
    let last = bench.append(publishes(1, [next]));
    assert_eq!(bench.queue(1), expected(1, 0..=next));
    assert!(bench.log.progress().durable() < last);
    assert!(bench.log.progress().pending() > 0);
    files.set_capacity(None);
    bench.wait(last).unwrap();
    bench.wait_for_health(is_well);
    assert_eq!(bench.log.progress().pending(), 0);
    assert_eq!(bench.queue(1), expected(1, 0..=next));
    assert_eq!(recovered(&bench.reopen(), 1), (0..=next).collect::<Vec<_>>());
}

#[test]
fn what_is_settled_on_a_full_disk_needs_no_room_and_is_settled_afterwards() {
    let (mut bench, files) = faulty(small());
    bench.commit(publishes(2, 0..10));
    bench.commit(publishes(40, 0..10));
    files.set_capacity(Some(files.used() + (40 << 10)));
    let next = fill(&bench, 1);
    bench.append(Batch { delivery_counts: vec![(place(2, 9), 3)], ..Batch::default() });
    let mut moved = publishes(3, 0..2);
    moved.atomic = true;
    moved.settled = settles(2, 5, 1).settled;
    bench.append(moved);
    bench.append(Batch { deleted_queues: vec![40], ..Batch::default() });
    bench.append(settles(2, 0, 3));
    let last = bench.append(settles(1, 0, next));
    assert!(bench.queue(1).is_empty());
    assert_eq!(bench.sequences(2), [3, 4, 6, 7, 8, 9]);
    // What waits for room is less for it, though the disk stays full.
    while bench.log.progress().pending() > 100 {
        std::thread::yield_now();
    }
    assert!(bench.log.progress().health().is_full());
    assert!(bench.log.progress().durable() < last);
    files.set_capacity(None);
    bench.wait(last).unwrap();
    let found = bench.reopen();
    assert!(recovered(&found, 1).is_empty());
    assert_eq!(recovered(&found, 2), [3, 4, 6, 7, 8, 9]);
    assert_eq!(recovered(&found, 3), [0, 1]);
    assert_eq!(found.queues[&2].messages.iter().nth(5).unwrap().delivery_count, 3);
    assert!(found.quarantined.is_empty());
}

#[test]
fn a_full_disk_is_emptied_by_consuming_alone() {
    let (mut bench, files) = faulty(small());
    bench.log.start_compactor().unwrap();
    // One message stays, so that not all of it goes by itself.
    bench.commit(publishes(2, [0]));
    files.set_capacity(Some(files.used() + (100 << 10)));
    for queue in 3..6 {
        let next = fill(&bench, queue);
        let last = bench.append(settles(queue, 0, next));
        bench.wait(last).unwrap();
        bench.wait_for_health(is_well);
        assert!(bench.queue(queue).is_empty());
        bench.commit(publishes(queue, [next]));
    }
    let found = bench.reopen();
    assert_eq!(recovered(&found, 2), [0]);
    for queue in 3..6 {
        assert_eq!(recovered(&found, queue).len(), 1);
    }
}

#[test]
fn closed_on_a_full_disk_it_says_so_and_keeps_what_was_durable() {
    let (mut bench, files) = faulty(small());
    bench.commit(publishes(1, 0..10));
    files.set_capacity(Some(files.used() + (20 << 10)));
    fill(&bench, 2);
    let error = bench.log.close().unwrap_err();
    assert!(error.to_string().contains("space"), "{error}");
    assert_eq!(recovered(&bench.open_again(), 1), (0..10).collect::<Vec<_>>());
}

/// A restart on a full disk was refused, so that nobody could consume and make room.
#[test]
fn on_a_full_disk_a_log_can_be_opened_read_and_settled_again_and_again() {
    let mut bench = Bench::real(small());
    bench.commit(publishes(1, 0..10));
    bench.log.close().unwrap();
    let files = FaultyFiles::new(bench.directory.path());
    files.set_capacity(Some(files.used()));
    let (directory, store) = (bench.directory.path(), &bench.store);
    for round in 0..4 {
        let opened = Log::open_with(directory, store, &small(), &known(), Arc::new(files.clone()));
        let (log, found) = opened.unwrap();
        log.start_compactor().unwrap();
        assert_eq!(recovered(&found, 1), (round..10).collect::<Vec<_>>());
        assert_eq!(log.read(1, &[0..99]).unwrap().messages.len() as u64, 10 - round);
        let settled = log.append(&mut settles(1, round, 1));
        block_on(log.progress().reached_settled(settled)).unwrap();
        if round == 3 {
            let (mut next, mut last) = (10, Ticket(0));
            while !log.progress().health().is_full() {
                last = log.append(&mut publishes(2, next..next + 10));
                next += 10;
            }
            // Not behind the messages that wait.
            let deleted = log.append(&mut Batch { deleted_queues: vec![7], ..Batch::default() });
            block_on(log.progress().reached_settled(deleted)).unwrap();
            assert!(log.progress().durable() < last);
            files.set_capacity(None);
            block_on(log.progress().reached(last)).unwrap();
            block_on(log.progress().watch_health().wait_for(is_well)).unwrap();
        }
        log.close().unwrap();
    }
    let found = bench.open_again();
    assert_eq!(recovered(&found, 1), (4..10).collect::<Vec<_>>());
    assert!(recovered(&found, 2).is_sorted() && recovered(&found, 2).len() >= 10);
}

#[test]
fn after_a_failed_sync_nothing_becomes_durable() {
    let (mut bench, files) = faulty(Options::default());
    bench.commit(publishes(1, 0..10));
    let durable = bench.log.progress().durable();
    files.plan(Operation::Sync, 0, Fault::Error(io::ErrorKind::Other));
    let lost = bench.append(publishes(1, 10..20));
    assert!(bench.wait(lost).is_err());
    bench.wait_for_health(is_failed);
    let syncs = files.count(Operation::Sync);
    let late = bench.append(publishes(1, 20..30));
    assert!(bench.wait(late).is_err());
    assert!(bench.log.close().is_err());
    assert_eq!(bench.log.progress().durable(), durable);
    assert_eq!(files.count(Operation::Sync), syncs, "it was tried again");
    assert_eq!(bench.log.progress().pending(), 0, "nobody waits for room for ever");
    let found = recovered(&bench.open_again(), 1);
    assert!(found.len() >= 10 && found.is_sorted());
}

#[test]
fn every_other_failure_is_final_too() {
    for operation in [Operation::Write, Operation::Create, Operation::SyncDirectory] {
        let (bench, files) = faulty(small());
        files.plan(operation, 3, Fault::Error(io::ErrorKind::PermissionDenied));
        let mut last = Ok(());
        for first in (0..100_000).step_by(1000) {
            let ticket = bench.append(publishes(1, first..first + 1000));
            last = bench.wait(ticket);
            if last.is_err() {
                break;
            }
        }
        assert!(last.is_err() && files.has_struck(), "{operation:?}");
        assert!(is_failed(&bench.log.progress().health()));
        assert!(bench.log.close().is_err());
    }
}

#[test]
fn short_writes_go_on() {
    let (mut bench, files) = faulty(small());
    for first in (0..100).step_by(10) {
        files.plan(Operation::Write, 0, Fault::Short);
        bench.commit(publishes(1, first..first + 10));
    }
    assert_eq!(recovered(&bench.reopen(), 1), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_panic_in_a_thread_fails_the_store() {
    for is_write in [true, false] {
        let gate = Gate::default();
        let bench = Bench::new(Options::default(), |_| Arc::new(gate.clone()));
        bench.commit(publishes(1, [0]));
        gate.change(|held| (held.writes, held.syncs) = (is_write, !is_write));
        let ticket = bench.append(publishes(1, [1]));
        gate.await_waiting();
        gate.change(|held| held.panics = true);
        gate.change(|held| (held.writes, held.syncs) = (false, false));
        let error = bench.wait(ticket).unwrap_err();
        assert!(error.to_string().contains("panicked"), "{error}");
        gate.change(|held| held.panics = false);
        assert!(bench.log.close().is_err());
    }
}

/// One damaged body ended the whole broker, for the reading of all the others failed with it.
#[test]
fn a_damaged_message_is_told_by_itself_and_says_where() {
    let bench = Bench::real(Options::default());
    bench.commit(publishes(1, 0..3));
    let path = bench.directory.path().join("hot-0000000001");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|bytes| bytes == b"1/1").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(bench.log.read(1, &[0..1]).unwrap().damaged.is_empty());
    let read = bench.log.read(1, &[0..3]).unwrap();
    let sequences: Vec<u64> = read.messages.iter().map(|one| one.sequence).collect();
    assert_eq!((sequences, read.damaged.len(), read.damaged[0].sequence), (vec![0, 2], 1, 1));
    let text = read.damaged[0].error.to_string();
    for told in ["hot-0000000001", "message 1 of queue 1", "at offset ", "leveret verify"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}
