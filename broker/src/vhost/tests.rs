//! Changes of a vhost: what they cost, what they wait for, what they are proposed as.

use std::thread;
use std::time::Duration;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue};

use super::bindings::Ends;
use super::deduplicating::Sight;
use super::destination::ExchangeSettings;
use super::routing::{Holds, Route, Routed};
use super::topology::{Changed, Refusal};
use super::*;
use crate::definitions::held::HeldMetadata;
use crate::definitions::records::{self, DestinationKind, VhostRecord};
use crate::events::Events;
use crate::keys::ConnectionId;
use crate::message::tests::message;
use crate::queue::death_counts::{DeathCounts, DeathsByStrategy};
use crate::queue::{Effects, QueueSettings};
use crate::stores::tests::in_memory;

const ME: ConnectionId = ConnectionId(1);
/// More than debug code may need for a fixed number of calls, less than one call per exchange needs.
const SMALL_STACK: usize = 256 * 1024;
const CHAIN: usize = 5000;

struct Rig {
    store: Arc<HeldMetadata>,
    vhost: Arc<Vhost>,
}

fn rig() -> Rig {
    let store = HeldMetadata::new();
    let definitions = Arc::new(DefinitionStore::new(Arc::clone(&store) as _, 1));
    let vhost = Vhost::new(
        VhostRecord::plain("/"),
        definitions,
        in_memory(),
        Arc::default(),
        Arc::default(),
        Events::new("/"),
    );
    Rig { store, vhost }
}

impl Rig {
    // These say whether they are answered at once.

    fn exchange(&self, name: &str, kind: ExchangeKind, auto_delete: bool) -> bool {
        let arguments = FieldTable::new();
        let settings = ExchangeSettings {
            kind,
            durable: true,
            auto_delete,
            internal: false,
            arguments,
            window: None,
        };
        done(self.vhost.declare_exchange(name, settings)).1.is_now()
    }

    fn declare(&self, name: &str, durable: bool) -> Changed<Arc<Queue>> {
        let settings = QueueSettings::plain(durable);
        self.vhost.declare_queue(name, settings, ME)
    }

    fn queue(&self, name: &str) -> Arc<Queue> {
        done(self.declare(name, true)).0
    }

    fn bind(&self, source: &str, kind: DestinationKind, destination: &str, key: &str) -> bool {
        let ends = Ends { source, kind, destination };
        done(self.vhost.bind(ends, key, FieldTable::new(), ME)).1.is_now()
    }

    fn unbind(&self, source: &str, destination: &str, key: &str) -> bool {
        let ends = Ends { source, kind: DestinationKind::Queue, destination };
        done(self.vhost.unbind(ends, key, &FieldTable::new(), ME)).1.is_now()
    }

    /// Deletes a queue.
    fn delete(&self, name: &str) -> Durable {
        done(self.vhost.delete_queue(name, (false, false), ME)).1
    }

    fn find(&self, exchange: &str, key: &str) -> Route {
        let exchange = self.vhost.exchange(exchange).expect("declared");
        let message = Routed { routing_keys: &[key], properties: &BasicProperties::default() };
        self.vhost.route(&exchange, &message, Sight::Now)
    }

    /// The queues that a message reaches.
    fn route(&self, exchange: &str, key: &str) -> Vec<Arc<Queue>> {
        self.find(exchange, key).queues
    }

    /// How long this way counts.
    fn hold(&self, exchange: &str, key: &str) -> Holds {
        self.find(exchange, key).holds.expect("no headers exchange is on it")
    }

    /// e0 -> e1 -> ... -> `end`, each auto-delete.
    fn chain(&self, length: usize, end: &str) {
        for at in 0..length {
            self.exchange(&format!("e{at}"), ExchangeKind::Fanout, true);
        }
        self.bind(&format!("e{}", length - 1), DestinationKind::Queue, end, "");
        for at in 1..length {
            let (source, next) = (format!("e{}", at - 1), format!("e{at}"));
            self.bind(&source, DestinationKind::Exchange, &next, "");
        }
    }

    fn stored(&self) -> records::Definitions {
        use leveret_storage::metadata::MetadataStore;
        self.store.sync();
        records::load(&self.store.read().unwrap()).unwrap()
    }
}

fn done<T>(changed: Changed<T>) -> (T, Durable) {
    changed.unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
}

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(SMALL_STACK).spawn(test).unwrap().join().unwrap();
}

