//! The segments there are, and how much of each is still needed.
//!
//! Behind the lock of `holdings`, which keeps the accounts in agreement with the index. Recovery
//! fills it; the log thread adds hot segments, the compactor adds cold ones and removes either.
//!
//! Stays true: ids ascend and are never given out twice; whoever holds a [`Segment`] can read it,
//! removed or not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::chunk::Slot;
use super::files::LogFile;
use super::frame::LogPosition;
use super::segment::{SegmentKind, SegmentName};

/// A segment's length is told in so many later ones: some of them outlive compaction, and logs of
/// many small segments do not consist of lengths.
const LENGTHS_TOLD: usize = 16;

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    /// What it is called.
    pub(crate) name: SegmentName,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its bytes. Closed when the last reader is done.
    pub(crate) file: Arc<dyn LogFile>,
}

impl Segment {
    /// A segment of this name in the log's directory.
    pub(crate) fn new(name: SegmentName, directory: &Path, file: Arc<dyn LogFile>) -> Arc<Self> {
        Arc::new(Self { name, path: name.path(directory), file })
    }
}

/// What is known of a segment.
#[derive(Debug)]
pub(crate) struct Account {
    /// The open file.
    pub(crate) segment: Arc<Segment>,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// Bytes it had before anything was appended to it.
    pub(crate) begun: u64,
    /// Places whose message is in it.
    pub(crate) live_refs: u64,
    /// Bytes of frames that these places answer for.
    pub(crate) live_bytes: u64,
    /// Nothing is appended to it any more.
    pub(crate) is_sealed: bool,
    /// Sealed, and all of it is on disk.
    pub(crate) is_synced: bool,
}

impl Account {
    /// Of a segment that is appended to.
    pub(crate) fn open(segment: Arc<Segment>, bytes: u64) -> Self {
        Self {
            segment,
            bytes,
            begun: bytes,
            live_refs: 0,
            live_bytes: 0,
            is_sealed: false,
            is_synced: false,
        }
    }

    /// Of a segment that is whole and on disk.
    pub(crate) fn sealed(segment: Arc<Segment>, bytes: u64) -> Self {
        Self { is_sealed: true, is_synced: true, ..Self::open(segment, bytes) }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.segment.name.id
    }

    /// Whether less than half of it is needed.
    pub(crate) fn is_half_empty(&self) -> bool {
        self.live_refs == 0 || self.live_bytes * 2 < self.bytes
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    accounts: FxHashMap<u32, Account>,
    highest_id: u32,
    synced_snapshot: u32,
    is_stirred: bool,
}

impl Segments {
    /// A new id, above all that ever were.
    pub(crate) fn allocate(&mut self) -> u32 {
        self.highest_id += 1;
        self.highest_id
    }

    /// The highest id that was given out or seen.
    pub(crate) fn highest_id(&self) -> u32 {
        self.highest_id
    }

    /// Says that an id is taken.
    pub(crate) fn raise_highest_id(&mut self, id: u32) {
        self.highest_id = self.highest_id.max(id);
    }

    /// Adds a segment.
    pub(crate) fn insert(&mut self, account: Account) {
        self.raise_highest_id(account.id());
        self.accounts.insert(account.id(), account);
    }

    /// Takes out a segment that nothing is in any more.
    pub(crate) fn remove(&mut self, id: u32) -> Option<Account> {
        self.accounts.remove(&id)
    }

    /// A segment's account.
    pub(crate) fn get(&self, id: u32) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// All accounts, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The lowest id there is, or one above all if there is none.
    pub(crate) fn oldest(&self) -> u32 {
        let oldest = self.accounts.keys().min().copied();
        oldest.unwrap_or_else(|| self.highest_id.saturating_add(1))
    }

    /// Where the newest hot segments end of which everything is on disk, oldest first.
    pub(crate) fn synced_lengths(&self) -> Vec<LogPosition> {
        let hot = |account: &&Account| account.segment.name.kind == SegmentKind::Hot;
        let mut lengths: Vec<_> = self
            .accounts
            .values()
            .filter(|account| account.is_synced)
            .filter(hot)
            .filter_map(|account| {
                let offset = u32::try_from(account.bytes).ok()?;
                Some(LogPosition { segment: account.id(), offset })
            })
            .collect();
        lengths.sort_unstable();
        lengths.split_off(lengths.len().saturating_sub(LENGTHS_TOLD))
    }

