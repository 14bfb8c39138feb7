//! The tree in sled: what is in it, and how one group gets there.
//!
//! ```text
//! version        0                      ─► u32
//! queue          1, queue               ─► next sequence number u64
//! count          2, queue, sequence     ─► delivery count u32
//! reference      3, queue, sequence     ─► id u64, note u64, arrived u64, until u64, size u32,
//!                                          places u32                  once per place
//! body           4, id                  ─► note u64, arrived u64, until u64, head length u32, head,
//!                                          tail                        once per message
//! ```
//! Keys are big-endian, so that the tree is in order; values little-endian. Bodies come last
//! because sled packs what is added at its end.
//!
//! Only the writer thread changes anything, and only it flushes: what it changes between two
//! flushes is one epoch of sled, and a flush makes an epoch durable whole. So a crash never
//! separates a reference from its body, or the parts of an atomic batch.
//!
//! sled panics on some kinds of damage, so every call into it is guarded. After a failure its
//! `flush` would wait for the failed one for ever, also when dropped, so a failed database is
//! leaked: the process is about to end. Keys are removed one by one: a batch of removals leaves an
//! empty leaf behind for every full one, for ever.

use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sled::InlineArray;

use super::group::{Group, Reference};
use super::writer::Engine;
use crate::StorageError;
use crate::messages::{Content, Place};
use crate::panics::{guarded, guarded_open};
use crate::wal::Reader;

/// Entries per leaf. A leaf is rewritten whole, so a small one bounds what a small group with large
/// messages costs; a large one takes less processor time. Cannot change without a new version.
const LEAF_FANOUT: usize = 32;

/// sled keeps everything in memory that was written since it was opened; this bounds the rest.
const CACHE_BYTES: usize = 32 << 20;

/// The version of what is drawn above.
const VERSION: u32 = 2;

const NO_UNTIL: u64 = u64::MAX;

const VERSION_KEY: [u8; 1] = [0];
const QUEUE: u8 = 1;
const COUNT: u8 = 2;
const REFERENCE: u8 = 3;
const BODY: u8 = 4;

type Tree = sled::Tree<LEAF_FANOUT>;

/// The open database; the writer thread's.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    /// `None` after a failure. A large thing.
    sled: Option<Box<sled::Db<LEAF_FANOUT>>>,
}

/// Reads bodies, for everyone but the writer thread.
#[derive(Debug)]
pub(super) struct Bodies {
    path: PathBuf,
    tree: Option<Box<Tree>>,
}

impl Database {
    /// Opens or creates the database in a directory.
    pub(super) fn open(path: &Path) -> Result<(Self, Bodies), StorageError> {
        // No flush thread: it would abort the process by itself and write half groups. Compressed
        // as little as sled allows, for most of the time of a flush goes there.
        let config = sled::Config::new()
            .path(path)
            .cache_capacity_bytes(CACHE_BYTES)
            .flush_every_ms(None)
            .zstd_compression_level(1);
        let open = || config.open().map(Box::new);
        let sled: Box<sled::Db<LEAF_FANOUT>> =
            guarded_open(open).map_err(|error| StorageError::io("open", path, error))?;
        let tree = Some(Box::new(Tree::clone(&sled)));
        let path = path.to_owned();
        Ok((Self { path: path.clone(), sled: Some(sled) }, Bodies { path, tree }))
    }

    /// Refuses what a later version wrote, and signs what is new.
    pub(super) fn check_version(&self) -> Result<(), StorageError> {
        let Some(sled) = &self.sled else { return Ok(()) };
        let refused = |error| StorageError::io("read", &self.path, error);
        let found = guarded(|| sled.get(VERSION_KEY)).map_err(refused)?;
        let Some(found) = found else {
            let sign = || sled.insert(VERSION_KEY, &VERSION.to_le_bytes()[..]).map(drop);
            return guarded(sign).map_err(refused);
        };
        match <[u8; 4]>::try_from(&*found).map(u32::from_le_bytes) {
            Ok(VERSION) => Ok(()),
            Ok(found) if found < VERSION => {
                Err(StorageError::OlderFormat { path: self.path.clone(), found })
            }
            Ok(found) => {
                let path = self.path.clone();
                Err(StorageError::NewerFormat { path, found, known: VERSION })
            }
            Err(_) => Err(self.damaged("its format version is not a number")),
        }
    }

