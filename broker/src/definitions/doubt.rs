//! Until when messages came of which nobody knows whether they were handed out before a crash.
//!
//! Asked by `startup`, and kept with the definitions: what is in doubt stays so however the broker ends
//! from then on, until it is settled.

use leveret_storage::StorageError;
use leveret_storage::metadata::{Change, Collection, Key, MetadataStore, Snapshot};

/// Messages that came before this, in milliseconds since the epoch, are in doubt. `was_closed`: the
/// broker ended in order last time; else all that are there are in doubt, now and at later starts.
/// Blocks until that is durable.
///
/// # Errors
/// It cannot be stored, or what is stored is no number.
pub(crate) fn doubted_before_ms(
    store: &dyn MetadataStore,
    snapshot: &Snapshot,
    was_closed: bool,
    now_ms: u64,
) -> Result<u64, StorageError> {
    let key = Key::new(Collection::Node, "doubted-before");
    if !was_closed {
        let value = now_ms.to_be_bytes().to_vec();
        store.propose(vec![Change::Put { key, value }]).wait()?;
        return Ok(u64::MAX);
    }
    let Some(stored) = snapshot.get(&key) else { return Ok(0) };
    let number = stored.try_into().map(u64::from_be_bytes);
    number.map_err(|_| StorageError::Damaged {
        path: key.to_string().into(),
        detail: "not a number".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use leveret_storage::metadata::MemoryMetadata;

    use super::*;

    #[test]
    fn what_is_in_doubt_after_a_crash_is_so_after_orderly_ends() {
        let store = MemoryMetadata::new();
        let start = |was_closed, now_ms| {
            doubted_before_ms(&store, &store.read().unwrap(), was_closed, now_ms).unwrap()
        };
        assert_eq!(start(true, 1000), 0, "nothing ever crashed");
        assert_eq!(start(false, 2000), u64::MAX);
        assert_eq!((start(true, 3000), start(true, 4000)), (2000, 2000));
        assert_eq!((start(false, 5000), start(true, 6000)), (u64::MAX, 5000));
    }
}