/// A chain of 2000 auto-delete exchanges ended the process when the queue at its end was deleted:
/// the removal of each stood on the stack of the one before.
#[test]
fn a_chain_of_any_length_goes_with_its_queue() {
    on_a_small_stack(|| {
        let rig = rig();
        rig.queue("end");
        rig.chain(CHAIN, "end");
        let reached = rig.route("e0", "");
        assert_eq!(reached.len(), 1);
        drop(reached);
        drop(rig.delete("end"));
        rig.vhost.settle();
        assert!(rig.vhost.exchange("e0").is_none());
        let stored = rig.stored();
        assert_eq!((stored.exchanges.len(), stored.bindings.len(), stored.queues.len()), (0, 0, 0));
    });
}

/// Exchanges hold what they are bound to, so letting go of the first of a chain let go of all.
#[test]
fn a_vhost_with_a_chain_or_a_ring_of_any_length_goes() {
    on_a_small_stack(|| {
        let rig = rig();
        rig.queue("end");
        rig.chain(CHAIN, "end");
        let ring = format!("e{}", CHAIN - 1);
        rig.bind(&ring, DestinationKind::Exchange, "e0", "");
        let first = Arc::downgrade(&rig.vhost.exchange("e0").unwrap());
        drop(rig);
        assert!(first.upgrade().is_none());
    });
}

#[test]
fn alternate_exchanges_in_a_ring_are_asked_once_each() {
    let rig = rig();
    for at in 0..3 {
        let mut arguments = FieldTable::new();
        arguments.insert("alternate-exchange", format!("a{}", (at + 1) % 3).as_str());
        let settings = ExchangeSettings {
            kind: ExchangeKind::Fanout,
            durable: true,
            auto_delete: false,
            internal: false,
            arguments,
            window: None,
        };
        drop(done(rig.vhost.declare_exchange(&format!("a{at}"), settings)));
    }
    assert_eq!(rig.route("a0", "").len(), 0);
}

/// Every queue that came or went anywhere made every publisher look for all its routes again.
/// Where more than the routing key decides, or an exchange wants to see every message.
#[test]
fn a_route_that_may_be_another_next_time_is_not_kept() {
    let rig = rig();
    rig.queue("q");
    for (kind, argument, kept) in [
        (ExchangeKind::Direct, None, true),
        (ExchangeKind::ConsistentHash, None, true),
        (ExchangeKind::ModulusHash, None, true),
        (ExchangeKind::ConsistentHash, Some(("hash-header", "id")), false),
        (ExchangeKind::ConsistentHash, Some(("hash-property", "message_id")), false),
        (ExchangeKind::Random, None, false),
        (ExchangeKind::RecentHistory, None, false),
        (ExchangeKind::Headers, None, false),
    ] {
        let mut arguments = FieldTable::new();
        if let Some((name, value)) = argument {
            arguments.insert(name, FieldValue::LongString(value.into()));
        }
        let name = format!("{kind} {argument:?}");
        let settings = ExchangeSettings {
            kind,
            durable: false,
            auto_delete: false,
            internal: false,
            arguments,
            window: None,
        };
        assert!(done(rig.vhost.declare_exchange(&name, settings)).1.is_now());
        rig.bind(&name, DestinationKind::Queue, "q", "1");
        let route = rig.find(&name, "1");
        assert_eq!((route.queues.len(), route.holds.is_some()), (1, kept), "{name}");
        assert_eq!(route.keepers.len(), usize::from(kind == ExchangeKind::RecentHistory));
        let Some(holds) = route.holds else { continue };
        rig.unbind(&name, "q", "1");
        assert!(!holds.on(rig.vhost.generation()), "{name}");
    }
}

