//! A stream of octets, read as the connection reads it: frames do not depend
//! on where the stream is cut, and what is in them is read or refused.

#![no_main]

use leveret_protocol::content::ContentHeader;
use leveret_protocol::decoder::{decode_frame, needed};
use leveret_protocol::error::DecodeError;
use leveret_protocol::frame::FrameKind;
use leveret_protocol::methods::Method;
use leveret_protocol::properties::BasicProperties;
use leveret_protocol::reply_code::reply_text;
use libfuzzer_sys::fuzz_target;

const PAYLOAD_MAX: u32 = 4088;

fn check(error: &DecodeError) {
    let text = reply_text(error.reply_code(), &error.to_string());
    assert!(text.len() <= 255);
}

fuzz_target!(|stream: &[u8]| {
    let mut rest = stream;
    loop {
        match decode_frame(rest, PAYLOAD_MAX) {
            Ok(Some(frame)) => {
                let len = frame.encoded_len();
                assert_eq!(decode_frame(&rest[..len], PAYLOAD_MAX), Ok(Some(frame)));
                assert_eq!(decode_frame(&rest[..len - 1], PAYLOAD_MAX), Ok(None));
                assert!(needed(&rest[..len - 1]) == 1);
                match frame.kind {
                    FrameKind::Method => {
                        if let Err(error) = Method::decode(frame.payload) {
                            check(&error);
                        }
                    }
                    FrameKind::Header => match ContentHeader::decode(frame.payload) {
                        Ok(header) => {
                            let _ = header.expect_class(60);
                            let _ = BasicProperties::parse(header.properties);
                        }
                        Err(error) => check(&error),
                    },
                    FrameKind::Body => {}
                    FrameKind::Heartbeat => assert!(frame.payload.is_empty()),
                }
                rest = &rest[len..];
            }
            Ok(None) => {
                assert!(needed(rest) >= 1);
                break;
            }
            Err(error) => {
                check(&error);
                break;
            }
        }
    }
});
