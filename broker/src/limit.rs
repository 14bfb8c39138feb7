//! A limit that may be changed while it counts.
//!
//! Held by whoever holds others to it, set when the configuration is read again.

use std::sync::atomic::{AtomicUsize, Ordering};

const NONE: usize = usize::MAX;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Limit(AtomicUsize);

impl Default for Limit {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Limit {
    /// This many; any number if it is `None`.
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self(AtomicUsize::new(limit.unwrap_or(NONE)))
    }

    /// What it is now.
    pub(crate) fn get(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|limit| *limit != NONE)
    }

    /// Another one from now on. What there is stays.
    pub(crate) fn set(&self, limit: Option<usize>) {
        self.0.store(limit.unwrap_or(NONE), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_comes_and_goes() {
        let limit = Limit::default();
        assert_eq!(limit.get(), None);
        limit.set(Some(0));
        assert_eq!(limit.get(), Some(0));
        limit.set(None);
        assert_eq!(limit.get(), None);
    }
}
