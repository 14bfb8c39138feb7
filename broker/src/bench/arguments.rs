//! The options of `leveret bench`, and the load they amount to.
//!
//! [`BenchArguments`] is what the command line offers; [`Load`] is one run with every default
//! filled in, which the comparison also makes without a command line. A combination that could not
//! work is refused here, before anything is declared on a broker.

use super::address::Address;
use super::backlog::BacklogArguments;
use super::disk::DiskArguments;
use super::sequence::STAMP_SIZE;
use clap::{Args, Subcommand, ValueEnum};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// Time a run takes when neither time nor number of messages was asked for.
const DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// How long consuming may go on after publishing has ended.
const OVERTIME: Duration = Duration::from_secs(300);
/// Time after which publishing ends although not all messages were sent.
const DURATION_MAX: Duration = Duration::from_secs(600);
/// Unacknowledged deliveries a consumer may hold unless told otherwise.
const PREFETCH_DEFAULT: u16 = 1000;
/// Longest body: what one message may have in a stock RabbitMQ.
pub(super) const SIZE_MAX: u64 = 16 * 1024 * 1024;
/// Publishers fit into the 16 bits a stamp has for them.
const CONNECTIONS_MAX: i64 = 10_000;
const QUEUES_MAX: i64 = 10_000;

/// Load an AMQP 0-9-1 broker and measure what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchArguments {
    /// What else to do than one run.
    #[command(subcommand)]
    pub mode: Option<BenchMode>,
    /// One run.
    #[command(flatten)]
    pub run: RunArguments,
}

/// Other ways to measure.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum BenchMode {
    /// Run the same scenarios against two brokers in turn and print the ratio of their cost
    Compare(CompareArguments),
    /// Fill one durable queue, see what that costs the broker, and drain it again
    Backlog(BacklogArguments),
    /// Measure what a disk allows a broker that syncs before it confirms
    Disk(DiskArguments),
}

/// Options of a single run.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct RunArguments {
    /// The broker
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/", value_name = "URL")]
    pub url: Address,
    /// Publishing connections
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=CONNECTIONS_MAX))]
    pub publishers: u16,
    /// Consuming connections
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=CONNECTIONS_MAX))]
    pub consumers: u16,
    /// Queues, over which publishers and consumers are spread
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=QUEUES_MAX))]
    pub queues: u16,
    /// Body size; from 16 bytes on loss, duplicates, order and latency are checked
    #[arg(long, default_value_t = 16, value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(..=SIZE_MAX))]
    pub size: u64,
    /// Publish with delivery mode 2
    #[arg(long)]
    pub persistent: bool,
    /// Declare durable queues
    #[arg(long)]
    pub durable: bool,
    /// Ask for publisher confirms, with at most so many outstanding
    #[arg(long, value_name = "WINDOW")]
    pub confirm: Option<NonZeroU32>,
    /// Acknowledge every Nth delivery together with those before it
    #[arg(long, default_value = "1", value_name = "N", conflicts_with = "auto_ack")]
    pub ack_every: NonZeroU32,
    /// Consume without acknowledgements
    #[arg(long)]
    pub auto_ack: bool,
    /// Unacknowledged deliveries a consumer may hold; 0 is no limit [default: 1000]
    #[arg(long, value_name = "N")]
    pub prefetch: Option<u16>,
    /// Exchange to publish to
    #[arg(long, value_enum, default_value_t = Exchange::Default)]
    pub exchange: Exchange,
    /// Number of queues bound to the fanout exchange
    #[arg(long, value_name = "N", conflicts_with = "queues",
        value_parser = clap::value_parser!(u16).range(1..=QUEUES_MAX))]
    pub fanout_queues: Option<u16>,
    /// Further bindings that match no message
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub extra_bindings: u32,
    /// Messages a second each publisher sends at most
    #[arg(long, value_name = "MSG/S")]
    pub rate: Option<NonZeroU32>,
    /// Messages a second each consumer takes at most
    #[arg(long, value_name = "MSG/S")]
    pub consumer_rate: Option<NonZeroU32>,
    /// How long to publish [default: 10, or until all --messages are sent]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Messages to publish in all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub messages: Option<u64>,
    /// Publish only, and leave the messages in the queues until the end
    #[arg(long, conflicts_with_all = ["drain", "auto_ack", "consumer_rate"])]
    pub fill: bool,
    /// Publish --messages first, then measure consuming them
    #[arg(long, requires = "messages", conflicts_with = "rate")]
    pub drain: bool,
    /// Threads for the publishers and as many for the consumers
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
    /// Process of the broker whose CPU and memory are measured [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    pub broker_pid: Vec<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// A name for the run, repeated in the output
    #[arg(long, default_value = "", hide_default_value = true)]
    pub label: String,
}