#[test]
fn a_route_holds_until_something_on_it_changes() {
    let rig = rig();
    for name in ["q", "other"] {
        rig.queue(name);
    }
    for name in ["x", "y", "far"] {
        rig.exchange(name, ExchangeKind::Direct, false);
    }
    rig.bind("x", DestinationKind::Queue, "q", "k");
    rig.bind("y", DestinationKind::Exchange, "far", "k");
    rig.bind("far", DestinationKind::Queue, "q", "k");
    let held = |exchange: &str, key: &str| {
        let holds = rig.hold(exchange, key);
        assert!(holds.on(rig.vhost.generation()), "{exchange:?}: {holds:?}");
        holds
    };
    let (direct, by_name, over_two, nowhere) =
        (held("x", "k"), held("", "q"), held("y", "k"), held("x", "none"));
    let unknown = held("", "new");
    let on = |holds: &Holds| holds.on(rig.vhost.generation());
    rig.queue("new");
    assert!(on(&direct) && on(&by_name) && on(&nowhere));
    assert!(!on(&over_two) && !on(&unknown), "they depend on more than one exchange");
    rig.bind("y", DestinationKind::Queue, "new", "k");
    drop(rig.delete("new"));
    assert!(on(&direct) && on(&by_name));
    rig.bind("x", DestinationKind::Queue, "other", "none");
    assert!(!on(&direct) && !on(&nowhere) && on(&by_name));
    let direct = held("x", "k");
    drop(rig.delete("q"));
    assert!(!on(&direct) && !on(&by_name));
    rig.queue("q");
    assert!(!on(&by_name), "it is another queue");
    let deleted = held("x", "none");
    drop(done(rig.vhost.delete_exchange("x", false)));
    assert!(!on(&deleted));
}

/// What this thread took of the processor so far: others may take it meanwhile.
fn processor_time() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(spent.split(' ').next().unwrap().parse().unwrap())
}

/// Whether 64 times as much costs about 64 times as much and not 4096 times.
fn assert_linear(what: &str, cost: impl Fn(usize) -> Duration) {
    let small = (0..3).map(|_| cost(500)).min().unwrap_or_default();
    let (small, large) = (small.max(Duration::from_micros(100)), cost(32_000));
    let ratio = large.as_secs_f64() / small.as_secs_f64();
    // What is large is also further away in memory: ten times as far was seen, so the bound is as
    // far from that as from a square.
    assert!(ratio < 2000.0, "{what}: 64 times as many cost {ratio:.1} times as much");
}

/// The search for exchanges seen before, and for the sources of a binding, went through a list.
#[test]
fn what_many_bindings_cost_is_linear() {
    assert_linear("a fanout to exchanges", |count| {
        let rig = rig();
        rig.exchange("hub", ExchangeKind::Fanout, false);
        for at in 0..count {
            let name = format!("spoke{at}");
            rig.exchange(&name, ExchangeKind::Fanout, false);
            rig.bind("hub", DestinationKind::Exchange, &name, "");
        }
        let started = processor_time();
        rig.route("hub", "");
        processor_time() - started
    });
    assert_linear("many exchanges bound to one queue", |count| {
        let rig = rig();
        rig.queue("q");
        for at in 0..count {
            rig.exchange(&format!("x{at}"), ExchangeKind::Fanout, false);
        }
        let started = processor_time();
        for at in 0..count {
            rig.bind(&format!("x{at}"), DestinationKind::Queue, "q", "");
        }
        for at in 0..count / 2 {
            rig.unbind(&format!("x{at}"), "q", "");
        }
        drop(rig.delete("q"));
        rig.vhost.settle();
        processor_time() - started
    });
    for kind in [ExchangeKind::Topic, ExchangeKind::ModulusHash] {
        assert_linear("many bindings between two", |count| {
            let rig = rig();
            rig.queue("q");
            rig.exchange("x", kind, false);
            let started = processor_time();
            for at in 0..count {
                rig.bind("x", DestinationKind::Queue, "q", &at.to_string());
            }
            drop(rig.delete("q"));
            rig.vhost.settle();
            processor_time() - started
        });
    }
}

#[test]
fn what_has_many_bindings_goes_in_steps_and_nothing_overtakes_it() {
    const BINDINGS: usize = 5000;
    let rig = rig();
    rig.queue("q");
    rig.exchange("x", ExchangeKind::Topic, true);
    for at in 0..BINDINGS {
        rig.bind("x", DestinationKind::Queue, "q", &at.to_string());
    }
    rig.store.sync();
    let deleted = rig.delete("q");
    assert!(!deleted.is_now());
    assert!(rig.vhost.queue("q").is_none(), "the name is free at once");
    let mut steps = 1;
    while let Err(refusal) = rig.declare("q", true) {
        assert!(matches!(refusal, Refusal::Later), "{refusal:?}");
        steps += 1;
    }
    assert!((4..10).contains(&steps), "{steps}");
    assert!(rig.vhost.exchange("x").is_none(), "it went with its last binding");
    let proposed = rig.store.waiting();
    assert!(proposed.iter().all(|&changes| changes <= 1025), "{proposed:?}");
    let stored = rig.stored();
    assert_eq!((stored.queues.len(), stored.bindings.len(), stored.exchanges.len()), (1, 0, 0));
}

