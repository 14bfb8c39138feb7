//! The eye on a phase: counts, cost, progress on stderr, and the decision that it is over.

use crate::interrupt::Interrupt;
use crate::load::Load;
use crate::run::cost::Cost;
use crate::run::engine::{Progress, Signals};
use crate::run::worked::End;
use crate::statistics::rate;
use crate::target::Target;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// How often to look.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// A phase in which nothing moves for so long is over.
pub(crate) const PATIENCE_NS: u64 = 10_000_000_000;
/// How long publishers may wait for confirms after an interrupt.
const INTERRUPTED_NS: u64 = 1_000_000_000;
/// Nanoseconds between two measurements of memory.
const MEMORY_EVERY_NS: u64 = 100_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// The counters of all parties of one kind.
#[derive(Debug)]
pub(crate) struct Counts(pub(crate) Vec<Arc<Progress>>);

impl Counts {
    fn have_ended(&self) -> bool {
        self.0.iter().all(|progress| progress.has_ended())
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|progress| progress.messages()).sum()
    }
}

/// Everything that decides when a phase is over.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    pub(crate) load: &'a Load,
    pub(crate) target: &'a Target,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) talk: bool,
    pub(crate) published: Counts,
    pub(crate) delivered: Counts,
    pub(crate) signals: &'a Signals,
    /// Nanoseconds after the start.
    pub(crate) began: u64,
    /// Messages in the queues when the phase began.
    pub(crate) waiting: u64,
}

/// One look.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    at: u64,
    published: u64,
    delivered: u64,
}

impl Watch<'_> {
    /// Looks until the phase is over. `one_failed` says that a party ended
    /// before it was done.
    pub(crate) fn until_over(&self, one_failed: impl Fn() -> bool, cost: &mut Cost) -> End {
        let mut moved = self.look();
        let (mut spoke, mut measured) = (moved, moved.at);
        let mut stopped_at = None;
        loop {
            thread::sleep(LOOK);
            let published_all = self.published.have_ended();
            let look = self.look();
            if (look.published, look.delivered) != (moved.published, moved.delivered) {
                moved = look;
            }
            if look.at - measured >= MEMORY_EVERY_NS {
                measured = look.at;
                cost.note_peak(self.target.processes.memory());
            }
            if self.talk && look.at - spoke.at >= SECOND_NS {
                self.speak(spoke, look);
                spoke = look;
            }
            if stopped_at.is_none() && (self.is_time(look.at) || self.interrupt.is_set()) {
                self.signals.stop_publishing.store(true, Ordering::Relaxed);
                stopped_at = Some(look.at);
            }
            if one_failed() {
                return End::Cut;
            }
            let end = self.end(look, moved.at, published_all, stopped_at);
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn look(&self) -> Look {
        let (published, delivered) = (self.published.sum(), self.delivered.sum());
        Look { at: self.signals.start.nanoseconds(), published, delivered }
    }

    fn is_time(&self, now: u64) -> bool {
        u128::from(now - self.began) >= self.load.duration.as_nanos()
    }

    fn end(
        &self,
        look: Look,
        moved_at: u64,
        all_published: bool,
        stopped_at: Option<u64>,
    ) -> Option<End> {
        let idle = look.at - moved_at > PATIENCE_NS;
        let stopped_for = stopped_at.map_or(0, |stopped| look.at - stopped);
        if !all_published {
            let interrupted = self.interrupt.is_set() && stopped_for > INTERRUPTED_NS;
            return match (interrupted, idle && stopped_at.is_some()) {
                (true, _) => Some(End::Cut),
                (false, true) => Some(End::Idle),
                (false, false) => None,
            };
        }
        let expected = self.waiting + look.published * u64::from(self.load.copies());
        if self.delivered.0.is_empty() || look.delivered >= expected {
            return Some(End::Complete);
        }
        if self.interrupt.is_set() || self.load.consumer_rate.is_some() {
            return Some(End::Cut);
        }
        if idle {
            return Some(End::Idle);
        }
        let overtime = self.load.overtime.as_nanos();
        (u128::from(stopped_for) > overtime).then_some(End::Late)
    }

    fn speak(&self, before: Look, now: Look) {
        let time = Duration::from_nanos(now.at - before.at);
        let seconds = (now.at - self.began) / SECOND_NS;
        let published = rate(now.published - before.published, time);
        let delivered = rate(now.delivered - before.delivered, time);
        eprintln!("{seconds:>4} s  in {published:>10.0}/s  out {delivered:>10.0}/s");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::address::Address;
    use crate::clock::Start;
    use crate::load::Exchange;
    use std::num::NonZeroU32;

    const AFTER_PATIENCE: u64 = PATIENCE_NS + 2;

    /// How a phase with these counts stands at `at`, when nothing has moved since `moved_at`.
    fn end(load: &Load, counts: [u64; 2], times: [u64; 2], all_published: bool) -> Option<End> {
        let [published, delivered] = counts;
        let [at, moved_at] = times;
        let address: Address = "amqp://127.0.0.1:1".parse().unwrap();
        let target = Target::new(&address, &[1]);
        let (interrupt, signals) = (Interrupt::default(), Signals::new(Start::now()));
        let watch = Watch {
            load,
            target: &target,
            interrupt: &interrupt,
            talk: false,
            published: Counts(vec![Arc::default()]),
            delivered: Counts(vec![Arc::default()]),
            signals: &signals,
            began: 0,
            waiting: 0,
        };
        watch.end(Look { at, published, delivered }, moved_at, all_published, Some(1))
    }

    #[test]
    fn a_phase_ends_when_all_has_arrived() {
        let load = Load::default();
        assert_eq!(end(&load, [5, 4], [2, 2], true), None);
        assert_eq!(end(&load, [5, 5], [2, 2], false), None, "a confirm is outstanding");
        assert_eq!(end(&load, [5, 5], [2, 2], true), Some(End::Complete));
        let fanout = Load { exchange: Exchange::Fanout, queues: 3, ..Load::default() };
        assert_eq!(end(&fanout, [5, 14], [2, 2], true), None);
        assert_eq!(end(&fanout, [5, 15], [2, 2], true), Some(End::Complete));
    }

    #[test]
    fn patience_ends() {
        let load = Load::default();
        assert_eq!(end(&load, [5, 4], [AFTER_PATIENCE, 1], true), Some(End::Idle));
        assert_eq!(end(&load, [5, 4], [AFTER_PATIENCE, 1], false), Some(End::Idle));
        let hasty = Load { overtime: Duration::ZERO, ..Load::default() };
        assert_eq!(end(&hasty, [5, 4], [2, 2], true), Some(End::Late));
        assert_eq!(end(&load, [5, 4], [2, 2], true), None);
    }

    #[test]
    fn a_slow_consumer_is_not_waited_for() {
        let load = Load { consumer_rate: NonZeroU32::new(5), ..Load::default() };
        assert_eq!(end(&load, [5, 4], [2, 2], true), Some(End::Cut));
    }
}
