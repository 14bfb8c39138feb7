//! Why a connection is held back, and since when: what `explain`, management and metrics show.
//!
//! Owned by `outgoing::ConnectionHandle`, told by the connection's own task, and only when something
//! changes; a leaf of the lock order. States are RabbitMQ's
//! (<https://www.rabbitmq.com/docs/connections#flow-control>): `flow` is slowed down for moments,
//! `blocking` would be blocked if it published, `blocked` has published and is.

use parking_lot::Mutex;

/// How a connection is doing, in RabbitMQ's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Nothing holds it back.
    #[default]
    Running,
    /// It is slowed down, or was a moment ago.
    Flow,
    /// It would be blocked if it published.
    Blocking,
    /// It published, and is blocked.
    Blocked,
}

/// What holds a connection back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// Nothing.
    #[default]
    None,
    /// The memory alarm.
    Memory,
    /// The disk alarm.
    Disk,
    /// Both alarms.
    DiskAndMemory,
    /// A queue that it published to holds more than it may (`max-held-bytes`), or its vhost does.
    Budget,
    /// What its user may publish in a second (`max-publish-rate`, `max-publish-byte-rate`) is used up,
    RateOfUser,
    /// or what its vhost may be given,
    RateOfVhost,
    /// or a queue.
    RateOfQueue,
    /// The message store is full, and what is published could be neither stored nor refused.
    Store,
    /// The messages that wait to be written to the disk.
    Backlog,
    /// The consumers of a queue, which are to catch up.
    Queue,
    /// What waits for the client itself, which does not read it.
    Unread,
}

/// Every state with every cause it can have.
pub(crate) const HOLDS: [(State, Cause); 15] = [
    (State::Running, Cause::None),
    (State::Flow, Cause::Backlog),
    (State::Flow, Cause::Queue),
    (State::Flow, Cause::Unread),
    (State::Flow, Cause::RateOfUser),
    (State::Flow, Cause::RateOfVhost),
    (State::Flow, Cause::RateOfQueue),
    (State::Blocking, Cause::Memory),
    (State::Blocking, Cause::Disk),
    (State::Blocking, Cause::DiskAndMemory),
    (State::Blocked, Cause::Memory),
    (State::Blocked, Cause::Disk),
    (State::Blocked, Cause::DiskAndMemory),
    (State::Blocked, Cause::Store),
    (State::Blocked, Cause::Budget),
];

impl State {
    /// RabbitMQ's word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Flow => "flow",
            Self::Blocking => "blocking",
            Self::Blocked => "blocked",
        }
    }
}

impl Cause {
    /// The word of metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::DiskAndMemory => "disk_and_memory",
            Self::Budget => "max_held_bytes",
            Self::RateOfUser => "rate_of_user",
            Self::RateOfVhost => "rate_of_vhost",
            Self::RateOfQueue => "rate_of_queue",
            Self::Store => "store_full",
            Self::Backlog => "disk_backlog",
            Self::Queue => "queue",
            Self::Unread => "client_does_not_read",
        }
    }
}

/// How a connection is held back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hold {
    /// How it is doing.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// The queue whose consumers are to catch up, or that holds too much.
    pub queue: Option<Box<str>>,
    /// Since when, in milliseconds since the Unix epoch; of one that runs, since it was last held.
    pub since_ms: u64,
}

impl Hold {
    /// Since when it is held, in milliseconds since the Unix epoch; nothing of one that runs.
    pub(crate) fn held_since_ms(&self) -> Option<u64> {
        (self.state != State::Running).then_some(self.since_ms)
    }
}

/// How many connections are held back how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds([u64; HOLDS.len()]);

impl Holds {
    /// Counts a connection.
    pub(crate) fn add(&mut self, hold: &Hold) {
        let counted = HOLDS.iter().zip(&mut self.0);
        for (_, count) in counted.filter(|(of, _)| **of == (hold.state, hold.cause)) {
            *count += 1;
        }
    }

