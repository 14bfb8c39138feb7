//! A token in the place of a password, and scopes.

#![no_main]

use leveret::fuzzed::web_token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| web_token(octets));
