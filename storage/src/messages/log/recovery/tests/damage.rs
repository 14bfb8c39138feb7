//! Logs that were cut and changed: below the synced point they are refused or salvaged, above it
//! they end there.

use std::collections::HashSet;
use std::fs;

use super::super::super::files::RealFiles;
use super::super::super::segment::{HEADER_SIZE, SegmentName};
use super::super::*;
use super::history::*;
use crate::messages::Settled;

/// The last bytes are cut at every place: nothing synced is ever missing without a word.
#[test]
fn cut_at_any_byte_the_log_comes_back_up_to_there_or_is_refused() {
    let history = sample();
    for (segment, (_, bytes)) in history.segments.iter().enumerate() {
        for length in 0..bytes.len() {
            let directory = history.directory();
            let path = history.path(&directory, segment);
            fs::File::options().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            let before = content(&directory);
            let outcome = attempt(&history, &directory);
            // Another segment tells how long it was.
            let is_last = segment + 1 == history.segments.len();
            let is_between_frames =
                history.frames.iter().any(|one| one.segment == segment && one.end == length)
                    || length == HEADER_SIZE as usize;
            match outcome {
                Ok(recovered) => {
                    assert!(is_last, "segment {segment} cut to {length}");
                    let kept = |frame: &Written| frame.segment != segment || frame.end <= length;
                    assert_eq!(live(&recovered), history.model(kept).live());
                    assert_eq!(recovered.notes.is_empty(), is_between_frames, "{length}");
                }
                Err(error) => {
                    assert!(!is_last, "{error}");
                    let (refused_path, detail) = refused(Err(error));
                    assert_eq!(refused_path, path);
                    assert!(detail.contains("at byte") && detail.contains("--salvage"), "{detail}");
                    assert_eq!(content(&directory), before, "nothing was changed");
                }
            }
        }
    }
}

/// Any byte is changed: below the synced point the log is refused with the frame's place, above it
/// the log ends there.
#[test]
fn with_any_byte_changed_the_log_is_refused_or_ends_before_it() {
    let history = sample();
    let last = history.segments.len() - 1;
    let ends = history.segments[last].1.len();
    let synced = history.synced_before(last, ends).unwrap();
    for (segment, (_, bytes)) in history.segments.iter().enumerate() {
        for changed in 0..bytes.len() {
            let directory = history.directory();
            let path = history.path(&directory, segment);
            let mut bytes = bytes.clone();
            bytes[changed] ^= 1 << (changed % 8);
            fs::write(&path, bytes).unwrap();
            let frame = history
                .frames
                .iter()
                .find(|one| one.segment == segment && (one.offset..one.end).contains(&changed));
            let start = frame.map_or(0, |frame| frame.offset);
            // A changed SYNCED frame leaves the one before it.
            let hits_last_synced = (segment, start) == synced;
            let is_synced = (segment, start) < synced && !hits_last_synced;
            let outcome = attempt(&history, &directory);
            if is_synced {
                let (refused_path, detail) = refused(outcome);
                assert_eq!(refused_path, path);
                assert!(detail.contains(&format!("at byte {start}:")), "{changed}: {detail}");
            } else {
                let recovered = outcome.unwrap_or_else(|error| panic!("{changed}: {error}"));
                let kept = |frame: &Written| frame.segment != segment || frame.end <= start;
                assert_eq!(live(&recovered), history.model(kept).live());
                assert_eq!(recovered.notes.len(), 1);
            }
        }
    }
}

#[test]
fn torn_tails_in_the_last_segments_are_cut_and_told() {
    for torn in [vec![3], vec![2, 3], vec![2]] {
        let mut history = sample();
        history.add(SegmentName::hot(4), &[publish(1, 6), publish(1, 7)]);
        let directory = history.directory();
        for segment in &torn {
            let path = history.path(&directory, *segment);
            let length = history.segments[*segment].1.len() as u64 - 3;
            fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        }
        let recovered = attempt(&history, &directory).unwrap();
        let kept: &[u64] = if torn == [3] { &[1, 4, 5, 6] } else { &[1, 4] };
        let sequences: Vec<_> =
            recovered.queues[&1].messages.iter().map(|message| message.sequence).collect();
        assert_eq!(sequences, kept);
        let told = format!("hot-{:010}: cut off", torn[0] + 1);
        assert!(recovered.notes[0].starts_with(&told), "{:?}", recovered.notes);
        // Nothing counts that was written behind a torn tail.
        if torn[0] == 2 {
            let told = "hot-0000000004: removed with";
            assert!(recovered.notes[1].starts_with(told), "{:?}", recovered.notes);
        }
        let again = attempt(&history, &directory).unwrap();
        assert_eq!((live(&again), again.notes.len()), (live(&recovered), 0));
    }
}

