//! Logs written by hand, and by the book what they come to.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::super::faults::FaultyFiles;
use super::super::super::files::RealFiles;
use super::super::super::frame::{AckChunk, FrameBuffer};
use super::super::super::index::{Gaps, Index};
use super::super::super::segment::{HEADER_SIZE, SegmentHeader, SegmentName};
use super::super::super::snapshot;
use super::super::*;
use crate::messages::{Place, Settled};

/// What a frame says, as a test thinks of it.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Publish(Vec<Place>, u16),
    Ack(Place),
    Range(Settled),
    Count(Place, u32),
    Delete(u64),
    Batch(Vec<Self>),
    Synced,
    /// The segment of this id is synced up to this byte.
    SyncedAt(u32, u32),
}

pub(super) fn at(queue: u64, sequence: u64) -> Place {
    Place { queue, sequence }
}

pub(super) fn publish(queue: u64, sequence: u64) -> Event {
    Event::Publish(vec![at(queue, sequence)], 20)
}

/// The note of a message tells it from all others.
pub(super) fn note(places: &[Place], size: u16) -> u64 {
    places.iter().fold(u64::from(size), |note, place| {
        note.wrapping_mul(31).wrapping_add(place.queue * 1000 + place.sequence)
    })
}

/// The queues of a log by the book: notes by place, and what is settled.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) messages: BTreeMap<Place, (u64, u32)>,
    pub(super) settled: Vec<Settled>,
    pub(super) counts: BTreeMap<Place, u32>,
    pub(super) deleted: Vec<u64>,
}

impl Model {
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Publish(places, size) => {
                for place in places {
                    self.messages.insert(*place, (note(places, *size), u32::from(*size)));
                }
            }
            Event::Ack(Place { queue, sequence }) => {
                self.settled.push(Settled { queue: *queue, first: *sequence, count: 1 });
            }
            Event::Range(settled) => self.settled.push(*settled),
            Event::Count(place, count) => {
                let highest = self.counts.entry(*place).or_default();
                *highest = (*count).max(*highest);
            }
            Event::Delete(queue) => self.deleted.push(*queue),
            Event::Batch(events) => events.iter().for_each(|event| self.apply(event)),
            Event::Synced | Event::SyncedAt(..) => {}
        }
    }

    /// Sequence, note, size and count of what is not settled, by queue.
    pub(super) fn live(&self) -> BTreeMap<u64, Vec<(u64, u64, u32, u32)>> {
        let mut live = BTreeMap::<_, Vec<_>>::new();
        for (place, (note, size)) in &self.messages {
            let Place { queue, sequence } = *place;
            let is_settled = self.settled.iter().any(|settled| {
                settled.queue == queue
                    && (settled.first..settled.first + settled.count).contains(&sequence)
            });
            if !is_settled && !self.deleted.contains(&queue) {
                let count = self.counts.get(place).copied().unwrap_or(0);
                live.entry(queue).or_default().push((sequence, *note, *size, count));
            }
        }
        live
    }
}

/// One frame of a written log.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) segment: usize,
    pub(super) offset: usize,
    pub(super) end: usize,
    pub(super) event: Event,
}

/// A log in memory, segment by segment.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) store: StoreId,
    pub(super) segments: Vec<(SegmentName, Vec<u8>)>,
    pub(super) frames: Vec<Written>,
}

impl History {
    pub(super) fn new(segments: &[Vec<Event>]) -> Self {
        let mut history =
            Self { store: StoreId::random(), segments: Vec::new(), frames: Vec::new() };
        for (id, events) in (1..).zip(segments) {
            // A segment tells how long the one before it was when it was sealed.
            let sealed = history
                .segments
                .last()
                .map(|(name, bytes)| Event::SyncedAt(name.id, u32::try_from(bytes.len()).unwrap()));
            let events: Vec<_> = sealed.into_iter().chain(events.iter().cloned()).collect();
            history.add(SegmentName::hot(id), &events);
        }
        history
    }

    pub(super) fn add(&mut self, name: SegmentName, events: &[Event]) {
        let header = SegmentHeader { name, store: self.store.bytes(), created_unix_ms: 0 };
        let mut frames = FrameBuffer::default();
        frames.begin(LogPosition { segment: name.id, offset: HEADER_SIZE });
        for event in events {
            let offset = frames.end().offset as usize;
            write(&mut frames, event);
            let end = frames.end().offset as usize;
            let segment = self.segments.len();
            self.frames.push(Written { segment, offset, end, event: event.clone() });
        }
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(frames.bytes());
        self.segments.push((name, bytes));
    }

