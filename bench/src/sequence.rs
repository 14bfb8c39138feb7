//! What a benchmark message carries, and whether everything arrived once and in order.
//!
//! A publisher numbers its messages for each queue from zero and stamps number, publisher and time
//! into the first 16 bytes of the body. The consumers of a queue keep one [`Arrivals`] for each
//! publisher; when the run is over those of one queue are merged and compared with what was sent.

/// Bytes a stamp takes at the start of the body; shorter bodies travel unchecked.
pub(crate) const STAMP_SIZE: usize = 16;

const SEQUENCE_BITS: u32 = 48;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;

/// The first bytes of a body.
///
/// ```text
///   0        2                       8                              16
///   +--------+-----------------------+-------------------------------+
///   |publishr| sequence (48 bits)    | nanoseconds since the start   |  big-endian
///   +--------+-----------------------+-------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) publisher: u16,
    pub(crate) sequence: u64,
    pub(crate) nanoseconds: u64,
}

impl Stamp {
    pub(crate) fn to_bytes(self) -> [u8; STAMP_SIZE] {
        let head = (u64::from(self.publisher) << SEQUENCE_BITS) | (self.sequence & SEQUENCE_MASK);
        let whole = (u128::from(head) << 64) | u128::from(self.nanoseconds);
        whole.to_be_bytes()
    }

    /// The stamp at the start of `body`; none when the body is too short for one.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let (publisher, rest) = body.split_first_chunk::<2>()?;
        let (sequence, rest) = rest.split_first_chunk::<6>()?;
        let (nanoseconds, _) = rest.split_first_chunk::<8>()?;
        let mut wide = [0; 8];
        let (_, low) = wide.split_last_chunk_mut::<6>()?;
        *low = *sequence;
        Some(Self {
            publisher: u16::from_be_bytes(*publisher),
            sequence: u64::from_be_bytes(wide),
            nanoseconds: u64::from_be_bytes(*nanoseconds),
        })
    }
}

/// What one consumer received of one publisher's messages in one queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals {
    /// Everything below has arrived without a gap.
    contiguous: u64,
    /// One bit for each sequence number that arrived out of that row.
    scattered: Bits,
    last: Option<u64>,
    duplicates: u64,
    misordered: u64,
}

impl Arrivals {
    /// Notes one message.
    pub(crate) fn note(&mut self, sequence: u64) {
        if sequence == self.contiguous && !self.scattered.contains(sequence) {
            self.contiguous += 1;
        } else if sequence < self.contiguous || !self.scattered.insert(sequence) {
            self.duplicates += 1;
            return;
        }
        if self.last.is_some_and(|last| sequence < last) {
            self.misordered += 1;
        }
        self.last = Some(sequence);
    }

    /// Adds what another consumer of the same queue received of the same publisher. Order is each
    /// consumer's own affair; a number both have is a duplicate.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.duplicates += other.duplicates;
        self.misordered += other.misordered;
        for sequence in (0..other.contiguous).chain(other.scattered.iter()) {
            if sequence < self.contiguous || !self.scattered.insert(sequence) {
                self.duplicates += 1;
            }
        }
    }

    /// Compares with the `sent` numbers, which are all below it.
    pub(crate) fn verdict(&self, sent: u64) -> Verdict {
        let foreign = self.scattered.iter().filter(|sequence| *sequence >= sent).count();
        let arrived = self.contiguous + self.scattered.count();
        Verdict {
            missing: (sent + foreign as u64).saturating_sub(arrived),
            duplicates: self.duplicates + foreign as u64,
            misordered: self.misordered,
        }
    }
}

/// How far a run was from exactly once and in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Sent and not received.
    pub(crate) missing: u64,
    /// Received again, or never sent.
    pub(crate) duplicates: u64,
    /// Received by the same consumer after a later one.
    pub(crate) misordered: u64,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: Self) {
        self.missing += other.missing;
        self.duplicates += other.duplicates;
        self.misordered += other.misordered;
    }
}

/// A growing set of numbers, a bit each.
#[derive(Clone, Debug, Default)]
struct Bits {
    words: Vec<u64>,
    /// Number of the first bit: a consumer that joins late does not pay for what was before.
    base: u64,
}

/// Numbers further than this from the first are not sequence numbers of any run: 512 MiB of bits.
const SPAN_MAX: u64 = 1 << 32;

impl Bits {
    fn place(&self, number: u64) -> Option<(usize, u64)> {
        let at = number.checked_sub(self.base).filter(|at| *at < SPAN_MAX)?;
        Some((usize::try_from(at / 64).ok()?, 1 << (at % 64)))
    }

