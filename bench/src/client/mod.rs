//! A connection to a broker: its address, its bytes, its frames, and the methods that set it up.
//!
//! Used by everything that talks to a broker. Nothing here knows what is measured.

pub(crate) mod address;

pub(crate) mod session;

pub(crate) mod link;

pub(crate) mod frames;

pub(crate) mod tls;
