//! The properties of a content header: read or refused, and written again so
//! that they read the same.

#![no_main]

use leveret_protocol::properties::BasicProperties;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    if let Ok(properties) = BasicProperties::parse(raw) {
        let mut written = Vec::new();
        properties.encode(&mut written);
        assert_eq!(BasicProperties::parse(&written), Ok(properties.clone()));
        if let Some(headers) = properties.headers {
            assert!(headers.parse().is_ok());
        }
    }
});
