//! `leveret bench idle`: very many queues in which something could become due, and nothing does.

use crate::bounds::seconds;
use crate::client::session::Session;
use crate::clock::Start;
use crate::interrupt::Interrupt;
use crate::statistics::approximate;
use crate::timed::{CONNECTION_NAME, MIB, Own, TimedError, memory, seconds_since};
use clap::Args;
use leveret_protocol::types::FieldTable;
use serde::Serialize;
use std::fmt;
use std::thread;
use std::time::Duration;

/// Queues that are declared before it is asked whether they are there.
const AT_ONCE: u32 = 1000;
const PREFIX: &str = "leveret.bench.idle";
const TTL_MS: i32 = 60_000;
const EXPIRES_MS: i32 = 86_400_000;
/// How long the broker may tidy up after the declares.
const SETTLING: Duration = Duration::from_secs(5);
/// How often to look whether a signal came.
const LOOK: Duration = Duration::from_millis(100);

/// Options of `leveret bench idle`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct IdleArguments {
    /// Queues, each with a time to live for its messages and for itself, and with a dead letter
    /// exchange
    #[arg(long, default_value_t = 100_000, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    queues: u32,
    /// Declare them without these arguments
    #[arg(long)]
    plain: bool,
    /// How long to look
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    watch: Duration,
    #[command(flatten)]
    pub(crate) own: Own,
}

/// What it came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Idle {
    queues: u32,
    declare_seconds: f64,
    memory_before: u64,
    memory_after: u64,
    watch_seconds: f64,
    broker_cpu_seconds: Option<f64>,
}

/// See the module documentation.
pub(crate) fn run(arguments: &IdleArguments, interrupt: &Interrupt) -> Result<Idle, TimedError> {
    let launched = arguments.own.start()?;
    let target = launched.target();
    let memory_before = memory(&target);
    let start = Start::now();
    let mut session = Session::open(&target.address, CONNECTION_NAME)?;
    for first in (0..arguments.queues).step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
        if interrupt.is_set() {
            return Err(TimedError::Interrupted);
        }
        let last = arguments.queues.min(first.saturating_add(AT_ONCE));
        let names = (first..last).map(|number| format!("{PREFIX}.{number}"));
        session.declare_queues(names, &arguments.arguments())?;
    }
    session.close()?;
    let declare_seconds = seconds_since(start);
    wait(SETTLING, interrupt)?;
    let (start, before) = (Start::now(), target.processes.usage());
    wait(arguments.watch, interrupt)?;
    let cpu = before.zip(target.processes.usage()).map(|(before, now)| now.cpu_since(&before));
    Ok(Idle {
        queues: arguments.queues,
        declare_seconds,
        memory_before,
        memory_after: memory(&target),
        watch_seconds: seconds_since(start),
        broker_cpu_seconds: cpu.map(|cpu| cpu.as_secs_f64()),
    })
}

impl IdleArguments {
    fn arguments(&self) -> FieldTable {
        let mut arguments = FieldTable::default();
        if !self.plain {
            arguments.insert("x-message-ttl", TTL_MS);
            arguments.insert("x-expires", EXPIRES_MS);
            arguments.insert("x-dead-letter-exchange", "");
            arguments.insert("x-dead-letter-routing-key", PREFIX);
        }
        arguments
    }
}

fn wait(time: Duration, interrupt: &Interrupt) -> Result<(), TimedError> {
    let start = Start::now();
    while Duration::from_nanos(start.nanoseconds()) < time {
        if interrupt.is_set() {
            return Err(TimedError::Interrupted);
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

impl Idle {
    /// The part of one core that the broker took, in percent.
    fn percent(&self) -> Option<f64> {
        self.broker_cpu_seconds.map(|cpu| 100.0 * cpu / self.watch_seconds)
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queues, declare_seconds, memory_before, memory_after, watch_seconds, .. } = self;
        writeln!(f, "{:<22}{queues} in {declare_seconds:.2} s", "queues declared")?;
        let whole = approximate(*memory_after) / MIB;
        let each = approximate(memory_after.saturating_sub(*memory_before)) / f64::from(*queues);
        writeln!(f, "{:<22}{whole:.0} MiB, {each:.0} B a queue", "memory")?;
        let percent =
            self.percent().map_or_else(|| "unknown".to_owned(), |part| format!("{part:.3} %"));
        write!(f, "{:<22}{percent} of a core over {watch_seconds:.0} s", "CPU")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_core_and_the_memory_of_a_queue_are_shown() {
        let idle = Idle {
            queues: 1000,
            declare_seconds: 1.0,
            memory_before: 1_048_576,
            memory_after: 2_048_576,
            watch_seconds: 30.0,
            broker_cpu_seconds: Some(0.15),
        };
        let shown = idle.to_string();
        assert!(shown.contains("1000 B a queue") && shown.contains("0.500 % of a core"), "{shown}");
    }
}
