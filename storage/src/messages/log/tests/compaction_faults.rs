//! A compaction that is struck at any operation, or ends with the power: nothing is lost, and
//! nothing comes back.

use super::super::compaction::Compactor;
use super::compaction::long_publishes;
use super::*;
use crate::messages::FsyncPolicy;
use crate::wal::faults::{Fault, FaultyFiles, Loss, Operation};

const OPERATIONS: [Operation; 7] = [
    Operation::Create,
    Operation::Read,
    Operation::Write,
    Operation::Sync,
    Operation::Rename,
    Operation::Remove,
    Operation::SyncDirectory,
];

/// Every message there is, by queue.
type Everything = Vec<(u64, Vec<(u64, String)>)>;

/// A log that is worth compacting, with all of it on disk.
fn worth_it(prepare: fn(&Path) -> FaultyFiles) -> (Bench, FaultyFiles, Everything) {
    let mut files = None;
    let options = Options { segment_size: 8 << 10, ..Options::default() };
    let bench = Bench::new(options, |directory| {
        let faulty = prepare(directory);
        files = Some(faulty.clone());
        Arc::new(faulty)
    });
    for first in (0..30).step_by(5) {
        let mut batch = long_publishes(&[1], first..first + 5);
        batch.publishes.push(publish(&format!("shared {first}"), &[(2, first), (3, first)]));
        batch.publishes.append(&mut long_publishes(&[4], first / 5..first / 5 + 1).publishes);
        bench.commit(batch);
        let mut moved = publishes(5, [first]);
        moved.atomic = true;
        moved.settled = settles(2, first, 1).settled;
        moved.deleted_queues = if first == 10 { vec![6] } else { Vec::new() };
        bench.commit(moved);
    }
    bench.commit(settles(1, 0, 29));
    bench.commit(publishes(7, 0..1));
    bench.log.shared.sync().unwrap();
    let everything = bench.everything();
    assert_eq!(everything.iter().map(|(_, queue)| queue.len()).sum::<usize>(), 1 + 18 + 6 + 1 - 6);
    (bench, files.unwrap(), everything)
}

fn compact(bench: &Bench) -> Result<(), StorageError> {
    Compactor::new(Arc::clone(&bench.log.shared)).work()
}

/// Strikes at the operations in turn; `aftermath` is told what there was.
fn strike_all(
    prepare: fn(&Path) -> FaultyFiles,
    fault: Fault,
    mut aftermath: impl FnMut(Bench, &FaultyFiles, &Everything, String),
) {
    for operation in OPERATIONS {
        for nth in 0.. {
            let (bench, files, everything) = worth_it(prepare);
            files.plan(operation, nth, fault);
            let _outcome = compact(&bench);
            let has_struck = files.has_struck();
            files.plan(operation, u64::MAX / 2, fault);
            aftermath(bench, &files, &everything, format!("{operation:?} {nth}"));
            if !has_struck {
                assert!(nth > 0, "no {operation:?} in a compaction");
                break;
            }
        }
    }
}

fn check_reopened(mut bench: Bench, everything: &Everything, context: &str) {
    for _ in 0..2 {
        bench.open_again();
        assert_eq!(bench.everything(), *everything, "{context}");
        compact(&bench).unwrap();
        assert_eq!(bench.everything(), *everything, "{context}");
        bench.log.close().unwrap();
    }
}

#[test]
fn a_process_that_ends_at_any_step_loses_nothing() {
    strike_all(FaultyFiles::new, Fault::Death, |bench, _, everything, context| {
        let _failed = bench.log.close();
        check_reopened(bench, everything, &context);
    });
}

#[test]
fn a_power_failure_at_any_step_loses_nothing() {
    for loss in [Loss::All, Loss::Some(1), Loss::Some(2)] {
        strike_all(FaultyFiles::remembering, Fault::Death, |bench, files, everything, context| {
            files.lose_power(bench.directory.path(), loss);
            let _failed = bench.log.close();
            check_reopened(bench, everything, &context);
        });
    }
}

#[test]
fn a_message_is_not_removed_before_what_settled_it_is_on_disk() {
    let mut files = None;
    let fsync = FsyncPolicy::Interval(Duration::from_secs(3600));
    let options = Options { segment_size: 8 << 10, fsync, ..Options::default() };
    let mut bench = Bench::new(options, |directory| {
        let faulty = FaultyFiles::remembering(directory);
        files = Some(faulty.clone());
        Arc::new(faulty)
    });
    bench.commit(long_publishes(&[1], 0..20));
    bench.commit(publishes(2, 0..1));
    bench.log.shared.sync().unwrap();
    let mut moved = publishes(2, 1..21);
    moved.atomic = true;
    moved.settled = settles(1, 0, 20).settled;
    bench.commit(moved);
    compact(&bench).unwrap();
    files.unwrap().lose_power(bench.directory.path(), Loss::All);
    let _failed = bench.log.close();
    bench.open_again();
    let found = (bench.sequences(1).len(), bench.sequences(2).len());
    assert!(matches!(found, (20, 1) | (0, 21)), "{found:?}");
}

