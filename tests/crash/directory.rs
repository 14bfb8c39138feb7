//! A data directory with known messages in it, looked at and tampered with from outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use leveret_tests::broker_under_test::{BrokerUnderTest, Refusal};

use crate::feeder::Feeder;
use crate::inventory;
use crate::layout::{self, KEPT, Route};
use crate::stamp::Stamp;

/// Messages in the directory.
pub(crate) const MESSAGES: u64 = 20;

const TO_TERMINATE: Duration = Duration::from_secs(30);

/// The stamp of the message with this number, from 1 to [`MESSAGES`].
pub(crate) fn stamp(number: u64) -> Stamp {
    Stamp { publisher: 1, number }
}

/// A broker that has stored its messages in one queue and ended in good order.
pub(crate) fn stored() -> BrokerUnderTest {
    let mut broker = BrokerUnderTest::start();
    layout::declare(&mut broker.broker().connect());
    let mut feeder = Feeder::connect(&broker.broker(), 1, Route::Queue(KEPT));
    (0..MESSAGES).for_each(|_| feeder.publish_confirmed(1));
    assert!(broker.terminate(TO_TERMINATE).success());
    broker
}

/// Starts the broker, which must hold these messages in this order and no others.
pub(crate) fn assert_holds(broker: &mut BrokerUnderTest, numbers: impl Iterator<Item = u64>) {
    broker.start_again();
    let inventories = inventory::take_all(&broker.broker());
    let wanted: Vec<Stamp> = numbers.map(stamp).collect();
    assert_eq!(inventories[KEPT].stamps(), wanted);
    broker.assert_no_panic();
}

/// Every file below a directory, with its bytes. The lock is left out: whoever holds it writes its
/// process id there, before anything else is looked at.
pub(crate) fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_none_or(|name| name != "leveret.lock") {
            let bytes = std::fs::read(&path).expect("a readable file");
            found.insert(path, bytes);
        }
    }
    found
}

/// The hot segments, oldest first; the last may be one that nothing was written to yet.
pub(crate) fn segments(broker: &BrokerUnderTest) -> Vec<PathBuf> {
    let files = files(&broker.data_directory().join("messages"));
    let is_segment = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("hot-"))
            && path.extension().is_none()
    };
    files.into_keys().filter(is_segment).collect()
}

/// Asserts that the broker refuses to start with one line that has all these words in it, and has
/// changed nothing below `untouched`. The line.
pub(crate) fn assert_refuses(
    broker: &mut BrokerUnderTest,
    untouched: &Path,
    words: &[&str],
) -> String {
    let before = files(untouched);
    let Refusal { code, stderr } = broker.expect_refusal();
    assert_eq!((code, stderr.lines().count()), (Some(1), 1), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word} is not in: {stderr}");
    }
    let after = files(untouched);
    let changed = |path: &&PathBuf| before.get(*path) != after.get(*path);
    let changed: Vec<_> = before.keys().chain(after.keys()).filter(changed).collect();
    assert!(changed.is_empty(), "changed: {changed:?}");
    stderr
}
