//! A phase that is over: what publishers and consumers saw, how it ended and what it cost.
//!
//! Made by the run, read by its summary.

use crate::run::consumer::Arrived;
use crate::run::cost::Cost;
use crate::run::publisher::Sent;
use crate::target::Target;

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All that was published arrived, or was only to be published.
    Complete,
    /// Nothing moved any more.
    Idle,
    /// The time for consuming was up with messages still on the way.
    Late,
    /// A signal came with messages still on the way, or they would not be waited for.
    Cut,
}

/// A phase that is over.
#[derive(Debug)]
pub(crate) struct Worked {
    pub(crate) sent: Vec<Sent>,
    pub(crate) arrived: Vec<Arrived>,
    pub(crate) end: End,
    /// Exclusive queues that came and went meanwhile, if any were to.
    pub(crate) churned: Option<u64>,
    pub(crate) cost: Cost,
    /// Nanoseconds after the start.
    pub(crate) began: u64,
}

impl Worked {
    /// Stands for one publisher that filled one queue in an earlier run.
    pub(crate) fn before(messages: u64, target: &Target) -> Self {
        let sent = Sent { number: 0, destinations: vec![messages], last_at: 0, window: None };
        let cost = Cost::begin(target);
        Self {
            sent: vec![sent],
            arrived: Vec::new(),
            end: End::Complete,
            churned: None,
            cost,
            began: 0,
        }
    }
}
