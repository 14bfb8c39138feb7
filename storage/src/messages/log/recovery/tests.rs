//! Logs written by hand and shuffled: what comes back is what was not settled.

use std::fs;

use proptest::prelude::*;

use self::history::*;
use super::super::files::RealFiles;
use super::super::frame::{FramePlace, decode};
use super::super::segment::SegmentName;
use super::*;
use crate::messages::Settled;

mod damage;
mod history;

#[test]
fn what_is_not_settled_comes_back_in_order() {
    let history = sample();
    let directory = history.directory();
    let recovered = attempt(&history, &directory).unwrap();
    assert_eq!(live(&recovered), history.model(|_| true).live());
    let sequences = |queue: u64| -> Vec<u64> {
        recovered.queues[&queue].messages.iter().map(|one| one.sequence).collect()
    };
    assert_eq!((sequences(1), sequences(2), sequences(3)), (vec![1, 4, 5], vec![2, 3], vec![1, 2]));
    assert_eq!(recovered.queues[&1].messages[0].delivery_count, 2);
    assert_eq!(recovered.queues[&2].next_sequence, 4);
    assert_eq!(recovered.notes, Vec::<String>::new());
}

#[test]
fn the_accounts_of_the_segments_are_those_of_what_came_back() {
    let history = sample();
    let directory = history.directory();
    let known_queues = HashSet::from([1, 2, 3]);
    let request = Request {
        directory: directory.path(),
        store: &history.store,
        known_queues: &known_queues,
        salvage: false,
        files: &RealFiles,
    };
    let (holdings, _) = recover(&request).unwrap();
    let refs = [1, 2, 3].map(|id| holdings.segments().get(id).unwrap().live_refs);
    assert_eq!(refs, [1, 4, 2]);
    assert_eq!(holdings.segments().highest_id(), 3);
}

#[test]
fn unknown_queues_are_quarantined_and_deleted_ones_are_gone() {
    let history = History::new(&[vec![
        publish(70, 1),
        publish(70, 2),
        publish(80, 1),
        publish(5, 1),
        Event::Ack(at(70, 2)),
        Event::Delete(80),
        publish(80, 2),
        // The definitions still have it: its deletion was not completed.
        Event::Delete(5),
    ]]);
    let directory = history.directory();
    let recovered = attempt(&history, &directory).unwrap();
    let quarantined: Vec<_> =
        recovered.quarantined.iter().map(|one| (one.queue, one.messages)).collect();
    assert_eq!(quarantined, [(70, 1)]);
    assert_eq!(recovered.queues.keys().copied().collect::<Vec<_>>(), [5]);
    assert_eq!(recovered.queues[&5].messages.len(), 1);
}

