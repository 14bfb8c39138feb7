//! Answers that wait until what they say is on disk.
//!
//! Filled by `session::Dispatch`, waited for by the connection's loop alone. Changes of the topology
//! go on while the answers of earlier ones wait here, so that many share one sync; everything else a
//! client sends waits until the answers before it are out. Stays true: answers go out in the order
//! of their methods; no publish is confirmed while one waits.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use leveret_storage::StorageError;

use crate::definitions::store::Durable;

/// Answers that may wait for one connection: as many changes as one sync takes.
const WAITING_MAX: usize = 4096;

type Wait = Pin<Box<dyn Future<Output = Result<(), StorageError>> + Send>>;

/// See the module documentation.
#[derive(Default)]
pub(crate) struct Answers {
    /// What the first one waits for.
    first: Option<Wait>,
    waiting: VecDeque<(Durable, Vec<u8>)>,
}

impl Answers {
    /// Whether there are any.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether there are as many as there may be.
    pub(crate) fn are_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// These frames go out, behind all others, once it is durable.
    pub(crate) fn push(&mut self, durable: Durable, frames: Vec<u8>) {
        self.waiting.push_back((durable, frames));
    }

    /// Waits for the first, and gives the frames of all that can go out with it. Cancel safe.
    ///
    /// # Errors
    /// What it says could not be stored.
    pub(crate) async fn next(&mut self) -> Result<Vec<u8>, StorageError> {
        if self.first.is_none()
            && let Some((durable, _)) = self.waiting.front_mut()
        {
            self.first = Some(Box::pin(std::mem::take(durable).wait()));
        }
        let Some(first) = &mut self.first else { return std::future::pending().await };
        let stored = first.as_mut().await;
        self.first = None;
        let mut frames = self.waiting.pop_front().map(|(_, frames)| frames).unwrap_or_default();
        stored?;
        while let Some((durable, more)) = self.waiting.front()
            && durable.is_now()
        {
            frames.extend_from_slice(more);
            self.waiting.pop_front();
        }
        Ok(frames)
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use leveret_storage::metadata::{AppliedIndex, Proposal};

    use super::*;

    #[tokio::test]
    async fn answers_keep_their_order_and_those_that_can_go_out_together() {
        let mut answers = Answers::default();
        let (first, waits) = Proposal::pending();
        answers.push(Durable::from(waits.clone()), vec![1]);
        answers.push(Durable::now(), vec![2]);
        answers.push(Durable::from(waits), vec![3]);
        let (last, waits) = Proposal::pending();
        answers.push(Durable::from(waits), vec![4]);
        tokio::select! {
            biased;
            _ = answers.next() => panic!("nothing is durable"),
            () = std::future::ready(()) => {}
        }
        first.resolve(Ok(AppliedIndex(1)));
        assert_eq!(answers.next().await.unwrap(), [1, 2, 3]);
        assert!(answers.are_waiting());
        drop(last);
        assert!(answers.next().await.is_err());
        assert!(!answers.are_waiting());
    }

    #[tokio::test]
    async fn the_rest_of_a_change_is_made_by_waiting() {
        let (resolver, waits) = Proposal::pending();
        let rest = async move {
            resolver.resolve(Ok(AppliedIndex(1)));
            Durable::from(waits)
        };
        let mut answers = Answers::default();
        answers.push(Durable::now().and_rest(rest), vec![1]);
        assert_eq!(answers.next().await.unwrap(), [1]);
    }
}
