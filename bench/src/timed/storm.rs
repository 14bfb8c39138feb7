//! `leveret bench storm`: very many messages expire at once, and what somebody else notices.
//!
//! They stand behind one that does not expire, and their time is up long before it is taken: a queue
//! lets go of what stands first. Meanwhile, on another queue, a client publishes a thousand messages
//! a second, with confirms, and gets them; how long that takes is measured before and during it.

use crate::bounds::DURATION_MAX;
use crate::client::session::Session;
use crate::clock::Start;
use crate::interrupt::Interrupt;
use crate::load::Load;
use crate::outcome::Outcome;
use crate::run;
use crate::statistics::{LatencySummary, approximate};
use crate::target::Target;
use crate::timed::{CONNECTION_NAME, MIB, Own, TimedError, bulk, memory, seconds_since};
use clap::Args;
use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::FieldTable;
use serde::Serialize;
use std::fmt;
use std::num::NonZeroU32;
use std::thread;
use std::time::Duration;

const QUEUE: &str = "leveret.bench.storm";
const DEAD: &str = "leveret.bench.storm.dead";
/// How long the bystander is looked at before anything happens.
const QUIET: Duration = Duration::from_secs(3);
/// How often to look whether it is over.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);
const PERSISTENT: u8 = 2;
/// Messages of the bystander in a second, and how many may be unconfirmed.
const BYSTANDER_RATE: u32 = 1000;
const BYSTANDER_WINDOW: u32 = 10_000;

/// Options of `leveret bench storm`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct StormArguments {
    /// Messages that expire
    #[arg(long, default_value_t = 1_000_000, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    messages: u64,
    /// Body size
    #[arg(long, default_value_t = 100, value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(..=100_000))]
    size: u64,
    /// Publish with delivery mode 2, to durable queues
    #[arg(long)]
    persistent: bool,
    /// Give the queue a dead letter exchange, and a queue behind it
    #[arg(long)]
    dead_letters: bool,
    #[command(flatten)]
    pub(crate) own: Own,
}

/// What it came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stormed {
    messages: u64,
    storm_seconds: f64,
    before: Bystander,
    during: Bystander,
    memory_before: u64,
    memory_after: u64,
    /// Messages that are neither in the queue nor behind it, though they should be.
    missing: u64,
}

/// What somebody else noticed.
#[derive(Clone, Debug, Serialize)]
struct Bystander {
    delivered: u64,
    /// From sending a message to reading its delivery.
    latency: Option<LatencySummary>,
    /// From sending a message to reading its confirm.
    confirm_latency: Option<LatencySummary>,
}

/// See the module documentation.
pub(crate) fn run(
    arguments: &StormArguments,
    interrupt: &Interrupt,
) -> Result<Stormed, TimedError> {
    let launched = arguments.own.start()?;
    let target = launched.target();
    arguments.fill(&target, interrupt)?;
    let memory_before = memory(&target);
    let before = beside(&target, || {
        thread::sleep(QUIET);
        Ok(())
    })?;
    let mut control = Session::open(&target.address, CONNECTION_NAME)?;
    let mut trigger = Session::open(&target.address, CONNECTION_NAME)?;
    let mut storm_seconds = 0.0;
    let during = beside(&target, || {
        let start = Start::now();
        arguments.storm(&mut trigger, &mut control, interrupt)?;
        storm_seconds = seconds_since(start);
        Ok(())
    })?;
    let missing = arguments.missing(&mut control)?;
    let memory_after = memory(&target);
    let messages = arguments.messages;
    Ok(Stormed { messages, storm_seconds, before, during, memory_before, memory_after, missing })
}

