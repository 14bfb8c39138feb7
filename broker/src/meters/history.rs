//! What counts were some time ago: rings of samples, and the rates and series that come of them.
//!
//! Kept beside what is counted, fed by `broker::sampling` once a tick, read by management. Pure: ticks are
//! given. Stays true: a sample is kept only where something changed since the one before, so that what is
//! idle takes no memory and no time; of what is older than a ring nothing is told. Retention is RabbitMQ's
//! (<https://www.rabbitmq.com/docs/management#sample-retention-policies>).

use std::collections::VecDeque;

/// When samples are taken: tick `n` is at `epoch_ms + n * interval_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// The time of tick 0, in milliseconds since the Unix epoch: a multiple of the interval.
    pub epoch_ms: u64,
    /// From one tick to the next, in milliseconds.
    pub interval_ms: u64,
    /// The last one.
    pub now: u32,
    /// Samples before this one are forgotten.
    pub since: u32,
}

impl Ticks {
    /// How many there are in so many seconds; at least one.
    fn in_seconds(&self, seconds: u32) -> u32 {
        let ticks = u64::from(seconds) * 1000 / self.interval_ms.max(1);
        u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
    }

    /// The last tick that is not after this time.
    fn at_ms(&self, time_ms: u64) -> Option<u32> {
        let since = time_ms.checked_sub(self.epoch_ms)?;
        Some(u32::try_from(since / self.interval_ms.max(1)).unwrap_or(u32::MAX))
    }
}

/// From when to when samples are asked for, and how far apart, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Of the oldest.
    pub first_ms: u64,
    /// Of the newest.
    pub last_ms: u64,
    /// From one to the next; not 0.
    pub step_ms: u64,
}

/// A ring keeps samples of so many seconds, so many seconds apart.
type Span = (u32, u32);

/// Of vhosts and the node.
pub(crate) const GLOBAL: &[Span] = &[(605, 5), (3660, 60), (29_400, 600), (86_400, 1800)];
/// Of queues, exchanges and connections.
pub(crate) const BASIC: &[Span] = &[(605, 5), (3660, 60)];
/// Of channels.
pub(crate) const DETAILED: &[Span] = &[(605, 5)];

/// How a number is kept. Of some there are many: their lower halves tell the rest together with what is
/// newest, as long as a ring does not span more than 2³¹.
pub(crate) trait Kept: Copy + PartialEq {
    /// As it is kept.
    fn of(number: u64) -> Self;
    /// What it was, if the newest is this.
    fn restored(self, newest: u64) -> u64;
}

impl Kept for u64 {
    fn of(number: u64) -> Self {
        number
    }

    fn restored(self, _: u64) -> u64 {
        self
    }
}

impl Kept for u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is kept")]
    fn of(number: u64) -> Self {
        number as Self
    }

    fn restored(self, newest: u64) -> u64 {
        let since = Self::of(newest).wrapping_sub(self).cast_signed();
        newest.checked_add_signed(-i64::from(since)).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
struct Ring<const N: usize, T> {
    /// Ticks from one sample to the next.
    step: u32,
    /// Ticks that it spans.
    span: u32,
    /// The oldest first; each is what was from its tick on.
    samples: VecDeque<(u32, [T; N])>,
}

/// See the module documentation. `N` numbers are sampled together.
#[derive(Clone, Debug)]
pub(crate) struct History<const N: usize, T = u64> {
    rings: Box<[Ring<N, T>]>,
    newest: [u64; N],
    /// The tick of the first sample: before it there was nothing.
    first: Option<u32>,
}

/// Rates a second, and what was asked for besides.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sampled<const N: usize> {
    /// Between the last two ticks.
    pub rates: [f64; N],
    /// Samples with their times in milliseconds since the Unix epoch, the newest first; `None` where
    /// nobody asked.
    pub series: Option<Vec<(u64, [u64; N])>>,
}

impl<const N: usize> Default for Sampled<N> {
    fn default() -> Self {
        Self { rates: [0.0; N], series: None }
    }
}

impl<const N: usize, T: Kept> History<N, T> {
    /// Of something that was nothing before its first sample.
    pub(crate) fn new(spans: &[Span], ticks: &Ticks) -> Self {
        let ring = |(at, (seconds, apart)): (usize, &Span)| Ring {
            // The finest has every tick.
            step: if at == 0 { 1 } else { ticks.in_seconds(*apart) },
            span: ticks.in_seconds(*seconds),
            samples: VecDeque::new(),
        };
        let rings = spans.iter().enumerate().map(ring).collect();
        Self { rings, newest: [0; N], first: None }
    }

    /// What was sampled last.
    pub(crate) fn newest(&self) -> &[u64; N] {
        &self.newest
    }

    /// What it was before it is known is this, and not nothing: a level that was there at the start.
    pub(crate) fn begins_with(&mut self, values: [u64; N]) {
        self.newest = values;
        self.first = Some(0);
        let kept = values.map(T::of);
        self.rings.iter_mut().for_each(|ring| ring.samples.push_back((0, kept)));
    }

