//! What a message store holds and has done, for metrics and benchmarks.

/// Upper bounds of the fsync histogram in microseconds; slower ones are in the last, open bucket.
pub const FSYNC_BUCKETS_MICROS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000];

/// Counters since the store was opened, and what it holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Files.
    pub segments: u64,
    /// Bytes of all files.
    pub disk_bytes: u64,
    /// Bytes of messages that are not settled.
    pub live_bytes: u64,
    /// Messages that are not settled, once per queue.
    pub live_messages: u64,
    /// Bytes of the content of all messages appended.
    pub appended_bytes: u64,
    /// Messages appended.
    pub appended_messages: u64,
    /// Messages that were settled before they were written, and so never were.
    pub elided_messages: u64,
    /// Bytes written to files, compaction included.
    pub written_bytes: u64,
    /// Bytes written by compaction alone.
    pub compacted_bytes: u64,
    /// Bytes that wait to be written now.
    pub pending_bytes: u64,
    /// Fsyncs by how long they took: one count per bucket of [`FSYNC_BUCKETS_MICROS`] and one more.
    pub fsync_counts: [u64; FSYNC_BUCKETS_MICROS.len() + 1],
    /// Time spent in fsyncs, in microseconds.
    pub fsync_micros: u64,
}

impl Statistics {
    /// Counts an fsync that took this long.
    pub fn count_fsync(&mut self, micros: u64) {
        let bucket = FSYNC_BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.fsync_counts.get_mut(bucket) {
            *count += 1;
        }
        self.fsync_micros += micros;
    }

    /// Fsyncs so far.
    #[must_use]
    pub fn fsyncs(&self) -> u64 {
        self.fsync_counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_fsync_is_counted_in_the_first_bucket_that_holds_it() {
        let mut statistics = Statistics::default();
        for micros in [0, 100, 101, 2_000_000] {
            statistics.count_fsync(micros);
        }
        assert_eq!(statistics.fsync_counts[..2], [2, 1]);
        assert_eq!(statistics.fsync_counts[FSYNC_BUCKETS_MICROS.len()], 1);
        assert_eq!((statistics.fsyncs(), statistics.fsync_micros), (4, 2_000_201));
    }
}
