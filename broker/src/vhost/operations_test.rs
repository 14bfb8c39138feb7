//! Operations on messages, over a log on disk: what they leave where, also when they are given up, and
//! what a process finds that starts from the disk as it was.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue};

use super::Vhost;
use super::operations::{Destination, Job, OperationError, Report};
use super::selection::{Selection, Text};
use super::topology::Changed;
use crate::config::{Config, ServeOptions};
use crate::error::ResourceName;
use crate::keys::{ConnectionId, Outcome};
use crate::message::Message;
use crate::message::tests::{persistent, with_properties};
use crate::queue::cursor::Which;
use crate::queue::{Effects, Fetched, Queue, QueueSettings, arguments};
use crate::startup::{self, Started};

const ME: ConnectionId = ConnectionId(1);
const ALL: Job = Job {
    picked: None,
    which: Which::Ready,
    selection: Selection {
        exchange: None,
        routing_key: None,
        headers: Vec::new(),
        properties: Vec::new(),
        body: None,
        before_ms: None,
        since_ms: None,
        permitted: None,
    },
    limit: None,
    per_second: None,
    within: None,
    dry_run: false,
};

fn start(data: &Path) -> (Started, Arc<Vhost>) {
    let options = ServeOptions { data_dir: Some(data.to_owned()), ..ServeOptions::default() };
    let started = startup::start(&Config::load(&options, |_| None).unwrap()).unwrap();
    let vhost = started.broker.vhost("/").unwrap();
    (started, vhost)
}

fn done<T>(changed: Changed<T>) -> T {
    let Ok((done, _)) = changed else { panic!("refused") };
    done
}

/// A durable queue with these arguments.
fn declare(vhost: &Arc<Vhost>, name: &str, given: &[(&str, FieldValue)]) -> Arc<Queue> {
    let mut table = FieldTable::new();
    for (key, value) in given {
        table.insert(*key, value.clone());
    }
    let parsed = arguments::parse(&table, &ResourceName::queue("/", name)).unwrap();
    let settings = QueueSettings { arguments: table, parsed, ..QueueSettings::plain(true) };
    done(vhost.declare_queue(name, settings, ME))
}

fn numbered(number: usize) -> Message {
    persistent(with_properties(&BasicProperties::default(), number.to_string().as_bytes()))
}

/// Publishes so many messages, numbered.
fn fill(vhost: &Vhost, queue: &Arc<Queue>, count: usize) {
    let mut effects = Effects::default();
    for message in (0..count).map(numbered) {
        let first = queue.publish(std::iter::once(message.clone()), &mut effects).unwrap();
        let mut places = smallvec::SmallVec::new();
        effects.note_place(queue, first, &message, &mut places);
        effects.store_message(&message, places, true);
    }
    effects.carry_out(&vhost.messages);
}

/// The numbers of all that is ready, in order.
async fn numbers(vhost: &Vhost, queue: &str) -> Vec<usize> {
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let page = vhost.peek(queue, Which::Ready, after, 7).await.unwrap();
        let Some(last) = page.last() else { return numbers };
        after = Some(last.place);
        let body = |message: &Message| String::from_utf8(message.body().to_vec()).unwrap();
        let bodies = page.iter().map(|seen| body(seen.message.as_ref().unwrap()));
        numbers.extend(bodies.map(|body| body.parse::<usize>().unwrap()));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => _ = std::fs::copy(entry.path(), to).unwrap(),
        }
    }
}

fn to_queue(name: &str) -> Destination {
    Destination::Queue(name.to_owned())
}

fn with_body(text: &str) -> Selection {
    Selection { body: Some(Text::Contains(text.to_owned())), ..Selection::default() }
}

#[tokio::test]
async fn nothing_is_changed_by_looking_and_counting() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(directory.path());
    let queue = declare(&vhost, "q", &[]);
    fill(&vhost, &queue, 1000);
    assert_eq!(numbers(&vhost, "q").await, (0..1000).collect::<Vec<_>>());
    let sevens = Job { selection: with_body("77"), ..ALL };
    let report = vhost.count("q", sevens).await.unwrap();
    let expected = (0..1000).filter(|number| number.to_string().contains("77")).count();
    assert_eq!((report.seen, report.meant, report.done), (1000, expected, 0));
    assert_eq!(queue.counts().ready, 1000);
    let missing = vhost.count("other", ALL).await.map_err(|error| error.to_string());
    assert_eq!(missing, Err("no queue 'other' in vhost '/'".to_owned()));
    started.close().unwrap();
}

