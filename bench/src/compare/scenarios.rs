//! What `leveret bench compare` puts brokers through.

use crate::compare::CompareArguments;
use crate::load::{Exchange, Load, Phases};
use std::num::NonZeroU32;

/// The scenarios asked for, with names as the table shows them.
pub(crate) fn scenarios(arguments: &CompareArguments) -> Vec<Load> {
    let all = if arguments.durable { durable() } else { transient() };
    let wanted =
        |load: &Load| arguments.only.as_deref().is_none_or(|only| load.label.contains(only));
    let timed = |load| Load { duration: arguments.duration, ..load };
    all.into_iter().filter(wanted).map(timed).collect()
}

fn named(label: &str, load: Load) -> Load {
    Load { label: label.to_owned(), ..load }
}

fn transient() -> Vec<Load> {
    let confirmed = || Load { confirm: NonZeroU32::new(1000), ..Load::default() };
    vec![
        named("16 B, confirms, acks by 50", Load { ack_every: NonZeroU32::new(50), ..confirmed() }),
        named("1 KiB, confirms, single acks", Load { size: 1024, ..confirmed() }),
        named(
            "fanout to 20 queues",
            Load {
                exchange: Exchange::Fanout,
                queues: 20,
                ack_every: NonZeroU32::new(50),
                confirm: NonZeroU32::new(100),
                ..Load::default()
            },
        ),
        named(
            "topic, 200 bindings",
            Load {
                exchange: Exchange::Topic,
                extra_bindings: 199,
                ack_every: NonZeroU32::new(50),
                ..confirmed()
            },
        ),
        named(
            "4 publishers, 1 consumer",
            Load { publishers: 4, ack_every: NonZeroU32::new(50), ..confirmed() },
        ),
        named(
            "fill, 1 KiB",
            Load { size: 1024, messages: Some(200_000), phases: Phases::Fill, ..confirmed() },
        ),
        named(
            "backlog drain, 1 KiB",
            Load {
                size: 1024,
                messages: Some(200_000),
                phases: Phases::Drain,
                ack_every: NonZeroU32::new(50),
                ..confirmed()
            },
        ),
    ]
}

/// Messages one run of a durable scenario leaves on the disk at most: 1 GiB.
const KEPT_MAX: u64 = 1 << 20;

/// Persistent messages of 1 KiB in durable queues, published by one connection.
fn durable() -> Vec<Load> {
    let persistent = |window, queues| Load {
        size: 1024,
        persistent: true,
        durable: true,
        queues,
        confirm: NonZeroU32::new(window),
        ..Load::default()
    };
    let kept = |load| Load { phases: Phases::Fill, messages: Some(KEPT_MAX), ..load };
    vec![
        named("window 1000, 10 queues", kept(persistent(1000, 10))),
        named("window 64, 1 queue (bounded by fsync latency)", kept(persistent(64, 1))),
        named("window 20000, 10 queues", kept(persistent(20_000, 10))),
        named("window 1000, 10 queues, consumed, single acks", persistent(1000, 10)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::time::Duration;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        compare: CompareArguments,
    }

    fn arguments(line: &str) -> CompareArguments {
        let words = ["compare", "--peer", "amqp://"].into_iter();
        Cli::parse_from(words.chain(line.split_ascii_whitespace())).compare
    }

    #[test]
    fn every_scenario_is_one_the_command_line_would_allow() {
        for (line, count) in [("--duration 3", 7), ("--duration 3 --durable", 4)] {
            let all = scenarios(&arguments(line));
            assert_eq!(all.len(), count);
            for load in all {
                assert_eq!(load.duration, Duration::from_secs(3));
                assert!(load.is_checked());
                assert!(load.clone().check().is_ok(), "{}", load.label);
            }
        }
        let some = scenarios(&arguments("--only fanout"));
        assert_eq!(some.iter().map(|load| load.copies()).collect::<Vec<_>>(), [20]);
    }

    #[test]
    fn durable_scenarios_are_durable_confirmed_and_bounded() {
        for load in scenarios(&arguments("--durable")) {
            assert!(load.persistent && load.durable && load.confirm.is_some(), "{}", load.label);
            assert!(load.phases == Phases::Together || load.messages.is_some(), "{}", load.label);
        }
    }
}