#[test]
fn a_batch_in_a_torn_tail_is_not_settled_by_the_snapshot_behind_it() {
    let batch = Event::Batch(vec![
        Event::Publish(vec![at(2, 1)], 9),
        Event::Range(Settled { queue: 1, first: 1, count: 1 }),
    ]);
    let mut history = History::new(&[vec![publish(1, 1), publish(1, 2), Event::Synced, batch]]);
    history.add_with_snapshot(SegmentName::hot(2), &[Event::Ack(at(1, 2))]);
    let directory = history.directory();
    let whole = live(&attempt(&history, &directory).unwrap());
    assert_eq!(whole.keys().copied().collect::<Vec<_>>(), [2]);
    let directory = history.directory();
    let path = history.path(&directory, 0);
    let length = history.segments[0].1.len() as u64 - 1;
    fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
    for _ in 0..2 {
        let recovered = attempt(&history, &directory).unwrap();
        assert_eq!(recovered.queues[&1].messages.len(), 2);
        // The caller goes on in a fresh segment, which is synced.
        history.add(SegmentName::hot(3), &[Event::Synced]);
        let (name, bytes) = history.segments.last().unwrap();
        fs::write(name.path(directory.path()), bytes).unwrap();
    }
}

#[test]
fn a_snapshot_is_all_that_is_left_of_older_segments() {
    let mut history = sample();
    history.add_with_snapshot(SegmentName::hot(4), &[publish(1, 6), Event::Synced]);
    let directory = history.directory();
    let all = attempt(&history, &directory).unwrap();
    assert_eq!(live(&all), history.model(|_| true).live());
    // No message of the second segment counts any more, and what it settled is told again.
    history.frames.clear();
    history.add(
        SegmentName::hot(5),
        &[
            Event::Range(Settled { queue: 2, first: 0, count: 9 }),
            Event::Ack(at(1, 4)),
            Event::Ack(at(3, 1)),
        ],
    );
    fs::write(history.path(&directory, 4), &history.segments[4].1).unwrap();
    let before = live(&attempt(&history, &directory).unwrap());
    fs::remove_file(history.path(&directory, 1)).unwrap();
    assert_eq!(live(&attempt(&history, &directory).unwrap()), before);
}

#[test]
fn a_segment_that_never_got_its_header_is_removed() {
    for (bytes, kept) in [(vec![], false), (vec![0; 64], false), (vec![0; 5000], false)] {
        let history = sample();
        let directory = history.directory();
        let path = SegmentName::hot(4).path(directory.path());
        fs::write(&path, &bytes).unwrap();
        fs::write(directory.path().join("cold-0000000009.tmp"), b"unfinished").unwrap();
        let recovered = attempt(&history, &directory).unwrap();
        assert_eq!(live(&recovered), history.model(|_| true).live());
        assert_eq!(path.exists(), kept);
        assert!(recovered.notes[0].starts_with("hot-0000000004: removed"), "{:?}", recovered.notes);
        assert_eq!(content(&directory).len(), 3);
    }
}

#[test]
fn an_id_that_a_removed_file_had_is_not_given_out_again() {
    let history = sample();
    let directory = history.directory();
    fs::write(SegmentName::hot(4).path(directory.path()), [0; 64]).unwrap();
    fs::write(directory.path().join("cold-0000000009.tmp"), b"unfinished").unwrap();
    let known_queues = HashSet::new();
    let request = Request {
        directory: directory.path(),
        store: &history.store,
        known_queues: &known_queues,
        salvage: false,
        files: &RealFiles,
    };
    let (holdings, _) = recover(&request).unwrap();
    assert_eq!(holdings.segments().highest_id(), 9);
}

#[test]
fn a_sealed_segment_that_is_cut_between_frames_is_noticed() {
    let mut history = History::new(&[vec![publish(1, 1), publish(1, 2)]]);
    let length = u32::try_from(history.segments[0].1.len()).unwrap();
    history.add(SegmentName::hot(2), &[Event::SyncedAt(1, length), publish(1, 3)]);
    let directory = history.directory();
    let path = history.path(&directory, 0);
    let cut = history.frames[0].end;
    fs::write(&path, &history.segments[0].1[..cut]).unwrap();
    let (refused_path, detail) = refused(attempt(&history, &directory));
    assert_eq!(refused_path, path);
    assert!(detail.starts_with(&format!("at byte {cut}: the file ends")), "{detail}");
    let recovered = attempt_with(&history, &directory, true).unwrap();
    assert_eq!(recovered.queues[&1].messages.len(), 2);
    let told = "how many bytes are missing is not known; after message 1 of queue 1";
    assert!(recovered.notes[0].ends_with(told), "{:?}", recovered.notes);
}

