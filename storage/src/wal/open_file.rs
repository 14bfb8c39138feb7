//! A segment that is written to, and one that nothing will be written to any more.
//!
//! Values that pass between whoever appends, the sync thread and the keeper.

use std::sync::Arc;

use super::files::LogFile;
use super::manifest::Sealed;
use super::segment::Segment;

/// A segment that can be written to.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn LogFile>,
}

/// A segment that nothing will be written to any more.
#[derive(Debug)]
pub(crate) struct Sealing {
    pub(crate) file: Arc<OpenFile>,
    pub(crate) sealed: Sealed,
}