    /// So it is at this tick.
    pub(crate) fn note(&mut self, tick: u32, values: [u64; N]) {
        if values == self.newest && self.first.is_some() {
            return;
        }
        self.newest = values;
        self.first.get_or_insert(tick);
        let kept = values.map(T::of);
        self.rings.iter_mut().for_each(|ring| ring.push(tick, kept));
    }

    /// How fast it went between the last two ticks, a second.
    pub(crate) fn rates(&self, ticks: &Ticks) -> [f64; N] {
        let mut rates = [0.0; N];
        let Some(ring) = self.rings.first() else { return rates };
        let mut latest = ring.samples.iter().rev();
        let Some((tick, values)) = latest.next() else { return rates };
        if *tick != ticks.now || ticks.now < ticks.since {
            return rates;
        }
        let before = latest.next().map_or_else(|| [T::of(0); N], |(_, values)| *values);
        let seconds = ticks.interval_ms as f64 / 1000.0;
        let newest = self.newest.iter().zip(values);
        for ((rate, (newest, now)), before) in rates.iter_mut().zip(newest).zip(before) {
            let (now, before) = (now.restored(*newest), before.restored(*newest));
            *rate = (now as f64 - before as f64) / seconds;
        }
        rates
    }

    /// What it was at a tick; `None` where that is not known any more.
    fn at(&self, tick: u32, now: u32) -> Option<[u64; N]> {
        if self.first.is_none_or(|first| tick < first) {
            return Some([0; N]);
        }
        let ring = self.rings.iter().find(|ring| ring.spans(tick, now))?;
        let behind = ring.samples.partition_point(|(at, _)| *at <= tick);
        let (_, values) = ring.samples.get(behind.checked_sub(1)?)?;
        let mut restored = [0; N];
        for ((to, newest), value) in restored.iter_mut().zip(self.newest).zip(values) {
            *to = value.restored(newest);
        }
        Some(restored)
    }

    /// Samples of a range, the newest first.
    fn series(&self, range: &Range, ticks: &Ticks) -> Vec<(u64, [u64; N])> {
        let at = |time_ms: u64| match ticks.at_ms(time_ms) {
            None => Some([0; N]),
            Some(tick) if tick < ticks.since => Some([0; N]),
            Some(tick) => self.at(tick.min(ticks.now), ticks.now),
        };
        range.times().map_while(|time_ms| Some((time_ms, at(time_ms)?))).collect()
    }

    /// Rates, and samples if they are asked for.
    pub(crate) fn sampled(&self, range: Option<&Range>, ticks: &Ticks) -> Sampled<N> {
        Sampled { rates: self.rates(ticks), series: range.map(|range| self.series(range, ticks)) }
    }
}

impl<const N: usize, T: Kept> Ring<N, T> {
    fn push(&mut self, tick: u32, values: [T; N]) {
        // What changes between two samples counts for the later.
        let tick = tick.div_ceil(self.step).saturating_mul(self.step);
        match self.samples.back_mut() {
            Some(last) if last.0 == tick => last.1 = values,
            Some(_) | None => self.samples.push_back((tick, values)),
        }
        // One that is older says what was when the ring begins.
        while self.samples.get(1).is_some_and(|(at, _)| at.saturating_add(self.span) < tick) {
            self.samples.pop_front();
        }
    }

    fn knows(&self, tick: u32) -> bool {
        self.samples.front().is_some_and(|(at, _)| *at <= tick)
    }

    fn spans(&self, tick: u32, now: u32) -> bool {
        tick.saturating_add(self.span) >= now && self.knows(tick)
    }
}

impl Range {
    /// The times of its samples, the newest first.
    fn times(&self) -> impl Iterator<Item = u64> {
        let Self { first_ms, last_ms, step_ms } = *self;
        let count = last_ms.saturating_sub(first_ms) / step_ms.max(1) + 1;
        (0..count).map(move |at| last_ms.saturating_sub(at * step_ms))
    }

    /// Samples of what was always nothing.
    pub(crate) fn nothing<const N: usize>(&self) -> Vec<(u64, [u64; N])> {
        self.times().map(|time_ms| (time_ms, [0; N])).collect()
    }
}

impl<const N: usize> Sampled<N> {
    /// Of what has no history: nothing, all the time.
    pub(crate) fn nothing(range: Option<&Range>) -> Self {
        Self { series: range.map(Range::nothing), ..Self::default() }
    }

