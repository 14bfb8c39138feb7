//! A data directory that is a copy of one that a broker serves from.
//!
//! Called by the broker for backups. Stays true: everything that was durable when it was begun is in the
//! copy, and whatever else is there a broker that lost power later would find as well. Definitions are
//! copied after the messages: every queue that has messages there is known.

use std::fs;
use std::path::Path;

use crate::directory::{StoreId, write_format};
use crate::messages::MessageStore;
use crate::metadata::{MetadataStore, export};
use crate::{StorageError, directory};

/// Copies what a store holds into a directory that is not there yet, on the file system of its data
/// directory. Blocks. The store goes on; files that nothing is written to are shared with it, so that the
/// copy takes up little, and keeps room that the store gives back.
///
/// # Errors
/// The system refuses, or the messages are in a store that cannot be copied.
pub fn back_up(
    into: &Path,
    store: &StoreId,
    metadata: &dyn MetadataStore,
    messages: &dyn MessageStore,
) -> Result<(), StorageError> {
    fs::create_dir(into).map_err(|error| StorageError::io("create", into, error))?;
    messages.copy_into(into)?;
    export::save(into, store, metadata.read()?.image())?;
    write_format(into, store)?;
    directory::sync_directory(into)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::thread;

    use super::*;
    use crate::Store;
    use crate::messages::{
        Batch, Content, Engine, Options, Place, Publish, Recovered, Settled, verify,
    };

    const QUEUE: u64 = 7;

    fn options() -> Options {
        Options { segment_size: 32 << 10, ..Options::default() }
    }

    fn known() -> HashSet<u64> {
        [QUEUE].into()
    }

    fn publish(sequence: u64) -> Publish {
        let head = vec![u8::try_from(sequence % 251).unwrap(); 300];
        let content = Content { head: head.into(), ..Content::default() };
        Publish { content, places: [Place { queue: QUEUE, sequence }].into_iter().collect() }
    }

    fn commit(messages: &dyn MessageStore, mut batch: Batch) {
        batch.awaited = true;
        let ticket = messages.append(&mut batch);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(messages.progress().reached(ticket)).unwrap();
    }

    /// What a broker finds that begins with the copy.
    fn found(copy: &Path) -> HashSet<u64> {
        assert!(verify(copy, &mut |_, _| {}).unwrap().is_sound(), "{}", copy.display());
        let store = Store::open(copy).unwrap();
        assert!(!store.was_closed(), "what was unsettled may have been delivered");
        let (messages, recovered): (_, Recovered) =
            store.open_messages(Engine::Log, &options(), &known()).unwrap();
        let queue = recovered.queues.get(&QUEUE).unwrap();
        let there = queue.messages.iter().map(|message| message.sequence).collect();
        messages.close().unwrap();
        store.close().unwrap();
        there
    }

    /// One settles nine of ten messages that another publishes.
    struct Load {
        published: AtomicU64,
        settled: AtomicU64,
        is_over: AtomicBool,
    }

    impl Load {
        fn publish(&self, messages: &dyn MessageStore) {
            for first in (1..).step_by(20) {
                if self.is_over.load(Ordering::Acquire) {
                    return;
                }
                let publishes = (first..first + 20).map(publish).collect();
                commit(messages, Batch { publishes, ..Batch::default() });
                self.published.store(first + 19, Ordering::Release);
            }
        }

        fn settle(&self, messages: &dyn MessageStore) {
            for first in (1..).step_by(10) {
                while self.published.load(Ordering::Acquire) < first + 9 {
                    if self.is_over.load(Ordering::Acquire) {
                        return;
                    }
                    thread::yield_now();
                }
                let settled = vec![Settled { queue: QUEUE, first, count: 9 }];
                commit(messages, Batch { settled, ..Batch::default() });
                self.settled.store(first + 9, Ordering::Release);
            }
        }
    }

    fn expect(copy: &Path, published: u64, settled: (u64, u64)) {
        let there = found(copy);
        for sequence in 1..=published {
            let (is_there, is_kept) = (there.contains(&sequence), sequence % 10 == 0);
            if is_kept || sequence > settled.1 {
                assert!(is_there, "{sequence} of {published} is missing in {}", copy.display());
            } else if sequence < settled.0 {
                assert!(!is_there, "{sequence} was settled, in {}", copy.display());
            }
        }
    }

    #[test]
    fn copies_made_under_load_have_what_was_durable_and_stay_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("data")).unwrap();
        let (messages, _) = store.open_messages(Engine::Log, &options(), &known()).unwrap();
        let load = Load {
            published: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        let copies: Vec<(PathBuf, u64, (u64, u64))> = thread::scope(|scope| {
            scope.spawn(|| load.publish(&*messages));
            scope.spawn(|| load.settle(&*messages));
            let copies = (1..=6).map(|number| {
                // So that segments are sealed and compacted between the copies.
                while load.settled.load(Ordering::Acquire) < number * 400 {
                    thread::yield_now();
                }
                let copy = directory.path().join(format!("copy-{number}"));
                let published = load.published.load(Ordering::Acquire);
                let before = load.settled.load(Ordering::Acquire);
                back_up(&copy, store.id(), &*store.metadata(), &*messages).unwrap();
                // One more may be on its way.
                let after = load.settled.load(Ordering::Acquire) + 10;
                (copy, published, (before, after))
            });
            let copies = copies.collect();
            load.is_over.store(true, Ordering::Release);
            copies
        });
        assert!(messages.statistics().segments > 3, "{:?}", messages.statistics());
        for (copy, published, settled) in &copies {
            expect(copy, *published, *settled);
        }
        messages.close().unwrap();
        drop(messages);
        store.close().unwrap();
    }

    #[test]
    fn a_store_that_cannot_be_copied_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("data")).unwrap();
        let (messages, _) = store.open_messages(Engine::Sled, &options(), &known()).unwrap();
        let copy = directory.path().join("copy");
        let refused = back_up(&copy, store.id(), &*store.metadata(), &*messages).unwrap_err();
        assert!(refused.to_string().contains("message_store = log"), "{refused}");
    }
}
