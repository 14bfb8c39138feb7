//! `leveret bench backlog`: one durable queue gets long, and is drained again.
//!
//! Publishing goes as fast as confirms allow, and the broker's memory is watched meanwhile. The two
//! steps can be asked for one by one, so that the broker can be restarted, or worse, in between: the
//! messages carry their numbers, and the drain finds what is missing, doubled or out of order.

use crate::bounds::{SIZE_MAX, seconds_up_to};
use crate::client::address::Address;
use crate::client::session::Session;
use crate::clock::Start;
use crate::interrupt::Interrupt;
use crate::load::{Load, Phases};
use crate::outcome::Outcome;
use crate::run::{After, Run, RunError, Worked, within};
use crate::sequence::STAMP_SIZE;
use crate::statistics::approximate;
use crate::target::Target;
use crate::topology::Topology;
use clap::{Args, ValueEnum};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

const DURATION_MAX: Duration = Duration::from_secs(7200);
/// Deliveries that one acknowledgement of the drain covers.
const ACK_EVERY: u32 = 50;

/// Options of `leveret bench backlog`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct BacklogArguments {
    /// The broker
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/", value_name = "URL")]
    pub(crate) url: Address,
    /// Messages to publish, or to expect in a queue that was filled before
    #[arg(long, default_value_t = 1_000_000, value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=4_000_000_000))]
    pub(crate) messages: u64,
    /// Body size
    #[arg(long, default_value_t = 1024, value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(STAMP_SIZE as u64..=SIZE_MAX))]
    pub(crate) size: u64,
    /// Unconfirmed messages at most
    #[arg(long, default_value = "20000", value_name = "WINDOW")]
    pub(crate) confirm: NonZeroU32,
    /// What to do with the queue
    #[arg(long, value_enum, default_value_t = Step::Both)]
    pub(crate) step: Step,
    /// Its name
    #[arg(long, default_value = "leveret.bench.backlog", value_name = "NAME")]
    pub(crate) queue: String,
    /// How long each step may take
    #[arg(long, default_value = "1800", value_name = "SECONDS",
        value_parser = |text: &str| seconds_up_to(DURATION_MAX, text))]
    pub(crate) duration: Duration,
    /// Process of the broker whose CPU and memory are measured [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    pub(crate) broker_pid: Vec<u32>,
    /// Print the results as JSON, a line a step
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Fill, drain and delete it
    Both,
    /// Fill it and leave it behind, for a later drain
    Fill,
    /// Drain what was left behind, and delete it
    Drain,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BacklogError {
    /// The queue is not empty, so that no drain could be judged.
    #[error("the queue '{queue}' holds {depth} messages already: drain or delete it first")]
    NotEmpty { queue: String, depth: u64 },
    #[error("{0}")]
    Run(#[from] RunError),
}

/// What the steps came to.
#[derive(Clone, Debug)]
pub(crate) struct Backlog {
    pub(crate) filled: Option<Outcome>,
    pub(crate) drained: Option<Outcome>,
}

/// Does the steps asked for.
pub(crate) fn run(
    arguments: &BacklogArguments,
    interrupt: &Interrupt,
) -> Result<Backlog, BacklogError> {
    let target = Target::new(&arguments.url, &arguments.broker_pid);
    let (filling, draining) = (arguments.filling(), arguments.draining());
    let topology = Topology::named(&filling, &arguments.queue);
    if arguments.step != Step::Drain {
        refuse_leftovers(&topology, &target, &arguments.queue)?;
    }
    let start = Start::now();
    let fill =
        Run { load: &filling, target: &target, topology: &topology, start, interrupt, talk: true };
    let drain = Run { load: &draining, ..fill };
    let after = if arguments.step == Step::Fill { After::Keep } else { After::Delete };
    let backlog = within(&topology, &target, after, |control| {
        let (filled, worked) = match arguments.step {
            Step::Both | Step::Fill => {
                let (outcome, worked) = fill.fill(control)?;
                (Some(outcome), worked)
            }
            Step::Drain => (None, Worked::before(arguments.messages, &target)),
        };
        let drained = match arguments.step {
            Step::Both if interrupt.is_set() => None,
            Step::Both | Step::Drain => Some(drain.drain(&worked, control)?),
            Step::Fill => None,
        };
        Ok(Backlog { filled, drained })
    })?;
    Ok(backlog)
}

/// Fails when the queue holds messages of an earlier run, which is then left as it is.
fn refuse_leftovers(topology: &Topology, target: &Target, queue: &str) -> Result<(), BacklogError> {
    let depth = |control: &mut Session| Ok(topology.depth(control)?);
    match within(topology, target, After::Keep, depth)? {
        0 => Ok(()),
        depth => Err(BacklogError::NotEmpty { queue: queue.to_owned(), depth }),
    }
}

impl BacklogArguments {
    fn filling(&self) -> Load {
        Load {
            label: "backlog: fill".to_owned(),
            size: usize::try_from(self.size).unwrap_or(usize::MAX),
            persistent: true,
            durable: true,
            confirm: Some(self.confirm),
            duration: self.duration,
            overtime: Duration::ZERO,
            messages: Some(self.messages),
            phases: Phases::Fill,
            ..Load::default()
        }
    }

    fn draining(&self) -> Load {
        Load {
            label: "backlog: drain".to_owned(),
            confirm: None,
            ack_every: NonZeroU32::new(ACK_EVERY),
            phases: Phases::Drain,
            ..self.filling()
        }
    }
}

impl Backlog {
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.filled.iter().chain(&self.drained)
    }

    /// Whether everything confirmed was there, once and in order. A drain that time has cut short
    /// has not shown that.
    pub(crate) fn passed(&self) -> bool {
        let sound = |outcome: &Outcome| !outcome.checks.failed();
        let whole = |outcome: &Outcome| outcome.interrupted || outcome.checks.undelivered == 0;
        self.outcomes().all(sound) && self.drained.as_ref().is_none_or(whole)
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, outcome) in self.outcomes().enumerate() {
            let gap = if number == 0 { "" } else { "\n" };
            write!(f, "{gap}{outcome}")?;
        }
        let grown = self.filled.as_ref().and_then(|filled| {
            let memory = filled.memory.filter(|_| filled.published > 0)?;
            let grown = memory.peak.saturating_sub(memory.before);
            Some(approximate(grown) / approximate(filled.published))
        });
        match grown {
            Some(bytes) => write!(f, "{:<22}{bytes:.0} B a message at the peak", "broker memory"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Checks, Memory};
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        backlog: BacklogArguments,
    }

    fn parse(line: &str) -> Result<BacklogArguments, clap::Error> {
        let words = std::iter::once("backlog").chain(line.split_ascii_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.backlog)
    }

    #[test]
    fn a_backlog_is_durable_and_bounded() {
        let arguments = parse("--messages 10000000 --duration 900").unwrap();
        let (filling, draining) = (arguments.filling(), arguments.draining());
        assert!(filling.persistent && filling.durable && filling.is_checked());
        assert_eq!((filling.messages, filling.size), (Some(10_000_000), 1024));
        assert_eq!(filling.confirm.map(NonZeroU32::get), Some(20_000));
        assert_eq!((draining.duration.as_secs(), draining.overtime), (900, Duration::ZERO));
        assert!(filling.check().is_ok() && draining.check().is_ok());
        for line in ["--messages 0", "--size 15", "--confirm 0", "--step x", "--duration 7201"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_drain_that_was_cut_short_has_not_passed() {
        let drained = |undelivered| {
            let checks = Checks { undelivered, ..Checks::default() };
            Backlog { filled: None, drained: Some(Outcome { checks, ..Outcome::default() }) }
        };
        assert!(drained(0).passed());
        assert!(!drained(1).passed());
    }

    #[test]
    fn memory_is_shown_for_each_message() {
        let memory = Some(Memory { before: 1_000, peak: 21_000, after: 9_000 });
        let filled = Outcome { memory, published: 100, ..Outcome::default() };
        let shown = Backlog { filled: Some(filled), drained: None }.to_string();
        assert!(shown.ends_with("\nbroker memory         200 B a message at the peak"), "{shown}");
    }
}
