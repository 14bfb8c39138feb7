//! A segment of the log.

#![no_main]

use leveret_storage::fuzzed::log_segment;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| log_segment(octets));
