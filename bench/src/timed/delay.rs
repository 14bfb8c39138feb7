//! `leveret bench delay`: many messages wait for their times, through a kill, and leave.
//!
//! They are published with `x-opt-delivery-time`, in no order of their times, which follow each other
//! evenly from some moment on. Before it the broker is killed and started again; from it on a
//! consumer sees how late each is.

use crate::bounds::{SIZE_MAX, seconds};
use crate::client::frames::Incoming;
use crate::client::link::Link;
use crate::client::session::{Session, SessionError, unexpected};
use crate::clock::{Start, unix_nanoseconds};
use crate::interrupt::Interrupt;
use crate::load::Properties;
use crate::message::{Publication, Template};
use crate::sequence::{Arrivals, STAMP_SIZE, Stamp};
use crate::statistics::{Latencies, LatencySummary, approximate, per_message_us};
use crate::target::Target;
use crate::timed::{CONNECTION_NAME, MIB, Own, TimedError, bulk, memory, seconds_since};
use clap::Args;
use leveret_protocol::types::FieldTable;
use serde::Serialize;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

const QUEUE: &str = "leveret.bench.delay";
const DELIVERY_TIME: &str = "x-opt-delivery-time";
/// Stands in the header of a template where the time goes.
const PLACEHOLDER: i64 = 0x1122_3344_5566_7788;
/// Messages published in a second, even of a slow build on a busy machine.
const PUBLISHED_A_SECOND: u64 = 20_000;
/// For what is not publishing before the first is due: the start after the kill.
const SPARE: Duration = Duration::from_secs(15);
const MILLISECOND_NS: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Options of `leveret bench delay`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct DelayArguments {
    /// Messages that wait
    #[arg(long, default_value_t = 1_000_000, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    messages: u64,
    /// Body size
    #[arg(long, default_value_t = 100, value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(STAMP_SIZE as u64..=SIZE_MAX))]
    size: u64,
    /// Messages due in a second
    #[arg(long, default_value = "1000", value_name = "MSG/S")]
    rate: NonZeroU32,
    /// How long to look at how late they are
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    watch: Duration,
    #[command(flatten)]
    pub(crate) own: Own,
}

/// What it came to.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Delayed {
    messages: u64,
    body_bytes: u64,
    publish_seconds: f64,
    broker_cpu_us_per_publish: Option<f64>,
    memory_before: u64,
    memory_waiting: u64,
    /// From the kill until the broker was ready again, the start of its process included.
    restart_seconds: f64,
    memory_restarted: u64,
    rate: u32,
    due: u64,
    missing: u64,
    duplicates: u64,
    /// From the time a message names to reading its delivery.
    lateness: Option<LatencySummary>,
    broker_cpu_us_per_delivery: Option<f64>,
}

/// See the module documentation.
pub(crate) fn run(
    arguments: &DelayArguments,
    interrupt: &Interrupt,
) -> Result<Delayed, TimedError> {
    let mut launched = arguments.own.start()?;
    let target = launched.target();
    let mut found = Delayed {
        messages: arguments.messages,
        body_bytes: arguments.messages * arguments.size,
        rate: arguments.rate.get(),
        due: arguments.due(),
        memory_before: memory(&target),
        ..Delayed::default()
    };
    let lead = Duration::from_secs(arguments.messages / PUBLISHED_A_SECOND) + SPARE;
    let first_ms = unix_nanoseconds() / MILLISECOND_NS + milliseconds(lead);
    let (start, before) = (Start::now(), target.processes.usage());
    arguments.fill(&target, first_ms, interrupt)?;
    found.publish_seconds = seconds_since(start);
    let cpu = before.zip(target.processes.usage()).map(|(before, now)| now.cpu_since(&before));
    found.broker_cpu_us_per_publish = cpu.and_then(|cpu| per_message_us(cpu, arguments.messages));
    found.memory_waiting = memory(&target);
    let start = Start::now();
    launched.restart()?;
    found.restart_seconds = seconds_since(start);
    let target = launched.target();
    found.memory_restarted = memory(&target);
    arguments.watch(&target, interrupt, &mut found)?;
    Ok(found)
}

