//! Runs the programs of `examples/` against a broker and compares what they
//! print with what their readers are led to expect, to the letter.
//!
//! Every test has a broker to itself, since the examples use fixed names.

mod patterns;
mod python;
mod rust;