    /// The same, beginning with what is settled so far.
    pub(super) fn add_with_snapshot(&mut self, name: SegmentName, events: &[Event]) {
        let mut index = Index::new(Gaps::Open);
        let model = self.model(|_| true);
        for place in model.messages.keys() {
            index.raise_next(place.queue, place.sequence + 1);
        }
        model.settled.iter().for_each(|settled| index.settle(*settled, |_, _| {}));
        let before = self.frames.len();
        self.add(name, events);
        let (_, bytes) = self.segments.last_mut().unwrap();
        let mut frames = FrameBuffer::default();
        frames.begin(LogPosition { segment: name.id, offset: HEADER_SIZE });
        snapshot::write(&index, &mut frames).unwrap();
        for frame in &mut self.frames[before..] {
            frame.offset = frames.end().offset as usize;
            write(&mut frames, &frame.event);
            frame.end = frames.end().offset as usize;
        }
        bytes.truncate(HEADER_SIZE as usize);
        bytes.extend_from_slice(frames.bytes());
    }

    pub(super) fn directory(&self) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in &self.segments {
            fs::write(name.path(directory.path()), bytes).unwrap();
        }
        directory
    }

    /// Where the last SYNCED stands that is whole when everything from a place on is gone.
    pub(super) fn synced_before(&self, segment: usize, offset: usize) -> Option<(usize, usize)> {
        self.frames
            .iter()
            .filter(|frame| (frame.segment, frame.end) <= (segment, offset))
            .filter(|frame| matches!(frame.event, Event::Synced))
            .map(|frame| (frame.segment, frame.offset))
            .max()
    }

    pub(super) fn model(&self, keep: impl Fn(&Written) -> bool) -> Model {
        let mut model = Model::default();
        self.frames.iter().filter(|frame| keep(frame)).for_each(|frame| model.apply(&frame.event));
        model
    }

    pub(super) fn path(&self, directory: &TempDir, segment: usize) -> PathBuf {
        self.segments[segment].0.path(directory.path())
    }
}

pub(super) fn write(frames: &mut FrameBuffer, event: &Event) {
    match event {
        Event::Publish(places, size) => {
            let body = vec![b'm'; usize::from(*size)];
            let (head, tail) = body.split_at(body.len() / 2);
            frames.publish(note(places, *size), head, tail, places).unwrap();
        }
        Event::Ack(place) => {
            let mut bitmap = [0; 32];
            bitmap[(place.sequence % 256 / 8) as usize] = 1 << (place.sequence % 8);
            let base = place.sequence / 256 * 256;
            frames.acks(&[AckChunk { queue: place.queue, base, bitmap }]).unwrap();
        }
        Event::Range(settled) => frames.ranges(&[*settled]).unwrap(),
        Event::Count(place, count) => frames.counts(&[(*place, *count)]).unwrap(),
        Event::Delete(queue) => frames.deleted_queues(&[*queue]).unwrap(),
        Event::Batch(events) => {
            frames
                .batch(|batch| {
                    for event in events {
                        match event {
                            Event::Publish(places, size) => {
                                let body = vec![b'm'; usize::from(*size)];
                                batch.publish(note(places, *size), &body, &[], places);
                            }
                            Event::Range(settled) => batch.ranges(&[*settled]),
                            Event::Count(place, count) => batch.counts(&[(*place, *count)]),
                            Event::Delete(queue) => batch.deleted_queues(&[*queue]),
                            Event::Ack(_)
                            | Event::Batch(_)
                            | Event::Synced
                            | Event::SyncedAt(..) => {
                                unreachable!()
                            }
                        }
                    }
                })
                .unwrap();
        }
        Event::Synced => {
            let position = frames.end();
            frames.synced(position).unwrap();
        }
        Event::SyncedAt(segment, offset) => {
            frames.synced(LogPosition { segment: *segment, offset: *offset }).unwrap();
        }
    }
}

/// What a recovery gave, in the words of the model.
pub(super) type Live = BTreeMap<u64, Vec<(u64, u64, u32, u32)>>;

