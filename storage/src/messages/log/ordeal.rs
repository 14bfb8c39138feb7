//! A scripted workload that is struck at every operation in turn, or loses power: what was durable
//! and is not settled is there afterwards, in order, bytes equal, and nothing else is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::Path;
use std::slice;

use super::*;
use crate::messages::{Content, FsyncPolicy, Health, Place, Publish};
use crate::wal::SegmentName;
use crate::wal::faults::{Fault, FaultyFiles, Loss, Operation};

/// The definitions have these; another queue is deleted on the way.
const QUEUES: [u64; 3] = [1, 2, 3];
const DELETED: u64 = 4;

fn options() -> Options {
    Options { segment_size: 4096, ..Options::default() }
}

/// What was asked of a log so far, and what it has promised.
#[derive(Debug, Default)]
struct Promises {
    messages: BTreeMap<Place, (Vec<u8>, Ticket)>,
    /// With the ticket of the settlement.
    settled: BTreeMap<Place, Ticket>,
    counts: BTreeMap<Place, (u32, Ticket)>,
    /// What atomic batches brought, and what they settled.
    batches: Vec<(Vec<Place>, Vec<Place>)>,
    durable: Ticket,
    next: BTreeMap<u64, u64>,
}

impl Promises {
    fn publish(&mut self, batch: &mut Batch, queues: &[u64], size: usize) -> Vec<Place> {
        let places: Vec<Place> = queues
            .iter()
            .map(|queue| {
                let next = self.next.entry(*queue).or_insert(1);
                *next += 1;
                Place { queue: *queue, sequence: *next - 1 }
            })
            .collect();
        let mut body = format!("{places:?} ").into_bytes();
        body.resize(body.len() + size, b'.');
        let (head, tail) = body.split_at(body.len() / 3);
        let tail = Some(Arc::new(bytes::Bytes::copy_from_slice(tail)));
        let note = places[0].sequence;
        let content = Content { note, head: head.into(), tail, ..Content::default() };
        batch.publishes.push(Publish { content, places: places.iter().copied().collect() });
        for place in &places {
            self.messages.insert(*place, (body.clone(), Ticket(u64::MAX)));
        }
        places
    }

    /// The oldest message of a queue that is not settled.
    fn oldest(&self, queue: u64) -> Option<Place> {
        self.messages
            .keys()
            .copied()
            .find(|place| place.queue == queue && !self.settled.contains_key(place))
    }

    fn settle_oldest(&mut self, batch: &mut Batch, queue: u64) -> Option<Place> {
        let place = self.oldest(queue)?;
        batch.settle(place);
        self.settled.insert(place, Ticket(u64::MAX));
        Some(place)
    }

    /// One step of the script.
    fn step(&mut self, number: u64) -> Batch {
        let mut batch = Batch { awaited: number % 3 != 1, ..Batch::default() };
        let size = usize::try_from(number * 37 % 700).unwrap();
        match number % 8 {
            0 | 2 | 5 => {
                self.publish(&mut batch, &[number % 3 + 1], size);
            }
            1 => {
                self.publish(&mut batch, &QUEUES, size);
            }
            3 => {
                self.settle_oldest(&mut batch, 1);
                self.settle_oldest(&mut batch, 2);
                self.publish(&mut batch, &[DELETED], 50);
            }
            4 | 7 => {
                batch.atomic = true;
                let mut brought = self.publish(&mut batch, &[2, 3], size);
                brought.append(&mut self.publish(&mut batch, &[1], 20));
                let settled = self.settle_oldest(&mut batch, 3).into_iter().collect();
                self.batches.push((brought, settled));
            }
            _ => {
                if let Some(place) = self.oldest(2) {
                    let count = u32::try_from(number).unwrap();
                    batch.delivery_counts.push((place, count));
                    self.counts.insert(place, (count, Ticket(u64::MAX)));
                }
                if number == 22 {
                    batch.deleted_queues.push(DELETED);
                }
            }
        }
        batch
    }

