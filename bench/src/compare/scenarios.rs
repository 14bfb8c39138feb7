//! What `leveret bench compare` puts brokers through.

use crate::compare::twins::{TWINS, Twins};
use crate::compare::{CompareArguments, CompareError};
use crate::load::{Exchange, Load, Phases, Properties};
use std::num::NonZeroU32;
use std::time::Duration;

/// Messages of one run at most, where a scenario says no other number: ten seconds at more than any
/// broker here has moved.
const MESSAGES_MAX: u64 = 20_000_000;
/// How long filling a queue may take that is then drained; it is not measured.
const FILLING: Duration = Duration::from_secs(60);
/// How long consuming may go on after publishing has ended.
const OVERTIME: Duration = Duration::from_secs(120);

/// The scenarios asked for, with names as the table shows them; each is bounded in number and time.
///
/// # Errors
/// When no name fits.
pub(crate) fn scenarios(arguments: &CompareArguments) -> Result<Vec<Load>, CompareError> {
    let all = if arguments.durable { durable() } else { transient() };
    let names: Vec<&str> = all.iter().map(|load| load.label.as_str()).collect();
    let is_wanted = |load: &&Load| {
        let fits = |text: &String| fits(&load.label, text, names.contains(&text.as_str()));
        arguments.only.is_empty() || arguments.only.iter().any(fits)
    };
    let wanted = all.iter().filter(is_wanted).map(|load| bounded(load, arguments.duration));
    let wanted: Vec<Load> = wanted.collect();
    if wanted.is_empty() {
        return Err(CompareError::NoScenario(names.into_iter().map(str::to_owned).collect()));
    }
    Ok(wanted)
}

/// Whether a scenario is meant by `text`: a whole name, and the plainer twin with it, or else a part
/// of several.
fn fits(label: &str, text: &str, is_name: bool) -> bool {
    if !is_name {
        return label.contains(text);
    }
    let is_twin = |twins: &Twins| twins.name == text && twins.plain == label;
    label == text || TWINS.iter().any(is_twin)
}

fn bounded(load: &Load, duration: Duration) -> Load {
    Load {
        messages: load.messages.or(Some(MESSAGES_MAX)),
        duration: match load.phases {
            Phases::Together | Phases::Fill => duration,
            Phases::Drain => duration.max(FILLING),
        },
        overtime: OVERTIME,
        ..load.clone()
    }
}

fn named(label: &str, load: Load) -> Load {
    Load { label: label.to_owned(), ..load }
}

fn confirmed() -> Load {
    Load { confirm: NonZeroU32::new(1000), ..Load::default() }
}

fn transient() -> Vec<Load> {
    let few = vec![one_outstanding(), drain()];
    [throughput(), typical(), bystander(), rejected(), few].concat()
}

fn throughput() -> Vec<Load> {
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

/// What an application's message is like, beside the same body without properties.
fn typical() -> Vec<Load> {
    let plain = Load { size: 256, ..confirmed() };
    let typical = Load { properties: Properties::Typical, ..plain.clone() };
    vec![named("typical-plain", plain), named("typical", typical)]
}

/// Publishers on many keys, alone and beside a client whose queues come and go: each change of the
/// topology may cost everybody the routes they know.
fn bystander() -> Vec<Load> {
    let alone = Load {
        publishers: 2,
        consumers: 2,
        queues: 10,
        exchange: Exchange::Direct,
        routing_keys: Some(1000),
        size: 64,
        ack_every: NonZeroU32::new(50),
        ..confirmed()
    };
    let beside = Load { churn: NonZeroU32::new(2000), ..alone.clone() };
    vec![named("bystander-alone", alone), named("bystander", beside)]
}

/// Messages that are rejected and arrive as dead letters, beside what was published straight away.
fn rejected() -> Vec<Load> {
    let plain = Load { size: 256, ..confirmed() };
    let rejected = Load { reject: true, ..plain.clone() };
    vec![named("rejected-plain", plain), named("rejected", rejected)]
}

/// Many queues with one message each under way: nothing can be done for several at once.
fn one_outstanding() -> Load {
    let load = Load {
        publishers: 20,
        consumers: 20,
        queues: 20,
        size: 256,
        confirm: Some(NonZeroU32::MIN),
        prefetch: 1,
        lockstep: true,
        ..Load::default()
    };
    named("one-outstanding", load)
}

/// A backlog of 100 MB that is consumed: enough for a broker to have put a part of it away.
fn drain() -> Load {
    let load = Load {
        size: 512,
        messages: Some(200_000),
        phases: Phases::Drain,
        ack_every: NonZeroU32::new(50),
        ..confirmed()
    };
    named("drain", load)
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
    fn every_scenario_is_bounded_and_one_the_command_line_would_allow() {
        for (line, count) in [("--duration 3", 15), ("--duration 3 --durable", 4)] {
            let all = scenarios(&arguments(line)).unwrap();
            assert_eq!(all.len(), count);
            for load in all {
                let is_drain = load.phases == Phases::Drain;
                let seconds = if is_drain { 60 } else { 3 };
                assert_eq!(load.duration, Duration::from_secs(seconds));
                assert!(load.is_checked() && load.messages.is_some(), "{}", load.label);
                assert!(load.clone().check().is_ok(), "{}", load.label);
            }
        }
    }

    #[test]
    fn scenarios_are_chosen_by_name() {
        let names = |line: &str| match scenarios(&arguments(line)) {
            Ok(loads) => loads.into_iter().map(|load| load.label).collect(),
            Err(error) => vec![error.to_string()],
        };
        assert_eq!(names("--only fanout"), ["fanout to 20 queues"]);
        let some = ["typical-plain", "typical", "one-outstanding"];
        assert_eq!(names("--only one- --only typical"), some);
        assert_eq!(names("--only drain"), ["drain"], "a whole name");
        assert_eq!(names("--only rain"), ["backlog drain, 1 KiB", "drain"]);
        assert!(names("--only nothing")[0].contains("bystander-alone; bystander; "));
    }

    #[test]
    fn twins_are_scenarios() {
        let all = scenarios(&arguments("")).unwrap();
        let is_one = |name| all.iter().any(|load| load.label == name);
        assert!(TWINS.iter().all(|twins| is_one(twins.name) && is_one(twins.plain)));
    }

    #[test]
    fn durable_scenarios_are_durable_and_confirmed() {
        for load in scenarios(&arguments("--durable")).unwrap() {
            assert!(load.persistent && load.durable && load.confirm.is_some(), "{}", load.label);
            let kept = load.messages.unwrap() <= KEPT_MAX;
            assert!(load.phases == Phases::Together || kept, "{}", load.label);
        }
    }
}