    /// Tells every reference, ascending by place.
    pub(super) fn references(
        &self,
        mut told: impl FnMut(Place, Reference),
    ) -> Result<(), StorageError> {
        self.scan(REFERENCE, |key, value| {
            let reference = Reference::decode(value)?;
            told(decode_place(key)?, reference);
            Some(())
        })
    }

    /// Tells every delivery count, ascending by place.
    pub(super) fn counts(&self, mut told: impl FnMut(Place, u32)) -> Result<(), StorageError> {
        self.scan(COUNT, |key, value| {
            let count = u32::from_le_bytes(value.try_into().ok()?);
            told(decode_place(key)?, count);
            Some(())
        })
    }

    /// Tells every queue that ever had a message and was not deleted, with its next sequence
    /// number.
    pub(super) fn queues(&self, mut told: impl FnMut(u64, u64)) -> Result<(), StorageError> {
        self.scan(QUEUE, |key, value| {
            let next = u64::from_le_bytes(value.try_into().ok()?);
            told(u64::from_be_bytes(key.try_into().ok()?), next);
            Some(())
        })
    }

    /// The highest id of a body, 0 if there is none.
    pub(super) fn highest_id(&self) -> Result<u64, StorageError> {
        let Some(sled) = &self.sled else { return Ok(0) };
        let last = guarded(|| sled.last());
        let last = last.map_err(|error| StorageError::io("read", &self.path, error))?;
        match last.as_ref().map(|(key, _)| key.split_first_chunk()) {
            Some(Some(([BODY], id))) => {
                let id = id.try_into().map(u64::from_be_bytes);
                id.map_err(|_| self.damaged("the key of a body is no number"))
            }
            Some(_) | None => Ok(0),
        }
    }

    /// Tells every entry of a kind; `told` answers `None` to one that makes no sense.
    fn scan(
        &self,
        kind: u8,
        mut told: impl FnMut(&[u8], &[u8]) -> Option<()>,
    ) -> Result<(), StorageError> {
        let Some(sled) = &self.sled else { return Ok(()) };
        let mut entries = sled.range([kind]..[kind + 1]);
        let refused = |error| StorageError::io("read", &self.path, error);
        while let Some((key, value)) = guarded(|| entries.next().transpose()).map_err(refused)? {
            let key = key.split_first().map(|(_, key)| key);
            let understood = key.and_then(|key| told(key, &value));
            understood.ok_or_else(|| self.damaged("an entry has a wrong length"))?;
        }
        Ok(())
    }

    fn guarded<T>(&mut self, call: impl FnOnce(&Tree) -> io::Result<T>) -> io::Result<T> {
        let sled = self.sled.take().ok_or_else(|| io::Error::other("failed before"))?;
        let result = guarded(|| call(&sled));
        match &result {
            Ok(_) => self.sled = Some(sled),
            Err(_) => mem::forget(sled),
        }
        result
    }

    fn damaged(&self, detail: &str) -> StorageError {
        StorageError::Damaged { path: self.path.clone(), detail: detail.to_owned() }
    }
}

impl Engine for Database {
    fn apply(&mut self, group: &Group) -> io::Result<()> {
        self.guarded(|sled| put_group(sled, group))
    }

    fn flush(&mut self) -> io::Result<u64> {
        self.guarded(|sled| {
            let written = sled.flush()?.write_batch;
            Ok(written.heap_bytes_written + written.metadata_bytes_written)
        })
    }
}

