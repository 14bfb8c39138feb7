//! The end of a vhost, step by step over stores on disk: what a process finds that starts from the disk
//! as it was after each.

use std::path::Path;
use std::sync::Arc;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue, RawTable};
use leveret_storage::metadata::Collection;
use serde_json::json;

use super::Vhost;
use super::bindings::Ends;
use super::destination::ExchangeSettings;
use super::records::TopologyChanges;
use super::topology::Changed;
use crate::broker::access::{By, VhostDraft};
use crate::config::{Config, ServeOptions};
use crate::definitions::command::PolicyChange;
use crate::definitions::of_vhost::ends_of_vhost;
use crate::definitions::parameters::TopicPermissionRecord;
use crate::definitions::records::DestinationKind;
use crate::exchange::ExchangeKind;
use crate::keys::ConnectionId;
use crate::message::tests::{persistent, with_properties};
use crate::message::{Marks, Message};
use crate::policy::{Draft, Policy, PolicyKind};
use crate::queue::{Effects, Queue, QueueSettings};
use crate::startup::{self, Started};

const ME: ConnectionId = ConnectionId(1);
const ADMIN: By<'_> = By::User("guest");
/// Messages that stay in the other vhost.
const KEPT: usize = 3;

fn start(directory: &Path) -> Started {
    let data_dir = Some(directory.to_owned());
    let options = ServeOptions { data_dir, ..ServeOptions::default() };
    startup::start(&Config::load(&options, |_| None).unwrap()).unwrap()
}

fn done<T>(changed: Changed<T>) -> T {
    changed.unwrap_or_else(|refusal| panic!("refused: {refusal:?}")).0
}

fn declare(vhost: &Arc<Vhost>, name: &str) -> Arc<Queue> {
    done(vhost.declare_queue(name, QueueSettings::plain(true), ME))
}

fn declare_exchange(vhost: &Arc<Vhost>, name: &str, kind: ExchangeKind, arguments: FieldTable) {
    let (durable, auto_delete, internal) = (true, false, false);
    let settings =
        ExchangeSettings { kind, durable, auto_delete, internal, arguments, window: None };
    done(vhost.declare_exchange(name, settings));
}

fn bind(vhost: &Arc<Vhost>, source: &str, kind: DestinationKind, destination: &str) {
    done(vhost.bind(Ends { source, kind, destination }, "k", FieldTable::new(), ME));
}

fn store(vhost: &Vhost, queue: &Arc<Queue>, message: &Message) {
    let mut effects = Effects::default();
    let sequence = queue.offer(message.clone(), &mut effects).unwrap().unwrap();
    let mut places = smallvec::SmallVec::new();
    effects.note_place(queue, sequence, message, &mut places);
    effects.store_message(message, places, true);
    effects.carry_out(&vhost.messages);
}

fn fill(vhost: &Vhost, queue: &Arc<Queue>, count: usize) {
    let message = persistent(with_properties(&BasicProperties::default(), b"a"));
    (0..count).for_each(|_| store(vhost, queue, &message));
}

fn delayed() -> Message {
    let headers: FieldTable = [("x-delay", 600_000)].into_iter().collect();
    let entries = headers.to_bytes();
    let headers = Some(RawTable::new(&entries));
    let properties = BasicProperties { headers, ..BasicProperties::default() };
    persistent(with_properties(&properties, b"later")).marked(Marks::DELAYED)
}

fn policy(kind: PolicyKind) -> PolicyChange {
    let (pattern, definition) = (json!(".*"), json!({"max-length": 1000}));
    let draft =
        Draft { pattern: Some(&pattern), definition: Some(&definition), ..Draft::default() };
    PolicyChange::Put(Policy::new(kind, "v", "p", draft).unwrap())
}