    fn appended(&mut self, ticket: Ticket) {
        let stamp = |given: &mut Ticket| *given = ticket.min(*given);
        self.messages.values_mut().for_each(|(_, given)| stamp(given));
        self.settled.values_mut().for_each(stamp);
        self.counts.values_mut().for_each(|(_, given)| stamp(given));
    }

    /// Does steps of the script until one fails. With a durable ticket after each that waits.
    fn work(&mut self, log: &Log, steps: Range<u64>) -> Result<(), StorageError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for number in steps {
            let mut batch = self.step(number);
            let awaited = batch.awaited;
            let ticket = log.append(&mut batch);
            self.appended(ticket);
            if awaited {
                runtime.block_on(log.progress().reached(ticket))?;
            }
            self.durable = self.durable.max(log.progress().durable());
            if number % 5 == 0 {
                self.check_read(log)?;
            }
        }
        Ok(())
    }

    /// What is read is what was appended.
    fn check_read(&self, log: &Log) -> Result<(), StorageError> {
        for queue in QUEUES {
            for message in log.read(queue, slice::from_ref(&(0..u64::MAX)))?.messages {
                let place = Place { queue, sequence: message.sequence };
                assert_eq!(bytes_of(&message.content), self.messages[&place].0);
            }
        }
        Ok(())
    }

    /// What is in the log is what it must and may be in it.
    fn check(&self, log: &Log, recovered: &Recovered, context: &str) -> BTreeSet<Place> {
        let mut found = BTreeSet::new();
        for (queue, messages) in &recovered.queues {
            let sequences: Vec<u64> = messages.messages.iter().map(|one| one.sequence).collect();
            assert!(sequences.is_sorted_by(|one, next| one < next), "{context}: {sequences:?}");
            let read = log.read(*queue, slice::from_ref(&(0..u64::MAX))).unwrap().messages;
            assert_eq!(read.len(), sequences.len(), "{context}");
            for (message, one) in read.iter().zip(messages.messages.iter()) {
                let place = Place { queue: *queue, sequence: message.sequence };
                let (body, _) = &self.messages[&place];
                assert_eq!(&bytes_of(&message.content), body, "{context}: {place:?}");
                assert_eq!(one.size as usize, body.len(), "{context}");
                assert!(messages.next_sequence > one.sequence, "{context}");
                if let Some((count, ticket)) = self.counts.get(&place) {
                    let is_told = one.delivery_count == *count;
                    assert!(is_told || *ticket > self.durable, "{context}: {place:?}");
                }
                found.insert(place);
            }
        }
        for (place, (_, ticket)) in &self.messages {
            let is_promised = *ticket <= self.durable && place.queue != DELETED;
            if is_promised && !self.settled.contains_key(place) {
                assert!(found.contains(place), "{context}: {place:?} is lost");
            }
        }
        self.check_batches(&found, context);
        found
    }

    /// Goes on with a log that was opened again. What is not there now was not promised, and does
    /// not come back.
    fn start_anew(&mut self, recovered: &Recovered, found: &BTreeSet<Place>) {
        self.messages.retain(|place, _| found.contains(place));
        self.messages.values_mut().for_each(|(_, ticket)| *ticket = Ticket(0));
        self.settled.retain(|place, _| found.contains(place));
        self.settled.values_mut().for_each(|ticket| *ticket = Ticket(0));
        self.batches.clear();
        self.counts.clear();
        for (queue, messages) in &recovered.queues {
            self.next.insert(*queue, messages.next_sequence);
        }
        self.durable = Ticket(0);
    }

    /// Each came back whole or not at all.
    fn check_batches(&self, found: &BTreeSet<Place>, context: &str) {
        for (brought, settled) in &self.batches {
            let there = brought.iter().filter(|place| found.contains(place)).count();
            let later_settled = brought.iter().filter(|place| self.settled.contains_key(place));
            let gone = later_settled.filter(|place| !found.contains(place)).count();
            assert!(there == 0 || there + gone == brought.len(), "{context}: half of {brought:?}");
            let is_there = there > 0;
            for place in settled {
                assert!(!(is_there && found.contains(place)), "{context}: {place:?} came back");
                let is_promised = self.messages[place].1 <= self.durable;
                let is_kept = found.contains(place) || !is_promised || is_there || gone > 0;
                assert!(is_kept, "{context}: {place:?} is lost");
            }
        }
    }
}

