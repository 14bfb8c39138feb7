//! The eye on a phase: counts, cost, progress on stderr, and the decision that it is over.

use super::arguments::Load;
use super::engine::{Progress, Signals};
use super::interrupt::Interrupt;
use super::process::{Processes, Usage};
use super::run::Target;
use super::statistics::rate;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// How often to look.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// A phase in which nothing moves for so long is over.
pub(super) const PATIENCE_NS: u64 = 10_000_000_000;
/// How long publishers may wait for confirms after an interrupt.
const INTERRUPTED_NS: u64 = 1_000_000_000;
/// Nanoseconds between two measurements of memory.
const MEMORY_EVERY_NS: u64 = 100_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All that was published arrived, or was only to be published.
    Complete,
    /// Nothing moved any more.
    Idle,
    /// Time was up, or a signal came, with messages still on the way.
    Cut,
}

/// What a phase cost the broker and the load generator.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    own: Processes,
    before: Option<Usage>,
    own_before: Option<Usage>,
    memory_before: Option<u64>,
    /// CPU time of the broker.
    pub(super) cpu: Option<Duration>,
    /// CPU time of the load generator.
    pub(super) own_cpu: Option<Duration>,
    /// Bytes the broker caused to be written to disks.
    pub(super) written: Option<u64>,
    memory_after: Option<u64>,
    peak: u64,
}

impl Cost {
    pub(super) fn begin(target: &Target) -> Self {
        let own = Processes::own();
        Self {
            before: target.processes.usage(),
            own_before: own.usage(),
            own,
            memory_before: target.processes.memory(),
            cpu: None,
            own_cpu: None,
            written: None,
            memory_after: None,
            peak: 0,
        }
    }

    /// Takes the figures of now as the end; may be called again later.
    pub(super) fn stop(&mut self, target: &Target) {
        let (now, own_now) = (target.processes.usage(), self.own.usage());
        let since = now.as_ref().zip(self.before.as_ref());
        self.cpu = since.map(|(now, before)| now.cpu_since(before));
        self.written = since.and_then(|(now, before)| now.written_since(before));
        self.own_cpu =
            own_now.zip(self.own_before.as_ref()).map(|(now, before)| now.ticks_since(before));
        self.memory_after = target.processes.memory();
        self.note_peak(self.memory_after);
    }

    fn note_peak(&mut self, memory: Option<u64>) {
        self.peak = self.peak.max(memory.unwrap_or(0));
    }

    /// Resident memory of the broker: before, peak, after.
    pub(super) fn memory(&self) -> Option<[u64; 3]> {
        let (before, after) = self.memory_before.zip(self.memory_after)?;
        Some([before, self.peak.max(before), after])
    }
}

/// The counters of all parties of one kind.
#[derive(Debug)]
pub(super) struct Counts(pub(super) Vec<Arc<Progress>>);

impl Counts {
    fn sum(&self) -> u64 {
        self.0.iter().map(|progress| progress.messages()).sum()
    }
}

/// Everything that decides when a phase is over.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    pub(super) load: &'a Load,
    pub(super) target: &'a Target,
    pub(super) interrupt: &'a Interrupt,
    pub(super) talk: bool,
    pub(super) published: Counts,
    pub(super) delivered: Counts,
    pub(super) signals: &'a Signals,
    /// Nanoseconds after the start.
    pub(super) began: u64,
    /// Messages in the queues when the phase began.
    pub(super) waiting: u64,
}

/// One look.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    at: u64,
    published: u64,
    delivered: u64,
}

impl Watch<'_> {
    /// Looks until the phase is over. `all_published` says that every publisher ended, and
    /// `a_consumer_ended` that one did before it was told to, which only an error explains.
    pub(super) fn until_over(
        &self,
        all_published: impl Fn() -> bool,
        a_consumer_ended: impl Fn() -> bool,
        cost: &mut Cost,
    ) -> End {
        let mut moved = self.look();
        let (mut spoke, mut measured) = (moved, moved.at);
        let mut stopped_at = None;
        loop {
            thread::sleep(LOOK);
            let published_all = all_published();
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
            if a_consumer_ended() {
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
        (u128::from(stopped_for) > overtime).then_some(End::Cut)
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
    use crate::bench::address::Address;
    use crate::bench::clock::Start;
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
        let fanout = Load {
            exchange: crate::bench::arguments::Exchange::Fanout,
            queues: 3,
            ..Load::default()
        };
        assert_eq!(end(&fanout, [5, 14], [2, 2], true), None);
        assert_eq!(end(&fanout, [5, 15], [2, 2], true), Some(End::Complete));
    }

    #[test]
    fn patience_ends() {
        let load = Load::default();
        assert_eq!(end(&load, [5, 4], [AFTER_PATIENCE, 1], true), Some(End::Idle));
        assert_eq!(end(&load, [5, 4], [AFTER_PATIENCE, 1], false), Some(End::Idle));
        let hasty = Load { overtime: Duration::ZERO, ..Load::default() };
        assert_eq!(end(&hasty, [5, 4], [2, 2], true), Some(End::Cut));
        assert_eq!(end(&load, [5, 4], [2, 2], true), None);
    }

    #[test]
    fn a_slow_consumer_is_not_waited_for() {
        let load = Load { consumer_rate: NonZeroU32::new(5), ..Load::default() };
        assert_eq!(end(&load, [5, 4], [2, 2], true), Some(End::Cut));
    }
}
