//! The options of `leveret bench`.
//!
//! [`BenchArguments`] is what the command line offers, a mode or the options of one run; the other
//! modes have their own options beside what they do.

use crate::backlog::BacklogArguments;
use crate::bounds::{CONNECTIONS_MAX, DURATION_MAX, KEYS_MAX, QUEUES_MAX, SIZE_MAX, seconds};
use crate::client::address::Address;
use crate::compare::CompareArguments;
use crate::disk::DiskArguments;
use crate::load::{
    DURATION_DEFAULT, Exchange, Load, LoadError, OVERTIME, PREFETCH_DEFAULT, Phases, Properties,
};
use crate::timed::delay::DelayArguments;
use crate::timed::idle::IdleArguments;
use crate::timed::storm::StormArguments;
use clap::{Args, Subcommand};
use std::num::NonZeroU32;
use std::time::Duration;

/// Load an AMQP 0-9-1 broker and measure what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArguments {
    /// What else to do than one run.
    #[command(subcommand)]
    pub(crate) mode: Option<BenchMode>,
    /// One run.
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

/// Other ways to measure.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum BenchMode {
    /// Run the same scenarios against two brokers in turn and print the ratio of their cost
    Compare(CompareArguments),
    /// Fill one durable queue, see what that costs the broker, and drain it again
    Backlog(BacklogArguments),
    /// Measure what a disk allows a broker that syncs before it confirms
    Disk(DiskArguments),
    /// Have a broker of our own delay messages, kill it, and see how late they are
    Delay(DelayArguments),
    /// Have many messages expire at once in a broker of our own, and see what others notice
    Storm(StormArguments),
    /// Declare many queues with times to live in a broker of our own, and see what it costs idle
    Idle(IdleArguments),
}

/// Options of a single run.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct RunArguments {
    /// The broker
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/", value_name = "URL")]
    pub(crate) url: Address,
    /// Publishing connections
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=CONNECTIONS_MAX))]
    pub(crate) publishers: u16,
    /// Consuming connections
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=CONNECTIONS_MAX))]
    pub(crate) consumers: u16,
    /// Queues, over which publishers and consumers are spread
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=QUEUES_MAX))]
    pub(crate) queues: u16,
    /// Body size; from 16 bytes on loss, duplicates, order and latency are checked
    #[arg(long, default_value_t = 16, value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(..=SIZE_MAX))]
    pub(crate) size: u64,
    /// Publish with delivery mode 2
    #[arg(long)]
    pub(crate) persistent: bool,
    /// Declare durable queues
    #[arg(long)]
    pub(crate) durable: bool,
    /// Ask for publisher confirms, with at most so many outstanding
    #[arg(long, value_name = "WINDOW")]
    pub(crate) confirm: Option<NonZeroU32>,
    /// Acknowledge every Nth delivery together with those before it
    #[arg(long, default_value = "1", value_name = "N", conflicts_with = "auto_ack")]
    pub(crate) ack_every: NonZeroU32,
    /// Consume without acknowledgements
    #[arg(long)]
    pub(crate) auto_ack: bool,
    /// Unacknowledged deliveries a consumer may hold; 0 is no limit [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) prefetch: Option<u16>,
    /// Exchange to publish to
    #[arg(long, value_enum, default_value_t = Exchange::Default)]
    pub(crate) exchange: Exchange,
    /// Number of queues bound to the fanout exchange
    #[arg(long, value_name = "N", conflicts_with = "queues",
        value_parser = clap::value_parser!(u16).range(1..=QUEUES_MAX))]
    pub(crate) fanout_queues: Option<u16>,
    /// Further bindings that match no message
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) extra_bindings: u32,
    /// Routing keys of a direct exchange, spread over the queues [default: one for each]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=KEYS_MAX))]
    pub(crate) routing_keys: Option<u16>,
    /// What messages carry beside their bodies
    #[arg(long, value_enum, default_value_t = Properties::Plain)]
    pub(crate) properties: Properties,
    /// Exclusive queues a second that one more connection declares and deletes
    #[arg(long, value_name = "QUEUES/S")]
    pub(crate) churn: Option<NonZeroU32>,
    /// A publisher sends its next message when the one before has been delivered
    #[arg(long, conflicts_with_all = ["fill", "drain"])]
    pub(crate) lockstep: bool,
    /// Publish into a queue before each queue, of which everything is rejected and gets on as a dead
    /// letter
    #[arg(long, conflicts_with_all = ["fill", "drain"])]
    pub(crate) reject: bool,
    /// Messages a second each publisher sends at most
    #[arg(long, value_name = "MSG/S")]
    pub(crate) rate: Option<NonZeroU32>,
    /// Messages a second each consumer takes at most
    #[arg(long, value_name = "MSG/S")]
    pub(crate) consumer_rate: Option<NonZeroU32>,
    /// How long to publish [default: 10, or until all --messages are sent]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
    /// Messages to publish in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: Option<u64>,
    /// Publish only, and leave the messages in the queues until the end
    #[arg(long, conflicts_with_all = ["drain", "auto_ack", "consumer_rate"])]
    pub(crate) fill: bool,
    /// Publish --messages first, then measure consuming them
    #[arg(long, requires = "messages", conflicts_with = "rate")]
    pub(crate) drain: bool,
    /// Threads for the publishers and as many for the consumers
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
    /// Process of the broker whose CPU and memory are measured [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    pub(crate) broker_pid: Vec<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// A name for the run, repeated in the output
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) label: String,
}