#[test]
fn an_operation_that_fails_loses_nothing() {
    let fault = Fault::Error(io::ErrorKind::Other);
    strike_all(FaultyFiles::new, fault, |bench, _, everything, context| {
        assert_eq!(bench.everything(), *everything, "{context}");
        let _failed = bench.log.close();
        check_reopened(bench, everything, &context);
    });
}

#[test]
fn a_full_disk_puts_a_compaction_off() {
    for operation in [Operation::Create, Operation::Write] {
        for nth in 0.. {
            let (bench, files, everything) = worth_it(FaultyFiles::new);
            files.plan(operation, nth, Fault::Error(io::ErrorKind::StorageFull));
            compact(&bench).unwrap();
            let has_struck = files.has_struck();
            assert_eq!(bench.everything(), everything, "{operation:?} {nth}");
            assert!(!matches!(bench.log.progress().health(), Health::Failed(_)));
            let entries = RealFiles.list(bench.directory.path()).unwrap();
            // The keeper may be making what comes next.
            let is_left = |name: &str| name.ends_with(".tmp") && name != crate::wal::MAKING;
            assert!(entries.iter().all(|entry| !is_left(&entry.name)), "{entries:?}");
            compact(&bench).unwrap();
            assert_eq!(bench.everything(), everything, "{operation:?} {nth}");
            assert!(bench.log.statistics().compacted_bytes > 0);
            if !has_struck {
                break;
            }
        }
    }
}

/// A log, and so many bytes for what is in it; with what is read of it.
fn bounded(bytes: u64) -> (Bench, FaultyFiles) {
    let mut files = None;
    let bench = Bench::new(small(), |directory| {
        let faulty = FaultyFiles::new(directory);
        files = Some(faulty.clone());
        Arc::new(faulty)
    });
    let files = files.unwrap();
    files.set_capacity(Some(files.used() + bytes));
    (bench, files)
}

/// Nine messages for queue 1 and one for queue 2, which nobody consumes, until the disk is full.
/// The place after the last of queue 1 is returned.
fn fill_up(bench: &Bench) -> u64 {
    let mut next = 0;
    while !bench.log.progress().health().is_full() {
        let mut batch = long_publishes(&[1], next..next + 9);
        batch.publishes.append(&mut long_publishes(&[2], next / 9..next / 9 + 1).publishes);
        let ticket = bench.append(batch);
        next += 9;
        let progress = bench.log.progress();
        while progress.durable() < ticket && !progress.health().is_full() {
            std::thread::yield_now();
        }
    }
    next
}

fn is_well(health: &Health) -> bool {
    matches!(health, Health::Well)
}

/// Fills the disk, consumes queue 1 as is said, and sees that it goes on and all of queue 2 is there.
fn get_out(bytes: u64, consume: fn(&Bench, u64)) {
    let (bench, _files) = bounded(bytes);
    bench.log.start_compactor().unwrap();
    let next = fill_up(&bench);
    let before = bench.queue(2);
    assert_eq!(before.len() as u64, next / 9);
    consume(&bench, next);
    see_it_is_out(bench, &before);
}

fn see_it_is_out(mut bench: Bench, before: &[(u64, String)]) {
    bench.wait_for_health(is_well);
    bench.commit(publishes(3, 0..1));
    assert_eq!(bench.queue(2), before);
    bench.reopen();
    assert_eq!(bench.queue(2), before);
    assert!(bench.queue(1).is_empty());
}

/// Until the log has done on the full disk what it can do by itself.
fn let_it_try(files: &FaultyFiles, times: u64) {
    let tried = files.count(Operation::Allocate);
    while files.count(Operation::Allocate) < tried + times {
        std::thread::yield_now();
    }
}

fn all_at_once(bench: &Bench, next: u64) {
    bench.append(settles(1, 0, next));
}