impl DelayArguments {
    /// Messages due while it is looked.
    fn due(&self) -> u64 {
        let due = self.watch.as_nanos() * u128::from(self.rate.get()) / u128::from(SECOND_NS);
        u64::try_from(due).unwrap_or(u64::MAX).clamp(1, self.messages)
    }

    fn fill(
        &self,
        target: &Target,
        first_ms: u64,
        interrupt: &Interrupt,
    ) -> Result<(), TimedError> {
        let mut session = Session::open(&target.address, CONNECTION_NAME)?;
        session.declare_queue(QUEUE, true)?;
        session.confirm()?;
        let Template { frames, stamp_at } = self.template(session.frame_max());
        let time_at = place_of(&frames, &PLACEHOLDER.to_be_bytes());
        let stride = stride(self.messages);
        let (mut link, mut window) = (session.into_link(), bulk::window());
        bulk::publish(
            (&mut link, &mut window),
            &frames,
            self.messages,
            interrupt,
            |number, message| {
                let turn = u128::from(number) * u128::from(stride) % u128::from(self.messages);
                let sequence = u64::try_from(turn).unwrap_or_default();
                let due_ms = first_ms + sequence * 1000 / u64::from(self.rate.get());
                let stamp = Stamp { publisher: 0, sequence, nanoseconds: due_ms * MILLISECOND_NS };
                write_at(message, time_at, &due_ms.to_be_bytes());
                write_at(message, stamp_at, &stamp.to_bytes());
            },
        )?;
        Ok(Session::resume(link).close()?)
    }

    fn template(&self, frame_max: u32) -> Template {
        let mut headers = FieldTable::default();
        headers.insert(DELIVERY_TIME, PLACEHOLDER);
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let properties = Properties::Plain;
        let (exchange, routing_key, persistent) = ("", QUEUE, true);
        Publication { exchange, routing_key, properties, headers, persistent, size }
            .template(frame_max)
    }

    /// Takes what comes until all has come that is due while it is looked.
    fn watch(
        &self,
        target: &Target,
        interrupt: &Interrupt,
        found: &mut Delayed,
    ) -> Result<(), TimedError> {
        let mut session = Session::open(&target.address, CONNECTION_NAME)?;
        session.consume(QUEUE, 0, true)?;
        let mut link = session.into_link();
        let (mut arrivals, mut late) = (Arrivals::default(), Latencies::new());
        let mut before = None;
        let mut arrived = 0;
        while arrived < found.due {
            if interrupt.is_set() {
                return Err(TimedError::Interrupted);
            }
            if !link.fill()? {
                return Err(TimedError::Standstill);
            }
            before = before.or_else(|| target.processes.usage());
            let now = unix_nanoseconds();
            take(&mut link, |stamp| {
                arrived += 1;
                if stamp.sequence < found.due {
                    arrivals.note(stamp.sequence);
                    late.record(now.saturating_sub(stamp.nanoseconds));
                }
            })?;
        }
        let cpu = before.zip(target.processes.usage()).map(|(before, now)| now.cpu_since(&before));
        let verdict = arrivals.verdict(found.due);
        (found.missing, found.duplicates) = (verdict.missing, verdict.duplicates);
        found.lateness = late.summary();
        found.broker_cpu_us_per_delivery = cpu.and_then(|cpu| per_message_us(cpu, arrived));
        Ok(())
    }
}

/// Hands over the stamps of all whole bodies that have been read. A body has one frame, or its stamp
/// is in the first of several, which ones that begin otherwise do not look like.
fn take(link: &mut Link, mut arrived: impl FnMut(Stamp)) -> Result<(), TimedError> {
    let mut is_first = false;
    while let Some((incoming, length)) = link.frame()? {
        match incoming {
            Incoming::Deliver { .. } => is_first = true,
            Incoming::Body(body) if is_first => {
                is_first = false;
                Stamp::read(body).into_iter().for_each(&mut arrived);
            }
            Incoming::Header { .. } | Incoming::Body(_) | Incoming::Ignorable => {}
            other @ (Incoming::Confirm { .. } | Incoming::Method(_)) => {
                return Err(SessionError::from(unexpected(other)).into());
            }
        }
        link.consume(length);
    }
    Ok(())
}