#[tokio::test]
async fn whoever_waits_for_a_deletion_makes_it() {
    let rig = rig();
    rig.queue("q");
    rig.exchange("x", ExchangeKind::Topic, false);
    for at in 0..3000 {
        rig.bind("x", DestinationKind::Queue, "q", &at.to_string());
    }
    let deleted = tokio::spawn(rig.delete("q").wait());
    for _ in 0..1000 {
        rig.store.sync();
        tokio::task::yield_now().await;
    }
    deleted.await.unwrap().unwrap();
    assert_eq!(rig.stored().bindings.len(), 0);
}

/// A thousand declares waited for a thousand syncs on one connection, each for its own.
#[test]
fn changes_are_proposed_without_waiting_and_share_a_sync() {
    let rig = rig();
    let declared: Vec<_> = (0..1000).map(|at| done(rig.declare(&at.to_string(), true)).1).collect();
    assert!(declared.iter().all(|durable| !durable.is_now()));
    assert_eq!(rig.store.sync(), 1000);
    assert!(declared.iter().all(Durable::is_now));
}

/// An answer was given before the change it spoke of was on disk, when another had made it.
#[test]
fn an_answer_waits_for_the_newest_change_of_what_it_speaks_of() {
    let rig = rig();
    let passive = |name| rig.vhost.look_up_queue(name, ME).map(|(_, durable)| durable);
    let again = || done(rig.declare("q", true)).1;
    let bound = || rig.bind("x", DestinationKind::Queue, "q", "k");
    rig.exchange("x", ExchangeKind::Direct, false);
    rig.queue("q");
    assert!(!again().is_now() && !passive("q").unwrap().is_now());
    assert!(!rig.exchange("x", ExchangeKind::Direct, false));
    rig.store.sync();
    assert!(again().is_now() && passive("q").unwrap().is_now());
    assert!(!bound() && !bound(), "the second time it is there");
    assert!(again().is_now(), "a binding is no change of the queue");
    rig.store.sync();
    assert!(bound());
    assert!(!rig.unbind("x", "q", "k") && !rig.unbind("x", "q", "k"));
    rig.store.sync();
    assert!(!rig.delete("q").is_now() && !rig.delete("q").is_now());
    let Err(Refusal::Error(refused)) = passive("q") else { panic!("it is gone") };
    assert!(!refused.durable.is_now(), "that it is gone is not on disk");
    rig.store.sync();
    let Err(Refusal::Error(refused)) = passive("q") else { panic!("it is gone") };
    assert!(refused.durable.is_now());
}

#[test]
fn a_queue_is_defined_once_its_declaration_is_on_disk() {
    let rig = rig();
    let (old, new) = (rig.queue("old"), || rig.queue("new"));
    rig.store.sync();
    let transient = done(rig.declare("transient", false)).0;
    let new = new();
    assert!(rig.vhost.defined(&[Arc::clone(&old), transient]).is_now());
    assert!(!rig.vhost.defined(&[old, Arc::clone(&new)]).is_now());
    rig.store.sync();
    assert!(rig.vhost.defined(&[new]).is_now());
}

#[test]
fn what_is_not_durable_costs_no_write() {
    let rig = rig();
    let (_, durable) = done(rig.declare("transient", false));
    assert!(durable.is_now());
    assert!(rig.bind("amq.topic", DestinationKind::Queue, "transient", "k"));
    assert!(rig.unbind("amq.topic", "transient", "k"));
    assert!(rig.bind("amq.topic", DestinationKind::Queue, "transient", "k"));
    assert!(rig.delete("transient").is_now());
    assert!(rig.store.waiting().is_empty());
}

/// Ends were looked up before the lock that orders changes was taken, and then compared by name: a
/// binding to a queue that was deleted and declared anew meanwhile led to the old one.
#[test]
fn a_binding_is_between_what_the_names_stand_for_now() {
    let rig = rig();
    rig.exchange("x", ExchangeKind::Direct, false);
    let old = rig.queue("q");
    rig.bind("x", DestinationKind::Queue, "q", "k");
    drop(rig.delete("q"));
    let new = rig.queue("q");
    assert_eq!(rig.route("x", "k"), [], "it is bound anew or not at all");
    rig.bind("x", DestinationKind::Queue, "q", "k");
    assert_eq!(rig.route("x", "k"), [Arc::clone(&new)]);
    // Whoever still holds the old one, such as the end of its connection, does not end the new.
    rig.vhost.delete_with_connection(&old);
    assert_eq!(rig.vhost.queue("q"), Some(new));
    let stored = rig.stored();
    assert_eq!((stored.queues.len(), stored.bindings.len()), (1, 1));
}

