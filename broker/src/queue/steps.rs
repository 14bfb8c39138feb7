//! What `model` does to both queues, at random.

use proptest::collection::vec;
use proptest::prelude::*;

use super::ConsumerSettings;
use super::arguments::LengthLimit;
use super::consumers::Activity;
use super::cursor::Which;
use super::retry::{Retry, RetryAfter};
use super::state::{QueueKind, Verdict};
use crate::keys::Outcome;

/// Messages have priorities up to this, and one beyond.
pub(super) const HIGHEST_PRIORITY: u8 = 2;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A run; what is sent on its way at once gets these verdicts.
    Publish(Vec<New>, Vec<Verdict>),
    /// A message that may be refused.
    Admit(New, Vec<Verdict>),
    Consume(ConsumerSettings),
    Cancel(usize),
    /// Up to so many deliveries with these verdicts.
    Dispatch(usize, Vec<Verdict>),
    /// The same to one consumer.
    Serve(usize, usize, Vec<Verdict>),
    /// Some of the unacknowledged messages.
    Settle(Vec<usize>, Outcome),
    Get(bool),
    Suspend,
    Unsuspend,
    Pause(bool),
    Purge,
    /// Some of the ready messages, or of those that wait, go for good.
    Remove(Vec<usize>, Which),
    /// Some are moved elsewhere, if somebody takes them.
    Move(Vec<usize>, Which, bool),
    /// The timer wakes the queue.
    Expire,
    /// The same, and a consumer's time may be up.
    Lapse,
    /// What died before and nobody took is tried again.
    TryKept,
    /// Somebody settles what was taken back.
    SettleLate(usize, Outcome),
    /// Policies change.
    Reconfigure(QueueKind),
    /// The broker ends and starts again.
    Restart(Restart),
}

/// How the broker ends, and how long it is not there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Restart {
    /// Channels give back what they have.
    Orderly(u64),
    /// It crashes; with `true` before what died last was published elsewhere.
    Crash(u64, bool),
}

/// How many programs each model runs: `LEVERET_MODEL_PROGRAMS`, or 256.
pub(super) fn programs() -> ProptestConfig {
    let asked = std::env::var("LEVERET_MODEL_PROGRAMS").ok();
    let cases = asked.map(|text| text.parse().expect("LEVERET_MODEL_PROGRAMS is a number"));
    let usual = ProptestConfig::default();
    ProptestConfig { failure_persistence: None, cases: cases.unwrap_or(usual.cases), ..usual }
}

/// What policies can make of a queue.
pub(super) fn policy() -> impl Strategy<Value = QueueKind> {
    let limits = (
        prop::option::weighted(0.3, 0_usize..10),
        prop::option::weighted(0.3, 0_usize..200),
        any::<(bool, bool)>(),
    );
    let times = (
        prop::option::weighted(0.3, 0_u64..200),
        prop::option::weighted(0.3, retry()),
        prop::option::weighted(0.3, 0_u64..100),
    );
    let deaths = (prop::option::weighted(0.3, 0_u32..3), any::<(bool, bool, bool)>());
    (limits, times, deaths).prop_map(
        |((messages, bytes, overflow), (ttl_ms, retry, consumer_timeout_ms), deaths)| {
            let (delivery_limit, (has_dead_letters, buries_refused, expires_anywhere)) = deaths;
            let (rejects, drops_lowest) = overflow;
            QueueKind {
                limit: LengthLimit { messages, bytes },
                rejects,
                drops_lowest,
                ttl_ms,
                expires_anywhere,
                delivery_limit,
                has_dead_letters,
                buries_refused,
                retry,
                consumer_timeout_ms,
                ..QueueKind::default()
            }
        },
    )
}

/// What a queue can be declared as.
pub(super) fn kind() -> impl Strategy<Value = QueueKind> {
    let activity = prop_oneof![3 => Just(Activity::All), 1 => Just(Activity::One), 1 => Just(Activity::Highest)];
    (policy(), 0..=HIGHEST_PRIORITY, activity, any::<bool>()).prop_map(
        |(policy, max_priority, activity, counts_deliveries)| QueueKind {
            max_priority,
            activity,
            counts_deliveries,
            is_stored: true,
            ..policy
        },
    )
}