pub(super) fn live(recovered: &Recovered) -> Live {
    let queues = recovered.queues.iter().filter(|(_, queue)| !queue.messages.is_empty());
    queues
        .map(|(queue, recovered)| {
            let messages = recovered.messages.iter();
            let messages =
                messages.map(|one| (one.sequence, one.note, one.size, one.delivery_count));
            (*queue, messages.collect())
        })
        .collect()
}

pub(super) fn attempt(history: &History, directory: &TempDir) -> Result<Recovered, StorageError> {
    attempt_with(history, directory, false)
}

pub(super) fn attempt_with(
    history: &History,
    directory: &TempDir,
    salvage: bool,
) -> Result<Recovered, StorageError> {
    let known_queues: HashSet<u64> = (0..10).collect();
    recover(&Request {
        directory: directory.path(),
        store: &history.store,
        known_queues: &known_queues,
        salvage,
        // Syncs nothing, which is what takes long.
        files: &FaultyFiles::new(directory.path()),
    })
    .map(|(_, recovered)| recovered)
}

pub(super) fn content(directory: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let entries = RealFiles.list(directory.path()).unwrap().into_iter();
    entries
        .map(|entry| {
            let bytes = fs::read(directory.path().join(&entry.name)).unwrap();
            (entry.name, bytes)
        })
        .collect()
}

pub(super) fn refused(outcome: Result<Recovered, StorageError>) -> (PathBuf, String) {
    let error = outcome.unwrap_err();
    let StorageError::Damaged { path, detail } = error else { panic!("{error}") };
    (path, detail)
}

/// A little of everything over three segments, synced up to the last third of the last one.
pub(super) fn sample() -> History {
    History::new(&[
        vec![publish(1, 1), publish(1, 2), Event::Synced, publish(2, 1), publish(1, 3)],
        vec![
            Event::Ack(at(1, 2)),
            Event::Publish(vec![at(1, 4), at(2, 2), at(3, 1)], 33),
            Event::Synced,
            Event::Batch(vec![
                publish(2, 3),
                Event::Range(Settled { queue: 1, first: 3, count: 1 }),
            ]),
        ],
        vec![
            Event::Count(at(1, 1), 2),
            publish(3, 2),
            Event::Synced,
            Event::Range(Settled { queue: 2, first: 0, count: 2 }),
            publish(1, 5),
        ],
    ])
}

pub(super) fn places() -> impl Strategy<Value = Place> {
    (0..4_u64, 0..300_u64).prop_map(|(queue, sequence)| at(queue, sequence))
}

pub(super) fn simple_events() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (vec(places(), 1..3), 0..50_u16).prop_map(|(mut places, size)| {
            places.dedup();
            Event::Publish(places, size)
        }),
        2 => (places(), 1..20_u64).prop_map(|(place, count)| {
            Event::Range(Settled { queue: place.queue, first: place.sequence, count })
        }),
        1 => (places(), 1..5_u32).prop_map(|(place, count)| Event::Count(place, count)),
        1 => (20..24_u64).prop_map(Event::Delete),
    ]
}

pub(super) fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => simple_events(),
        3 => places().prop_map(Event::Ack),
        1 => vec(simple_events(), 0..4).prop_map(Event::Batch),
        1 => Just(Event::Synced),
    ]
}

/// No place is used for two messages.
pub(super) fn unique(segments: Vec<Vec<Event>>) -> Vec<Vec<Event>> {
    pub(super) fn keep(event: &mut Event, used: &mut HashSet<Place>) {
        match event {
            Event::Publish(places, _) => places.retain(|place| used.insert(*place)),
            Event::Batch(events) => events.iter_mut().for_each(|event| keep(event, used)),
            Event::Ack(_)
            | Event::Range(_)
            | Event::Count(..)
            | Event::Delete(_)
            | Event::Synced
            | Event::SyncedAt(..) => {}
        }
    }
    let mut used = HashSet::new();
    let mut segments = segments;
    segments.iter_mut().flatten().for_each(|event| keep(event, &mut used));
    segments
}

pub(super) fn histories() -> impl Strategy<Value = History> {
    vec(vec(events(), 0..30), 1..5).prop_map(|segments| History::new(&unique(segments)))
}
