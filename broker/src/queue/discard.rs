//! Gives back the memory of messages that are gone, a bounded piece at a time.
//!
//! Called after a purge or a deletion, with no lock held: to drop a few hundred thousand messages
//! takes longer than anyone else should wait. Stays true: nobody sees these messages any more, so
//! nothing depends on when it happens.

use super::held::QueuedMessage;

/// Messages dropped between two looks at what else there is to do: under a millisecond.
const STEP: usize = 4096;

/// Drops these messages: few at once, more on a task of its own.
pub(super) fn discard(mut messages: impl Iterator<Item = QueuedMessage> + Send + 'static) {
    if drop_some(&mut messages) {
        return;
    }
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => {
            runtime.spawn(async move {
                while !drop_some(&mut messages) {
                    tokio::task::yield_now().await;
                }
            });
        }
        // The process ends.
        Err(_) => messages.for_each(drop),
    }
}

/// Whether that was all.
fn drop_some(messages: &mut impl Iterator<Item = QueuedMessage>) -> bool {
    messages.by_ref().take(STEP).count() < STEP
}