impl Bodies {
    /// A message; `None` if it is gone.
    pub(super) fn get(&self, id: u64) -> Result<Option<Content>, StorageError> {
        let tree = self.tree.as_ref().ok_or(StorageError::Closed)?;
        let body = guarded(|| tree.get(body_key(id)));
        let Some(body) = body.map_err(|error| StorageError::io("read", &self.path, error))? else {
            return Ok(None);
        };
        let damaged = || StorageError::Damaged {
            path: self.path.clone(),
            detail: format!("body {id} is cut short"),
        };
        decode_body(&body).map(Some).ok_or_else(damaged)
    }

    /// Ends it, so that the database can be opened again; a failed one is leaked.
    pub(super) fn close(&mut self, has_failed: bool) {
        let tree = self.tree.take();
        if has_failed {
            mem::forget(tree);
        }
    }
}

/// Files of a directory and what it holds, and their bytes.
pub(super) fn disk_usage(directory: &Path) -> io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let (more_files, more_bytes) =
            if metadata.is_dir() { disk_usage(&entry.path())? } else { (1, metadata.len()) };
        files += more_files;
        bytes += more_bytes;
    }
    Ok((files, bytes))
}

fn put_group(tree: &Tree, group: &Group) -> io::Result<()> {
    for (id, content) in &group.bodies {
        tree.insert(body_key(*id), encode_body(content))?;
    }
    for (place, reference) in &group.references {
        put(tree, &place_key(REFERENCE, *place), reference.map(Reference::encode))?;
    }
    for (place, count) in &group.counts {
        put(tree, &place_key(COUNT, *place), count.map(u32::to_le_bytes))?;
    }
    for (queue, next) in &group.queues {
        put(tree, &number_key(QUEUE, *queue), next.map(u64::to_le_bytes))?;
    }
    for id in &group.dead_bodies {
        tree.remove(body_key(*id))?;
    }
    Ok(())
}

fn put<const N: usize>(tree: &Tree, key: &[u8], value: Option<[u8; N]>) -> io::Result<()> {
    match value {
        Some(value) => tree.insert(key, &value[..]).map(drop),
        None => tree.remove(key).map(drop),
    }
}

fn body_key(id: u64) -> [u8; 9] {
    number_key(BODY, id)
}

fn number_key(kind: u8, number: u64) -> [u8; 9] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [kind, a, b, c, d, e, f, g, h]
}

fn place_key(kind: u8, place: Place) -> [u8; 17] {
    let mut key = [kind; 17];
    let place = (u128::from(place.queue) << 64 | u128::from(place.sequence)).to_be_bytes();
    if let Some((_, rest)) = key.split_first_chunk_mut::<1>() {
        rest.copy_from_slice(&place);
    }
    key
}

fn decode_place(key: &[u8]) -> Option<Place> {
    let (queue, sequence) = key.split_first_chunk()?;
    let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
    Some(Place { queue: u64::from_be_bytes(*queue), sequence })
}

fn encode_body(content: &Content) -> InlineArray {
    let tail = content.tail.as_ref().map_or(&[][..], |tail| tail);
    // A head is no longer than a message, and no message is longer than 4 GiB.
    let head_length = u32::try_from(content.head.len()).unwrap_or(u32::MAX);
    let until = content.until_ms.unwrap_or(NO_UNTIL);
    let times = [content.note, content.arrived_ms, until].map(u64::to_le_bytes);
    let parts = [times.as_flattened(), &head_length.to_le_bytes(), &content.head, tail];
    InlineArray::from(parts.concat())
}

fn decode_body(body: &[u8]) -> Option<Content> {
    let mut fields = Reader(body);
    let (note, arrived_ms, until) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let head_length = usize::try_from(fields.u32()?).ok()?;
    let (head, tail) = fields.0.split_at_checked(head_length)?;
    let tail = (!tail.is_empty()).then(|| Arc::new(Bytes::copy_from_slice(tail)));
    let until_ms = (until != NO_UNTIL).then_some(until);
    Some(Content { note, arrived_ms, until_ms, head: Arc::from(head), tail })
}
