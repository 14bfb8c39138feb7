//! From what the parties of a run saw to its [`Outcome`].

use crate::load::{Load, Phases};
use crate::outcome::{Bound, Checks, Memory, Outcome};
use crate::run::worked::{End, Worked};
use crate::sequence::{Arrivals, Verdict};
use crate::statistics::{Latencies, LatencySummary, per_message_us, rate, share};
use crate::target::Target;
use std::collections::HashMap;
use std::time::Duration;

/// A run that is over: who published, and the phase that was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) load: &'a Load,
    pub(crate) target: &'a Target,
    pub(crate) sent: &'a Worked,
    pub(crate) worked: &'a Worked,
}

impl Summary<'_> {
    /// The outcome of a run with consumers. `left` is what the queues still hold, if known.
    pub(crate) fn consumed(&self, left: Option<u64>, interrupted: bool) -> Outcome {
        let delivered: u64 = self.worked.arrived.iter().map(|arrived| arrived.messages).sum();
        let undelivered = self.due().saturating_sub(delivered);
        let verdict = self.load.is_checked().then(|| self.verdict());
        let checks = Checks::new(verdict, undelivered, left);
        self.outcome(delivered, delivered, checks, interrupted)
    }

    /// The outcome of a run that only fills queues, which hold `depth` messages after `time`. With
    /// confirms the last of them is the end of publishing, else that the queues hold everything.
    pub(crate) fn filled(&self, depth: u64, time: Duration, interrupted: bool) -> Outcome {
        let due = self.due();
        let published = self.published();
        let checks = Checks::new(None, due, Some(depth));
        let outcome = self.outcome(0, published, checks, interrupted);
        if outcome.confirmed.is_some() {
            return outcome;
        }
        Outcome {
            publish_seconds: time.as_secs_f64(),
            publish_rate: rate(published, time),
            ..outcome
        }
    }

    fn published(&self) -> u64 {
        self.sent.sent.iter().flat_map(|sent| &sent.destinations).sum()
    }

    fn refused(&self) -> u64 {
        let windows = self.sent.sent.iter().filter_map(|sent| sent.window.as_ref());
        windows.map(|window| window.negative()).sum()
    }

    /// Messages that must be somewhere: not those the broker refused.
    fn due(&self) -> u64 {
        (self.published() - self.refused()) * u64::from(self.load.copies())
    }

    fn verdict(&self) -> Verdict {
        let mut merged: HashMap<(u16, u16), Arrivals> = HashMap::new();
        let mut whole = Verdict::default();
        for arrived in &self.worked.arrived {
            whole.duplicates += arrived.foreign;
            for (queue, publisher, arrivals) in arrived.stamps() {
                merged.entry((queue, publisher)).or_default().merge(arrivals);
            }
        }
        for sent in &self.sent.sent {
            for (queue, count) in self.expected_of(sent.number, &sent.destinations) {
                let arrivals = merged.remove(&(queue, sent.number)).unwrap_or_default();
                whole.add(arrivals.verdict(count));
            }
        }
        // What came to a queue from a publisher that never addressed it.
        merged.into_values().for_each(|arrivals| whole.add(arrivals.verdict(0)));
        whole.missing =
            whole.missing.saturating_sub(self.refused() * u64::from(self.load.copies()));
        whole
    }

    /// How many messages each queue should have of one publisher.
    fn expected_of(&self, publisher: u16, sent: &[u64]) -> Vec<(u16, u64)> {
        if self.load.copies() > 1 {
            let count = sent.iter().sum();
            return (0..self.load.queues).map(|queue| (queue, count)).collect();
        }
        self.load.queues_of_publisher(publisher).into_iter().zip(sent.iter().copied()).collect()
    }

    /// The limit that ended the run.
    fn bound(&self) -> Option<Bound> {
        match (self.sent.end, self.worked.end) {
            (End::Idle, _) | (_, End::Idle) => Some(Bound::Patience),
            (_, End::Late) => Some(Bound::Overtime),
            (_, End::Cut) => None,
            (_, End::Complete) => {
                let all = self.load.messages.is_some_and(|all| self.published() >= all);
                Some(if all { Bound::Messages } else { Bound::Time })
            }
        }
    }

    fn outcome(&self, delivered: u64, counted: u64, checks: Checks, interrupted: bool) -> Outcome {
        let published = self.published();
        let windows = || self.sent.sent.iter().filter_map(|sent| sent.window.as_ref());
        let last_sent = self.sent.sent.iter().map(|sent| sent.last_at).max();
        let last_arrived = self.worked.arrived.iter().map(|arrived| arrived.last_at).max();
        let publish_time = since(last_sent, self.sent.began);
        let consume_time = since(last_arrived, self.worked.began);
        let cost = &self.worked.cost;
        let payload = self.load.size as u64
            * if self.load.phases == Phases::Drain { delivered } else { published };
        Outcome {
            label: self.load.label.clone(),
            broker: self.target.address.to_string(),
            publishers: self.load.publishers,
            consumers: if self.load.phases == Phases::Fill { 0 } else { self.load.consumers },
            queues: self.load.queues,
            size: self.load.size,
            published,
            publish_seconds: publish_time.as_secs_f64(),
            publish_rate: rate(published, publish_time),
            confirmed: self.load.confirm.map(|_| windows().map(|window| window.positive()).sum()),
            refused: self.refused(),
            delivered,
            consume_seconds: consume_time.as_secs_f64(),
            consume_rate: rate(delivered, consume_time),
            latency: match self.load.phases {
                Phases::Together => {
                    summed(self.worked.arrived.iter().map(|arrived| &arrived.latencies))
                }
                // How long a message waited for the phase to begin says nothing.
                Phases::Fill | Phases::Drain => None,
            },
            confirm_latency: summed(windows().map(|window| window.latencies())),
            broker_cpu_us_per_message: cost.cpu.and_then(|cpu| per_message_us(cpu, counted)),
            broker_cpu_seconds: cost.cpu.map(|cpu| cpu.as_secs_f64()),
            generator_cpu_us_per_message: cost.own_cpu.and_then(|cpu| per_message_us(cpu, counted)),
            memory: cost.memory().map(|[before, peak, after]| Memory { before, peak, after }),
            broker_written_bytes: cost.written,
            written_per_payload_byte: cost.written.and_then(|written| share(written, payload)),
            churned: self.worked.churned,
            checks,
            bound: self.bound().filter(|_| !interrupted),
            interrupted,
        }
    }
}

fn since(last: Option<u64>, began: u64) -> Duration {
    Duration::from_nanos(last.unwrap_or(began).saturating_sub(began))
}

fn summed<'a>(latencies: impl Iterator<Item = &'a Latencies>) -> Option<LatencySummary> {
    let mut sum = Latencies::new();
    latencies.for_each(|latencies| sum.add(latencies));
    sum.summary()
}