#[tokio::test]
async fn what_is_deleted_stays_deleted_and_the_rest_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(&directory.path().join("data"));
    let queue = declare(&vhost, "q", &[]);
    fill(&vhost, &queue, 300);
    let odd = Job { selection: with_body("1"), ..ALL };
    let dry = vhost.delete_messages("q", &Job { dry_run: true, ..odd.clone() }).await.unwrap();
    let report = vhost.delete_messages("q", &odd).await.unwrap();
    assert_eq!((dry.done, dry.meant), (0, report.done));
    let left: Vec<usize> = (0..300).filter(|number| !number.to_string().contains('1')).collect();
    assert_eq!(numbers(&vhost, "q").await, left);
    let limited = Job { limit: Some(3), ..ALL };
    assert_eq!(vhost.delete_messages("q", &limited).await.unwrap().done, 3);
    copy(&directory.path().join("data"), &directory.path().join("crashed"));
    drop(vhost);
    started.close().unwrap();
    let (started, vhost) = start(&directory.path().join("crashed"));
    assert_eq!(numbers(&vhost, "q").await, left[3..]);
    drop(vhost);
    started.close().unwrap();
}

#[tokio::test]
async fn what_is_moved_is_there_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(&directory.path().join("data"));
    let from = declare(&vhost, "from", &[]);
    declare(&vhost, "to", &[]);
    fill(&vhost, &from, 600);
    let report = vhost.move_messages("from", &ALL, &to_queue("to")).await.unwrap();
    assert_eq!(report, Report { seen: 600, meant: 600, done: 600, ..Report::default() });
    copy(&directory.path().join("data"), &directory.path().join("crashed"));
    drop(vhost);
    started.close().unwrap();
    for data in ["data", "crashed"] {
        let (started, vhost) = start(&directory.path().join(data));
        assert_eq!(numbers(&vhost, "to").await, (0..600).collect::<Vec<_>>());
        assert_eq!(numbers(&vhost, "from").await, [0; 0]);
        drop(vhost);
        started.close().unwrap();
    }
}

#[tokio::test]
async fn what_nobody_takes_stays_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(directory.path());
    let from = declare(&vhost, "from", &[]);
    let limit = [
        ("x-max-length", FieldValue::I32(4)),
        ("x-overflow", FieldValue::LongString(b"reject-publish".to_vec())),
    ];
    declare(&vhost, "narrow", &limit);
    fill(&vhost, &from, 10);
    let report = vhost.move_messages("from", &ALL, &to_queue("narrow")).await.unwrap();
    assert_eq!((report.done, report.refused), (4, 6));
    assert_eq!(numbers(&vhost, "from").await, (4..10).collect::<Vec<_>>());
    let nowhere = Destination::Exchange { name: "amq.fanout".to_owned(), routing_key: None };
    let report = vhost.move_messages("from", &ALL, &nowhere).await.unwrap();
    assert_eq!((report.done, report.without_way), (0, 6));
    let missing = vhost.move_messages("from", &ALL, &to_queue("missing")).await;
    assert!(matches!(missing, Err(OperationError::NotFound(_))));
    started.close().unwrap();
}

#[tokio::test]
async fn an_operation_ends_that_moves_messages_to_where_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(directory.path());
    let queue = declare(&vhost, "q", &[]);
    fill(&vhost, &queue, 700);
    let default = Destination::Exchange { name: String::new(), routing_key: Some("q".to_owned()) };
    for to in [to_queue("q"), default.clone()] {
        assert_eq!(vhost.move_messages("q", &ALL, &to).await.unwrap().done, 700);
    }
    assert_eq!(numbers(&vhost, "q").await, (0..700).collect::<Vec<_>>());
    assert_eq!(vhost.copy_messages("q", &ALL, &default).await.unwrap().done, 700);
    assert_eq!(queue.counts().ready, 1400);
    started.close().unwrap();
}

