//! Who is away at the provider and expected back: pure, with the time as an argument.
//!
//! A room of `http::oauth`. Stays true: there are at most [`PENDING_MAX`]; each comes back once, within
//! [`PATIENCE`]; a state is known by its digest alone.

use std::collections::HashMap;
use std::time::Duration;

use ring::digest::{SHA256, digest};

/// At a time; beyond that the one goes that began first.
const PENDING_MAX: usize = 1024;
/// For a person to sign in at the provider.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Pending(HashMap<Vec<u8>, (Begun, Duration)>);

/// What a code is exchanged with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// The proof that who exchanges it asked for it.
    pub verifier: String,
    /// Where the provider sends the browser back to.
    pub back: String,
}

impl Pending {
    /// Somebody goes.
    pub(super) fn begin(&mut self, state: &str, begun: Begun, now: Duration) {
        self.0.retain(|_, (_, since)| now.saturating_sub(*since) < PATIENCE);
        if self.0.len() >= PENDING_MAX {
            let first = self.0.iter().min_by_key(|(_, (_, since))| *since);
            if let Some(first) = first.map(|(state, _)| state.clone()) {
                self.0.remove(&first);
            }
        }
        self.0.insert(digest_of(state), (begun, now));
    }

    /// Somebody comes back.
    pub(super) fn end(&mut self, state: &str, now: Duration) -> Option<Begun> {
        let (begun, since) = self.0.remove(&digest_of(state))?;
        (now.saturating_sub(since) < PATIENCE).then_some(begun)
    }
}

fn digest_of(state: &str) -> Vec<u8> {
    digest(&SHA256, state.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(verifier: &str) -> Begun {
        Begun { verifier: verifier.to_owned(), back: "b".to_owned() }
    }

    #[test]
    fn each_comes_back_once_and_in_time() {
        let mut pending = Pending::default();
        pending.begin("s", begun("v"), Duration::ZERO);
        assert_eq!(pending.end("t", Duration::ZERO), None);
        assert_eq!(pending.end("s", Duration::from_secs(599)), Some(begun("v")));
        assert_eq!(pending.end("s", Duration::from_secs(599)), None);
        pending.begin("s", begun("v"), Duration::ZERO);
        assert_eq!(pending.end("s", PATIENCE), None);
    }

    #[test]
    fn there_are_at_most_so_many() {
        let mut pending = Pending::default();
        for n in 0..=PENDING_MAX {
            let now = Duration::from_millis(n as u64);
            pending.begin(&n.to_string(), begun("v"), now);
        }
        assert_eq!(pending.0.len(), PENDING_MAX);
        assert_eq!(pending.end("0", Duration::from_secs(2)), None, "the first");
        pending.begin("late", begun("v"), PATIENCE * 2);
        assert_eq!(pending.0.len(), 1, "those whose time is over");
    }
}
