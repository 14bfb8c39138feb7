//! The conformance suite: a broker's exact answers to exact frames, a row a claim, a file a concept.
//!
//! `cargo test -p leveret-tests --test conformance` starts a broker and puts every row to it.
//! With `LEVERET_PEER=amqp://guest:guest@127.0.0.1:5672` the rows are put to that broker instead,
//! a RabbitMQ 3.10 or later, and the places where Leveret does otherwise are listed at the end.
//! `LEVERET_CTL="rabbitmqctl -n rabbit@host"` is the command that makes users at that broker for
//! the rows that need some, and has that broker trace its messages for those of `firehose`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and this one has its own harness that reports by printing"
)]

mod coverage;
mod row;
mod scene;
mod users;

mod at_least_once;
mod channel_lifecycle;
mod close;
mod consume;
mod consumer_timeout;
mod durability;
mod events;
mod exchange_bindings;
mod exchange_declare;
mod exchange_types;
mod extensions;
mod frames;
mod get;
mod groups;
mod handshake;
mod headers_matching;
mod heartbeat;
mod dead_letters;
mod deduplication;
mod delayed;
mod expiry;
mod firehose;
mod length_limits;
mod limits;
mod logins;
mod permissions;
mod prefetch_recover_flow;
mod publish;
mod quorum;
mod queue_arguments;
mod queue_declare;
mod queue_delete_purge_bind;
mod retry;
mod returns_confirms;
mod robustness;
mod settle;
mod single_active;
mod topic_matching;
mod topology_order;
mod transactions;
mod turns;

use std::any::Any;
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::OnceLock;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::raw_client::Value;
use libtest_mimic::{Arguments, Failed, Trial};

use row::{Expectation, Needs, Row, Script};
use scene::{Scene, shared_broker, stop_shared_broker};

/// Rows wait for the broker most of their time: this many at once keep two processors busy.
const ROWS_AT_ONCE: usize = 8;

/// Every concept and its rows, in reading order.
const CONCEPTS: &[(&str, &[Row])] = &[
    ("groups", groups::ROWS),
    ("handshake", handshake::ROWS),
    ("logins", logins::ROWS),
    ("frames", frames::ROWS),
    ("channel_lifecycle", channel_lifecycle::ROWS),
    ("exchange_declare", exchange_declare::ROWS),
    ("queue_declare", queue_declare::ROWS),
    ("queue_arguments", queue_arguments::ROWS),
    ("queue_delete_purge_bind", queue_delete_purge_bind::ROWS),
    ("exchange_bindings", exchange_bindings::ROWS),
    ("exchange_types", exchange_types::ROWS),
    ("topology_order", topology_order::ROWS),
    ("topic_matching", topic_matching::ROWS),
    ("headers_matching", headers_matching::ROWS),
    ("permissions", permissions::ROWS),
    ("limits", limits::ROWS),
    ("extensions", extensions::ROWS),
    ("dead_letters", dead_letters::ROWS),
    ("delayed", delayed::ROWS),
    ("deduplication", deduplication::ROWS),
    ("at_least_once", at_least_once::ROWS),
    ("expiry", expiry::ROWS),
    ("consumer_timeout", consumer_timeout::ROWS),
    ("firehose", firehose::ROWS),
    ("events", events::ROWS),
    ("length_limits", length_limits::ROWS),
    ("single_active", single_active::ROWS),
    ("turns", turns::ROWS),
    ("publish", publish::ROWS),
    ("quorum", quorum::ROWS),
    ("retry", retry::ROWS),
    ("returns_confirms", returns_confirms::ROWS),
    ("consume", consume::ROWS),
    ("get", get::ROWS),
    ("settle", settle::ROWS),
    ("prefetch_recover_flow", prefetch_recover_flow::ROWS),
    ("transactions", transactions::ROWS),
    ("heartbeat", heartbeat::ROWS),
    ("close", close::ROWS),
    ("durability", durability::ROWS),
    ("robustness", robustness::ROWS),
];