#[test]
fn a_cold_segment_is_never_torn() {
    let mut history = sample();
    history.add(SegmentName::cold(4), &[publish(4, 1), publish(4, 2)]);
    let whole = history.segments[3].1.clone();
    for length in 0..whole.len() {
        let directory = history.directory();
        let path = history.path(&directory, 3);
        fs::write(&path, &whole[..length]).unwrap();
        let is_between_frames =
            history.frames.iter().any(|one| one.segment == 3 && one.end == length);
        if is_between_frames || length == 64 {
            continue;
        }
        assert_eq!(refused(attempt(&history, &directory)).0, path, "cut to {length}");
    }
}

#[test]
fn another_stores_segment_is_refused_and_untouched() {
    let history = sample();
    let directory = history.directory();
    let mut other = History::new(&[]);
    other.add(SegmentName::hot(4), &[publish(1, 9)]);
    fs::write(SegmentName::hot(4).path(directory.path()), &other.segments[0].1).unwrap();
    fs::write(directory.path().join("hot-0000000007.tmp"), b"unfinished").unwrap();
    let before = content(&directory);
    let (path, detail) = refused(attempt(&history, &directory));
    assert!(path.ends_with("hot-0000000004") && detail.contains("another data directory"));
    assert_eq!(content(&directory), before);
}

#[test]
fn a_later_versions_segment_is_refused_and_nothing_is_touched() {
    let history = sample();
    let directory = history.directory();
    let path = history.path(&directory, 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    // Something that would be cut off, and something that would be refused.
    fs::write(SegmentName::hot(4).path(directory.path()), [0; 70]).unwrap();
    fs::write(history.path(&directory, 0), b"damaged").unwrap();
    let before = content(&directory);
    let error = attempt(&history, &directory).unwrap_err();
    assert!(matches!(error, StorageError::NewerFormat { found: 2, known: 1, .. }), "{error}");
    assert_eq!(content(&directory), before);
}

#[test]
fn two_segments_with_one_number_are_refused() {
    let mut history = sample();
    history.add(SegmentName::cold(3), &[publish(1, 9)]);
    let (_, detail) = refused(attempt(&history, &history.directory()));
    assert!(detail.contains("same number as hot-0000000003"), "{detail}");
}

#[test]
fn salvage_goes_on_without_what_is_damaged_and_says_what_that_is() {
    let history = sample();
    let directory = history.directory();
    // The message of places (1, 4), (2, 2) and (3, 1), and the header of the first segment.
    let is_wanted = |event: &Event| matches!(event, Event::Publish(places, _) if places.len() == 3);
    let frame = history.frames.iter().find(|frame| is_wanted(&frame.event)).unwrap();
    for (segment, changed) in [(1, frame.end - 1), (0, 3)] {
        let mut bytes = history.segments[segment].1.clone();
        bytes[changed] ^= 1;
        fs::write(history.path(&directory, segment), bytes).unwrap();
    }
    refused(attempt(&history, &directory));
    let recovered = attempt_with(&history, &directory, true).unwrap();
    let kept = |one: &Written| (one.segment, one.offset) != (1, frame.offset);
    assert_eq!(live(&recovered), history.model(kept).live());
    assert_eq!(recovered.notes.len(), 2, "{:?}", recovered.notes);
    assert!(recovered.notes[0].contains("hot-0000000001: at byte 0"), "{:?}", recovered.notes);
    let bytes = frame.end - frame.offset;
    let told = format!("; {bytes} bytes are unreadable; before message 3 of queue 2");
    assert!(recovered.notes[1].contains(&told), "{:?}", recovered.notes);
    let names: Vec<_> = content(&directory).into_keys().collect();
    let expected = [
        "cold-0000000004",
        "cold-0000000005",
        "hot-0000000001.damaged",
        "hot-0000000002.damaged",
        "hot-0000000003",
    ];
    assert_eq!(names, expected);
    let again = attempt(&history, &directory).unwrap();
    assert_eq!((live(&again), again.notes.len()), (live(&recovered), 0));
}

#[test]
fn salvage_of_any_changed_byte_loses_one_frame_at_most() {
    let history = sample();
    for segment in [0, 1] {
        for changed in 0..history.segments[segment].1.len() {
            let directory = history.directory();
            let mut bytes = history.segments[segment].1.clone();
            bytes[changed] ^= 1 << (changed % 8);
            fs::write(history.path(&directory, segment), bytes).unwrap();
            let recovered = attempt_with(&history, &directory, true).unwrap();
            let kept =
                |one: &Written| one.segment != segment || !(one.offset..one.end).contains(&changed);
            assert_eq!(live(&recovered), history.model(kept).live(), "byte {changed}");
        }
    }
}