fn bytes_of(content: &Content) -> Vec<u8> {
    let tail = content.tail.as_ref().map(|tail| tail.to_vec()).unwrap_or_default();
    [content.head.to_vec(), tail].concat()
}

fn known() -> HashSet<u64> {
    HashSet::from(QUEUES)
}

fn open(
    directory: &Path,
    store: &StoreId,
    options: &Options,
    files: &FaultyFiles,
) -> Result<(Arc<Log>, Recovered), StorageError> {
    Log::open_with(directory, store, options, &known(), Arc::new(files.clone()))
}

/// What may be told when an operation was made to fail: never a panic, never damage.
fn assert_expected(error: &StorageError, context: &str) {
    let is_plain = matches!(error, StorageError::Io { .. } | StorageError::Closed);
    assert!(is_plain, "{context}: {error}");
}

/// Opens what is left, checks it, goes on with it, and opens it once more.
fn check_reopened(directory: &Path, store: &StoreId, promises: &mut Promises, context: &str) {
    for steps in [100..112, 112..112] {
        // The real one, but for the syncs, which take long.
        let files = FaultyFiles::new(directory);
        let (log, recovered) = open(directory, store, &options(), &files)
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        let found = promises.check(&log, &recovered, context);
        promises.start_anew(&recovered, &found);
        promises.work(&log, steps).unwrap_or_else(|error| panic!("{context}: {error}"));
        log.close().unwrap();
        promises.durable = Ticket(u64::MAX - 1);
    }
}

/// Does the script with the `nth` operation of a kind struck. False if it has not so many.
fn strike(operation: Operation, nth: u64, fault: Fault) -> bool {
    let context = format!("{operation:?} {nth} {fault:?}");
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = (directory.path(), StoreId::random());
    let files = FaultyFiles::new(path);
    files.plan(operation, nth, fault);
    let mut promises = Promises::default();
    match open(path, &store, &options(), &files) {
        Ok((log, _)) => {
            if let Err(error) = promises.work(&log, 0..32) {
                assert_expected(&error, &context);
            }
            if let Health::Failed(error) = log.progress().health() {
                assert_expected(&error, &context);
            }
            if let Err(error) = log.close() {
                assert_expected(&error, &context);
            }
            promises.durable = promises.durable.max(log.progress().durable());
        }
        Err(error) => assert_expected(&error, &context),
    }
    let has_struck = files.has_struck();
    check_reopened(path, &store, &mut promises, &context);
    has_struck
}

fn strike_each(operation: Operation, fault: Fault) {
    let struck = (0..).take_while(|nth| strike(operation, *nth, fault)).count();
    assert!(struck > 0, "the script has no {operation:?}");
}

#[test]
fn a_failed_write_at_any_point_loses_nothing_that_was_promised() {
    strike_each(Operation::Write, Fault::Error(io::ErrorKind::Other));
}

#[test]
fn a_short_write_is_continued_wherever_it_happens() {
    strike_each(Operation::Write, Fault::Short);
}

#[test]
fn the_end_of_the_process_in_any_write_loses_nothing_that_was_promised() {
    strike_each(Operation::Write, Fault::Death);
}

#[test]
fn a_failed_fsync_at_any_point_loses_nothing_that_was_promised() {
    strike_each(Operation::Sync, Fault::Error(io::ErrorKind::Other));
    strike_each(Operation::SyncDirectory, Fault::Error(io::ErrorKind::Other));
}

#[test]
fn the_end_of_the_process_in_any_fsync_loses_nothing_that_was_promised() {
    strike_each(Operation::Sync, Fault::Death);
    strike_each(Operation::SyncDirectory, Fault::Death);
}

#[test]
fn a_file_that_cannot_be_made_or_read_loses_nothing_that_was_promised() {
    for operation in [Operation::Create, Operation::Read] {
        strike_each(operation, Fault::Error(io::ErrorKind::Other));
        strike_each(operation, Fault::Death);
    }
}