/// Everything that a vhost can have, and a little in the other one.
async fn furnish(started: &Started) -> Arc<Vhost> {
    let broker = &started.broker;
    let draft = VhostDraft { tracing: Some(true), ..VhostDraft::default() };
    let (is_new, durable) = broker.put_vhost(ADMIN, "v", &draft).unwrap();
    assert!(is_new);
    durable.wait().await.unwrap();
    let vhost = broker.vhost("v").unwrap();
    for number in 0..150 {
        let queue = declare(&vhost, &format!("q{number}"));
        fill(&vhost, &queue, 2);
        bind(&vhost, "amq.topic", DestinationKind::Queue, queue.name());
    }
    let deduplicates = [
        ("x-message-deduplication", FieldValue::Bool(true)),
        ("x-cache-size", FieldValue::I32(10)),
    ];
    declare_exchange(&vhost, "once", ExchangeKind::Fanout, deduplicates.into_iter().collect());
    for number in 0..70 {
        declare_exchange(&vhost, &format!("x{number}"), ExchangeKind::Direct, FieldTable::new());
        bind(&vhost, &format!("x{number}"), DestinationKind::Exchange, "amq.fanout");
        bind(&vhost, &format!("x{number}"), DestinationKind::Queue, "q1");
    }
    bind(&vhost, "amq.fanout", DestinationKind::Exchange, "amq.direct");
    bind(&vhost, "amq.direct", DestinationKind::Exchange, "amq.fanout");
    let mut changes = TopologyChanges::default();
    vhost.make_delayed_queue(&mut changes);
    vhost.propose(changes);
    store(&vhost, vhost.delayed.get().unwrap(), &delayed());
    drop(vhost.change_policies([PolicyKind::Policy, PolicyKind::Operator].map(policy).into()));
    let limits = json!({"max-queues": 500}).as_object().cloned().unwrap();
    drop(broker.set_vhost_limits(ADMIN, "v", &limits).unwrap());
    let [user, of_vhost, exchange, write, read] =
        ["guest", "v", "amq.topic", "^k", ".*"].map(str::to_owned);
    let topics = TopicPermissionRecord { user, vhost: of_vhost, exchange, write, read };
    drop(broker.set_topic_permissions(ADMIN, topics).unwrap());
    let other = broker.vhost("/").unwrap();
    let kept = declare(&other, "kept");
    fill(&other, &kept, KEPT);
    bind(&other, "amq.topic", DestinationKind::Queue, "kept");
    broker.definitions().settled().await.unwrap();
    broker.messages().progress().reached(broker.messages().last()).await.unwrap();
    vhost
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Nothing is left of the vhost, and everything of the other one; one of its name is made and is empty.
async fn assert_gone(started: Started, after: &str) {
    let broker = &started.broker;
    assert!(broker.vhost("v").is_none(), "{after}");
    let snapshot = broker.definitions().read().unwrap();
    assert_eq!(ends_of_vhost(&snapshot, "v").unwrap(), [], "{after}");
    assert_eq!(snapshot.collection(Collection::Vhost).count(), 1, "{after}");
    assert!(broker.users().permissions("guest", "v").is_none());
    assert_eq!(broker.users().all_topic_permissions(), []);
    let stored = broker.messages().durable().statistics();
    assert_eq!(stored.live_messages, KEPT as u64, "{after}");
    let kept = broker.vhost("/").unwrap().queue("kept").unwrap();
    assert_eq!(kept.counts().ready, KEPT);
    let (is_new, durable) = broker.put_vhost(ADMIN, "v", &VhostDraft::default()).unwrap();
    durable.wait().await.unwrap();
    let vhost = broker.vhost("v").unwrap();
    assert!(is_new && vhost.queues().is_empty() && !vhost.is_traced(), "{after}");
    assert!(vhost.exchange("once").is_none() && vhost.exchange("amq.topic").is_some());
    assert!(vhost.policies().all().next().is_none() && vhost.own_limits().max_queues.is_none());
    started.close().unwrap();
}

#[tokio::test]
async fn a_crash_leaves_a_vhost_whole_or_gone() {
    let directory = tempfile::tempdir().unwrap();
    let (data, copies) = (directory.path().join("data"), directory.path().join("copies"));
    let started = start(&data);
    let vhost = furnish(&started).await;
    copy(&data, &copies.join("before"));
    vhost.leave().unwrap().unwrap().await.unwrap();
    vhost.close();
    let mut steps = 0;
    copy(&data, &copies.join("0"));
    while vhost.dissolve_some().await.unwrap() {
        started.broker.definitions().settled().await.unwrap();
        steps += 1;
        copy(&data, &copies.join(steps.to_string()));
    }
    assert!((5..20).contains(&steps), "{steps} steps");
    started.broker.definitions().settled().await.unwrap();
    copy(&data, &copies.join("last"));
    drop(vhost);
    started.close().unwrap();
    let whole = start(&copies.join("before"));
    let vhost = whole.broker.vhost("v").unwrap();
    assert_eq!((vhost.queues().len(), vhost.delayed_count(), vhost.is_traced()), (150, 1, true));
    assert_eq!(vhost.queue("q7").unwrap().counts().ready, 2);
    drop(vhost);
    whole.close().unwrap();
    for step in (0..=steps).map(|step| step.to_string()).chain(["last".to_owned()]) {
        assert_gone(start(&copies.join(&step)), &format!("after step {step}")).await;
    }
}

#[tokio::test]
async fn a_deletion_that_the_end_interrupts_is_finished_by_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path());
    drop(furnish(&started).await);
    drop(started.broker.delete_vhost(ADMIN, "v").unwrap());
    started.broker.stopping().cancel();
    started.broker.definitions().settled().await.unwrap();
    started.close().unwrap();
    assert_gone(start(directory.path()), "the next start").await;
}

#[tokio::test]
async fn a_deletion_leaves_nothing_and_comes_to_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path());
    let vhost = furnish(&started).await;
    started.broker.delete_vhost(ADMIN, "v").unwrap().wait().await.unwrap();
    let late = vhost.declare_queue("late", QueueSettings::plain(true), ME);
    assert!(late.is_err(), "whoever still knows it makes nothing there");
    assert!(vhost.change_policies(vec![policy(PolicyKind::Policy)]).is_err());
    drop(vhost.set_tracing(false));
    drop(vhost.limit(Some));
    assert_gone(started, "at once").await;
    assert_eq!(Arc::strong_count(&vhost), 1, "nobody holds it");
}