    /// Every state and cause, and how many connections are in it.
    pub(crate) fn each(&self) -> impl Iterator<Item = (State, Cause, u64)> {
        HOLDS.into_iter().zip(self.0).map(|((state, cause), count)| (state, cause, count))
    }
}

/// A connection that was slowed down within so many milliseconds is in `flow`, as on RabbitMQ: its
/// waits are short and many.
const FLOW_LASTS_MS: u64 = 5000;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Pressure(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    now: Hold,
    /// The last `flow`, and when it ended.
    flow: Option<(Hold, u64)>,
}

impl Pressure {
    /// For a connection that begins to run.
    pub(crate) fn new(now_ms: u64) -> Self {
        let now = Hold { since_ms: now_ms, ..Hold::default() };
        Self(Mutex::new(Known { now, flow: None }))
    }

    /// It is held back otherwise from now on.
    pub(crate) fn note(&self, state: State, cause: Cause, queue: Option<&str>, now_ms: u64) {
        let mut known = self.0.lock();
        let before = std::mem::take(&mut known.now);
        let lasting = known.lasting(now_ms).filter(|flow| {
            // One flow of many waits is one.
            state == State::Flow && flow.cause == cause && flow.queue.as_deref() == queue
        });
        let since_ms = lasting.map_or(now_ms, |flow| flow.since_ms);
        if before.state == State::Flow {
            known.flow = Some((before, now_ms));
        }
        known.now = Hold { state, cause, queue: queue.map(Into::into), since_ms };
    }

    /// How it is held back now.
    pub(crate) fn hold(&self, now_ms: u64) -> Hold {
        let known = self.0.lock();
        let flow = known.lasting(now_ms).filter(|_| known.now.state == State::Running);
        flow.unwrap_or(&known.now).clone()
    }
}

impl Known {
    /// The last `flow`, if it still counts.
    fn lasting(&self, now_ms: u64) -> Option<&Hold> {
        let (hold, ended_ms) = self.flow.as_ref()?;
        (now_ms.saturating_sub(*ended_ms) < FLOW_LASTS_MS).then_some(hold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(state: State, cause: Cause, queue: Option<&str>, since_ms: u64) -> Hold {
        Hold { state, cause, queue: queue.map(Into::into), since_ms }
    }

    #[test]
    fn many_short_waits_are_one_flow() {
        let pressure = Pressure::new(100);
        assert_eq!(pressure.hold(150), hold(State::Running, Cause::None, None, 100));
        for at in [200, 300, 5000] {
            pressure.note(State::Flow, Cause::Queue, Some("q"), at);
            let flow = hold(State::Flow, Cause::Queue, Some("q"), 200);
            assert_eq!(pressure.hold(at), flow);
            pressure.note(State::Running, Cause::None, None, at + 10);
            assert_eq!(pressure.hold(at + 10), flow, "it was, a moment ago");
        }
        assert_eq!(pressure.hold(10_009).state, State::Flow);
        assert_eq!(pressure.hold(10_010), hold(State::Running, Cause::None, None, 5010));
        pressure.note(State::Flow, Cause::Queue, Some("q"), 11_000);
        assert_eq!(pressure.hold(11_000).since_ms, 11_000, "that is another one");
    }

    #[test]
    fn another_cause_is_another_hold() {
        let pressure = Pressure::new(0);
        pressure.note(State::Flow, Cause::Queue, Some("q"), 10);
        pressure.note(State::Running, Cause::None, None, 20);
        pressure.note(State::Flow, Cause::Backlog, None, 30);
        assert_eq!(pressure.hold(30), hold(State::Flow, Cause::Backlog, None, 30));
        pressure.note(State::Blocked, Cause::Memory, None, 40);
        assert_eq!(pressure.hold(50), hold(State::Blocked, Cause::Memory, None, 40));
        pressure.note(State::Running, Cause::None, None, 60);
        assert_eq!(pressure.hold(70).cause, Cause::Backlog, "it was in flow before");
    }
}