#[test]
fn a_disk_that_is_full_for_a_moment_loses_nothing_that_was_promised() {
    for nth in [0, 1, 2, 5, 8, 13, 21] {
        strike(Operation::Write, nth, Fault::Error(io::ErrorKind::StorageFull));
    }
}

/// Loses power after some steps; `loss` says what the disk had anyway.
fn cut_power(steps: u64, policy: FsyncPolicy, loss: Loss) {
    let context = format!("power lost after {steps} steps, {policy:?}, {loss:?}");
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = (directory.path(), StoreId::random());
    let files = FaultyFiles::remembering(path);
    let options = Options { fsync: policy, ..options() };
    let mut promises = Promises::default();
    let (log, _) = open(path, &store, &options, &files).unwrap();
    promises.work(&log, 0..steps).unwrap();
    promises.durable = promises.durable.max(log.progress().durable());
    files.lose_power(path, loss);
    drop(log);
    if policy == FsyncPolicy::Os {
        // It promises nothing here; what is there must still make sense.
        promises.durable = Ticket(0);
    }
    check_reopened(path, &store, &mut promises, &context);
}

#[test]
fn a_power_failure_loses_nothing_that_was_promised() {
    for steps in 0..40 {
        cut_power(steps, FsyncPolicy::Group, Loss::All);
        cut_power(steps, FsyncPolicy::Group, Loss::Some(steps));
        cut_power(steps, FsyncPolicy::Os, Loss::Some(steps + 1000));
    }
}

/// What a killed process wrote but never synced is recovered by the next one, which then tells that
/// everything is synced: it must have seen to that.
#[test]
fn a_power_failure_after_a_kill_loses_nothing_that_was_promised() {
    for nth in 0..40 {
        let context = format!("killed in write {nth}, then the power failed");
        let directory = tempfile::tempdir().unwrap();
        let (path, store) = (directory.path(), StoreId::random());
        let files = FaultyFiles::remembering(path);
        files.plan(Operation::Write, nth, Fault::Death);
        let mut promises = Promises::default();
        if let Ok((log, _)) = open(path, &store, &options(), &files) {
            drop(promises.work(&log, 0..32));
            promises.durable = promises.durable.max(log.progress().durable());
        }
        files.revive();
        let (log, recovered) = open(path, &store, &options(), &files).unwrap();
        let found = promises.check(&log, &recovered, &context);
        promises.start_anew(&recovered, &found);
        // It may only tell of what it has done when it writes something.
        promises.work(&log, 100..102).unwrap();
        log.shared.sync().unwrap();
        promises.work(&log, 102..104).unwrap();
        promises.durable = promises.durable.max(log.progress().durable());
        files.lose_power(path, Loss::All);
        drop(log);
        check_reopened(path, &store, &mut promises, &context);
    }
}

/// Whatever a segment loses after an orderly end, the manifest knows better.
#[test]
fn a_segment_that_loses_its_end_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store) = (directory.path(), StoreId::random());
    let files = FaultyFiles::new(path);
    let mut promises = Promises::default();
    let (log, _) = open(path, &store, &options(), &files).unwrap();
    promises.work(&log, 0..60).unwrap();
    log.close().unwrap();
    drop(log);
    let segments: Vec<_> = files
        .list(path)
        .unwrap()
        .into_iter()
        .filter_map(|entry| SegmentName::parse(&entry.name))
        .collect();
    assert!(segments.len() > 3);
    for name in &segments {
        let segment = name.path(path);
        let whole = std::fs::read(&segment).unwrap();
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        if end <= 64 {
            // The next one, which nothing was written to.
            continue;
        }
        for end in (0..end).step_by(7) {
            std::fs::write(&segment, &whole[..end]).unwrap();
            let refused = open(path, &store, &options(), &FaultyFiles::new(path)).unwrap_err();
            assert!(matches!(refused, StorageError::Damaged { .. }), "{name} cut to {end}");
            assert!(refused.to_string().contains(&name.to_string()), "{refused}");
        }
        std::fs::write(&segment, whole).unwrap();
    }
}
