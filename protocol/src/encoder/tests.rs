//! Frames in and out: whole, in pieces, broken.

mod allocation;

use crate::constants::{FRAME_END, FRAME_SIZE_TOLERANCE};
use crate::decoder::{decode_frame, needed};
use crate::encoder::{
    body_piece_max, write_body, write_body_frame, write_content_header, write_heartbeat,
    write_method,
};
use crate::error::DecodeError;
use crate::frame::{Frame, FrameKind};
use crate::methods::basic;
use proptest::prelude::*;

fn raw_frame(frame_type: u8, channel: u16, payload: &[u8], end: u8) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    let mut frame = vec![frame_type];
    frame.extend(channel.to_be_bytes());
    frame.extend(size.to_be_bytes());
    frame.extend(payload);
    frame.push(end);
    frame
}

/// A delivery: method, header, body.
fn delivery() -> Vec<u8> {
    let mut out = Vec::new();
    let deliver = basic::Deliver {
        consumer_tag: "ctag",
        delivery_tag: 7,
        redelivered: true,
        exchange: "",
        routing_key: "q",
    };
    write_method(&mut out, 3, &deliver);
    write_content_header(&mut out, 3, 60, 5, &[0, 0]);
    write_body(&mut out, 3, b"hello", 4096);
    out
}

#[test]
fn a_delivery_has_these_octets() {
    let expected = [
        b"\x01\x00\x03\x00\x00\x00\x15\x00\x3c\x00\x3c\x04ctag".as_slice(),
        b"\x00\x00\x00\x00\x00\x00\x00\x07\x01\x00\x01q\xce",
        b"\x02\x00\x03\x00\x00\x00\x0e\x00\x3c\x00\x00",
        b"\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\xce",
        b"\x03\x00\x03\x00\x00\x00\x05hello\xce",
    ]
    .concat();
    assert_eq!(delivery(), expected);
}

#[test]
fn a_heartbeat_has_these_octets() {
    let mut out = Vec::new();
    write_heartbeat(&mut out);
    assert_eq!(out, b"\x08\x00\x00\x00\x00\x00\x00\xce");
    let frame = decode_frame(&out, 4088).unwrap().unwrap();
    assert_eq!(frame, Frame { kind: FrameKind::Heartbeat, channel: 0, payload: &[] });
    assert_eq!(frame.encoded_len(), out.len());
}

#[test]
fn nothing_comes_out_until_the_last_octet_is_in() {
    let stream = delivery();
    let mut start = 0;
    let mut kinds = Vec::new();
    for end in 0..=stream.len() {
        while let Some(frame) = decode_frame(&stream[start..end], 4088).unwrap() {
            assert_eq!(stream[end - 1], FRAME_END);
            assert_eq!(start + frame.encoded_len(), end);
            kinds.push(frame.kind);
            start += frame.encoded_len();
        }
    }
    assert_eq!(start, stream.len());
    assert_eq!(kinds, [FrameKind::Method, FrameKind::Header, FrameKind::Body]);
}

#[test]
fn needed_leads_to_a_whole_frame_without_passing_it() {
    let stream = delivery();
    let first = decode_frame(&stream, 0).unwrap().unwrap().encoded_len();
    let mut have = 0;
    while decode_frame(&stream[..have], 0).unwrap().is_none() {
        let more = needed(&stream[..have]);
        assert!(more >= 1);
        have += more;
        assert!(have <= first);
    }
    assert_eq!(have, first);
    assert_eq!(needed(&stream), 1);
    assert_eq!(needed(b""), 8);
}

#[test]
fn size_is_refused_from_the_header() {
    let limit = 4088;
    let header = |size: u32| [&[3, 0, 1], size.to_be_bytes().as_slice()].concat();
    assert_eq!(decode_frame(&header(limit + FRAME_SIZE_TOLERANCE), limit), Ok(None));
    let size = limit + FRAME_SIZE_TOLERANCE + 1;
    assert_eq!(
        decode_frame(&header(size), limit),
        Err(DecodeError::FrameTooLarge { frame_type: 3, size, max: limit })
    );
    assert_eq!(decode_frame(&header(size)[..6], limit), Ok(None));
    assert_eq!(decode_frame(&header(u32::MAX), 0), Ok(None));
    assert_eq!(decode_frame(&header(u32::MAX), u32::MAX), Ok(None));
}

#[test]
fn body_is_split_to_fit_frame_max() {
    let body: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    for (frame_max, frames) in [(4096, 3), (5008, 2), (5007, 3), (0, 1), (131_072, 1)] {
        let mut out = Vec::new();
        write_body(&mut out, 9, &body, frame_max);
        let mut rest = out.as_slice();
        let mut joined = Vec::new();
        let mut count = 0;
        while let Some(frame) = decode_frame(rest, 0).unwrap() {
            assert_eq!((frame.kind, frame.channel), (FrameKind::Body, 9));
            assert!(frame_max == 0 || frame.encoded_len() <= frame_max as usize);
            joined.extend(frame.payload);
            rest = &rest[frame.encoded_len()..];
            count += 1;
        }
        assert_eq!((joined.as_slice(), rest.len(), count), (body.as_slice(), 0, frames));
    }
    let mut out = Vec::new();
    write_body(&mut out, 1, b"", 4096);
    assert!(out.is_empty());
    assert_eq!(body_piece_max(1), 1);
}

#[test]
fn broken_frames_are_refused_when_they_are_whole() {
    for frame_type in (0..=255).filter(|t| ![1, 2, 3, 8].contains(t)) {
        let frame = raw_frame(frame_type, 0, b"abc", FRAME_END);
        assert_eq!(decode_frame(&frame[..frame.len() - 1], 4088), Ok(None));
        let error = decode_frame(&frame, 4088).unwrap_err();
        assert!(
            matches!(error, DecodeError::UnknownFrameType { frame_type: t, .. } if t == frame_type)
        );
    }
    let error = decode_frame(&raw_frame(1, 1, b"", 0xCD), 4088).unwrap_err();
    assert!(matches!(error, DecodeError::InvalidFrameEnd { frame_type: 1, end: 0xCD, .. }));
    let error = decode_frame(&raw_frame(8, 0, b"x", FRAME_END), 4088).unwrap_err();
    assert!(matches!(error, DecodeError::HeartbeatPayload { .. }));
}

proptest! {
    #[test]
    fn any_octets_are_a_frame_an_error_or_too_few(
        octets in prop::collection::vec(any::<u8>(), 0..64), payload_max: u32,
    ) {
        prop_assert!(needed(&octets) >= 1);
        if let Ok(Some(frame)) = decode_frame(&octets, payload_max) {
            prop_assert!(frame.encoded_len() <= octets.len());
        }
    }

    #[test]
    fn bodies_come_back(body in prop::collection::vec(any::<u8>(), 0..5000), channel: u16) {
        let mut out = vec![0xAA];
        write_body_frame(&mut out, channel, &body);
        let frame = decode_frame(&out[1..], 5000).unwrap().unwrap();
        prop_assert_eq!(frame, Frame { kind: FrameKind::Body, channel, payload: &body });
    }
}
