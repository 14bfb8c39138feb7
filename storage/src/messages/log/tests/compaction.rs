//! Compaction, step by step: the thread is not started, a test does its work when it likes.

use std::fmt;
use std::fs;
use std::thread;

use super::super::compaction::Compactor;
use super::*;

/// The system's files, but a test is told before a file gets its name.
struct Hooked {
    before_rename: Mutex<Box<dyn FnMut() + Send>>,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

impl Files for Hooked {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        RealFiles.create_directory(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        RealFiles.create_new(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        RealFiles.open(path)
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn LogFile>> {
        RealFiles.open_to_read(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        RealFiles.list(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.before_rename.lock())();
        RealFiles.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFiles.remove(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        RealFiles.sync_directory(directory)
    }
}

/// A log that calls back in the middle of a compaction: copied, and the index does not know it.
fn hooked(options: Options) -> (Bench, Arc<Hooked>) {
    let hooked = Arc::new(Hooked { before_rename: Mutex::new(Box::new(|| {})) });
    let files: Arc<dyn Files> = Arc::<Hooked>::clone(&hooked);
    (Bench::new(options, |_| files), hooked)
}

impl Bench {
    /// Everything that a compactor would do now.
    pub(super) fn compact(&self) {
        self.log.shared.sync().unwrap();
        Compactor::new(Arc::clone(&self.log.shared)).work().unwrap();
    }

    /// Every message of the queues that tests use.
    pub(super) fn everything(&self) -> Vec<(u64, Vec<(u64, String)>)> {
        (1..10).map(|queue| (queue, self.queue(queue))).collect()
    }

    /// Names of the files that begin with this.
    fn files(&self, prefix: &str) -> Vec<String> {
        let entries = RealFiles.list(self.directory.path()).unwrap();
        entries.into_iter().map(|entry| entry.name).filter(|one| one.starts_with(prefix)).collect()
    }

    /// Bytes of all segments; one that is removed meanwhile has none.
    fn segment_bytes(&self) -> u64 {
        let entries = fs::read_dir(self.directory.path()).unwrap().map(Result::unwrap);
        let segments = entries.filter(|entry| entry.file_name() != "MANIFEST");
        segments.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }
}

/// Long enough that a dozen fill a small segment.
fn long(queue: u64, sequence: u64) -> String {
    format!("{queue}/{sequence} {}", "x".repeat(1000 + (sequence % 7) as usize))
}

/// One message in each place of several queues.
pub(super) fn long_publishes(queues: &[u64], sequences: std::ops::Range<u64>) -> Batch {
    let place = |sequence| queues.iter().map(move |queue| (*queue, sequence));
    let messages = sequences.flat_map(place);
    Batch {
        publishes: messages.map(|(queue, at)| publish(&long(queue, at), &[(queue, at)])).collect(),
        awaited: true,
        ..Batch::default()
    }
}

/// Queues 1 and 2, of which 1 is consumed: segments are half full and less.
fn fill(bench: &Bench, sequences: std::ops::Range<u64>) {
    for first in sequences.clone().step_by(5) {
        let mut batch = long_publishes(&[1], first..first + 5);
        batch.publishes.append(&mut long_publishes(&[2], first / 5..first / 5 + 1).publishes);
        bench.commit(batch);
    }
    bench.commit(settles(1, sequences.start, sequences.end - sequences.start));
}

#[test]
fn survivors_stay_byte_for_byte_and_in_order() {
    let mut bench = Bench::real(small());
    fill(&bench, 0..200);
    let before = bench.everything();
    assert_eq!(before[1].1.len(), 40);
    let (hot, bytes) = (bench.files("hot").len(), bench.segment_bytes());
    bench.compact();
    assert_eq!(bench.everything(), before);
    assert!(!bench.files("cold").is_empty());
    assert!(bench.files("hot").len() <= 4, "{hot} before, now {:?}", bench.files("hot"));
    assert!(bench.segment_bytes() < bytes / 2);
    let found = bench.reopen();
    assert_eq!(bench.everything(), before);
    assert_eq!(recovered(&found, 2), (0..40).collect::<Vec<_>>());
    // Cold segments are compacted in their turn.
    bench.commit(settles(2, 0, 35));
    bench.compact();
    assert_eq!(bench.sequences(2), [35, 36, 37, 38, 39]);
    assert_eq!(bench.everything()[1].1[..], before[1].1[35..]);
    bench.reopen();
    assert_eq!(bench.everything()[1].1[..], before[1].1[35..]);
}

#[test]
fn a_queue_is_read_forwards_after_its_segments_were_compacted() {
    let bench = Bench::real(small());
    for first in 0..40 {
        // Against the order, and among others.
        bench.commit(long_publishes(&[3, 1, 2], 39 - first..40 - first));
    }
    bench.commit(settles(2, 0, 40));
    bench.commit(settles(3, 0, 39));
    bench.compact();
    let cold = bench.files("cold");
    assert!(!cold.is_empty());
    for name in cold {
        let path = bench.directory.path().join(name);
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let numbers = text.match_indices("1/").map(|(at, _)| text[at + 2..].split(' ').next());
        let numbers: Vec<u64> = numbers.filter_map(|one| one?.parse().ok()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    let expected: Vec<_> = (0..40).map(|at| (at, long(1, at))).collect();
    assert_eq!(bench.queue(1), expected);
}

#[test]
fn what_is_settled_or_deleted_in_the_middle_of_a_compaction_stays_so() {
    let (bench, hooked) = hooked(small());
    let mut bench = bench;
    fill(&bench, 0..100);
    bench.commit(long_publishes(&[5], 0..1));
    fill(&bench, 100..200);
    bench.commit(settles(1, 0, 0));
    let log = Arc::clone(&bench.log);
    let mut once = Some(());
    *hooked.before_rename.lock() = Box::new(move || {
        if once.take().is_some() {
            let mut batch = settles(2, 3, 8);
            batch.deleted_queues = vec![5];
            let ticket = log.append(&mut batch);
            block_on(log.progress().reached(ticket)).unwrap();
        }
    });
    bench.compact();
    let left: Vec<u64> = (0..3).chain(11..40).collect();
    for _ in 0..3 {
        assert_eq!(bench.sequences(2), left);
        assert!(bench.queue(5).is_empty());
        let knows = |queue: &u64| *queue != 5;
        bench.log.close().unwrap();
        let known: HashSet<u64> = known().into_iter().filter(knows).collect();
        let (directory, options) = (bench.directory.path(), &bench.options);
        let files = Arc::new(RealFiles);
        let (log, found) = Log::open_with(directory, &bench.store, options, &known, files).unwrap();
        assert!(found.quarantined.is_empty(), "{:?}", found.quarantined);
        bench.log = log;
        bench.compact();
        // All that the queue was deleted from is gone some time, and with it what is known of it.
        let more = bench.queue(9).len() as u64;
        for at in more..more + 20 {
            bench.commit(long_publishes(&[9], at..at + 1));
        }
    }
}

#[test]
fn readers_find_everything_in_the_middle_of_a_compaction() {
    let (bench, hooked) = hooked(small());
    fill(&bench, 0..200);
    let before = bench.everything();
    let log = Arc::clone(&bench.log);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    *hooked.before_rename.lock() = Box::new(move || {
        sees.lock().push(log.read(2, &[0..u64::MAX]).unwrap().messages.len());
    });
    thread::scope(|scope| {
        scope.spawn(|| (0..50).for_each(|_| assert_eq!(bench.queue(2), before[1].1)));
        bench.compact();
    });
    assert_eq!(bench.everything(), before);
    assert!(!seen.lock().is_empty());
    assert!(seen.lock().iter().all(|count| *count == 40));
}

#[test]
fn a_message_in_many_queues_and_a_transaction_are_copied_for_whoever_needs_them() {
    let mut bench = Bench::real(small());
    for at in 0..30 {
        let shared = publish(&long(1, at), &[(1, at), (2, at), (3, at)]);
        let batch = Batch { publishes: vec![shared], awaited: true, ..Batch::default() };
        bench.commit(batch);
        let mut transaction = long_publishes(&[4, 5, 6], at..at + 1);
        transaction.atomic = true;
        transaction.settled = settles(1, at, 1).settled;
        bench.commit(transaction);
    }
    for queue in [2, 4, 6] {
        bench.commit(settles(queue, 0, 29));
    }
    bench.commit(settles(3, 10, 20));
    let before = bench.everything();
    assert_eq!(before.iter().map(|(_, queue)| queue.len()).sum::<usize>(), 43);
    bench.compact();
    assert!(!bench.files("cold").is_empty());
    assert_eq!(bench.everything(), before);
    bench.reopen();
    assert_eq!(bench.everything(), before);
    let live: u64 = before.iter().map(|(_, queue)| queue.len() as u64).sum();
    assert_eq!(bench.log.statistics().live_messages, live);
}

/// With a body shared among 20 queues of which one lagged, segments that were needed whole were taken
/// for waste and copied: the disk grew by half.
#[test]
fn a_fanout_of_which_one_queue_lags_is_not_copied() {
    let mut bench = Bench::real(small());
    for at in 0..60 {
        let places: Vec<_> = (1..=20).map(|queue| (queue, at)).collect();
        let shared = publish(&long(1, at), &places);
        bench.commit(Batch { publishes: vec![shared], awaited: true, ..Batch::default() });
    }
    for queue in 2..=20 {
        bench.commit(settles(queue, 0, 60));
    }
    bench.compact();
    assert_eq!(bench.log.statistics().compacted_bytes, 0);
    let live = bench.log.statistics().live_bytes;
    assert!(live > 60 * 1000, "{live} bytes of 60 messages");
    bench.reopen();
    assert_eq!(bench.log.statistics().live_bytes, live);
    bench.commit(settles(1, 0, 60));
    assert_eq!(bench.log.statistics().live_bytes, 0);
}

/// Delivery counts were written again into every segment, and deleted queues stayed in every snapshot
/// as long as an older segment lived.
#[test]
fn counts_and_deleted_queues_take_room_by_what_lives() {
    let mut bench = Bench::real(small());
    bench.commit(long_publishes(&[1], 0..3));
    let counts = (0..3).map(|at| (place(1, at), 7)).collect();
    bench.commit(Batch { delivery_counts: counts, awaited: true, ..Batch::default() });
    let kept = |bench: &Bench| {
        let holdings = bench.log.shared.holdings.lock();
        let counts: u64 = holdings.segments().iter().map(|account| account.live_counts).sum();
        (counts, holdings.index().deleted().count())
    };
    for queue in 10..40 {
        bench.commit(long_publishes(&[queue], 0..12));
        bench.commit(Batch { deleted_queues: vec![queue], awaited: true, ..Batch::default() });
        bench.compact();
    }
    let (counts, deleted) = kept(&bench);
    assert_eq!(counts, 3, "one record each");
    assert!(deleted < 10, "{deleted} of 30, though queue 1 has an old segment");
    for _ in 0..2 {
        let found = bench.reopen();
        let counts: Vec<u32> =
            found.queues[&1].messages.iter().map(|one| one.delivery_count).collect();
        assert_eq!(counts, [7, 7, 7]);
        assert!(found.quarantined.is_empty(), "{:?}", found.quarantined);
        bench.compact();
    }
    bench.commit(settles(1, 0, 3));
    assert_eq!(kept(&bench).0, 0);
}

/// 1 % of the traffic goes to a queue that nobody consumes.
#[test]
fn a_queue_that_is_never_consumed_does_not_keep_the_others_on_disk() {
    const MESSAGES: u64 = 20_000;
    let options = Options { segment_size: 64 << 10, ..Options::default() };
    let mut bench = Bench::real(options);
    let mut highest = 0;
    for first in (0..MESSAGES).step_by(100) {
        let mut batch = long_publishes(&[1], first..first + 99);
        batch.publishes.append(&mut long_publishes(&[2], first / 100..first / 100 + 1).publishes);
        bench.commit(batch);
        bench.commit(settles(1, first.saturating_sub(50), 99));
        bench.compact();
        let statistics = bench.log.statistics();
        let bound = 2 * statistics.live_bytes + 4 * u64::from(bench.options.segment_size);
        let disk = bench.segment_bytes();
        assert!(disk <= bound, "{disk} bytes, {} of them live", statistics.live_bytes);
        highest = highest.max(disk);
    }
    let statistics = bench.log.statistics();
    let stuck = MESSAGES / 100 * 1030;
    assert!(statistics.compacted_bytes < 5 * stuck, "{} moved", statistics.compacted_bytes);
    assert!(statistics.written_bytes < statistics.appended_bytes * 12 / 10);
    assert!(highest < 1 << 20, "{highest} bytes at the most");
    let expected: Vec<_> = (0..MESSAGES / 100).map(|at| (at, long(2, at))).collect();
    assert_eq!(bench.queue(2), expected);
    bench.reopen();
    assert_eq!(bench.queue(2), expected);
}

#[test]
fn a_log_that_is_idle_and_empty_is_small() {
    let options = Options { segment_size: 256 << 10, ..Options::default() };
    let bench = Bench::real(options);
    bench.commit(long_publishes(&[1], 0..600));
    bench.commit(settles(1, 0, 599));
    let mut compactor = Compactor::new(Arc::clone(&bench.log.shared));
    let tick = |compactor: &mut Compactor| {
        bench.log.shared.sync().unwrap();
        compactor.roll_if_idle();
        compactor.work().unwrap();
    };
    (0..3).for_each(|_| tick(&mut compactor));
    let used = |bench: &Bench| bench.log.statistics().disk_bytes;
    assert!(used(&bench) > 64 << 10, "a message is left, and the open segment stays");
    bench.commit(settles(1, 599, 1));
    while used(&bench) > 2000 {
        tick(&mut compactor);
        thread::yield_now();
    }
    // Beside what is kept for what comes.
    while bench.segment_bytes() > 5 * u64::from(bench.options.segment_size) {
        tick(&mut compactor);
        thread::yield_now();
    }
    let files = bench.files("hot");
    bench.commit(long_publishes(&[1], 600..601));
    bench.commit(settles(1, 600, 1));
    (0..5).for_each(|_| tick(&mut compactor));
    assert_eq!(bench.files("hot"), files, "a little is not worth it");
}

#[test]
fn a_damaged_segment_is_left_as_it_is() {
    let mut bench = Bench::real(small());
    fill(&bench, 0..200);
    bench.log.close().unwrap();
    bench.open_again();
    let name = bench.files("hot").remove(2);
    let path = bench.directory.path().join(&name);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(2).position(|window| window == b"2/").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    bench.compact();
    assert!(bench.files("hot").contains(&name));
    assert!(bench.files("hot").len() <= 5, "the others went");
    let read = bench.log.read(2, &[0..u64::MAX]);
    let damaged = read.unwrap().damaged;
    assert!(matches!(damaged[0].error, StorageError::Damaged { .. }), "{damaged:?}");
    assert!(matches!(bench.log.progress().health(), Health::Well));
    bench.commit(settles(2, 0, 40));
    bench.compact();
    assert!(!bench.files("hot").contains(&name), "nothing in it is needed any more");
}

#[test]
fn the_thread_compacts_while_others_publish_consume_and_read() {
    let bench = Bench::real(small());
    bench.log.start_compactor().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100 {
                let sequences = bench.sequences(2);
                assert!(sequences.iter().copied().eq(0..sequences.len() as u64));
            }
        });
        fill(&bench, 0..1000);
    });
    let expected: Vec<_> = (0..200).map(|at| (at, long(2, at))).collect();
    assert_eq!(bench.queue(2), expected);
    let bound = |bench: &Bench| 2 * bench.log.statistics().live_bytes + 5 * (16 << 10);
    while bench.segment_bytes() > bound(&bench) {
        thread::yield_now();
    }
    bench.log.close().unwrap();
    assert_eq!(bench.files("").iter().filter(|name| name.ends_with(".tmp")).count(), 0);
}