    fn contains(&self, number: u64) -> bool {
        let word = self.place(number).and_then(|(word, bit)| Some((self.words.get(word)?, bit)));
        word.is_some_and(|(word, bit)| word & bit != 0)
    }

    /// False when it was there already, or is out of all bounds.
    fn insert(&mut self, number: u64) -> bool {
        if self.words.is_empty() {
            self.base = number - number % 64;
        } else if number < self.base {
            self.lower(number);
        }
        let Some((word, bit)) = self.place(number) else { return false };
        if word >= self.words.len() {
            self.words.resize((word + 1).max(self.words.len() * 2), 0);
        }
        let Some(word) = self.words.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Makes room for a number below the first.
    fn lower(&mut self, number: u64) {
        let base = number - number % 64;
        if self.base - base >= SPAN_MAX {
            return;
        }
        if let Ok(words) = usize::try_from((self.base - base) / 64) {
            self.words.splice(0..0, std::iter::repeat_n(0, words));
            self.base = base;
        }
    }

    fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        self.words.iter().zip((self.base..).step_by(64)).flat_map(|(word, first)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| first + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrivals(sequence: &[u64]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        sequence.iter().for_each(|sequence| arrivals.note(*sequence));
        arrivals
    }

    fn verdict(missing: u64, duplicates: u64, misordered: u64) -> Verdict {
        Verdict { missing, duplicates, misordered }
    }

    #[test]
    fn a_stamp_survives_the_way() {
        let stamp = Stamp { publisher: 513, sequence: (1 << 47) + 5, nanoseconds: u64::MAX - 2 };
        let mut body = stamp.to_bytes().to_vec();
        body.push(9);
        assert_eq!(Stamp::read(&body), Some(stamp));
        assert_eq!(Stamp::read(&body[..15]), None);
    }

    #[test]
    fn all_in_order() {
        assert_eq!(arrivals(&[0, 1, 2, 3]).verdict(4), Verdict::default());
        assert_eq!(arrivals(&[]).verdict(0), Verdict::default());
    }

    #[test]
    fn loss_duplicates_and_disorder_are_told_apart() {
        assert_eq!(arrivals(&[0, 1, 3]).verdict(4), verdict(1, 0, 0));
        assert_eq!(arrivals(&[0, 1, 2]).verdict(5), verdict(2, 0, 0));
        assert_eq!(arrivals(&[0, 1, 1, 2]).verdict(3), verdict(0, 1, 0));
        assert_eq!(arrivals(&[0, 2, 1, 3]).verdict(4), verdict(0, 0, 1));
        assert_eq!(arrivals(&[0, 2, 2, 0, 3]).verdict(4), verdict(1, 2, 0));
        assert_eq!(arrivals(&[0, 1, 7]).verdict(2), verdict(0, 1, 0), "never sent");
    }

    #[test]
    fn a_late_consumer_and_an_early_number() {
        assert_eq!(arrivals(&[1_000, 1_001, 3]).verdict(1_002), verdict(999, 0, 1));
        assert_eq!(arrivals(&[u64::MAX - 100, u64::MAX, 0]).verdict(1), verdict(0, 2, 1));
    }

    #[test]
    fn consumers_of_one_queue_are_merged() {
        let mut one = arrivals(&[0, 2, 4, 6]);
        one.merge(&arrivals(&[1, 3, 5, 7]));
        assert_eq!(one.verdict(8), Verdict::default());
        one.merge(&arrivals(&[5]));
        assert_eq!(one.verdict(9), verdict(1, 1, 0));
        let mut idle = arrivals(&[]);
        idle.merge(&arrivals(&[0, 1]));
        assert_eq!(idle.verdict(2), Verdict::default());
    }

    proptest! {
        #[test]
        fn agrees_with_counting(
            deliveries in prop::collection::vec((0..2_usize, 0..300_u64), 0..400),
        ) {
            let mut consumers = [Arrivals::default(), Arrivals::default()];
            let mut seen = std::collections::HashMap::new();
            for (consumer, sequence) in deliveries {
                consumers[consumer].note(sequence);
                *seen.entry(sequence).or_insert(0_u64) += 1;
            }
            let [mut merged, other] = consumers;
            merged.merge(&other);
            let verdict = merged.verdict(300);
            prop_assert_eq!(verdict.missing, 300 - seen.len() as u64);
            prop_assert_eq!(verdict.duplicates, seen.values().sum::<u64>() - seen.len() as u64);
        }
    }
}
