//! What the outside sees of the definitions: durable entries and their history.
//!
//! The writer publishes a group here only after it is durable; readers and
//! watchers never see anything else. Shared by every `MetadataStore`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{AppliedIndex, Change, Collection, Key};

/// How many changes are remembered for watchers. A watcher that falls further
/// behind is given a snapshot instead, so this bounds memory, not correctness.
const HISTORY_CHANGES: usize = 16 * 1024;

/// All entries at one index. Copied only when written while a snapshot is out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub(crate) index: AppliedIndex,
    pub(crate) entries: BTreeMap<Key, Arc<[u8]>>,
}

impl Image {
    /// Applies one batch, which becomes `index`.
    pub(crate) fn apply(&mut self, index: AppliedIndex, changes: &[Change]) {
        self.index = index;
        for change in changes {
            match change {
                Change::Put { key, value } => {
                    self.entries.insert(key.clone(), value.as_slice().into());
                }
                Change::Delete { key } => {
                    self.entries.remove(key);
                }
            }
        }
    }
}

/// Every entry as it was at one applied index. Cheap to clone and to hold.
#[derive(Debug, Clone)]
pub struct Snapshot {
    image: Arc<Image>,
}

impl Snapshot {
    pub(crate) const fn new(image: Arc<Image>) -> Self {
        Self { image }
    }

    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// The index of the last batch that is in the snapshot.
    #[must_use]
    pub fn index(&self) -> AppliedIndex {
        self.image.index
    }

    /// The value stored under `key`.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&[u8]> {
        self.image.entries.get(key).map(|value| &**value)
    }

    /// The entries of one collection, in key order.
    pub fn collection(&self, collection: Collection) -> impl Iterator<Item = (&Key, &[u8])> {
        self.prefix(collection, &[])
    }

    /// The entries of one collection whose name starts with `prefix`, in key order.
    pub fn prefix<'a>(
        &'a self,
        collection: Collection,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a Key, &'a [u8])> {
        self.image
            .entries
            .range(Key::new(collection, prefix)..)
            .take_while(move |(key, _)| {
                key.collection == collection && key.name.starts_with(prefix)
            })
            .map(|(key, value)| (key, &**value))
    }

    /// How many entries there are in all collections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.image.entries.len()
    }

    /// Whether there is no entry at all: a new store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.image.entries.is_empty()
    }
}

/// What a [`Watch`] tells next.
#[derive(Debug, Clone)]
pub enum Update {
    /// The batch applied at `index`, which follows what was told before.
    Applied {
        /// The batch's index.
        index: AppliedIndex,
        /// Its changes, in order.
        changes: Arc<[Change]>,
    },
    /// Batches are missing between what was told before and now: forget what was
    /// known, take everything from the snapshot.
    Reset(Snapshot),
}

/// Everything that becomes durable, in order and without gaps.
#[derive(Debug)]
pub struct Watch {
    published: Arc<Published>,
    position: AppliedIndex,
    last_index: watch::Receiver<AppliedIndex>,
}

impl Watch {
    /// The next update, waiting for it if need be; `None` once the store has
    /// closed or failed and everything was told. Cancel safe.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            self.last_index.mark_unchanged();
            match self.published.after(self.position) {
                Next::Update(update) => {
                    self.position = match &update {
                        Update::Applied { index, .. } => *index,
                        Update::Reset(snapshot) => snapshot.index(),
                    };
                    return Some(update);
                }
                Next::Ended => return None,
                Next::Wait => {}
            }
            // The sender lives in `published`, so only an end or a change wakes this.
            if self.last_index.changed().await.is_err() {
                return None;
            }
        }
    }
}

enum Next {
    Update(Update),
    Wait,
    Ended,
}

/// The durable entries, the recent history and who waits for more.
#[derive(Debug)]
pub(crate) struct Published {
    /// Guards entries, history and end together: a reader must not see an index
    /// without its entries. Held for a few map operations, never over I/O.
    state: Mutex<State>,
    last_index: watch::Sender<AppliedIndex>,
}

