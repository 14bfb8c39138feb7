//! The count of the broker's starts: what makes numbers unique across restarts and crashes.
//!
//! The broker puts it in front of the numbers it gives out within one start, such as queue ids, so
//! that none costs a write of its own. If the definitions had to be rebuilt from an export, starts
//! after it are unknown; [`skip_ahead`] then moves far beyond them.

use super::published::Image;
use super::{Change, Collection, Key, MetadataStore, Snapshot};
use crate::StorageError;

/// How far the count is moved by a rebuild: more starts than there are between two exports.
const SKIP: u64 = 1 << 12;

/// Counts a start of the broker: higher than at every start before. The first is
/// 1. Blocks until it is durable.
///
/// `highest_number` is the highest number that anything outside the definitions
/// still knows, such as the message log: definitions may have been moved away, or
/// come from a backup, and then their own count begins again below it.
///
/// # Errors
/// The store cannot be read or written, or the count has left 32 bits.
pub fn boot_epoch(
    store: &dyn MetadataStore,
    highest_number: Option<u64>,
) -> Result<u32, StorageError> {
    let known = highest_number.map_or(0, |number| number >> u32::BITS);
    let epoch = stored(&store.read()?)?.max(known) + 1;
    let narrow = u32::try_from(epoch).map_err(|_| not_a_number())?;
    store.propose(vec![put(epoch)]).wait()?;
    Ok(narrow)
}

/// The change that keeps epochs unique after a rebuild from `image`.
pub(crate) fn skip_ahead(image: &Image) -> Change {
    let epoch = image.entries.get(&key()).and_then(|value| number(value)).unwrap_or(0);
    put(epoch.saturating_add(SKIP))
}

fn key() -> Key {
    Key::new(Collection::Node, "boot-epoch")
}

fn put(number: u64) -> Change {
    Change::Put { key: key(), value: number.to_be_bytes().to_vec() }
}

fn stored(snapshot: &Snapshot) -> Result<u64, StorageError> {
    snapshot.get(&key()).map_or(Ok(0), |bytes| number(bytes).ok_or_else(not_a_number))
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn not_a_number() -> StorageError {
    StorageError::Damaged { path: key().to_string().into(), detail: "not a number".to_owned() }
}