/// A number that leads through all below `count` when it is added again and again: neighbours in the
/// order of publishing are far from each other in time.
fn stride(count: u64) -> u64 {
    let golden = count / 8 * 5;
    (golden.max(1)..).find(|stride| greatest_common_divisor(*stride, count) == 1).unwrap_or(1)
}

fn greatest_common_divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { greatest_common_divisor(other, one % other) }
}

fn place_of(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn write_at(bytes: &mut [u8], at: Option<usize>, what: &[u8]) {
    if let Some(place) = at.and_then(|at| bytes.get_mut(at..at + what.len())) {
        place.copy_from_slice(what);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Delayed {
    /// Whether everything that was due came, once.
    pub(crate) fn passed(&self) -> bool {
        self.missing == 0 && self.duplicates == 0
    }

    /// MiB above what the broker had before, and above the bodies.
    fn beside_bodies(&self, memory: u64) -> f64 {
        let grown = approximate(memory) - approximate(self.memory_before + self.body_bytes);
        grown / MIB
    }
}

impl fmt::Display for Delayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, publish_seconds, restart_seconds, rate, due, .. } = self;
        let us = |cost: Option<f64>| {
            cost.map_or_else(|| "unknown".to_owned(), |us| format!("{us:.2} us"))
        };
        let bodies = approximate(self.body_bytes) / MIB;
        writeln!(f, "{:<22}{messages} messages, {bodies:.0} MiB of bodies", "waiting")?;
        let cost = us(self.broker_cpu_us_per_publish);
        writeln!(f, "{:<22}{publish_seconds:.2} s, {cost} of CPU a message", "published in")?;
        for (name, memory) in
            [("memory", self.memory_waiting), ("after the restart", self.memory_restarted)]
        {
            let (whole, beside) = (approximate(memory) / MIB, self.beside_bodies(memory));
            writeln!(f, "{name:<22}{whole:.0} MiB, {beside:.0} MiB beside the bodies")?;
        }
        writeln!(f, "{:<22}{restart_seconds:.2} s", "restart after a kill")?;
        let cost = us(self.broker_cpu_us_per_delivery);
        writeln!(f, "{:<22}{due} messages, {rate} a second, {cost} of CPU each", "due")?;
        if let Some(LatencySummary { p50_us, p99_us, max_us }) = self.lateness {
            let [p50, p99, max] = [p50_us, p99_us, max_us].map(|us| us / 1000.0);
            writeln!(f, "{:<22}p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms", "lateness")?;
        }
        let Self { missing, duplicates, .. } = self;
        write!(f, "{:<22}{missing} missing, {duplicates} duplicates", "checks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_time_of_its_own() {
        for count in [1, 2, 7, 1000, 1001_u64] {
            let stride = stride(count);
            let mut turns: Vec<u64> = (0..count).map(|number| number * stride % count).collect();
            turns.sort_unstable();
            assert_eq!(turns, (0..count).collect::<Vec<_>>(), "{count} by {stride}");
        }
    }

    #[test]
    fn times_are_written_where_the_placeholder_stood() {
        let mut bytes = [&[1, 2][..], &PLACEHOLDER.to_be_bytes(), &[3]].concat();
        let at = place_of(&bytes, &PLACEHOLDER.to_be_bytes());
        write_at(&mut bytes, at, &5_u64.to_be_bytes());
        assert_eq!((at, bytes.as_slice()), (Some(2), &[1, 2, 0, 0, 0, 0, 0, 0, 0, 5, 3][..]));
        assert_eq!(place_of(&bytes, b"no"), None);
    }

    #[test]
    fn bodies_are_no_cost() {
        let mib = |count: u64| count * 1024 * 1024;
        let delayed = Delayed { memory_before: mib(10), body_bytes: mib(90), ..Delayed::default() };
        assert!((delayed.beside_bodies(mib(150)) - 50.0).abs() < 1e-9);
        assert!(delayed.passed() && !Delayed { missing: 1, ..delayed }.passed());
    }
}
