//! The confirms that one publisher waits for, and how long they took.

use crate::statistics::Latencies;
use std::num::NonZeroU32;

/// Messages sent and not yet confirmed.
#[derive(Debug)]
pub(crate) struct Window {
    size: u64,
    /// Time of sending by publish sequence number, modulo the length; 0 once confirmed.
    sent_at: Vec<u64>,
    /// The lowest sequence number that is not confirmed.
    lowest: u64,
    /// The next sequence number.
    next: u64,
    outstanding: u64,
    positive: u64,
    negative: u64,
    latencies: Latencies,
}

impl Window {
    pub(crate) fn new(size: NonZeroU32) -> Self {
        let size = u64::from(size.get());
        Self {
            size,
            sent_at: vec![0; usize::try_from(size).unwrap_or(usize::MAX)],
            lowest: 1,
            next: 1,
            outstanding: 0,
            positive: 0,
            negative: 0,
            latencies: Latencies::new(),
        }
    }

    /// How many more may be sent. Sequence numbers span at most the size, so that a straggler
    /// keeps its place.
    pub(crate) fn room(&self) -> u64 {
        self.size - (self.next - self.lowest)
    }

    pub(crate) const fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// Messages the broker took responsibility for.
    pub(crate) const fn positive(&self) -> u64 {
        self.positive
    }

    /// Messages the broker refused.
    pub(crate) const fn negative(&self) -> u64 {
        self.negative
    }

    pub(crate) const fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    fn place(&mut self, sequence: u64) -> Option<&mut u64> {
        let at = usize::try_from(sequence % self.size).ok()?;
        self.sent_at.get_mut(at)
    }

    /// Notes a message sent at `now`.
    pub(crate) fn open(&mut self, now: u64) {
        let sequence = self.next;
        self.next += 1;
        self.outstanding += 1;
        if let Some(place) = self.place(sequence) {
            *place = now.max(1);
        }
    }

    /// Notes a confirm; what was settled before is left alone.
    pub(crate) fn settle(&mut self, tag: u64, multiple: bool, positive: bool, now: u64) {
        if tag == 0 && multiple {
            return self.settle(self.next - 1, true, positive, now);
        }
        if tag < self.lowest || tag >= self.next {
            return;
        }
        let first = if multiple { self.lowest } else { tag };
        // Messages stamped with one look at the clock took equally long.
        let (mut alike_at, mut alike) = (0, 0);
        for sequence in first..=tag {
            let sent_at = self.place(sequence).map_or(0, std::mem::take);
            if sent_at == 0 {
                continue;
            }
            self.outstanding -= 1;
            if positive {
                self.positive += 1;
            } else {
                self.negative += 1;
            }
            if sent_at != alike_at {
                self.latencies.record_all(now.saturating_sub(alike_at), alike);
                (alike_at, alike) = (sent_at, 0);
            }
            alike += 1;
        }
        self.latencies.record_all(now.saturating_sub(alike_at), alike);
        while self.lowest < self.next && self.place(self.lowest).is_some_and(|at| *at == 0) {
            self.lowest += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(size: u32) -> Window {
        Window::new(NonZeroU32::new(size).unwrap())
    }

    #[test]
    fn a_window_opens_with_confirms() {
        let mut window = window(4);
        (0..4).for_each(|now| window.open(now));
        assert_eq!((window.room(), window.outstanding()), (0, 4));
        window.settle(3, false, true, 10);
        assert_eq!((window.room(), window.outstanding()), (0, 3), "the first still has its place");
        window.settle(2, true, true, 10);
        assert_eq!((window.room(), window.outstanding()), (3, 1));
        window.open(20);
        window.settle(5, true, false, 30);
        assert_eq!((window.room(), window.outstanding()), (4, 0));
        assert_eq!((window.positive(), window.negative()), (3, 2));
    }

    #[test]
    fn foreign_and_repeated_confirms_change_nothing() {
        let mut window = window(4);
        window.open(1);
        window.settle(2, true, true, 5);
        window.settle(1, false, true, 5);
        window.settle(1, false, true, 5);
        window.settle(0, false, true, 5);
        assert_eq!((window.positive(), window.outstanding(), window.room()), (1, 0, 4));
        window.open(1);
        window.settle(0, true, true, 5);
        assert_eq!((window.positive(), window.outstanding()), (2, 0));
    }

    #[test]
    fn every_message_of_a_confirm_counts_with_its_own_time() {
        let mut window = window(10);
        for now in [1_000, 1_000, 1_000, 5_000] {
            window.open(now);
        }
        window.settle(4, true, true, 9_000);
        let summary = window.latencies().summary().unwrap();
        assert!((summary.p50_us - 8.0).abs() < 0.1, "not the 4 us of the last: {summary:?}");
        assert!((summary.max_us - 8.0).abs() < 0.1);
    }
}
