//! That a queue is paused: who, and why.
//!
//! A value: carried out by `queue::pausing`, kept by `definitions`.

use serde::{Deserialize, Serialize};

/// Who is paused, each with the reason that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pause {
    /// Consumers, and `basic.get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumers: Option<String>,
    /// Publishers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publishers: Option<String>,
}

impl Pause {
    /// Whether nobody is.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