#[tokio::test]
async fn one_that_is_given_up_has_done_a_part_and_lost_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(&directory.path().join("data"));
    let from = declare(&vhost, "from", &[]);
    let to = declare(&vhost, "to", &[]);
    fill(&vhost, &from, 1000);
    let slowly = Job { per_second: Some(100), ..ALL };
    let moving = Arc::clone(&vhost);
    let task = tokio::spawn(async move {
        moving.move_messages("from", &slowly, &to_queue("to")).await.map(drop).unwrap();
    });
    let arrived = async {
        while to.counts().ready < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled(), "it goes at the rate that was asked for");
    let moved = to.counts().ready;
    assert_eq!(from.counts().ready, 1000 - moved);
    drop((from, to, vhost));
    started.close().unwrap();
    let (started, vhost) = start(&directory.path().join("data"));
    assert_eq!(numbers(&vhost, "to").await, (0..moved).collect::<Vec<_>>());
    assert_eq!(numbers(&vhost, "from").await, (moved..1000).collect::<Vec<_>>());
    drop(vhost);
    started.close().unwrap();
}

/// Gets a message, and has that done to it.
fn settle_one(vhost: &Vhost, queue: &Arc<Queue>, outcome: Option<Outcome>) {
    let mut effects = Effects::default();
    let Fetched::Got(got) = queue.get(false, |_| None, &mut effects) else { panic!("a message") };
    if let Some(outcome) = outcome {
        queue.settle(std::iter::once((got.key, outcome)), &mut effects);
    }
    effects.carry_out(&vhost.messages);
}

#[tokio::test]
async fn dead_letters_come_back_to_where_they_came_from_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(directory.path());
    let text = |text: &str| FieldValue::LongString(text.into());
    let work = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text("dead"))];
    let work = declare(&vhost, "work", &work);
    let dead = declare(&vhost, "dead", &[]);
    fill(&vhost, &work, 3);
    fill(&vhost, &dead, 1);
    for _ in 0..3 {
        settle_one(&vhost, &work, Some(Outcome::Discard));
    }
    assert_eq!((work.counts().ready, dead.counts().ready), (0, 4));
    let report = vhost.move_messages("dead", &ALL, &Destination::Origin).await.unwrap();
    assert_eq!((report.done, report.without_way), (3, 1), "one never died");
    let back = vhost.peek("work", Which::Ready, None, 10).await.unwrap();
    let messages: Vec<_> = back.iter().filter_map(|seen| seen.message.as_ref()).collect();
    assert_eq!(messages.len(), 3);
    for message in messages {
        assert_eq!((message.exchange(), message.routing_key()), (&b"x"[..], &b"key"[..]));
        assert!(message.has_deaths(), "what it went through stays known");
    }
    started.close().unwrap();
}

#[tokio::test]
async fn what_is_handed_out_is_seen_and_left_to_who_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(directory.path());
    let queue = declare(&vhost, "q", &[]);
    declare(&vhost, "to", &[]);
    fill(&vhost, &queue, 2);
    settle_one(&vhost, &queue, None);
    let unacked = Job { which: Which::Unacked, ..ALL };
    let seen = vhost.peek("q", Which::Unacked, None, 10).await.unwrap();
    assert_eq!((seen.len(), &seen[0].holder), (1, &None));
    assert!(seen[0].delivered_ms.is_some());
    assert_eq!(vhost.delete_messages("q", &unacked).await.unwrap().done, 0);
    assert_eq!(vhost.move_messages("q", &unacked, &to_queue("to")).await.unwrap().done, 0);
    assert_eq!(vhost.copy_messages("q", &unacked, &to_queue("to")).await.unwrap().done, 1);
    assert_eq!(numbers(&vhost, "to").await, [0]);
    started.close().unwrap();
}

#[tokio::test]
async fn what_is_known_of_a_message_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let (started, vhost) = start(directory.path());
    let text = |text: &str| FieldValue::LongString(text.into());
    let given = [
        ("x-message-ttl", FieldValue::I32(600_000)),
        ("x-max-priority", FieldValue::I32(5)),
        ("x-delayed-retry-type", text("all")),
        ("x-delayed-retry-min", FieldValue::I32(600_000)),
    ];
    let queue = declare(&vhost, "q", &given);
    fill(&vhost, &queue, 2);
    settle_one(&vhost, &queue, Some(Outcome::Failed));
    let ready = &vhost.peek("q", Which::Ready, None, 10).await.unwrap()[0];
    assert_eq!((ready.priority, ready.redelivered, ready.failures), (0, false, 0));
    assert!(ready.expires_ms.is_some() && ready.due_ms.is_none() && ready.size > 1);
    let waits = &vhost.peek("q", Which::Delayed, None, 10).await.unwrap()[0];
    assert_eq!((waits.sequence, waits.redelivered, waits.failures), (0, true, 1));
    assert!(waits.due_ms.is_some());
    started.close().unwrap();
}
