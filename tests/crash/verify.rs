//! `leveret verify DIR` as an operator uses it, and a start on a directory that it complains about.

use std::path::PathBuf;
use std::process::Output;

use leveret_tests::broker_under_test::{BrokerUnderTest, run_leveret};

use crate::directory::{MESSAGES, assert_holds, assert_refuses, files, segments, stamp, stored};

/// A frame has a few dozen bytes before its body.
const FRAME_HEAD_MAX: usize = 200;

fn verify(broker: &BrokerUnderTest, options: &[&str]) -> (Output, String) {
    let directory = broker.data_directory();
    let mut arguments = vec!["verify".as_ref()];
    arguments.extend(options.iter().map(std::ffi::OsStr::new));
    arguments.push(directory.as_os_str());
    let output = run_leveret(&arguments);
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    (output, String::from_utf8(text).expect("verify prints text"))
}

/// All numbers in a text.
fn numbers(text: &str) -> impl Iterator<Item = usize> {
    let digits = text.split(|character: char| !character.is_ascii_digit());
    digits.filter_map(|digits| digits.parse().ok())
}

/// Where the body of message `number` is: the segment, its bytes, and where in it.
fn find(broker: &BrokerUnderTest, number: u64) -> (PathBuf, Vec<u8>, usize) {
    let body = stamp(number).message("", "").body;
    for path in segments(broker) {
        let bytes = std::fs::read(&path).expect("a readable file");
        let at = bytes.windows(body.len()).position(|window| window == body);
        if let Some(at) = at {
            return (path, bytes, at);
        }
    }
    panic!("message {number} is in no segment");
}

/// Changes a byte in the body of message `number`: the segment, and where in it.
fn damage(broker: &BrokerUnderTest, number: u64) -> (PathBuf, usize) {
    let (path, mut bytes, at) = find(broker, number);
    bytes[at + stamp(number).message("", "").body.len() / 2] ^= 1;
    std::fs::write(&path, bytes).expect("a writable file");
    (path, at)
}

/// Whether a text has the offset of a frame whose body is at this place.
fn has_offset(text: &str, body_at: usize) -> bool {
    numbers(text).any(|number| (body_at.saturating_sub(FRAME_HEAD_MAX)..=body_at).contains(&number))
}

#[test]
fn a_sound_directory_is_counted_and_left_alone() {
    let broker = stored();
    let before = files(&broker.data_directory());
    let (output, text) = verify(&broker, &[]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(numbers(&text).any(|number| number as u64 == MESSAGES), "{text}");
    assert!(files(&broker.data_directory()) == before, "verify has written something");
}

#[test]
fn a_directory_in_use_is_not_looked_at() {
    let mut broker = stored();
    broker.start_again();
    let (output, text) = verify(&broker, &[]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("in use"), "{text}");
}

#[test]
fn damage_is_named_refused_and_salvaged_on_request() {
    let mut broker = stored();
    let (segment, at) = damage(&broker, 10);
    let name = segment.file_name().expect("a name").to_string_lossy().into_owned();

    let (output, text) = verify(&broker, &[]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&name) && has_offset(&text, at), "{name} near {at}: {text}");

    let messages = broker.data_directory().join("messages");
    let refusal = assert_refuses(&mut broker, &messages, &[&name, "leveret verify"]);
    assert!(has_offset(&refusal, at), "{name} near {at}: {refusal}");

    let (_, report) = verify(&broker, &["--salvage"]);
    assert!(report.contains(&name), "{report}");
    let kept = segment.with_file_name(format!("{name}.damaged"));
    assert!(kept.exists(), "the damaged segment is kept: {report}");
    assert_holds(&mut broker, (1..=MESSAGES).filter(|number| *number != 10));
}

#[test]
fn a_torn_tail_is_sound_and_cut_and_kept_aside() {
    let mut broker = stored();
    let (newest, mut bytes, _) = find(&broker, MESSAGES);
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("a header") + 1;
    bytes[end..end + 100].fill(0xA5);
    std::fs::write(&newest, bytes).expect("a writable file");
    let (output, text) = verify(&broker, &[]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_holds(&mut broker, 1..=MESSAGES);
    let kept = std::fs::read(newest.with_extension("torn")).expect("what was cut off");
    assert_eq!(kept, [0xA5; 100]);
}

#[test]
fn a_missing_segment_is_named_and_refused() {
    let mut broker = stored();
    let (segment, _, _) = find(&broker, MESSAGES);
    std::fs::remove_file(&segment).expect("a file that can be removed");
    let name = segment.file_name().expect("a name").to_string_lossy().into_owned();
    let (output, text) = verify(&broker, &[]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&name) && text.contains("missing"), "{text}");
    let messages = broker.data_directory().join("messages");
    assert_refuses(&mut broker, &messages, &[&name, "missing", "leveret verify"]);
}
