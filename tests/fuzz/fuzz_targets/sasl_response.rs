//! The response of a SASL mechanism.

#![no_main]

use leveret::fuzzed::sasl_response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| sasl_response(octets));
