//! What is put is read back until it is freed; files go when nothing in them is needed.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::messages::{Batch, Health, MessageStore, Place, Publish, Settled};
use crate::wal::faults::{Fault, FaultyFiles, Operation};

fn options(segment_size: u32) -> Options {
    Options { segment_size, ..Options::default() }
}

fn content(number: u64, size: usize) -> Content {
    let tail = number.is_multiple_of(2);
    let bytes = vec![u8::try_from(number % 251).unwrap(); size];
    Content {
        note: number,
        arrived_ms: number * 3,
        until_ms: number.is_multiple_of(3).then_some(number),
        head: bytes.as_slice().into(),
        tail: tail.then(|| Arc::new(Bytes::from(bytes))),
    }
}

fn assert_same(read: &Content, put: &Content) {
    assert_eq!(
        (read.note, read.arrived_ms, read.until_ms),
        (put.note, put.arrived_ms, put.until_ms)
    );
    assert!(read.head == put.head);
    let tail = |content: &Content| content.tail.as_ref().map(|tail| tail.to_vec());
    assert_eq!(tail(read).unwrap_or_default(), tail(put).unwrap_or_default());
}

fn wait_until(is_it: impl Fn() -> bool) {
    let started = crate::clock::now();
    while !is_it() {
        assert!(started.elapsed().as_secs() < 60, "the thread hangs");
        thread::yield_now();
    }
}

fn files(directory: &Path) -> Vec<String> {
    // Files come and go meanwhile.
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_is_put_is_read_back_until_it_is_freed() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("not ours"), b"kept").unwrap();
    let spill = Spill::open(directory.path(), &options(20_000)).unwrap();
    let mut chance = StdRng::seed_from_u64(7);
    let mut kept: BTreeMap<SpillPlace, Content> = BTreeMap::new();
    for number in 0..3000 {
        let put = content(number, chance.random_range(0..900));
        let place = spill.put(put.clone());
        assert!(kept.insert(place, put).is_none());
        if chance.random_range(0..10) < 8 {
            let at = chance.random_range(0..kept.len());
            let place = *kept.keys().nth(at).unwrap();
            let read = spill.read(&[place]).unwrap();
            assert_same(&read[0], &kept[&place]);
            kept.remove(&place);
            spill.free(place);
        }
    }
    wait_until(|| spill.progress().pending() == 0);
    let places: Vec<SpillPlace> = kept.keys().copied().collect();
    for (read, place) in spill.read(&places).unwrap().iter().zip(&places) {
        assert_same(read, &kept[place]);
    }
    let statistics = spill.statistics();
    assert_eq!(statistics.live_messages, kept.len() as u64);
    places.into_iter().for_each(|place| spill.free(place));
    wait_until(|| files(directory.path()).len() <= 2);
    assert_eq!(spill.statistics().live_bytes, 0);
    spill.close();
    drop(Spill::open(directory.path(), &options(20_000)).unwrap());
    assert_eq!(files(directory.path()), ["not ours"]);
}

#[test]
fn a_full_disk_keeps_what_is_put_in_memory_and_freeing_makes_room() {
    let directory = tempfile::tempdir().unwrap();
    let files = FaultyFiles::new(directory.path());
    let shared: Arc<dyn Files> = Arc::new(files.clone());
    let spill = Spill::open_with(directory.path(), &options(5000), shared).unwrap();
    files.set_capacity(Some(20_000));
    let mut places = Vec::new();
    while !spill.progress().health().is_full() {
        places.push(spill.put(content(places.len() as u64, 400)));
        wait_until(|| spill.progress().pending() == 0 || spill.progress().health().is_full());
    }
    let read = spill.read(&places).unwrap();
    for (number, read) in (0..).zip(&read) {
        assert_same(read, &content(number, 400));
    }
    // What is freed of the files makes room for what waits.
    for place in places.drain(..places.len() / 2) {
        spill.free(place);
    }
    files.set_capacity(Some(files.used() + 400_000));
    wait_until(|| matches!(spill.progress().health(), Health::Well));
    wait_until(|| spill.progress().pending() == 0);
    assert_eq!(spill.read(&places).unwrap().len(), places.len());
}

#[test]
fn a_failed_write_is_final_and_damage_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let files = FaultyFiles::new(directory.path());
    let shared: Arc<dyn Files> = Arc::new(files.clone());
    let spill = Spill::open_with(directory.path(), &options(5000), shared).unwrap();
    let place = spill.put(content(1, 100));
    wait_until(|| spill.progress().pending() == 0);
    let path = spill.shared.path(place.segment);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = spill.read(&[place]).unwrap_err().to_string();
    assert!(damaged.contains("spill-0000000000") && damaged.contains("offset 0"), "{damaged}");
    files.plan(Operation::Write, 0, Fault::Error(io::ErrorKind::Other));
    let _place = spill.put(content(2, 100));
    wait_until(|| matches!(spill.progress().health(), Health::Failed(_)));
}

#[test]
fn as_a_message_store_it_holds_messages_until_they_are_settled() {
    let directory = tempfile::tempdir().unwrap();
    let spill = Spill::open(directory.path(), &options(16 << 10)).unwrap();
    let store = SpillMessages::new(spill);
    let publish = |number: u64, places: &[(u64, u64)]| Publish {
        content: content(number, 50),
        places: places
            .iter()
            .map(|(queue, sequence)| Place { queue: *queue, sequence: *sequence })
            .collect(),
    };
    for number in 0..4000 {
        let places = [(1, number), (2, number)];
        let places = &places[..if number % 10 == 0 { 2 } else { 1 }];
        let publishes = vec![publish(number, places)];
        store.append(&mut Batch { publishes, ..Batch::default() });
    }
    let settled = vec![Settled { queue: 1, first: 10, count: 3980 }];
    let ticket = store.append(&mut Batch { settled, ..Batch::default() });
    assert!(store.progress().durable() >= ticket);
    let sequences = |queue| -> Vec<u64> {
        let all = 0..u64::MAX;
        let read = store.read(queue, std::slice::from_ref(&all)).unwrap();
        read.messages.iter().for_each(|one| assert_same(&one.content, &content(one.sequence, 50)));
        read.messages.iter().map(|one| one.sequence).collect()
    };
    assert_eq!(sequences(1), (0..10).chain(3990..4000).collect::<Vec<_>>());
    assert_eq!(sequences(2), (0..4000).step_by(10).collect::<Vec<_>>());
    store.append(&mut Batch { deleted_queues: vec![1, 2], ..Batch::default() });
    assert_eq!(store.statistics().live_messages, 0);
    store.close().unwrap();
}

#[test]
fn of_neighbours_read_at_once_only_the_damaged_one_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let spill = Spill::open(directory.path(), &options(1 << 20)).unwrap();
    let places: Vec<_> = (0..5).map(|number| spill.put(content(number, 100))).collect();
    wait_until(|| spill.progress().pending() == 0);
    let path = spill.shared.path(places[2].segment);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[places[2].offset as usize + 60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let waiting = spill.put(content(5, 100));
    let wanted = [places[0], places[1], places[2], places[3], waiting, places[4]];
    let read = spill.read_each(&wanted);
    assert_eq!(
        read.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, true, false, true, true, true]
    );
    for (number, content_read) in
        [(0, &read[0]), (1, &read[1]), (3, &read[3]), (5, &read[4]), (4, &read[5])]
    {
        assert_same(content_read.as_ref().unwrap(), &content(number, 100));
    }
}
