//! The store on a real directory: reopening, damage, rebuilding, sudden death.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::messages::{Batch, Content, Engine, Options, Place, Publish, Settled};
use crate::metadata::boot_epoch;
use crate::metadata::{AppliedIndex, Change, Collection, Key};

const DATABASE: &str = "definitions.sled";
const EXPORT: &str = "definitions.export";

fn put(name: &str) -> Change {
    let key = Key::new(Collection::Queue, name);
    Change::Put { key, value: format!("value of {name}").into_bytes() }
}

fn propose(store: &Store, names: &[&str]) {
    for name in names {
        store.metadata().propose(vec![put(name)]).wait().unwrap();
    }
}

fn names(store: &Store) -> Vec<String> {
    let snapshot = store.metadata().read().unwrap();
    snapshot
        .collection(Collection::Queue)
        .map(|(key, value)| {
            let name = String::from_utf8(key.name.clone()).unwrap();
            assert_eq!(value, format!("value of {name}").as_bytes());
            name
        })
        .collect()
}

/// A closed store with those entries.
fn prepared(entries: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    propose(&store, entries);
    store.close().unwrap();
    directory
}

/// Every regular file below `directory`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

fn break_database(directory: &Path) {
    for file in files(&directory.join(DATABASE)) {
        fs::write(file, b"this is not a database").unwrap();
    }
}

#[test]
fn definitions_and_their_index_survive_reopening() {
    let directory = prepared(&["a", "b"]);
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(names(&store), ["a", "b"]);
    let index = store.metadata().propose(vec![put("c")]).wait().unwrap();
    assert_eq!(index, AppliedIndex(3));
    drop(store);
    assert_eq!(names(&Store::open(directory.path()).unwrap()), ["a", "b", "c"]);
}

#[test]
fn a_closed_store_refuses_proposals_and_still_reads() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    propose(&store, &["a"]);
    let metadata = store.metadata();
    store.close().unwrap();
    let refused = metadata.propose(vec![put("b")]).wait();
    assert!(matches!(refused, Err(StorageError::Closed)));
    assert_eq!(metadata.read().unwrap().len(), 1);
}

#[test]
fn the_directory_belongs_to_one_store_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert!(matches!(Store::open(directory.path()), Err(StorageError::Locked { .. })));
    // Even if someone still holds the definitions, closing releases the directory.
    let _held = store.metadata();
    drop(store);
    Store::open(directory.path()).unwrap();
}

#[test]
fn a_broken_database_is_kept_aside_and_rebuilt_from_the_export() {
    let directory = prepared(&["a", "b"]);
    break_database(directory.path());
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(names(&store), ["a", "b"]);
    assert!(directory.path().join("definitions.sled.broken-1").is_dir());
    propose(&store, &["c"]);
    store.close().unwrap();
    break_database(directory.path());
    assert_eq!(names(&Store::open(directory.path()).unwrap()), ["a", "b", "c"]);
    assert!(directory.path().join("definitions.sled.broken-2").is_dir());
}

#[test]
fn a_damaged_file_never_leads_to_wrong_definitions() {
    let original = prepared(&["a", "b", "c"]);
    let database = original.path().join(DATABASE);
    let candidates =
        files(&database).into_iter().filter(|file| fs::metadata(file).unwrap().len() > 0);
    for file in candidates {
        let content = fs::read(&file).unwrap();
        for position in [0, content.len() / 2, content.len() - 1] {
            let directory = tempfile::tempdir().unwrap();
            copy(original.path(), directory.path());
            let target = directory.path().join(file.strip_prefix(original.path()).unwrap());
            let mut damaged = content.clone();
            damaged[position] ^= 0xff;
            fs::write(target, damaged).unwrap();
            let store = Store::open(directory.path()).unwrap();
            assert_eq!(names(&store), ["a", "b", "c"], "{} at {position}", file.display());
        }
    }
}

#[test]
fn a_missing_database_is_rebuilt_from_the_export() {
    let directory = prepared(&["a"]);
    fs::remove_dir_all(directory.path().join(DATABASE)).unwrap();
    assert_eq!(names(&Store::open(directory.path()).unwrap()), ["a"]);
}

#[test]
fn a_database_older_than_its_export_is_not_trusted() {
    let directory = prepared(&["a"]);
    let older = tempfile::tempdir().unwrap();
    copy(&directory.path().join(DATABASE), older.path());
    let store = Store::open(directory.path()).unwrap();
    propose(&store, &["b"]);
    store.close().unwrap();
    fs::remove_dir_all(directory.path().join(DATABASE)).unwrap();
    copy(older.path(), &directory.path().join(DATABASE));
    assert_eq!(names(&Store::open(directory.path()).unwrap()), ["a", "b"]);
}

