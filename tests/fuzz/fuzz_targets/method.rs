//! The payload of a method frame: read or refused, and written again so that
//! it reads the same.

#![no_main]

use leveret_protocol::decoder::decode_frame;
use leveret_protocol::methods::Method;
use leveret_protocol::reply_code::reply_text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| match Method::decode(payload) {
    Ok(method) => {
        let mut written = Vec::new();
        method.encode_frame(&mut written, 1);
        let frame = decode_frame(&written, 0).expect("a frame").expect("a whole one");
        assert_eq!(frame.encoded_len(), written.len());
        assert_eq!(Method::decode(frame.payload), Ok(method));
        assert!(!method.name().is_empty());
    }
    Err(error) => {
        assert!(reply_text(error.reply_code(), &error.to_string()).len() <= 255);
    }
});
