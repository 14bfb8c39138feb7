//! How far the messages of a queue have come: what is written down beside them, and what follows from it.
//!
//! A room of `migrate`; pure. Written into a queue of its own at the broker they go to, in the step that puts
//! messages there. After an interruption the last of them may be at both brokers: the one to leave was not
//! told yet that they are kept. They are the first that it has.
//!
//! Stays true: what is passed over is there already, by count and by content; where the two do not agree
//! nothing is moved and nothing is passed over.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use leveret_bench::taking::Taken;

/// What is written down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// Messages that there were to move when it was begun.
    pub total: u64,
    /// Those that have been put into the queue.
    pub moved: u64,
    /// Digests of the last of them, in their order: those of one step.
    pub last: Vec<String>,
}

/// It cannot be told what is there already. One line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it was interrupted earlier, and the queue has changed since: {0} messages were moved of {1}, {2} are left, \
     and the first of them are not those that were moved last. Nothing was moved now. See what is there, then \
     delete the queue '{3}' at the new broker to move all that is left"
)]
pub(super) struct Changed(u64, u64, u64, pub String);

impl Progress {
    /// With so many more put into the queue.
    pub(super) fn and(&self, step: &[Taken]) -> Self {
        let moved = self.moved + step.len() as u64;
        Self { total: self.total, moved, last: step.iter().map(digest).collect() }
    }

    /// How many of the first messages of a queue are there already. `left` is how many it has, `first` are the
    /// first of them, as many as the last step had if there are so many.
    ///
    /// # Errors
    /// Count and content do not agree.
    pub(super) fn overlap(
        &self,
        left: u64,
        first: &[Taken],
        place: &str,
    ) -> Result<usize, Changed> {
        let changed = || Changed(self.moved, self.total, left, place.to_owned());
        let found: Vec<String> = first.iter().map(digest).collect();
        // Those of one step go together: all of them are there still, or none.
        let is_last_step = !self.last.is_empty() && found.starts_with(&self.last);
        let settled = self.total.checked_sub(left).ok_or_else(changed)?;
        let counted = self.moved.checked_sub(settled).ok_or_else(changed)?;
        match usize::try_from(counted) {
            Ok(0) => Ok(0),
            Ok(counted) if counted == self.last.len() && is_last_step => Ok(counted),
            Ok(_) | Err(_) => Err(changed()),
        }
    }
}

/// What tells a message from others.
fn digest(message: &Taken) -> String {
    let mut sum = Sha256::new();
    let parts = [
        message.exchange.as_bytes(),
        message.routing_key.as_bytes(),
        &message.properties,
        &message.body,
    ];
    for part in parts {
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    short(&sum.finalize())
}

/// The first eight octets of a sum, in hexadecimal.
pub(super) fn short(sum: &[u8]) -> String {
    sum.iter().take(8).map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Taken {
        Taken {
            delivery_tag: 1,
            redelivered: false,
            exchange: String::new(),
            routing_key: "q".to_owned(),
            properties: vec![0, 0],
            body: text.into(),
        }
    }

    fn messages(texts: &[&str]) -> Vec<Taken> {
        texts.iter().map(|text| message(text)).collect()
    }

    /// A queue of ten, of which six were moved, the last three in one step.
    fn interrupted() -> Progress {
        let begun = Progress { total: 10, moved: 3, last: Vec::new() };
        begun.and(&messages(&["4", "5", "6"]))
    }

    #[test]
    fn the_last_step_is_passed_over_if_it_is_there_still() {
        let first = messages(&["4", "5", "6"]);
        assert_eq!(interrupted().overlap(7, &first, "m"), Ok(3));
        let first = messages(&["7", "8", "9"]);
        assert_eq!(interrupted().overlap(4, &first, "m"), Ok(0));
    }

    #[test]
    fn the_same_message_again_and_again_is_told_by_the_count() {
        let same = messages(&["x", "x", "x"]);
        let progress = Progress { total: 10, moved: 3, last: Vec::new() }.and(&same);
        assert_eq!(progress.overlap(7, &same, "m"), Ok(3));
        assert_eq!(progress.overlap(4, &same, "m"), Ok(0), "others, of the same content");
    }

    #[test]
    fn what_begins_or_is_over_has_nothing_to_pass_over() {
        let begun = Progress { total: 10, ..Progress::default() };
        assert_eq!(begun.overlap(10, &messages(&["1"]), "m"), Ok(0));
        let over =
            Progress { total: 3, moved: 0, last: Vec::new() }.and(&messages(&["1", "2", "3"]));
        assert_eq!(over.overlap(0, &[], "m"), Ok(0));
    }

    #[test]
    fn a_queue_that_changed_is_left_alone() {
        let progress = interrupted();
        let first = messages(&["4", "5", "6"]);
        for (left, first) in [
            // Somebody published, consumed, or took one of the last step.
            (8, &first[..]),
            (6, &first[1..]),
            (11, &first[..]),
            (3, &messages(&["8", "9", "10"])[..]),
            (7, &messages(&["a", "b", "c"])[..]),
        ] {
            let changed = progress.overlap(left, first, "m").unwrap_err();
            assert!(changed.to_string().contains("'m'"), "{changed}");
        }
    }

    #[test]
    fn every_part_of_a_message_counts() {
        let one = message("a");
        let others = [
            Taken { exchange: "q".to_owned(), routing_key: String::new(), ..one.clone() },
            Taken { properties: vec![0, 0, b'a'], body: Vec::new(), ..one.clone() },
            Taken { body: b"b".to_vec(), ..one.clone() },
        ];
        for other in others {
            assert_ne!(digest(&one), digest(&other));
        }
        let again = Taken { delivery_tag: 2, redelivered: true, ..one.clone() };
        assert_eq!(digest(&one), digest(&again));
    }
}