    /// All of another: sums of what was at the same times.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.rates.iter_mut().zip(other.rates).for_each(|(rate, more)| *rate += more);
        match (&mut self.series, &other.series) {
            (Some(all), Some(more)) => {
                all.truncate(more.len());
                for ((_, values), (_, more)) in all.iter_mut().zip(more) {
                    values.iter_mut().zip(more).for_each(|(value, more)| *value += more);
                }
            }
            (all, _) => all.clone_from(&other.series),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECONDS: u64 = 1000;

    fn ticks(now: u32) -> Ticks {
        Ticks { epoch_ms: 1_000_000, interval_ms: 5 * SECONDS, now, since: 0 }
    }

    fn range(age: u64, step: u64, now: u32) -> Range {
        let last_ms = 1_000_000 + u64::from(now) * 5 * SECONDS;
        let (first_ms, step_ms) = (last_ms - age * SECONDS, step * SECONDS);
        Range { first_ms, last_ms, step_ms }
    }

    fn values<const N: usize>(sampled: &Sampled<N>) -> Vec<u64> {
        sampled.series.as_ref().unwrap().iter().map(|(_, values)| values[0]).collect()
    }

    #[test]
    fn rates_are_of_the_last_interval_and_end_when_nothing_happens() {
        let mut history: History<2> = History::new(BASIC, &ticks(10));
        history.note(10, [50, 7]);
        assert_eq!(history.rates(&ticks(10)), [10.0, 1.4]);
        history.note(11, [50, 2]);
        assert_eq!(history.rates(&ticks(11)), [0.0, -1.0], "what is left falls");
        history.note(12, [50, 2]);
        assert_eq!(history.rates(&ticks(12)), [0.0, 0.0]);
        assert_eq!(history.rings[0].samples.len(), 2, "nothing new is kept of what is idle");
        history.note(20, [55, 2]);
        assert_eq!(history.rates(&ticks(20)), [1.0, 0.0], "it happened since the tick before");
    }

    #[test]
    fn series_go_back_to_nothing_and_hold_what_stays() {
        let mut history: History<1> = History::new(BASIC, &ticks(100));
        history.note(100, [5]);
        history.note(103, [9]);
        let sampled = history.sampled(Some(&range(30, 5, 104)), &ticks(104));
        assert_eq!(values(&sampled), [9, 9, 5, 5, 5, 0, 0]);
        let times: Vec<u64> = sampled.series.unwrap().iter().map(|(time, _)| *time).collect();
        assert_eq!(times[..2], [1_520_000, 1_515_000]);
        let early = history.sampled(Some(&range(10, 5, 1)), &ticks(104));
        assert_eq!(values(&early), [0, 0, 0], "before the first tick there was nothing");
    }

    #[test]
    fn what_is_forgotten_was_nothing() {
        let mut history: History<1> = History::new(BASIC, &ticks(100));
        history.note(100, [5]);
        history.note(101, [9]);
        let forgotten = |now| Ticks { since: 102, ..ticks(now) };
        let sampled = history.sampled(Some(&range(10, 5, 101)), &forgotten(101));
        assert_eq!((values(&sampled), sampled.rates), (vec![0, 0, 0], [0.0]));
        history.note(102, [19]);
        let sampled = history.sampled(Some(&range(10, 5, 102)), &forgotten(102));
        assert_eq!((values(&sampled), sampled.rates), (vec![19, 0, 0], [2.0]));
    }

    #[test]
    fn coarse_rings_remember_longer() {
        let mut history: History<1> = History::new(BASIC, &ticks(1));
        for tick in 1..=800 {
            history.note(tick, [u64::from(tick)]);
        }
        assert!(history.rings[0].samples.len() <= 123 && history.rings[1].samples.len() <= 63);
        let fine = history.sampled(Some(&range(600, 300, 800)), &ticks(800));
        assert_eq!(values(&fine), [800, 740, 680]);
        let coarse = history.sampled(Some(&range(3600, 1200, 800)), &ticks(800));
        assert_eq!(values(&coarse), [800, 552, 312, 72], "what was at the last full minute");
        let beyond = history.sampled(Some(&range(3900, 1300, 800)), &ticks(800));
        assert_eq!(values(&beyond).len(), 3, "what is older is not told");
    }

    #[test]
    fn halves_tell_the_whole() {
        let large = (1 << 40) + 7;
        let mut history: History<1, u32> = History::new(DETAILED, &ticks(5));
        history.begins_with([large]);
        history.note(6, [large + 20]);
        history.note(7, [large - 5]);
        assert_eq!(history.rates(&ticks(7)), [-5.0]);
        let sampled = history.sampled(Some(&range(15, 5, 7)), &ticks(7));
        assert_eq!(values(&sampled), [large - 5, large + 20, large, large]);
    }

    #[test]
    fn sums_are_of_the_same_times() {
        let mut one: History<1> = History::new(GLOBAL, &ticks(1));
        one.note(2, [10]);
        let mut other: History<1> = History::new(GLOBAL, &ticks(1));
        other.note(3, [100]);
        let (range, now) = (range(10, 5, 3), ticks(3));
        let mut sum = Sampled::nothing(Some(&range));
        sum.add_all(&one.sampled(Some(&range), &now));
        sum.add_all(&other.sampled(Some(&range), &now));
        assert_eq!((values(&sum), sum.rates), (vec![110, 10, 0], [20.0]));
        let mut plain: Sampled<1> = Sampled::default();
        plain.add_all(&one.sampled(None, &now));
        assert_eq!(plain, Sampled { rates: [0.0], series: None });
    }
}
