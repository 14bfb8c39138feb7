//! Content headers and the properties in them.

use crate::constants::BODY_SIZE_MAX;
use crate::content::ContentHeader;
use crate::decoder::decode_frame;
use crate::encoder::write_content_header;
use crate::error::DecodeError;
use crate::properties::BasicProperties;
use crate::reply_code::ReplyCode;
use crate::types::RawTable;
use proptest::prelude::*;

const HEADERS: &[u8] = b"\x03keyS\x00\x00\x00\x05value\x01nI\x00\x00\x00\x07";

proptest! {
    #[test]
    fn properties_come_back(
        texts in prop::collection::vec(
            prop::option::of(prop::collection::vec(any::<u8>(), 0..=255)), 10),
        headers in prop::option::of(prop::sample::select(vec![HEADERS, b""])),
        delivery_mode: Option<u8>, priority: Option<u8>, timestamp: Option<u64>,
    ) {
        let text = |n: usize| texts[n].as_deref();
        let properties = BasicProperties {
            content_type: text(0),
            content_encoding: text(1),
            headers: headers.map(RawTable::new),
            delivery_mode,
            priority,
            correlation_id: text(2),
            reply_to: text(3),
            expiration: text(4),
            message_id: text(5),
            timestamp,
            message_type: text(6),
            user_id: text(7),
            app_id: text(8),
            cluster_id: text(9),
            // Neither CC nor BCC is among the headers.
            names_more_keys: false,
            names_delivery_time: false,
        };
        let mut octets = Vec::new();
        properties.encode(&mut octets);
        prop_assert_eq!(BasicProperties::parse(&octets).unwrap(), properties);

        let mut written = Vec::new();
        write_content_header(&mut written, 1, 60, 9, &octets);
        let frame = decode_frame(&written, 0).unwrap().unwrap();
        let header = ContentHeader::decode(frame.payload).unwrap();
        prop_assert_eq!(
            header,
            ContentHeader { class_id: 60, weight: 0, body_size: 9, properties: &octets }
        );
        for end in 0..octets.len() {
            prop_assert!(BasicProperties::parse(&octets[..end]).is_err());
        }
    }

    #[test]
    fn any_properties_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(properties) = BasicProperties::parse(&octets) {
            let mut again = Vec::new();
            properties.encode(&mut again);
            prop_assert_eq!(BasicProperties::parse(&again).unwrap(), properties);
        }
        let _ = ContentHeader::decode(&octets);
    }
}

#[test]
fn reads_properties_as_a_client_sends_them() {
    let octets = b"\x98\x00\x10application/json\x02\x05";
    let properties = BasicProperties::parse(octets).unwrap();
    assert_eq!(properties.content_type, Some(b"application/json".as_slice()));
    assert_eq!((properties.delivery_mode, properties.priority), (Some(2), Some(5)));
    assert_eq!(properties.headers, None);
}

#[test]
fn no_flags_are_no_properties() {
    assert_eq!(BasicProperties::parse(&[0, 0]), Ok(BasicProperties::default()));
    let mut octets = Vec::new();
    BasicProperties::default().encode(&mut octets);
    assert_eq!(octets, [0, 0]);
}

#[test]
fn further_flag_words_must_be_empty() {
    let empty = Ok(BasicProperties::default());
    assert_eq!(BasicProperties::parse(b"\x00\x01\x00\x00"), empty);
    assert_eq!(BasicProperties::parse(b"\x00\x01\x00\x01\x00\x00"), empty);
    let properties = BasicProperties::parse(b"\x08\x01\x00\x00\x09").unwrap();
    assert_eq!(properties.priority, Some(9));
    for octets in [b"\x00\x01".as_slice(), b"\x00\x01\x80\x00", b"\x00\x01\x00\x02"] {
        assert_eq!(BasicProperties::parse(octets), Err(DecodeError::MalformedProperties));
    }
    assert_eq!(BasicProperties::parse(b"\x00\x02"), empty);
}

#[test]
fn properties_that_do_not_match_their_flags_are_refused() {
    for octets in [b"".as_slice(), b"\x00", b"\x00\x00zz", b"\x80\x00\x05ab", b"\x10\x00"] {
        let error = BasicProperties::parse(octets).unwrap_err();
        assert_eq!(error, DecodeError::MalformedProperties);
        assert_eq!(error.reply_code(), ReplyCode::INTERNAL_ERROR);
    }
    let bad_table = b"\x20\x00\x00\x00\x00\x03\x01kZ";
    assert_eq!(BasicProperties::parse(bad_table), Err(DecodeError::MalformedTable));
}

#[test]
fn a_header_must_fit_its_method() {
    let header = |class_id, weight, body_size| ContentHeader {
        class_id,
        weight,
        body_size,
        properties: &[0, 0],
    };
    assert_eq!(header(60, 0, BODY_SIZE_MAX).expect_class(60), Ok(()));
    let rows = [
        (
            header(50, 0, 1),
            ReplyCode::UNEXPECTED_FRAME,
            "expected content header for class 60, got one for class 50 instead",
        ),
        (
            header(60, 1, 1),
            ReplyCode::UNEXPECTED_FRAME,
            "expected content header for class 60, got non content header frame instead",
        ),
        (
            header(50, 1, 1),
            ReplyCode::UNEXPECTED_FRAME,
            "expected content header for class 60, got non content header frame instead",
        ),
        (
            header(60, 0, BODY_SIZE_MAX + 1),
            ReplyCode::FRAME_ERROR,
            "content body size 536870913 exceeds maximum allowed size 536870912",
        ),
    ];
    for (header, code, text) in rows {
        let error = header.expect_class(60).unwrap_err();
        assert_eq!((error.reply_code(), error.to_string().as_str()), (code, text));
    }
}
