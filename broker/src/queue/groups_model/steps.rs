//! What happens to a queue that serves by groups, at random.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::ConsumerSettings;
use super::super::state::Verdict;
use super::super::steps::{Restart, restart, settings, verdicts};
use crate::keys::Outcome;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Publish(Vec<New>),
    Consume(ConsumerSettings),
    Cancel(usize),
    Dispatch(usize, Vec<Verdict>),
    Serve(usize, usize, Vec<Verdict>),
    Settle(usize, Outcome),
    Get(bool),
    Purge,
    Wait(u64),
    /// A consumer's time may be up.
    Lapse,
    /// Somebody settles what was taken back.
    SettleLate(usize, Outcome),
    Restart(Restart),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct New {
    pub(super) group: Option<u8>,
    pub(super) priority: u8,
    pub(super) lives_ms: Option<u64>,
}

fn new() -> impl Strategy<Value = New> {
    let group = prop::option::weighted(0.9, 0_u8..4);
    let lives_ms = prop::option::weighted(0.2, 0_u64..100);
    (group, 0_u8..3, lives_ms).prop_map(|(group, priority, lives_ms)| New {
        group,
        priority,
        lives_ms,
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Ack),
        1 => Just(Outcome::Requeue),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Discard)
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(new(), 1..8).prop_map(Step::Publish),
        3 => settings(0.2).prop_map(Step::Consume),
        1 => any::<usize>().prop_map(Step::Cancel),
        8 => (0_usize..8, verdicts()).prop_map(|(limit, verdicts)| Step::Dispatch(limit, verdicts)),
        4 => (any::<usize>(), 1_usize..4, verdicts())
            .prop_map(|(which, limit, verdicts)| Step::Serve(which, limit, verdicts)),
        10 => (any::<usize>(), outcome()).prop_map(|(which, how)| Step::Settle(which, how)),
        2 => any::<bool>().prop_map(Step::Get),
        1 => Just(Step::Purge),
        1 => (1_u64..100).prop_map(Step::Wait),
        2 => Just(Step::Lapse),
        1 => (any::<usize>(), outcome()).prop_map(|(which, how)| Step::SettleLate(which, how)),
        1 => restart().prop_map(Step::Restart),
    ]
}