/// Options of `leveret bench compare`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct CompareArguments {
    /// The broker of interest
    #[arg(long, default_value = "amqp://guest:guest@127.0.0.1:5672/", value_name = "URL")]
    pub url: Address,
    /// The broker to compare it with
    #[arg(long, value_name = "URL")]
    pub peer: Address,
    /// How often every scenario is run against each broker
    #[arg(long, default_value_t = 3, value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=100))]
    pub rounds: u16,
    /// How long one run publishes at most
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub duration: Duration,
    /// Persistent messages in durable queues only, beside what the disk allows
    #[arg(long)]
    pub durable: bool,
    /// With --durable: where the disk is measured; should be on the same one as the brokers' data
    #[arg(long, value_name = "DIR", default_value = ".", requires = "durable")]
    pub disk_dir: PathBuf,
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Process of the broker of interest [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    pub broker_pid: Vec<u32>,
    /// Process of the other broker [default: who listens on the port]
    #[arg(long, value_name = "PID")]
    pub peer_pid: Vec<u32>,
    /// Print every run as JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

/// What the publishers publish to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Exchange {
    /// The default exchange: straight to the queue
    Default,
    /// A direct exchange, one key for each queue
    Direct,
    /// A fanout exchange bound to every queue
    Fanout,
    /// A topic exchange, one pattern for each queue
    Topic,
    /// A headers exchange, one set of arguments for each queue
    Headers,
}

fn seconds(text: &str) -> Result<Duration, String> {
    seconds_up_to(DURATION_MAX, text)
}

/// A number of seconds above 0.
pub(super) fn seconds_up_to(most: Duration, text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() || duration > most {
        return Err(format!("expected more than 0 and at most {} s", most.as_secs()));
    }
    Ok(duration)
}

/// In which order publishing and consuming happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phases {
    /// Both at once.
    Together,
    /// Publishing only.
    Fill,
    /// Publishing first, then consuming; only the latter is measured.
    Drain,
}

/// One run, completely told.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) label: String,
    pub(super) publishers: u16,
    pub(super) consumers: u16,
    pub(super) queues: u16,
    pub(super) size: usize,
    pub(super) persistent: bool,
    pub(super) durable: bool,
    /// Confirms outstanding at most; none publishes without confirms.
    pub(super) confirm: Option<NonZeroU32>,
    /// None consumes without acknowledgements.
    pub(super) ack_every: Option<NonZeroU32>,
    pub(super) prefetch: u16,
    pub(super) exchange: Exchange,
    pub(super) extra_bindings: u32,
    /// Messages a second and publisher.
    pub(super) rate: Option<NonZeroU32>,
    /// Messages a second and consumer.
    pub(super) consumer_rate: Option<NonZeroU32>,
    /// How long publishing may take.
    pub(super) duration: Duration,
    /// How long consuming may go on after that.
    pub(super) overtime: Duration,
    /// Messages of all publishers together.
    pub(super) messages: Option<u64>,
    pub(super) phases: Phases,
    pub(super) threads: u16,
}

/// A combination of options that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The broker would never get the acknowledgement it waits for.
    #[error("--ack-every {ack_every} needs a --prefetch of at least as much, or 0, not {prefetch}")]
    AckBeyondPrefetch {
        /// Deliveries for each acknowledgement.
        ack_every: u32,
        /// Deliveries the broker hands out without one.
        prefetch: u16,
    },
    /// Only a fanout exchange has this option.
    #[error("--fanout-queues needs --exchange fanout")]
    FanoutQueues,
    /// These exchanges do not look at bindings one by one.
    #[error("--extra-bindings needs --exchange direct, topic or headers")]
    ExtraBindings,
}

impl Default for Load {
    /// One publisher, one queue, one consumer, 16 byte bodies.
    fn default() -> Self {
        Self {
            label: String::new(),
            publishers: 1,
            consumers: 1,
            queues: 1,
            size: STAMP_SIZE,
            persistent: false,
            durable: false,
            confirm: None,
            ack_every: Some(NonZeroU32::MIN),
            prefetch: PREFETCH_DEFAULT,
            exchange: Exchange::Default,
            extra_bindings: 0,
            rate: None,
            consumer_rate: None,
            duration: DURATION_DEFAULT,
            overtime: OVERTIME,
            messages: None,
            phases: Phases::Together,
            threads: 1,
        }
    }
}

