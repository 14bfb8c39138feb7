//! The log as a whole, over a real directory: what the suite of all stores does not ask.

#![expect(clippy::single_range_in_vec_init, reason = "one range is asked for")]

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tempfile::TempDir;

use super::Log;
use crate::messages::{
    Batch, Content, Health, MessageStore, Options, Place, Publish, Recovered, Settled, Ticket,
};
use crate::wal::{Entry, Files, LogFile, RealFiles};
use crate::{StorageError, StoreId};

mod appending;
mod compaction;
mod compaction_faults;
mod failing;
mod power_loss;

/// How long anything may take: only what hangs takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

fn content(text: &str) -> Content {
    Content { note: text.len() as u64, head: text.as_bytes().into(), ..Content::default() }
}

fn place(queue: u64, sequence: u64) -> Place {
    Place { queue, sequence }
}

fn publish(text: &str, places: &[(u64, u64)]) -> Publish {
    let places = places.iter().map(|(queue, sequence)| place(*queue, *sequence)).collect();
    Publish { content: content(text), places }
}

/// Messages of one queue, each with its place in its text, that somebody waits for.
fn publishes(queue: u64, sequences: impl IntoIterator<Item = u64>) -> Batch {
    let message = |sequence| publish(&format!("{queue}/{sequence}"), &[(queue, sequence)]);
    Batch {
        publishes: sequences.into_iter().map(message).collect(),
        awaited: true,
        ..Batch::default()
    }
}

fn settles(queue: u64, first: u64, count: u64) -> Batch {
    Batch { settled: vec![Settled { queue, first, count }], awaited: true, ..Batch::default() }
}

/// A log in a directory, and how it was opened.
struct Bench {
    log: Arc<Log>,
    directory: TempDir,
    options: Options,
    store: StoreId,
}

impl Bench {
    fn new(options: Options, files: impl FnOnce(&Path) -> Arc<dyn Files>) -> Self {
        let (directory, store) = (tempfile::tempdir().unwrap(), StoreId::random());
        let files = files(directory.path());
        let (log, recovered) =
            Log::open_with(directory.path(), &store, &options, &known(), files).unwrap();
        assert!(recovered.queues.is_empty() && recovered.notes.is_empty());
        Self { log, directory, options, store }
    }

    fn real(options: Options) -> Self {
        Self::new(options, |_| Arc::new(RealFiles))
    }

    fn append(&self, mut batch: Batch) -> Ticket {
        self.log.append(&mut batch)
    }

    /// Appends and waits until it is durable.
    fn commit(&self, batch: Batch) {
        let ticket = self.append(batch);
        self.wait(ticket).unwrap();
    }

    fn wait(&self, ticket: Ticket) -> Result<(), StorageError> {
        block_on(self.log.progress().reached(ticket))
    }

    fn wait_for_health(&self, is_it: impl Fn(&Health) -> bool) {
        let mut watch = self.log.progress().watch_health();
        block_on(watch.wait_for(|health| is_it(health))).unwrap();
    }

    fn queue(&self, queue: u64) -> Vec<(u64, String)> {
        let read = self.log.read(queue, &[0..u64::MAX]).unwrap();
        assert!(read.damaged.is_empty(), "{:?}", read.damaged);
        let messages = read.messages;
        let text = |content: &Content| {
            let tail = content.tail.as_ref().map_or(&[][..], |tail| tail.as_ref());
            String::from_utf8([&content.head, tail].concat()).unwrap()
        };
        messages.iter().map(|message| (message.sequence, text(&message.content))).collect()
    }

    fn sequences(&self, queue: u64) -> Vec<u64> {
        self.queue(queue).into_iter().map(|(sequence, _)| sequence).collect()
    }

    /// Closes and opens it again with the files of the system.
    fn reopen(&mut self) -> Recovered {
        self.log.close().unwrap();
        self.open_again()
    }

    fn open_again(&mut self) -> Recovered {
        let (directory, options) = (self.directory.path(), &self.options);
        let (log, recovered) =
            Log::open_with(directory, &self.store, options, &known(), Arc::new(RealFiles)).unwrap();
        self.log = log;
        recovered
    }

    /// Bytes of all segments.
    fn disk(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for Entry { name, .. } in RealFiles.list(self.directory.path()).unwrap() {
            if name.contains('-') {
                all.extend(std::fs::read(self.directory.path().join(name)).unwrap());
            }
        }
        all
    }
}

fn known() -> HashSet<u64> {
    (1..10).collect()
}

fn small() -> Options {
    Options { segment_size: 16 << 10, ..Options::default() }
}

fn expected(queue: u64, sequences: impl IntoIterator<Item = u64>) -> Vec<(u64, String)> {
    sequences.into_iter().map(|sequence| (sequence, format!("{queue}/{sequence}"))).collect()
}

fn recovered(recovered: &Recovered, queue: u64) -> Vec<u64> {
    let messages = recovered.queues.get(&queue).map(|queue| &queue.messages);
    messages.into_iter().flat_map(|all| all.iter()).map(|message| message.sequence).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await }).expect("the log hangs")
}

/// The system's files, but writes and syncs wait while they are held up.
#[derive(Clone, Debug, Default)]
struct Gate {
    state: Arc<(Mutex<Held>, Condvar)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    writes: bool,
    syncs: bool,
    /// How many of either wait.
    waiting: usize,
    syncs_done: u64,
    panics: bool,
}

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn LogFile>,
    gate: Gate,
}

impl Gate {
    fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.state.0.lock());
        self.state.1.notify_all();
    }

    fn pass(&self, is_held: impl Fn(&Held) -> bool) {
        let mut held = self.state.0.lock();
        held.waiting += 1;
        self.state.1.notify_all();
        self.state.1.wait_while(&mut held, |held| is_held(held));
        held.waiting -= 1;
        assert!(!held.panics, "as the test wants it");
    }

    /// Until somebody waits at the gate.
    fn await_waiting(&self) {
        let mut held = self.state.0.lock();
        let late = self.state.1.wait_while_for(&mut held, |held| held.waiting == 0, PATIENCE);
        assert!(!late.timed_out(), "nobody came");
    }

    fn syncs_done(&self) -> u64 {
        self.state.0.lock().syncs_done
    }
}

impl LogFile for GatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.gate.pass(|held| held.writes);
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass(|held| held.syncs);
        self.gate.change(|held| held.syncs_done += 1);
        self.file.sync()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }
}

impl Files for Gate {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFiles.create_directory(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        let file = RealFiles.create_new(path)?;
        Ok(Arc::new(GatedFile { file, gate: self.clone() }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        RealFiles.open(path)
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        RealFiles.open_to_read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        RealFiles.list(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        RealFiles.sync_directory(directory)
    }
}
