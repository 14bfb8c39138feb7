//! A file of definitions.

#![no_main]

use leveret::fuzzed::definitions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| definitions(octets));