#[test]
fn a_message_in_two_segments_is_there_once() {
    let mut history = History::new(&[vec![publish(1, 1), publish(1, 2)]]);
    history.add(SegmentName::cold(2), &[publish(1, 2)]);
    history.add(SegmentName::hot(3), &[Event::Ack(at(1, 1))]);
    let directory = history.directory();
    let known_queues = HashSet::from([1]);
    let request = Request {
        directory: directory.path(),
        store: &history.store,
        known_queues: &known_queues,
        salvage: false,
        files: &RealFiles,
    };
    let (holdings, recovered) = recover(&request).unwrap();
    assert_eq!(recovered.queues[&1].messages.len(), 1);
    let refs = [1, 2, 3].map(|id| holdings.segments().get(id).unwrap().live_refs);
    assert_eq!(refs, [0, 1, 0], "the copy counts");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_log_comes_back_as_the_model_says_and_twice_is_once(history in histories()) {
        let directory = history.directory();
        let first = attempt(&history, &directory).unwrap();
        prop_assert_eq!(live(&first), history.model(|_| true).live());
        let again = attempt(&history, &directory).unwrap();
        prop_assert_eq!(format!("{first:?}"), format!("{again:?}"));
    }

    #[test]
    fn the_order_of_segments_and_frames_makes_no_difference(
        history in histories(),
        seed in any::<u64>(),
    ) {
        use rand::SeedableRng;
        use rand::seq::SliceRandom;
        let directory = history.directory();
        let listing =
            Listing::read(directory.path(), &history.store.bytes(), &RealFiles).unwrap();
        let rebuilt = |shuffle: Option<u64>| {
            let holdings = accounts(directory.path(), &listing, &RealFiles).unwrap();
            let mut rebuild = Rebuild::new(holdings, None);
            let mut frames: Vec<&Written> = history.frames.iter().collect();
            if let Some(seed) = shuffle {
                frames.shuffle(&mut rand::rngs::StdRng::seed_from_u64(seed));
            }
            for one in frames {
                let (name, bytes) = &history.segments[one.segment];
                let offset = u32::try_from(one.offset).unwrap();
                let position = LogPosition { segment: name.id, offset };
                let len = u32::try_from(one.end - one.offset).unwrap();
                let place = FramePlace { offset, len };
                let frame = decode(position, &bytes[one.offset..]).unwrap();
                rebuild.frame(name.id, place, &frame).unwrap();
            }
            let Rebuilt { holdings, queues, quarantined, .. } = rebuild.finish();
            let accounts: Vec<_> = listing
                .segments
                .iter()
                .map(|segment| {
                    let account = holdings.segments().get(segment.name.id).unwrap();
                    (account.live_refs, account.live_bytes)
                })
                .collect();
            format!("{queues:?} {quarantined:?} {accounts:?}")
        };
        prop_assert_eq!(rebuilt(None), rebuilt(Some(seed)));
    }
}

/// More segments than are read whole, each with some messages and what became of those before.
fn long_history() -> History {
    let segments: Vec<Vec<Event>> = (0..outline::READ_WHOLE as u64 + 4)
        .map(|segment| {
            let first = segment * 10;
            let mut events: Vec<Event> =
                (first..first + 10).map(|sequence| publish(segment % 3, sequence)).collect();
            events.push(Event::Range(Settled { queue: segment % 3, first, count: 4 }));
            events.push(Event::Batch(vec![
                Event::Publish(vec![at(5, segment), at(6, segment)], 3000),
                Event::Count(at(segment % 3, first + 7), 2),
            ]));
            events.push(Event::Synced);
            events
        })
        .collect();
    History::new(&segments)
}

#[test]
fn outlines_of_old_segments_tell_the_same_as_the_segments() {
    let history = long_history();
    let directory = history.directory();
    let without = attempt(&history, &directory).unwrap();
    assert_eq!(live(&without), history.model(|_| true).live());
    for (name, _) in &history.segments {
        let path = name.path(directory.path());
        let file = RealFiles.open_to_read(&path).unwrap();
        outline::write(&*file, name.id, &path, &RealFiles).unwrap();
    }
    // One of a segment that is gone.
    let path = SegmentName::hot(999).path(directory.path());
    fs::write(outline::path(&path), b"left over").unwrap();
    let with = attempt(&history, &directory).unwrap();
    assert_eq!(format!("{with:?}"), format!("{without:?}"));
    assert!(!outline::path(&path).exists());
}

#[test]
fn an_outlined_segment_that_is_cut_is_refused_and_a_bad_outline_is_passed_over() {
    let history = long_history();
    let directory = history.directory();
    for (name, _) in &history.segments[..3] {
        let path = name.path(directory.path());
        let file = RealFiles.open_to_read(&path).unwrap();
        outline::write(&*file, name.id, &path, &RealFiles).unwrap();
    }
    let bad = outline::path(&history.path(&directory, 1));
    let mut bytes = fs::read(&bad).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&bad, bytes).unwrap();
    let recovered = attempt(&history, &directory).unwrap();
    assert_eq!(live(&recovered), history.model(|_| true).live());
    let cut = history.path(&directory, 0);
    let length = fs::metadata(&cut).unwrap().len() - 1;
    fs::File::options().write(true).open(&cut).unwrap().set_len(length).unwrap();
    assert_eq!(refused(attempt(&history, &directory)).0, cut);
}
