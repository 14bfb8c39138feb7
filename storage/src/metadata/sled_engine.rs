//! sled behind a narrow door: open and load everything, commit one batch durably.
//!
//! Only the writer thread talks to it. sled panics on some kinds of damage, so
//! every call into it is guarded; and its `flush` must not be called again after
//! a failure (it would wait for the failed one for ever, also when dropped), so
//! a failed database is leaked: the process is about to end.

use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use super::published::Image;
use super::writer::Engine;
use super::{AppliedIndex, Change, Key};
use crate::panics::{guarded, guarded_open};

/// Entries per leaf. A leaf is rewritten whole, so a small one keeps the cost of
/// declaring one queue low; cannot change without a new format version.
const LEAF_FANOUT: usize = 128;

/// sled keeps what it has read in memory, and the image holds everything anyway.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Holds the applied index; no collection has the number 0.
const INDEX_KEY: [u8; 1] = [0];

/// Why a database did not open.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// What it holds makes no sense: only a rebuild helps.
    Damaged(String),
    /// The system did not let us read it: it may be whole.
    System(io::Error),
}

/// An open database.
#[derive(Debug)]
pub(crate) struct SledEngine {
    /// `None` after a failure.
    database: Option<sled::Db<LEAF_FANOUT>>,
}

impl SledEngine {
    /// Opens or creates the database and reads all of it, which also proves it whole.
    pub(crate) fn open(path: &Path) -> Result<(Self, Image), OpenError> {
        // No flush thread: it would abort the process by itself and write half groups.
        let config =
            sled::Config::new().path(path).cache_capacity_bytes(CACHE_BYTES).flush_every_ms(None);
        let database: sled::Db<LEAF_FANOUT> =
            guarded_open(|| config.open()).map_err(OpenError::classify)?;
        match load(&database) {
            Ok(image) => Ok((Self { database: Some(database) }, image)),
            Err(error) => {
                mem::forget(database);
                Err(error)
            }
        }
    }
}

impl Engine for SledEngine {
    fn commit(&mut self, batches: &[&[Change]], last: AppliedIndex) -> io::Result<()> {
        let database = self.database.take().ok_or_else(|| io::Error::other("failed before"))?;
        let mut batch = sled::Batch::default();
        for change in batches.iter().copied().flatten() {
            match change {
                Change::Put { key, value } => batch.insert(key.encode(), value.as_slice()),
                Change::Delete { key } => batch.remove(key.encode()),
            }
        }
        batch.insert(&INDEX_KEY[..], &last.0.to_be_bytes()[..]);
        let committed = guarded(|| {
            database.apply_batch(batch)?;
            database.flush().map(drop)
        });
        match committed {
            Ok(()) => self.database = Some(database),
            Err(_) => mem::forget(database),
        }
        committed
    }
}

impl OpenError {
    /// sled reports damage with these kinds; every other kind is the system's,
    /// such as a permission or a full disk, and says nothing about the content.
    fn classify(error: io::Error) -> Self {
        use io::ErrorKind::{
            InvalidData, InvalidInput, NotFound, Other, UnexpectedEof, Unsupported,
        };
        let damaged = matches!(
            error.kind(),
            InvalidData | InvalidInput | NotFound | Other | UnexpectedEof | Unsupported
        );
        if damaged { Self::Damaged(error.to_string()) } else { Self::System(error) }
    }
}

fn load(database: &sled::Db<LEAF_FANOUT>) -> Result<Image, OpenError> {
    let damaged = |what: &str| OpenError::Damaged(what.to_owned());
    let entries =
        guarded(|| database.iter().collect::<io::Result<Vec<_>>>()).map_err(OpenError::classify)?;
    let mut image = Image::default();
    let mut index = None;
    for (key, value) in &entries {
        if **key == INDEX_KEY {
            let bytes = <[u8; 8]>::try_from(&**value).map_err(|_| damaged("bad applied index"))?;
            index = Some(AppliedIndex(u64::from_be_bytes(bytes)));
            continue;
        }
        let key = Key::decode(key).ok_or_else(|| damaged("unknown collection"))?;
        image.entries.insert(key, Arc::from(&**value));
    }
    match index {
        Some(index) => image.index = index,
        None if image.entries.is_empty() => {}
        None => return Err(damaged("entries without an applied index")),
    }
    Ok(image)
}
