//! A configuration file.

#![no_main]

use leveret::fuzzed::configuration;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| configuration(octets));
