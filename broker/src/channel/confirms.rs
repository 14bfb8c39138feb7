//! Publisher confirms of one channel: which publishes the client has been told about.
//!
//! Counted by `channel::publish`, told by `connection::session` once per batch, so that one
//! `basic.ack` with `multiple` covers everything a read brought in. Stays true: a publish is
//! confirmed after it is in its queues, and after its basic.return if it has one; one that any of
//! its queues refused is nacked. See RabbitMQ's publisher confirms page.

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Confirms {
    published: u64,
    confirmed: u64,
    /// Sequence numbers above `confirmed` that a queue refused, ascending.
    refused: Vec<u64>,
}

/// A `basic.ack` or `basic.nack` to be sent to the publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// The publish sequence number, from 1.
    pub delivery_tag: u64,
    /// Whether all earlier ones are meant too.
    pub multiple: bool,
    /// Whether the message was taken.
    pub taken: bool,
}

impl Confirms {
    /// Counts a publish: its sequence number is the count.
    pub fn published(&mut self) {
        self.published += 1;
    }

    /// A queue refused the message published last.
    pub fn refused(&mut self) {
        self.refused.push(self.published);
    }

    /// The next thing to tell the client: everything published so far is in its queues, or was
    /// refused.
    pub fn take_next(&mut self) -> Option<Confirm> {
        let refused = self.refused.first().copied();
        let last_taken = refused.map_or(self.published, |first| first - 1);
        let new = last_taken - self.confirmed;
        if new > 0 {
            self.confirmed = last_taken;
            return Some(Confirm { delivery_tag: last_taken, multiple: new > 1, taken: true });
        }
        let delivery_tag = refused?;
        self.refused.remove(0);
        self.confirmed = delivery_tag;
        Some(Confirm { delivery_tag, multiple: false, taken: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(confirms: &mut Confirms) -> Vec<(u64, bool, bool)> {
        let next = std::iter::from_fn(|| confirms.take_next());
        next.map(|c| (c.delivery_tag, c.multiple, c.taken)).collect()
    }

    #[test]
    fn one_confirm_covers_all_since_the_last() {
        let mut confirms = Confirms::default();
        assert_eq!(all(&mut confirms), []);
        confirms.published();
        assert_eq!(all(&mut confirms), [(1, false, true)]);
        confirms.published();
        confirms.published();
        assert_eq!(all(&mut confirms), [(3, true, true)]);
        assert_eq!(all(&mut confirms), []);
    }

    #[test]
    fn refused_publishes_are_nacked_one_by_one_in_their_place() {
        let mut confirms = Confirms::default();
        for refused in [false, false, true, true, false] {
            confirms.published();
            if refused {
                confirms.refused();
            }
        }
        let expected = [(2, true, true), (3, false, false), (4, false, false), (5, false, true)];
        assert_eq!(all(&mut confirms), expected);
    }
}
