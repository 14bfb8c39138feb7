//! A data directory that another version has written is refused before anything in it is touched.

use crate::directory::{MESSAGES, assert_holds, assert_refuses, segments, stored};

/// Where a segment's header has its version, and its checksum over all that is before that.
const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 60;

#[test]
fn a_newer_directory_is_refused_untouched() {
    let mut broker = stored();
    let path = broker.data_directory().join("FORMAT");
    let text = std::fs::read_to_string(&path).expect("the format is text");
    std::fs::write(&path, text.replace("format = ", "format = 99")).expect("a writable file");
    let directory = broker.data_directory();
    assert_refuses(&mut broker, &directory, &["FORMAT", "format 99", "nothing was changed"]);
    std::fs::write(&path, text).expect("a writable file");
    assert_holds(&mut broker, 1..=MESSAGES);
}

#[test]
fn a_newer_segment_is_refused_untouched() {
    let mut broker = stored();
    let newest = segments(&broker).pop().expect("a segment");
    let old = std::fs::read(&newest).expect("a readable file");
    assert!(old.starts_with(b"LVRTSEG1"), "{:?}", &old[..CHECKSUM_AT]);
    let mut new = old.clone();
    new[VERSION_AT..VERSION_AT + 2].copy_from_slice(&999_u16.to_le_bytes());
    let checksum = crc32c::crc32c(&new[..CHECKSUM_AT]).to_le_bytes();
    new[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum);
    std::fs::write(&newest, new).expect("a writable file");
    let name = newest.file_name().expect("a name").to_string_lossy();
    let directory = broker.data_directory();
    assert_refuses(&mut broker, &directory, &[&name, "999"]);
    std::fs::write(&newest, old).expect("a writable file");
    assert_holds(&mut broker, 1..=MESSAGES);
}

#[test]
fn messages_in_the_layout_of_an_earlier_version_are_refused_untouched() {
    let mut broker = stored();
    let newest = segments(&broker).pop().expect("a segment");
    let now = std::fs::read(&newest).expect("a readable file");
    let mut old = now.clone();
    old[VERSION_AT..VERSION_AT + 2].copy_from_slice(&1_u16.to_le_bytes());
    let checksum = crc32c::crc32c(&old[..CHECKSUM_AT]).to_le_bytes();
    old[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum);
    std::fs::write(&newest, old).expect("a writable file");
    let name = newest.file_name().expect("a name").to_string_lossy();
    let directory = broker.data_directory();
    assert_refuses(&mut broker, &directory, &[&name, "earlier format 1", "nothing was changed"]);
    std::fs::write(&newest, now).expect("a writable file");
    assert_holds(&mut broker, 1..=MESSAGES);
}