impl RunArguments {
    /// The run that was asked for.
    ///
    /// # Errors
    /// When options contradict each other in a way the command line itself cannot tell.
    pub(crate) fn load(&self) -> Result<Load, LoadError> {
        let load = Load {
            label: self.label.clone(),
            publishers: self.publishers,
            consumers: self.consumers,
            queues: self.fanout_queues.unwrap_or(self.queues),
            size: usize::try_from(self.size).unwrap_or(usize::MAX),
            persistent: self.persistent,
            durable: self.durable,
            confirm: self.confirm,
            ack_every: (!self.auto_ack).then_some(self.ack_every),
            prefetch: self.prefetch.unwrap_or(PREFETCH_DEFAULT),
            exchange: self.exchange,
            extra_bindings: self.extra_bindings,
            routing_keys: self.routing_keys,
            properties: self.properties,
            churn: self.churn,
            rate: self.rate,
            consumer_rate: self.consumer_rate,
            duration: self.duration.unwrap_or(match self.messages {
                Some(_) => DURATION_MAX,
                None => DURATION_DEFAULT,
            }),
            overtime: OVERTIME,
            messages: self.messages,
            lockstep: self.lockstep,
            reject: self.reject,
            phases: match (self.fill, self.drain) {
                (true, _) => Phases::Fill,
                (false, true) => Phases::Drain,
                (false, false) => Phases::Together,
            },
            threads: self.threads,
        };
        if self.fanout_queues.is_some() && load.exchange != Exchange::Fanout {
            return Err(LoadError::FanoutQueues);
        }
        load.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        bench: BenchArguments,
    }

    fn parse(line: &str) -> Result<BenchArguments, clap::Error> {
        let words = std::iter::once("bench").chain(line.split_ascii_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.bench)
    }

    fn load(line: &str) -> Result<Load, LoadError> {
        parse(line).unwrap().run.load()
    }

    #[test]
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn defaults_are_bounded() {
        let load = load("").unwrap();
        assert_eq!(load.duration, DURATION_DEFAULT);
        assert_eq!((load.publishers, load.consumers, load.queues, load.size), (1, 1, 1, 16));
        assert_eq!((load.ack_every.map(NonZeroU32::get), load.prefetch), (Some(1), 1000));
        assert_eq!(load.phases, Phases::Together);
        assert!(load.is_checked());
    }

    #[test]
    fn options_are_taken_over() {
        let load = load(
            "--url amqp://u:p@h:1/v --publishers 4 --consumers 2 --size 8 --persistent --durable \
             --confirm 100 --auto-ack --exchange fanout --fanout-queues 20 --rate 5 --messages 9",
        )
        .unwrap();
        assert_eq!((load.queues, load.copies(), load.ack_every), (20, 20, None));
        assert_eq!((load.duration, load.messages), (DURATION_MAX, Some(9)));
        assert!(load.persistent && load.durable && !load.is_checked());
        assert_eq!(load.confirm.map(NonZeroU32::get), Some(100));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for line in [
            "--publishers 0",
            "--size 99999999",
            "--duration 0",
            "--duration 601",
            "--confirm 0",
            "--auto-ack --ack-every 5",
            "--drain",
            "--drain --fill --messages 1",
            "--url http://h",
            "--fill compare --peer amqp://h",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let beyond = LoadError::AckBeyondPrefetch { ack_every: 50, prefetch: 10 };
        assert_eq!(load("--ack-every 50 --prefetch 10").unwrap_err(), beyond);
        assert!(load("--ack-every 50 --prefetch 0").is_ok());
        assert_eq!(load("--fanout-queues 3").unwrap_err(), LoadError::FanoutQueues);
        assert_eq!(load("--extra-bindings 3").unwrap_err(), LoadError::ExtraBindings);
        for line in ["--publishers 2", "--ack-every 2", "--exchange fanout --fanout-queues 2"] {
            let line = format!("--lockstep {line}");
            assert_eq!(load(&line).unwrap_err(), LoadError::Lockstep, "{line}");
        }
        assert!(load("--lockstep --publishers 2 --consumers 2 --queues 2").is_ok());
        assert_eq!(load("--reject --exchange direct").unwrap_err(), LoadError::Reject);
        assert!(load("--reject --queues 3").is_ok());
        for line in ["--routing-keys 3", "--routing-keys 3 --exchange direct --queues 4"] {
            assert_eq!(load(line).unwrap_err(), LoadError::RoutingKeys, "{line}");
        }
    }

    #[test]
    fn comparing_is_another_mode() {
        let arguments = parse("compare --peer amqp://127.0.0.1:5673 --rounds 2").unwrap();
        let Some(BenchMode::Compare(compare)) = arguments.mode else { panic!("no mode") };
        let ports: Vec<u16> = compare.peer.iter().map(|peer| peer.port).collect();
        assert_eq!((ports, compare.rounds), (vec![5673], 2));
    }
}
