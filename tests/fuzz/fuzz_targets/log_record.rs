//! A record of the message log.

#![no_main]

use leveret_storage::fuzzed::log_record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| log_record(octets));