thread_local! {
    /// Where the current row's panic happened.
    static PANIC_PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(ROWS_AT_ONCE);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        PANIC_PLACE.set(place);
    }));
    let mut trials = vec![coverage::trial(CONCEPTS)];
    let mut skipped = Vec::new();
    for (concept, rows) in CONCEPTS {
        for row in *rows {
            let name = title_of(concept, row);
            match reason_to_skip(row.needs) {
                Some(reason) => skipped.push(format!("{name}: {reason}")),
                None => trials.push(Trial::test(name, || run(row))),
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list && Broker::peer().is_some() && users::has_control() {
        users::forget_at_peer();
        firehose::forget_at_peer();
    }
    stop_shared_broker();
    report("skipped", &skipped);
    if Broker::peer().is_some() {
        report("RabbitMQ 3.10 differs", &deviations());
    }
    conclusion.exit_code()
}

fn title_of(concept: &str, row: &Row) -> String {
    match row.cites {
        "" => format!("{concept}::{}", row.name),
        rules => format!("{concept}::[{rules}] {}", row.name),
    }
}

fn reason_to_skip(needs: Needs) -> Option<&'static str> {
    let peer = Broker::peer().is_some();
    match needs {
        Needs::AnyBroker => None,
        Needs::PrivateBroker => {
            peer.then_some("needs a broker of its own, LEVERET_PEER gives a shared one")
        }
        Needs::ExchangeType(kind) => {
            let has = Broker::peer().is_none_or(|peer| exchange_types::peer_knows(&peer, kind));
            (!has).then_some("needs an exchange type that the peer has not, see exchange_types")
        }
        Needs::Leveret => peer.then_some("is about what only Leveret has"),
        Needs::Events => {
            let has = Broker::peer().is_none_or(|peer| events::peer_tells(&peer));
            (!has).then_some("needs rabbitmq_event_exchange, which the peer has not")
        }
        Needs::Users => (peer && !users::has_control())
            .then_some("needs users, LEVERET_CTL does not say how to make them"),
    }
}

fn run(row: &Row) -> Result<(), Failed> {
    let Some(deviation) = row.peer.filter(|_| Broker::peer().is_some()) else {
        return try_out(row.script, row.expect);
    };
    let deviate = || try_out(deviation.script.unwrap_or(row.script), deviation.expect);
    if peer_is_of_3() {
        return deviate();
    }
    // Later releases are in some of it as Leveret is, and in some as 3.10 was.
    try_out(row.script, row.expect).or_else(|failed| deviate().map_err(|_| failed))
}

fn try_out(script: Script, expect: Expectation) -> Result<(), Failed> {
    let mut scene = without_panic(|| Scene::new(shared_broker()))?;
    let outcome = without_panic(|| {
        script(&mut scene);
        scene.check(expect);
    });
    let cleaned = without_panic(|| scene.clean_up());
    outcome.and(cleaned)
}

/// Whether the peer is a RabbitMQ 3.
fn peer_is_of_3() -> bool {
    static IS_OF_3: OnceLock<bool> = OnceLock::new();
    *IS_OF_3.get_or_init(|| {
        Broker::peer().is_some_and(|peer| {
            let properties = peer.socket().greet().server_properties;
            matches!(properties.get("version"), Some(Value::Text(it)) if it.starts_with(b"3."))
        })
    })
}

fn without_panic<T>(work: impl FnOnce() -> T) -> Result<T, Failed> {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(work));
    outcome.map_err(|panic| format!("{}\n  at {}", text_of(&*panic), PANIC_PLACE.take()).into())
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

fn deviations() -> Vec<String> {
    let rows =
        CONCEPTS.iter().flat_map(|(concept, rows)| rows.iter().map(move |row| (concept, row)));
    rows.filter_map(|(concept, row)| {
        row.peer.map(|deviation| format!("{}: {}", title_of(concept, row), deviation.reason))
    })
    .collect()
}

fn report(title: &str, lines: &[String]) {
    if !lines.is_empty() {
        println!("{title} ({}):", lines.len());
        lines.iter().for_each(|line| println!("  {line}"));
    }
}