/// How long the messages of a bystander take while `work` is done.
fn beside(
    target: &Target,
    work: impl FnOnce() -> Result<(), TimedError>,
) -> Result<Bystander, TimedError> {
    let load = Load {
        confirm: NonZeroU32::new(BYSTANDER_WINDOW),
        rate: NonZeroU32::new(BYSTANDER_RATE),
        duration: DURATION_MAX,
        ..Load::default()
    };
    let over = Interrupt::default();
    let outcome = thread::scope(|scope| {
        let bystander = scope.spawn(|| run::run(&load, target, &over, false));
        let worked = work();
        over.set();
        let outcome = bystander.join().map_err(|_| TimedError::Thread)?;
        worked.and_then(|()| Ok(outcome?))
    })?;
    let Outcome { delivered, latency, confirm_latency, .. } = outcome;
    Ok(Bystander { delivered, latency, confirm_latency })
}

impl StormArguments {
    fn fill(&self, target: &Target, interrupt: &Interrupt) -> Result<(), TimedError> {
        let mut session = Session::open(&target.address, CONNECTION_NAME)?;
        let mut arguments = FieldTable::default();
        if self.dead_letters {
            session.declare_queue(DEAD, self.persistent)?;
            arguments.insert("x-dead-letter-exchange", "");
            arguments.insert("x-dead-letter-routing-key", DEAD);
        }
        session.declare_queue_with(QUEUE, self.persistent, &arguments)?;
        session.confirm()?;
        let frame_max = session.frame_max();
        let (mut link, mut window) = (session.into_link(), bulk::window());
        for (count, expiration) in [(1, None), (self.messages, Some("1"))] {
            let frames = bulk::message(
                QUEUE,
                &BasicProperties {
                    delivery_mode: self.persistent.then_some(PERSISTENT),
                    expiration: expiration.map(str::as_bytes),
                    ..BasicProperties::default()
                },
                usize::try_from(self.size).unwrap_or_default(),
                frame_max,
            );
            bulk::publish((&mut link, &mut window), &frames, count, interrupt, |_, _| {})?;
        }
        Ok(Session::resume(link).close()?)
    }

    /// Takes the first message, which the others wait behind, and waits until they are gone.
    fn storm(
        &self,
        trigger: &mut Session,
        control: &mut Session,
        interrupt: &Interrupt,
    ) -> Result<(), TimedError> {
        trigger.prefetch(1)?;
        trigger.consume(QUEUE, 0, false)?;
        let start = Start::now();
        while control.depth(QUEUE)? > 0 || self.missing(control)? > 0 {
            if interrupt.is_set() {
                return Err(TimedError::Interrupted);
            }
            if Duration::from_nanos(start.nanoseconds()) > PATIENCE {
                return Err(TimedError::Standstill);
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Dead letters that have not arrived.
    fn missing(&self, control: &mut Session) -> Result<u64, TimedError> {
        let arrived = if self.dead_letters { control.depth(DEAD)? } else { self.messages };
        Ok(self.messages.saturating_sub(arrived))
    }
}

impl Stormed {
    /// Whether everything got where it should.
    pub(crate) fn passed(&self) -> bool {
        self.missing == 0
    }
}

impl fmt::Display for Stormed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, storm_seconds, missing, .. } = self;
        writeln!(f, "{:<22}{messages} messages in {storm_seconds:.2} s", "expired")?;
        for (when, bystander) in [("before", &self.before), ("during", &self.during)] {
            for (what, latency) in
                [("delivery", bystander.latency), ("confirm", bystander.confirm_latency)]
            {
                let Some(LatencySummary { p50_us, p99_us, max_us }) = latency else { continue };
                let [p50, p99, max] = [p50_us, p99_us, max_us].map(|us| us / 1000.0);
                let name = format!("{what} {when}");
                writeln!(f, "{name:<22}p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms")?;
            }
        }
        let [before, after] =
            [self.memory_before, self.memory_after].map(|bytes| approximate(bytes) / MIB);
        writeln!(f, "{:<22}{before:.0} MiB before, {after:.0} MiB after", "memory")?;
        write!(f, "{:<22}{missing} missing", "checks")
    }
}
