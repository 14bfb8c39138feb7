//! What reads files that may hold anything, as the fuzzer calls it (`tests/fuzz`, `just fuzz`). In no
//! other build.

pub use crate::messages::fuzzed_record as log_record;
pub use crate::wal::fuzzed_segment as log_segment;
