//! The header of a proxy.

#![no_main]

use leveret::fuzzed::proxy_header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| proxy_header(octets));