    /// A place's message is in this slot.
    pub(crate) fn hold(&mut self, slot: Slot) {
        if let Some(account) = self.accounts.get_mut(&slot.segment) {
            account.live_refs += 1;
            account.live_bytes += slot.share();
        }
    }

    /// A place's message is not needed in this slot any more.
    pub(crate) fn release(&mut self, slot: Slot) {
        let Some(account) = self.accounts.get_mut(&slot.segment) else { return };
        let was_half_empty = account.is_half_empty();
        account.live_refs = account.live_refs.saturating_sub(1);
        account.live_bytes = account.live_bytes.saturating_sub(slot.share());
        let fell = !was_half_empty && account.is_half_empty();
        self.is_stirred |= account.is_sealed && (fell || account.live_refs == 0);
    }

    /// The open segment has grown to so many bytes.
    pub(crate) fn set_bytes(&mut self, id: u32, bytes: u64) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.bytes = bytes;
        }
    }

    /// Nothing will be appended to it any more.
    pub(crate) fn seal(&mut self, id: u32) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.is_sealed = true;
        }
    }

    /// The segment is on disk, its name too, up to some point behind its snapshot: that of a hot one
    /// holds from now on.
    pub(crate) fn set_begun(&mut self, id: u32) {
        let is_hot = |account: &Account| account.segment.name.kind == SegmentKind::Hot;
        if id > self.synced_snapshot && self.get(id).is_some_and(is_hot) {
            self.synced_snapshot = id;
            self.is_stirred = true;
        }
    }

    /// Everything that is in the segment is on disk: a sealed one may be compacted.
    pub(crate) fn set_synced(&mut self, id: u32) {
        self.set_begun(id);
        let Some(account) = self.accounts.get_mut(&id) else { return };
        if account.is_sealed && !account.is_synced {
            account.is_synced = true;
            self.is_stirred = true;
        }
    }

    /// The newest hot segment whose snapshot is on disk. What older hot segments say of settled
    /// places and deleted queues is in it too, so they may go when they hold no message.
    pub(crate) fn synced_snapshot(&self) -> u32 {
        self.synced_snapshot
    }

    /// Whether there may be more for the compactor to do than when this was last asked.
    pub(crate) fn take_stirred(&mut self) -> bool {
        std::mem::take(&mut self.is_stirred)
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::{Files, RealFiles};
    use super::*;

    fn segments() -> (Segments, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let mut segments = Segments::default();
        for id in 1..=2 {
            let name = SegmentName::hot(id);
            let file = RealFiles.create_new(&name.path(directory.path())).unwrap();
            segments.insert(Account::open(Segment::new(name, directory.path(), file), 1000));
        }
        (segments, directory)
    }

    fn slot(segment: u32) -> Slot {
        Slot { segment, offset: 64, length: 500, refs: 2 }
    }

    #[test]
    fn ids_ascend_and_are_never_given_out_twice() {
        let (mut segments, _directory) = segments();
        assert_eq!(segments.oldest(), 1);
        segments.remove(1);
        segments.remove(2);
        assert_eq!((segments.allocate(), segments.oldest()), (3, 4));
        segments.raise_highest_id(2);
        assert_eq!(segments.allocate(), 4);
    }

    #[test]
    fn the_compactor_is_told_when_a_sealed_segment_falls_below_half_or_is_synced() {
        let (mut segments, _directory) = segments();
        for _ in 0..3 {
            segments.hold(slot(1));
        }
        segments.seal(1);
        segments.release(slot(1));
        assert!(!segments.take_stirred(), "500 of 1000 bytes");
        segments.release(slot(1));
        assert!(segments.take_stirred() && !segments.take_stirred());
        segments.release(slot(1));
        assert!(segments.take_stirred(), "nothing is in it any more");
        segments.set_synced(1);
        assert!(segments.take_stirred());
        assert_eq!(segments.get(1).map(|account| account.live_bytes), Some(0));
    }

    #[test]
    fn the_newest_synced_hot_segment_has_the_snapshot() {
        let (mut segments, _directory) = segments();
        segments.set_synced(2);
        segments.set_synced(1);
        assert_eq!(segments.synced_snapshot(), 2);
        assert!(!segments.get(2).is_some_and(|account| account.is_synced), "not sealed");
    }
}
