//! A walk over the messages of a queue, page by page: over all of a kind, or over those that were picked.
//!
//! For `operations`. Stays true: a message that was picked is the one that was seen at its place, or none:
//! what moved on meanwhile is passed over, and never another in its stead.

use std::sync::Arc;

use crate::queue::Queue;
use crate::queue::cursor::{Place, Seen, Which};

/// Messages that are looked at, and changed, in one step.
pub(super) const STEP: usize = 256;
/// Bytes of them, unless it is a single one: small beside what the log can write as one.
const STEP_BYTES: usize = 8 << 20;

/// A message that somebody saw and means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    /// Where it was.
    pub place: Place,
    /// What it is known by in its queue.
    pub sequence: u64,
}

/// See the module documentation.
pub(super) struct Walk<'a> {
    which: Which,
    after: Option<Place>,
    /// Those that are still to be looked for, where some were picked.
    picked: Option<&'a [Pick]>,
}

impl<'a> Walk<'a> {
    /// Over these, or over all.
    pub(super) fn new(which: Which, picked: Option<&'a [Pick]>) -> Self {
        Self { which, after: None, picked }
    }

    /// The next page; `None` at the end.
    pub(super) async fn next(&mut self, queue: &Arc<Queue>) -> Option<Vec<Seen>> {
        let Some(picked) = self.picked else {
            let page = page(queue, self.which, self.after, STEP).await;
            self.after = Some(page.last()?.place);
            return Some(page);
        };
        let some = picked.get(..STEP.min(picked.len()))?.to_vec();
        if some.is_empty() {
            return None;
        }
        let (queue, which) = (Arc::clone(queue), self.which);
        let look = move || find(&queue, which, &some);
        // Otherwise the runtime ends.
        let (looked_for, found) = tokio::task::spawn_blocking(look).await.ok()?;
        self.picked = picked.get(looked_for..);
        Some(found)
    }
}

/// A page of what there is to see.
pub(super) async fn page(
    queue: &Arc<Queue>,
    which: Which,
    after: Option<Place>,
    most: usize,
) -> Vec<Seen> {
    let queue = Arc::clone(queue);
    let look = move || queue.look(which, after, (most.min(STEP), STEP_BYTES));
    // Otherwise the runtime ends.
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// Those that are where they were, and for how many it was looked.
fn find(queue: &Queue, which: Which, picked: &[Pick]) -> (usize, Vec<Seen>) {
    let (mut looked_for, mut bytes, mut found) = (0, 0, Vec::new());
    for Pick { place, sequence } in picked {
        if bytes >= STEP_BYTES {
            break;
        }
        looked_for += 1;
        let seen = queue.look(which, place.before(), (1, STEP_BYTES)).into_iter().next();
        let seen = seen.filter(|seen| seen.place == *place && seen.sequence == *sequence);
        bytes += seen.as_ref().map_or(0, |seen| seen.size);
        found.extend(seen);
    }
    (looked_for, found)
}
