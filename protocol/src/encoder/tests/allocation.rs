//! The hot path asks the allocator for nothing.

use crate::content::ContentHeader;
use crate::decoder::decode_frame;
use crate::encoder::{write_body, write_content_header, write_heartbeat, write_method};
use crate::frame::FrameKind;
use crate::methods::{Method, basic};
use crate::properties::BasicProperties;
use crate::types::{RawTable, RawValue};
use allocation_counter::measure;

const PROPERTIES: &[u8] = b"\x30\x00\x00\x00\x00\x0c\x02idl\x00\x00\x00\x00\x00\x00\x00\x07\x02";

fn write_publish(out: &mut Vec<u8>) {
    let publish = basic::Publish { exchange: "", routing_key: "q", ..Default::default() };
    write_method(out, 1, &publish);
    write_content_header(out, 1, 60, 16, PROPERTIES);
    write_body(out, 1, &[7; 16], 4096);
}

fn read_all(mut input: &[u8]) -> usize {
    let mut read = 0;
    while let Some(frame) = decode_frame(input, 4088).unwrap() {
        match frame.kind {
            FrameKind::Method => assert!(Method::decode(frame.payload).is_ok()),
            FrameKind::Header => {
                let header = ContentHeader::decode(frame.payload).unwrap();
                let properties = BasicProperties::parse(header.properties).unwrap();
                let id = properties.headers.and_then(|headers| headers.find("id"));
                assert_eq!(id, Some(RawValue::I64(7)));
                assert_eq!(RawTable::EMPTY.find("id"), None);
            }
            FrameKind::Body | FrameKind::Heartbeat => {}
        }
        input = &input[frame.encoded_len()..];
        read += 1;
    }
    read
}

#[test]
fn reading_and_writing_messages_allocates_nothing() {
    let mut out = Vec::with_capacity(4096);
    let writing = measure(|| {
        write_publish(&mut out);
        write_method(&mut out, 1, &basic::Ack { delivery_tag: 1, multiple: true });
        write_heartbeat(&mut out);
    });
    assert_eq!(writing.count_total, 0);

    let mut read = 0;
    let reading = measure(|| read = read_all(&out));
    assert_eq!(reading.count_total, 0);
    assert_eq!(read, 5);
}
