//! A log that is struck at any operation, loses power, or has no room or descriptors.

use super::super::faults::{Fault, FaultyFiles, Loss, Operation};
use super::*;

/// Commits, sealing and trimming under a fault, then what is left.
fn struck(files: &FaultyFiles, directory: &Path) -> u64 {
    let shared: Arc<dyn Files> = Arc::new(files.clone());
    let Ok((mut rig, _)) = Rig::open(directory, 1000, shared) else { return 0 };
    for number in 0..12 {
        if !rig.commit(200) {
            break;
        }
        if number == 8 && rig.wal.trim(3).is_err() {
            break;
        }
    }
    let durable = rig.ear.heard.lock().durable;
    let _failed = rig.wal.close();
    durable
}

fn check_struck(directory: &Path, durable: u64, context: &str) {
    for more in 0..2 {
        let (mut rig, all) = Rig::open(directory, 1000, Arc::new(FaultyFiles::new(directory)))
            .unwrap_or_else(|error| panic!("{context}: {error}"));
        let found: Vec<u64> = all.iter().map(|text| text.parse().unwrap()).collect();
        assert!(found.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{context}: {found:?}");
        let last = found.last().copied().unwrap_or(0);
        assert!(last >= durable + more, "{context}: {found:?}, {durable} was durable");
        assert!(rig.commit(50), "{context}");
        rig.close();
    }
}

const OPERATIONS: [Operation; 9] = [
    Operation::Create,
    Operation::Open,
    Operation::Read,
    Operation::Write,
    Operation::Sync,
    Operation::Truncate,
    Operation::Rename,
    Operation::Remove,
    Operation::SyncDirectory,
];

#[test]
fn struck_at_any_operation_it_loses_nothing_durable() {
    for fault in [Fault::Error(io::ErrorKind::Other), Fault::Death] {
        for operation in OPERATIONS {
            for nth in 0.. {
                let directory = tempfile::tempdir().unwrap();
                let files = FaultyFiles::new(directory.path());
                files.plan(operation, nth, fault);
                let durable = struck(&files, directory.path());
                check_struck(directory.path(), durable, &format!("{operation:?} {nth} {fault:?}"));
                if !files.has_struck() {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_power_failure_at_any_operation_loses_nothing_durable() {
    for operation in OPERATIONS {
        for nth in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let files = FaultyFiles::remembering(directory.path());
            files.plan(operation, nth, Fault::Death);
            let durable = struck(&files, directory.path());
            let has_struck = files.has_struck();
            let loss = if nth % 3 == 0 { Loss::All } else { Loss::Some(nth) };
            files.lose_power(directory.path(), loss);
            check_struck(directory.path(), durable, &format!("{operation:?} {nth} {loss:?}"));
            if !has_struck {
                break;
            }
        }
    }
}

#[test]
fn on_a_full_disk_there_is_room_for_one_more_segment_and_it_goes_on_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let files = FaultyFiles::new(directory.path());
    let (mut rig, _) = Rig::open(directory.path(), 4000, Arc::new(files.clone())).unwrap();
    assert!(rig.commit(100));
    rig.roll().unwrap();
    rig.ear.wait(|heard| heard.sealed.len() == 1);
    // Until the next and the spare are there.
    while files.used() < 64 + 3 * 4000 {
        std::thread::yield_now();
    }
    files.set_capacity(Some(files.used()));
    let written = (0..1000).take_while(|_| rig.append(300).is_ok()).count();
    assert!(written > 10, "the rest of the segment and the next one: {written}");
    rig.ear.wait(|heard| heard.has_no_room);
    assert!(rig.wal.is_full());
    let tried = files.count(Operation::Write);
    assert!(matches!(rig.append(300), Err(Trouble::Full)));
    files.set_capacity(None);
    rig.ear.wait(|heard| !heard.has_no_room);
    assert!(files.count(Operation::Write) < tried + 20);
    assert!(rig.commit(300));
    rig.close();
    let (all, _) = read(directory.path()).unwrap();
    assert_eq!(all.len(), written + 2);
}

#[test]
fn without_file_descriptors_it_waits() {
    let directory = tempfile::tempdir().unwrap();
    let files = FaultyFiles::new(directory.path());
    let (mut rig, _) = Rig::open(directory.path(), 1000, Arc::new(files.clone())).unwrap();
    for operation in [Operation::Create, Operation::SyncDirectory, Operation::Open] {
        files.plan(operation, 0, Fault::System(24));
        for _ in 0..12 {
            assert!(rig.commit(200), "{operation:?}");
        }
    }
    rig.close();
    assert_eq!(read(directory.path()).unwrap().0.len(), 36);
}