/// On a full disk a durable declare ended the process.
#[test]
fn on_a_full_disk_nothing_new_is_promised_and_all_else_goes_on() {
    let rig = rig();
    rig.queue("old");
    rig.bind("amq.topic", DestinationKind::Queue, "old", "k");
    rig.store.set_full(true);
    let refused = |refusal| match refusal {
        Refusal::Error(refused) => refused.error.to_string(),
        Refusal::Later => panic!("nothing is being removed"),
    };
    let text = "the disk is full, the change was not made";
    assert_eq!(rig.declare("new", true).map_err(refused).unwrap_err(), text);
    let ends = Ends { source: "amq.topic", kind: DestinationKind::Queue, destination: "old" };
    let bound = rig.vhost.bind(ends, "new", FieldTable::new(), ME);
    assert_eq!(bound.map_err(refused).unwrap_err(), text);
    assert!(rig.vhost.queue("new").is_none() && rig.route("amq.topic", "new").is_empty());
    drop(done(rig.declare("old", true)));
    rig.bind("amq.topic", DestinationKind::Queue, "old", "k");
    drop(done(rig.declare("transient", false)));
    drop(rig.delete("old"));
    assert_eq!(rig.stored().queues.len(), 0);
    rig.store.set_full(false);
    drop(done(rig.declare("new", true)));
}

#[test]
fn what_died_of_what_is_known_of_a_queue_and_of_all_that_were() {
    let rig = rig();
    let limits = [("x-max-length", FieldValue::I32(1)), ("x-message-ttl", FieldValue::I32(0))];
    for (at, (argument, value)) in limits.into_iter().enumerate() {
        let arguments: FieldTable = [(argument, value)].into_iter().collect();
        let resource = rig.vhost.queue_name("q");
        let parsed = arguments::parse(&arguments, &resource).unwrap();
        let settings = QueueSettings { arguments, parsed, ..QueueSettings::plain(false) };
        let queue = done(rig.vhost.declare_queue(&format!("q{at}"), settings, ME)).0;
        let mut effects = Effects::default();
        queue.publish((0..3).map(|_| message("q", b"body")), &mut effects);
        let counts = queue.counts().deaths.each().map(|(_, count)| count).collect::<Vec<_>>();
        assert_eq!(counts, if at == 0 { [0, 0, 2, 0] } else { [3, 0, 0, 0] });
        drop(rig.delete(&format!("q{at}")));
    }
    let deaths = rig.vhost.deaths();
    let dropped = deaths.classic.dropped.each().map(|(_, count)| count).collect::<Vec<_>>();
    assert_eq!(dropped, [3, 0, 2, 0]);
    assert_eq!(deaths.classic.at_most_once, DeathCounts::default());
}

#[test]
fn what_died_is_counted_by_how_it_is_published() {
    for (strategy, at_least_once) in [("at-most-once", false), ("at-least-once", true)] {
        let rig = rig();
        let text = |text: &str| FieldValue::LongString(text.into());
        let arguments: FieldTable = [
            ("x-dead-letter-exchange", text("x")),
            ("x-dead-letter-strategy", text(strategy)),
            ("x-overflow", text("reject-publish")),
            ("x-message-ttl", FieldValue::I32(0)),
        ]
        .into_iter()
        .collect();
        let parsed = arguments::parse(&arguments, &rig.vhost.queue_name("q")).unwrap();
        let settings = QueueSettings { arguments, parsed, ..QueueSettings::plain(false) };
        let queue = done(rig.vhost.declare_queue("q", settings, ME)).0;
        queue.publish(std::iter::once(message("q", b"body")), &mut Effects::default());
        let DeathsByStrategy { at_most_once: most, at_least_once: least, .. } =
            rig.vhost.deaths().classic;
        let counts = [most, least].map(|counts| counts.each().map(|(_, count)| count).sum::<u64>());
        assert_eq!(counts, if at_least_once { [0, 1] } else { [1, 0] });
    }
}
