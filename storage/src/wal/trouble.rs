//! Why something could not be written: for want of room, or for good.

use crate::StorageError;

/// Why something could not be written.
#[derive(Debug)]
pub enum Trouble {
    /// There is no room. It may be tried again.
    Full,
    /// The log must end.
    Failed(StorageError),
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}