#[derive(Debug)]
struct State {
    image: Arc<Image>,
    /// Batches without a gap up to `image.index`.
    history: VecDeque<(AppliedIndex, Arc<[Change]>)>,
    history_changes: usize,
    ended: bool,
}

impl Published {
    pub(crate) fn new(image: Image) -> Arc<Self> {
        let last_index = watch::Sender::new(image.index);
        let state = State {
            image: Arc::new(image),
            history: VecDeque::new(),
            history_changes: 0,
            ended: false,
        };
        Arc::new(Self { state: Mutex::new(state), last_index })
    }

    /// Makes durable batches visible; returns their indexes in order.
    pub(crate) fn publish(&self, batches: Vec<Vec<Change>>) -> Vec<AppliedIndex> {
        let mut state = self.state.lock();
        let indexes = batches.into_iter().map(|changes| state.append(changes)).collect();
        let last = state.image.index;
        drop(state);
        self.last_index.send_replace(last);
        indexes
    }

    /// Tells watchers that nothing more will come.
    pub(crate) fn end(&self) {
        self.state.lock().ended = true;
        self.last_index.send_modify(|_| {});
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::clone(&self.state.lock().image))
    }

    pub(crate) fn index(&self) -> AppliedIndex {
        self.state.lock().image.index
    }

    pub(crate) fn watch(self: &Arc<Self>, from: AppliedIndex) -> Watch {
        Watch {
            published: Arc::clone(self),
            position: from,
            last_index: self.last_index.subscribe(),
        }
    }

    fn after(&self, position: AppliedIndex) -> Next {
        let state = self.state.lock();
        let last = state.image.index;
        if position == last {
            return if state.ended { Next::Ended } else { Next::Wait };
        }
        // History has no gaps, so the wanted batch is found by its distance from
        // the end. A position ahead of the store comes from another incarnation.
        let wanted = last
            .0
            .checked_sub(position.0)
            .and_then(|behind| usize::try_from(behind).ok())
            .and_then(|behind| state.history.len().checked_sub(behind))
            .and_then(|at| state.history.get(at));
        Next::Update(match wanted {
            Some((index, changes)) => {
                Update::Applied { index: *index, changes: Arc::clone(changes) }
            }
            None => Update::Reset(Snapshot::new(Arc::clone(&state.image))),
        })
    }
}

impl State {
    fn append(&mut self, changes: Vec<Change>) -> AppliedIndex {
        let index = self.image.index.next();
        Arc::make_mut(&mut self.image).apply(index, &changes);
        self.history_changes += changes.len().max(1);
        self.history.push_back((index, changes.into()));
        while self.history_changes > HISTORY_CHANGES {
            let Some((_, oldest)) = self.history.pop_front() else { break };
            self.history_changes -= oldest.len().max(1);
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(name: &str) -> Change {
        Change::Put { key: Key::new(Collection::Queue, name), value: b"v".to_vec() }
    }

    #[tokio::test]
    async fn a_watcher_too_far_behind_is_reset_to_a_snapshot() {
        let published = Published::new(Image::default());
        let mut watch = published.watch(AppliedIndex(0));
        published.publish(vec![(0..=HISTORY_CHANGES).map(|n| put(&n.to_string())).collect()]);
        published.publish(vec![vec![put("last")]]);
        let Some(Update::Reset(snapshot)) = watch.next().await else { panic!("no reset") };
        assert_eq!(snapshot.index(), AppliedIndex(2));
        assert_eq!(snapshot.len(), HISTORY_CHANGES + 2);
    }

    #[tokio::test]
    async fn a_position_the_store_never_reached_is_reset() {
        let published = Published::new(Image::default());
        let mut watch = published.watch(AppliedIndex(9));
        assert!(matches!(watch.next().await, Some(Update::Reset(_))));
    }

    #[test]
    fn a_snapshot_does_not_see_later_batches() {
        let published = Published::new(Image::default());
        published.publish(vec![vec![put("a")]]);
        let before = published.snapshot();
        published.publish(vec![vec![put("b")]]);
        assert_eq!((before.len(), before.index()), (1, AppliedIndex(1)));
        assert_eq!(published.snapshot().len(), 2);
    }
}