#[test]
fn a_torn_export_beside_a_whole_database_does_not_matter() {
    let directory = prepared(&["a"]);
    let export = directory.path().join(EXPORT);
    let bytes = fs::read(&export).unwrap();
    fs::write(&export, &bytes[..bytes.len() - 3]).unwrap();
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(names(&store), ["a"]);
    propose(&store, &["b"]);
    store.close().unwrap();
    break_database(directory.path());
    assert_eq!(names(&Store::open(directory.path()).unwrap()), ["a", "b"]);
}

#[test]
fn without_a_valid_export_a_broken_database_is_left_alone_and_explained() {
    let directory = prepared(&["a"]);
    break_database(directory.path());
    for file in files(directory.path()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with(EXPORT) {
            fs::write(file, b"nonsense").unwrap();
        }
    }
    let error = Store::open(directory.path()).unwrap_err().to_string();
    for part in [DATABASE, EXPORT, "backup", "is not an export"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(!error.contains('\n'));
    assert!(directory.path().join(DATABASE).is_dir());
}

#[test]
fn a_crash_while_the_first_database_is_made_leads_to_an_empty_store() {
    let directory = tempfile::tempdir().unwrap();
    Store::open(directory.path()).unwrap().close().unwrap();
    break_database(directory.path());
    assert!(names(&Store::open(directory.path()).unwrap()).is_empty());
}

#[test]
fn numbers_are_not_repeated_after_a_rebuild_from_an_old_export() {
    let directory = prepared(&["a"]);
    let old = fs::read(directory.path().join(EXPORT)).unwrap();
    let store = Store::open(directory.path()).unwrap();
    let epoch = boot_epoch(&*store.metadata(), None).unwrap();
    store.close().unwrap();
    break_database(directory.path());
    for file in files(directory.path()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with(EXPORT) {
            fs::write(file, &old).unwrap();
        }
    }
    let store = Store::open(directory.path()).unwrap();
    assert!(boot_epoch(&*store.metadata(), None).unwrap() > epoch);
}

/// Epochs began at 1 again when the definitions had been moved away, new queues took numbers that the
/// log knew, and their messages were lost as if they had been settled.
#[test]
fn numbers_are_not_repeated_after_the_definitions_were_moved_away() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut queues = Vec::new();
    for _ in 0..3 {
        let store = Store::open(directory.path()).unwrap();
        let known = queues.iter().copied().collect();
        let (messages, recovered) =
            store.open_messages(Engine::Log, &Options::default(), &known).unwrap();
        let epoch = boot_epoch(&*store.metadata(), Some(recovered.highest_queue)).unwrap();
        let queue = u64::from(epoch) << 32;
        assert!(!queues.contains(&queue));
        let message = |sequence| Publish {
            content: Content { head: [1].into(), ..Content::default() },
            places: [Place { queue, sequence }].into_iter().collect(),
        };
        let publishes = (0..3).map(message).collect();
        let ticket = messages.append(&mut Batch { publishes, awaited: true, ..Batch::default() });
        runtime.block_on(messages.progress().reached(ticket)).unwrap();
        let settled = vec![Settled { queue, first: 0, count: 3 }];
        messages.append(&mut Batch { settled, ..Batch::default() });
        messages.append(&mut Batch { deleted_queues: vec![queue], ..Batch::default() });
        queues.push(queue);
        messages.close().unwrap();
        store.close().unwrap();
        for name in [DATABASE, EXPORT, "definitions.export.1", "definitions.export.2"] {
            let path = directory.path().join(name);
            drop(fs::remove_dir_all(&path));
            drop(fs::remove_file(&path));
        }
    }
}

#[test]
fn what_had_resolved_survives_a_kill() {
    const CHILD: &str = "LEVERET_TEST_KILLED_STORE";
    if let Some(directory) = std::env::var_os(CHILD) {
        propose_until_killed(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::what_had_resolved_survives_a_kill", "--nocapture"])
        .env(CHILD, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut resolved = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(name) = line.unwrap().strip_prefix("resolved ") {
            resolved.push(name.to_owned());
        }
        if resolved.len() == 40 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    let survivors = names(&Store::open(directory.path()).unwrap());
    assert!(resolved.len() >= 40);
    for name in &resolved {
        assert!(survivors.contains(name), "{name} was resolved and is gone");
    }
}

fn propose_until_killed(directory: &Path) -> ! {
    let store = Store::open(directory).unwrap();
    for n in 0_u64.. {
        let name = format!("{n:08}");
        store.metadata().propose(vec![put(&name)]).wait().unwrap();
        println!("\nresolved {name}");
    }
    unreachable!("the parent ends this process")
}