pub(super) fn restart() -> impl Strategy<Value = Restart> {
    let down_ms = || prop_oneof![Just(0), 0_u64..200];
    prop_oneof![
        down_ms().prop_map(Restart::Orderly),
        (down_ms(), any::<bool>()).prop_map(|(ms, buried)| Restart::Crash(ms, buried)),
    ]
}

/// A message to be published.
#[derive(Clone, Copy, Debug)]
pub(super) struct New {
    pub(super) priority: u8,
    pub(super) length: usize,
    pub(super) lives_ms: Option<u64>,
}

fn new() -> impl Strategy<Value = New> {
    let lives_ms = prop::option::weighted(0.3, 0_u64..100);
    (0..=HIGHEST_PRIORITY + 1, 0_usize..40, lives_ms).prop_map(|(priority, length, lives_ms)| New {
        priority,
        length,
        lives_ms,
    })
}

/// A consumer, which so often needs no acknowledgements.
pub(super) fn settings(no_ack: f64) -> impl Strategy<Value = ConsumerSettings> {
    let timeout_ms = prop::option::weighted(0.3, 0_u64..100);
    (-1_i64..=1, 0_u16..4, prop::bool::weighted(no_ack), timeout_ms).prop_map(
        |(priority, prefetch_count, no_ack, timeout_ms)| ConsumerSettings {
            priority,
            prefetch_count,
            no_ack,
            exclusive: false,
            timeout_ms,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Ack),
        Just(Outcome::Requeue),
        Just(Outcome::Failed),
        Just(Outcome::Discard)
    ]
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![2 => Just(Which::Ready), 1 => Just(Which::Delayed)]
}

/// How long what came back waits.
pub(super) fn retry() -> impl Strategy<Value = Retry> {
    let after =
        prop_oneof![Just(RetryAfter::All), Just(RetryAfter::Failed), Just(RetryAfter::Returned)];
    let times = (1_u64..50, 0_u64..100, any::<bool>());
    (after, times).prop_map(|(after, (min_ms, more_ms, exponential))| Retry {
        after,
        min_ms,
        max_ms: min_ms + more_ms,
        exponential,
    })
}

/// What becomes of deliveries.
pub(super) fn verdicts() -> impl Strategy<Value = Vec<Verdict>> {
    let verdict = prop_oneof![
        8 => Just(Verdict::Accepted),
        1 => Just(Verdict::AcceptedAndFull),
        2 => Just(Verdict::Refused),
    ];
    vec(verdict, 8)
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (vec(new(), 1..8), verdicts()).prop_map(|(run, verdicts)| Step::Publish(run, verdicts)),
        2 => (new(), verdicts()).prop_map(|(new, verdicts)| Step::Admit(new, verdicts)),
        3 => settings(0.5).prop_map(Step::Consume),
        1 => any::<usize>().prop_map(Step::Cancel),
        8 => (0_usize..8, verdicts()).prop_map(|(limit, verdicts)| Step::Dispatch(limit, verdicts)),
        4 => (any::<usize>(), 0_usize..4, verdicts())
            .prop_map(|(which, limit, verdicts)| Step::Serve(which, limit, verdicts)),
        8 => (vec(any::<usize>(), 1..4), outcome()).prop_map(|(which, how)| Step::Settle(which, how)),
        2 => any::<bool>().prop_map(Step::Get),
        1 => Just(Step::Suspend),
        2 => Just(Step::Unsuspend),
        2 => prop::bool::weighted(0.2).prop_map(Step::Pause),
        1 => Just(Step::Purge),
        1 => (vec(any::<usize>(), 1..4), which()).prop_map(|(some, of)| Step::Remove(some, of)),
        2 => (vec(any::<usize>(), 1..4), which(), any::<bool>())
            .prop_map(|(some, of, taken)| Step::Move(some, of, taken)),
        2 => Just(Step::Expire),
        3 => Just(Step::Lapse),
        3 => Just(Step::TryKept),
        2 => (any::<usize>(), outcome()).prop_map(|(which, how)| Step::SettleLate(which, how)),
        1 => policy().prop_map(Step::Reconfigure),
        1 => restart().prop_map(Step::Restart),
    ]
}
