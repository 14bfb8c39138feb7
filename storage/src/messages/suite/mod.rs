//! What every `MessageStore` promises, run against each implementation.
//!
//! A case gets a [`Bench`]: a store that can be closed and opened again, or left in the lurch as by
//! a crash. What only one store promises is tested beside it.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::{
    Batch, Content, Log, MemoryMessages, MessageStore, Options, Place, Publish, Recovered, Settled,
    SledMessages, Ticket,
};
use crate::StoreId;

mod appending;
mod model;
mod reopening;

/// The queues that a bench knows unless a case says otherwise.
const KNOWN: Range<u64> = 1..6;

/// How long a ticket may take: only a store that hangs takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to open a store, and to open what a crash would leave of it.
trait Subject: Send + Sync {
    fn open(&mut self, known_queues: &HashSet<u64>) -> (Arc<dyn MessageStore>, Recovered);

    /// The next opening finds what is durable now, whatever happens to the open store later.
    fn crash(&mut self);
}

#[derive(Default)]
struct Memory(Option<Arc<MemoryMessages>>);

impl Subject for Memory {
    fn open(&mut self, known_queues: &HashSet<u64>) -> (Arc<dyn MessageStore>, Recovered) {
        let before = self.0.take().unwrap_or_else(MemoryMessages::new);
        let (store, recovered) = before.reopened(known_queues);
        self.0 = Some(Arc::clone(&store));
        (store, recovered)
    }

    fn crash(&mut self) {}
}

/// A store in a directory.
struct OnDisk<F> {
    directory: TempDir,
    open: F,
}

impl<F> OnDisk<F> {
    fn new(open: F) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), open }
    }
}

impl<F> Subject for OnDisk<F>
where
    F: FnMut(&Path, &HashSet<u64>) -> (Arc<dyn MessageStore>, Recovered) + Send + Sync,
{
    fn open(&mut self, known_queues: &HashSet<u64>) -> (Arc<dyn MessageStore>, Recovered) {
        (self.open)(self.directory.path(), known_queues)
    }

    /// The open store keeps its files; the next one gets a copy, of a time in which none of
    /// them came or went, nor what is said of them changed.
    fn crash(&mut self) {
        self.directory = loop {
            let copy = tempfile::tempdir().unwrap();
            let look = || (names(self.directory.path()), manifest(self.directory.path()));
            let before = look();
            let copied = copy_directory(self.directory.path(), copy.path());
            if copied.is_ok() && look() == before {
                break copy;
            }
        };
    }
}

/// What a log says of its files.
fn manifest(directory: &Path) -> Option<Vec<u8>> {
    fs::read(directory.join("messages").join("MANIFEST")).ok()
}