fn one_by_one(bench: &Bench, next: u64) {
    for sequence in 0..next {
        let ticket = bench.append(settles(1, sequence, 1));
        // Taken on its own, unless the disk is full no longer and it is written.
        let is_taken = || {
            bench.log.shared.holdings.lock().index().is_settled(place(1, sequence))
                || bench.log.progress().durable() >= ticket
        };
        while !is_taken() {
            let health = bench.log.progress().health();
            assert!(!matches!(health, Health::Failed(_)), "{health:?}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_full_disk_is_got_out_of_by_consuming_what_can_be_consumed() {
    // Whatever is left over beside whole segments.
    for more in 0..8 {
        get_out((300 << 10) + (more << 11), all_at_once);
    }
}

/// The file of a long segment that was emptied was kept whole for later, and nothing had room.
#[test]
fn a_full_disk_with_one_long_segment_is_got_out_of() {
    let mut files = None;
    let options = Options { segment_size: 512 << 10, ..Options::default() };
    let bench = Bench::new(options, |directory| {
        let faulty = FaultyFiles::new(directory);
        files = Some(faulty.clone());
        Arc::new(faulty)
    });
    let files = files.unwrap();
    files.set_capacity(Some(files.used() + (200 << 10)));
    bench.log.start_compactor().unwrap();
    let next = fill_up(&bench);
    bench.append(settles(1, 0, next));
    bench.append(settles(2, 0, next));
    // As much as filled the disk.
    bench.commit(long_publishes(&[3], 0..100));
    bench.wait_for_health(is_well);
}

#[test]
fn a_full_disk_is_got_out_of_message_by_message() {
    get_out(60 << 10, one_by_one);
    get_out(300 << 10, one_by_one);
}

/// The file that is kept for a compaction was made a segment as soon as all was settled, if the log
/// thread came before the compactor; then nothing that was left could be moved.
#[test]
fn a_full_disk_is_got_out_of_by_a_compactor_that_is_late() {
    for consume in [all_at_once, one_by_one] {
        let (bench, files) = bounded(300 << 10);
        let next = fill_up(&bench);
        files.set_capacity(Some(files.used()));
        let before = bench.queue(2);
        consume(&bench, next);
        let_it_try(&files, 6);
        bench.log.start_compactor().unwrap();
        see_it_is_out(bench, &before);
    }
}

/// The same file was taken to seal a segment of which nothing was settled yet.
#[test]
fn a_full_disk_that_was_left_alone_is_got_out_of() {
    for consume in [all_at_once, one_by_one] {
        let (bench, files) = bounded(300 << 10);
        bench.log.start_compactor().unwrap();
        let next = fill_up(&bench);
        files.set_capacity(Some(files.used()));
        let before = bench.queue(2);
        let_it_try(&files, 6);
        consume(&bench, next);
        see_it_is_out(bench, &before);
    }
}

#[test]
fn a_full_disk_that_has_room_for_one_segment_is_got_out_of() {
    // With some of them the reserve cannot be made again before a new segment has been compacted.
    for bytes in (15 << 10..16 << 10).step_by(128).chain([12 << 10, 18 << 10, 24 << 10]) {
        get_out(bytes, all_at_once);
        get_out(bytes, one_by_one);
    }
}

/// A reserve was made and removed many times a second, with nobody doing anything.
#[test]
fn a_full_disk_that_nobody_does_anything_with_costs_nothing() {
    let (bench, files) = bounded(60 << 10);
    fill_up(&bench);
    let counts =
        || [Operation::Create, Operation::Rename, Operation::Remove].map(|one| files.count(one));
    let_it_try(&files, 6);
    let (before, used) = (counts(), files.used());
    let_it_try(&files, 2);
    assert_eq!((counts(), files.used()), (before, used));
}

#[test]
fn a_disk_is_full_until_all_that_waits_is_written() {
    let (bench, files) = bounded(60 << 10);
    fill_up(&bench);
    // The first of it can be written again and again, but not all of it.
    for round in 0..3 {
        let last = bench.append(long_publishes(&[3], round * 20..round * 20 + 20));
        let health = bench.log.progress().watch_health();
        files.set_capacity(Some(files.used() + (20 << 10)));
        let tried = files.count(Operation::Allocate) + files.count(Operation::Write);
        while files.count(Operation::Allocate) + files.count(Operation::Write) < tried + 4 {
            std::thread::yield_now();
        }
        assert!(!health.has_changed().unwrap() && bench.log.progress().health().is_full());
        assert!(bench.log.progress().durable() < last);
    }
    files.set_capacity(None);
    bench.wait_for_health(is_well);
    bench.commit(publishes(4, 0..1));
    assert_eq!(bench.sequences(3), (0..60).collect::<Vec<_>>());
}

#[test]
fn short_writes_are_continued() {
    strike_all(FaultyFiles::new, Fault::Short, |bench, _, everything, context| {
        assert_eq!(bench.everything(), *everything, "{context}");
        let _failed = bench.log.close();
        check_reopened(bench, everything, &context);
    });
}
