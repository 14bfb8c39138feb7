//! What every `MetadataStore` promises, run against each implementation.

use std::sync::Arc;
use std::thread;

use crate::Store;
use crate::metadata::{
    AppliedIndex, Change, Collection, Key, MemoryMetadata, MetadataStore, Snapshot, Update,
    boot_epoch,
};

fn key(name: &str) -> Key {
    Key::new(Collection::Queue, name)
}

fn put(name: &str, value: &str) -> Change {
    Change::Put { key: key(name), value: value.as_bytes().to_vec() }
}

fn delete(name: &str) -> Change {
    Change::Delete { key: key(name) }
}

fn queues(snapshot: &Snapshot) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    snapshot
        .collection(Collection::Queue)
        .map(|(key, value)| (text(&key.name), text(value)))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn on_every_store(test: impl Fn(Arc<dyn MetadataStore>)) {
    test(Arc::new(MemoryMetadata::new()));
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    test(store.metadata());
}

#[test]
fn a_batch_applies_in_order_and_whole() {
    on_every_store(|store| {
        let index = store
            .propose(vec![put("a", "1"), put("b", "1"), put("a", "2"), delete("b"), delete("none")])
            .wait()
            .unwrap();
        assert_eq!(index, AppliedIndex(1));
        let snapshot = store.read().unwrap();
        assert_eq!(snapshot.index(), index);
        assert_eq!(queues(&snapshot), pairs(&[("a", "2")]));
        assert_eq!(snapshot.get(&key("a")), Some(b"2".as_slice()));
        assert_eq!(snapshot.get(&key("b")), None);
    });
}

#[test]
fn an_empty_batch_takes_an_index() {
    on_every_store(|store| {
        assert_eq!(store.propose(vec![]).wait().unwrap(), AppliedIndex(1));
        assert_eq!(store.propose(vec![]).wait().unwrap(), AppliedIndex(2));
        assert!(store.read().unwrap().is_empty());
    });
}

#[test]
fn proposals_apply_in_call_order() {
    on_every_store(|store| {
        let proposals: Vec<_> =
            (0..200).map(|n| store.propose(vec![put("counter", &n.to_string())])).collect();
        for (n, proposal) in proposals.into_iter().enumerate() {
            assert_eq!(proposal.wait().unwrap(), AppliedIndex(n as u64 + 1));
        }
        assert_eq!(queues(&store.read().unwrap()), pairs(&[("counter", "199")]));
    });
}

#[test]
fn a_dropped_proposal_is_applied_all_the_same() {
    on_every_store(|store| {
        drop(store.propose(vec![put("a", "1")]));
        store.propose(vec![]).wait().unwrap();
        assert_eq!(queues(&store.read().unwrap()), pairs(&[("a", "1")]));
    });
}

#[test]
fn many_threads_get_distinct_indexes_and_lose_nothing() {
    on_every_store(|store| {
        let mut indexes: Vec<AppliedIndex> = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let store = &store;
                    scope.spawn(move || {
                        (0..25)
                            .map(|n| store.propose(vec![put(&format!("{writer}.{n}"), "v")]).wait())
                            .collect::<Result<Vec<_>, _>>()
                            .unwrap()
                    })
                })
                .collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        indexes.sort();
        assert_eq!(indexes, (1..=100).map(AppliedIndex).collect::<Vec<_>>());
        assert_eq!(store.read().unwrap().len(), 100);
    });
}

#[test]
fn a_snapshot_lists_a_collection_in_key_order() {
    on_every_store(|store| {
        let other = Change::Put { key: Key::new(Collection::Exchange, "x"), value: vec![] };
        let changes = vec![put("b2", "3"), put("a", "1"), other, put("b1", "2"), put("c", "4")];
        store.propose(changes).wait().unwrap();
        let snapshot = store.read().unwrap();
        let expected = pairs(&[("a", "1"), ("b1", "2"), ("b2", "3"), ("c", "4")]);
        assert_eq!(queues(&snapshot), expected);
        let names: Vec<_> =
            snapshot.prefix(Collection::Queue, b"b").map(|(key, _)| key.name.clone()).collect();
        assert_eq!(names, [b"b1", b"b2"]);
    });
}

#[test]
fn a_watch_tells_every_batch_once_and_ends_with_the_store() {
    on_every_store(|store| {
        store.propose(vec![put("a", "1")]).wait().unwrap();
        store.propose(vec![put("b", "1"), delete("a")]).wait().unwrap();
        let mut all = store.watch(AppliedIndex(0));
        let mut later = store.watch(AppliedIndex(2));
        store.propose(vec![put("c", "1")]).wait().unwrap();
        let told = block_on(async {
            let mut told = Vec::new();
            for _ in 0..3 {
                told.push(applied(all.next().await));
            }
            told.push(applied(later.next().await));
            told
        });
        let expected = [
            (1, vec![put("a", "1")]),
            (2, vec![put("b", "1"), delete("a")]),
            (3, vec![put("c", "1")]),
            (3, vec![put("c", "1")]),
        ];
        assert_eq!(told, expected);
    });
}

#[test]
fn a_watch_waits_for_what_comes_and_for_the_end() {
    let store = Arc::new(MemoryMetadata::new());
    let mut watch = store.watch(AppliedIndex(0));
    let waiting = thread::spawn(move || {
        block_on(async move { (applied(watch.next().await), watch.next().await.is_none()) })
    });
    store.propose(vec![put("a", "1")]).wait().unwrap();
    drop(store);
    assert_eq!(waiting.join().unwrap(), ((1, vec![put("a", "1")]), true));
}

#[test]
fn boot_epochs_count_from_one() {
    on_every_store(|store| {
        let epochs: Vec<u32> = (0..3).map(|_| boot_epoch(&*store, None).unwrap()).collect();
        assert_eq!(epochs, [1, 2, 3]);
    });
}

#[test]
fn boot_epochs_are_above_every_number_that_others_know() {
    on_every_store(|store| {
        let number = |epoch: u64| Some((epoch << 32) + 77);
        assert_eq!(boot_epoch(&*store, number(0)).unwrap(), 1);
        assert_eq!(boot_epoch(&*store, number(4)).unwrap(), 5);
        assert_eq!(boot_epoch(&*store, number(2)).unwrap(), 6, "its own count is further");
        assert!(boot_epoch(&*store, Some(u64::MAX)).is_err(), "there is nothing above");
    });
}

fn applied(update: Option<Update>) -> (u64, Vec<Change>) {
    match update {
        Some(Update::Applied { index, changes }) => (index.0, changes.to_vec()),
        other => panic!("expected a batch, got {other:?}"),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