impl Load {
    /// The run that `arguments` ask for.
    ///
    /// # Errors
    /// When options contradict each other in a way the command line itself cannot tell.
    pub(super) fn new(arguments: &RunArguments) -> Result<Self, LoadError> {
        let load = Self {
            label: arguments.label.clone(),
            publishers: arguments.publishers,
            consumers: arguments.consumers,
            queues: arguments.fanout_queues.unwrap_or(arguments.queues),
            size: usize::try_from(arguments.size).unwrap_or(usize::MAX),
            persistent: arguments.persistent,
            durable: arguments.durable,
            confirm: arguments.confirm,
            ack_every: (!arguments.auto_ack).then_some(arguments.ack_every),
            prefetch: arguments.prefetch.unwrap_or(PREFETCH_DEFAULT),
            exchange: arguments.exchange,
            extra_bindings: arguments.extra_bindings,
            rate: arguments.rate,
            consumer_rate: arguments.consumer_rate,
            duration: arguments.duration.unwrap_or(match arguments.messages {
                Some(_) => DURATION_MAX,
                None => DURATION_DEFAULT,
            }),
            overtime: OVERTIME,
            messages: arguments.messages,
            phases: match (arguments.fill, arguments.drain) {
                (true, _) => Phases::Fill,
                (false, true) => Phases::Drain,
                (false, false) => Phases::Together,
            },
            threads: arguments.threads,
        };
        if arguments.fanout_queues.is_some() && load.exchange != Exchange::Fanout {
            return Err(LoadError::FanoutQueues);
        }
        load.check()
    }

    pub(super) fn check(self) -> Result<Self, LoadError> {
        if let Some(ack_every) = self.ack_every
            && self.prefetch > 0
            && ack_every.get() > u32::from(self.prefetch)
        {
            let (ack_every, prefetch) = (ack_every.get(), self.prefetch);
            return Err(LoadError::AckBeyondPrefetch { ack_every, prefetch });
        }
        if self.extra_bindings > 0 && matches!(self.exchange, Exchange::Default | Exchange::Fanout)
        {
            return Err(LoadError::ExtraBindings);
        }
        Ok(self)
    }

    /// Whether bodies have room for a stamp.
    pub(super) const fn is_checked(&self) -> bool {
        self.size >= STAMP_SIZE
    }

    /// How many queues each message reaches.
    pub(super) const fn copies(&self) -> u16 {
        match self.exchange {
            Exchange::Fanout => self.queues,
            Exchange::Default | Exchange::Direct | Exchange::Topic | Exchange::Headers => 1,
        }
    }

    /// The queues that `publisher` addresses in turn; a fanout has one address for all.
    pub(super) fn queues_of_publisher(&self, publisher: u16) -> Vec<u16> {
        match self.exchange {
            Exchange::Fanout => vec![0],
            Exchange::Default | Exchange::Direct | Exchange::Topic | Exchange::Headers => {
                spread(publisher, self.publishers, self.queues)
            }
        }
    }

    /// The queues that `consumer` consumes from.
    pub(super) fn queues_of_consumer(&self, consumer: u16) -> Vec<u16> {
        spread(consumer, self.consumers, self.queues)
    }

    /// How many of the messages `publisher` has to send; none if only time ends it.
    pub(super) fn messages_of_publisher(&self, publisher: u16) -> Option<u64> {
        let publishers = u64::from(self.publishers);
        let messages = self.messages?;
        let one_more = u64::from(publisher) < messages % publishers;
        Some(messages / publishers + u64::from(one_more))
    }
}

/// The queues of one party among many: all that are its turn, or the one it shares with others.
fn spread(party: u16, parties: u16, queues: u16) -> Vec<u16> {
    if parties >= queues {
        return vec![party % queues];
    }
    (party..queues).step_by(usize::from(parties)).collect()
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
        Load::new(&parse(line).unwrap().run)
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
    }

    #[test]
    fn comparing_is_another_mode() {
        let arguments = parse("compare --peer amqp://127.0.0.1:5673 --rounds 2").unwrap();
        let Some(BenchMode::Compare(compare)) = arguments.mode else { panic!("no mode") };
        assert_eq!((compare.peer.port, compare.rounds), (5673, 2));
    }

    #[test]
    fn parties_are_spread_over_queues() {
        let load = Load { publishers: 2, consumers: 3, queues: 5, ..Load::default() };
        assert_eq!(load.queues_of_publisher(0), [0, 2, 4]);
        assert_eq!(load.queues_of_publisher(1), [1, 3]);
        assert_eq!(load.queues_of_consumer(2), [2]);
        let crowd = Load { consumers: 7, queues: 2, messages: Some(5), ..Load::default() };
        assert_eq!(crowd.queues_of_consumer(6), [0]);
        assert_eq!(crowd.messages_of_publisher(0), Some(5));
        let many = Load { publishers: 3, messages: Some(5), ..Load::default() };
        let shares: Vec<_> = (0..3).map(|p| many.messages_of_publisher(p)).collect();
        assert_eq!(shares, [Some(2), Some(2), Some(1)]);
    }
}