fn names(directory: &Path) -> BTreeSet<OsString> {
    fs::read_dir(directory)
        .unwrap()
        .map(Result::unwrap)
        .flat_map(|entry| {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let inner = if is_directory { names(&entry.path()) } else { BTreeSet::new() };
            inner.into_iter().chain([entry.path().into_os_string()])
        })
        .collect()
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// An open store and the way to open it again.
struct Bench {
    subject: Box<dyn Subject>,
    known_queues: HashSet<u64>,
    store: Arc<dyn MessageStore>,
}

impl Bench {
    fn new(mut subject: Box<dyn Subject>) -> Self {
        let known_queues = KNOWN.collect();
        let (store, recovered) = subject.open(&known_queues);
        assert!(recovered.queues.values().all(|queue| queue.messages.is_empty()));
        assert!(recovered.quarantined.is_empty() && recovered.notes.is_empty());
        Self { subject, known_queues, store }
    }

    /// Closes the store and opens it again.
    fn reopen(&mut self) -> Recovered {
        self.store.close().unwrap();
        self.open()
    }

    /// Opens what a crash would leave.
    fn crash(&mut self) -> Recovered {
        self.subject.crash();
        self.open()
    }

    fn open(&mut self) -> Recovered {
        let (store, recovered) = self.subject.open(&self.known_queues);
        self.store = store;
        recovered
    }

    fn open_knowing(&mut self, queues: impl IntoIterator<Item = u64>) -> Recovered {
        self.known_queues = queues.into_iter().collect();
        self.open()
    }

    fn append(&self, mut batch: Batch) -> Ticket {
        let ticket = self.store.append(&mut batch);
        assert!(batch.is_empty(), "the store takes everything out of a batch");
        ticket
    }

    /// Appends and waits until it is durable.
    fn commit(&self, mut batch: Batch) {
        batch.awaited = true;
        let ticket = self.append(batch);
        wait(&*self.store, ticket);
    }

    /// The sequence numbers and contents of a queue.
    fn queue(&self, queue: u64) -> Vec<(u64, Vec<u8>)> {
        self.range(queue, 0..u64::MAX)
    }

    fn range(&self, queue: u64, sequences: Range<u64>) -> Vec<(u64, Vec<u8>)> {
        self.ranges(queue, std::slice::from_ref(&sequences))
    }

    fn ranges(&self, queue: u64, sequences: &[Range<u64>]) -> Vec<(u64, Vec<u8>)> {
        let read = self.store.read(queue, sequences).unwrap();
        assert!(read.damaged.is_empty());
        read.messages
            .into_iter()
            .map(|message| (message.sequence, bytes(&message.content)))
            .collect()
    }

    /// The sequence numbers of a queue.
    fn sequences(&self, queue: u64) -> Vec<u64> {
        self.queue(queue).into_iter().map(|(sequence, _)| sequence).collect()
    }
}

/// Runs a case on a fresh store of each kind.
fn on_every_store(test: impl Fn(&mut Bench)) {
    test(&mut Bench::new(Box::new(Memory::default())));
    test(&mut Bench::new(Box::new(OnDisk::new(open_sled))));
    test(&mut Bench::new(Box::new(OnDisk::new(open_log(Options::default())))));
    // Segments so small that most cases fill many.
    let options = Options { segment_size: 2000, ..Options::default() };
    test(&mut Bench::new(Box::new(OnDisk::new(open_log(options)))));
}

fn open_log(
    options: Options,
) -> impl FnMut(&Path, &HashSet<u64>) -> (Arc<dyn MessageStore>, Recovered) {
    let store = StoreId::random();
    move |directory, known_queues| {
        let directory = directory.join("messages");
        let (log, recovered) = Log::open(&directory, &store, &options, known_queues).unwrap();
        (log, recovered)
    }
}

fn open_sled(directory: &Path, known_queues: &HashSet<u64>) -> (Arc<dyn MessageStore>, Recovered) {
    let (store, recovered) =
        SledMessages::open(directory, &Options::default(), known_queues).unwrap();
    (store, recovered)
}

fn wait(store: &dyn MessageStore, ticket: Ticket) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let reached = async { tokio::time::timeout(PATIENCE, store.progress().reached(ticket)).await };
    runtime.block_on(reached).expect("the ticket should become durable").unwrap();
}

fn bytes(content: &Content) -> Vec<u8> {
    let tail = content.tail.as_ref().map_or(&[][..], |tail| &tail[..]);
    [&content.head, tail].concat()
}

fn content(text: &str) -> Content {
    Content { note: text.len() as u64, head: Arc::from(text.as_bytes()), ..Content::default() }
}

fn with_tail(text: &str, tail: Vec<u8>) -> Content {
    Content { tail: Some(Arc::new(Bytes::from(tail))), ..content(text) }
}

fn place(queue: u64, sequence: u64) -> Place {
    Place { queue, sequence }
}

/// One message in some places.
fn publish(content: Content, places: &[(u64, u64)]) -> Publish {
    Publish { content, places: places.iter().map(|(q, s)| place(*q, *s)).collect() }
}

/// A batch that publishes a message of its own in each place.
fn publishes(queue: u64, sequences: impl IntoIterator<Item = u64>) -> Batch {
    let message = |sequence| publish(content(&text(queue, sequence)), &[(queue, sequence)]);
    Batch { publishes: sequences.into_iter().map(message).collect(), ..Batch::default() }
}

/// What `publishes` puts in a place.
fn text(queue: u64, sequence: u64) -> String {
    format!("message {sequence} of queue {queue}")
}

/// What reading a queue gives after `publishes`.
fn expected(queue: u64, sequences: impl IntoIterator<Item = u64>) -> Vec<(u64, Vec<u8>)> {
    let message = |sequence| (sequence, text(queue, sequence).into_bytes());
    sequences.into_iter().map(message).collect()
}

fn settles(queue: u64, sequences: Range<u64>) -> Batch {
    let (first, count) = (sequences.start, sequences.end - sequences.start);
    Batch { settled: vec![Settled { queue, first, count }], ..Batch::default() }
}

/// The sequence numbers recovered in a queue.
fn recovered_sequences(recovered: &Recovered, queue: u64) -> Vec<u64> {
    let queue = recovered.queues.get(&queue);
    queue.map_or(Vec::new(), |queue| queue.messages.iter().map(|one| one.sequence).collect())
}

/// The sequence number that the next message of a queue may have.
fn next_sequence(recovered: &Recovered, queue: u64) -> u64 {
    recovered.queues.get(&queue).map_or(0, |queue| queue.next_sequence)
}
