//! What each store keeps and what it does not, by one restart each: the parts of the contract that
//! take more than confirms and acks.

use std::time::Duration;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::let_pass;
use leveret_tests::raw_client::content::Properties;
use leveret_tests::raw_client::method::{basic, queue, tx};
use leveret_tests::raw_client::{Flag, Message, RawClient, Table, Value};

const STORES: [&str; 2] = ["log", "sled"];

const TO_TERMINATE: Duration = Duration::from_secs(30);

/// Several times as long as a store that nobody waits for may take to write what it was told.
const TO_WRITE: Duration = Duration::from_secs(1);

fn start(store: &str) -> BrokerUnderTest {
    println!("{store}");
    BrokerUnderTest::start_with(&format!("message_store = {store}\n"))
}

fn with_priority(queue: &str, priority: u8) -> Message {
    let properties = Properties { priority: Some(priority), ..Properties::default() };
    Message::to_queue(queue).properties(properties).persistent().body(format!("{priority}"))
}

#[test]
fn an_orderly_restart_keeps_what_is_durable_and_only_that() {
    for store in STORES {
        let mut broker = start(store);
        let mut client = broker.broker().connect();
        client.select_confirms();
        client.declare_queue("durable");
        client.call(queue::declare("transient"));
        client.call(queue::declare("urgent").with(Flag::Durable).arg("x-max-priority", 5));
        let full = full_properties();
        client.publish(&Message::to_queue("durable").body("transient 1"));
        client.publish(&Message::to_queue("durable").body("").persistent());
        client.publish(&Message::to_queue("durable").body("full").properties(full.clone()));
        client.publish(&Message::to_queue("durable").body("transient 2"));
        client.publish(&Message::to_queue("transient").body("gone").persistent());
        for priority in [1, 5, 3, 5] {
            client.publish(&with_priority("urgent", priority));
        }
        client.expect_confirmed_up_to(1, 9);
        assert!(broker.terminate(TO_TERMINATE).success());
        broker.start_again();

        let mut client = broker.broker().connect();
        assert!(!client.queue_exists("transient"));
        assert_eq!(client.queue_state("durable").message_count, 2);
        assert_eq!(client.get("durable").text(), "");
        let kept = client.get("durable");
        assert_eq!((kept.text().as_str(), &kept.content.properties), ("full", &full));
        assert_eq!((kept.exchange.as_str(), kept.routing_key.as_str()), ("", "durable"));
        assert_eq!(client.drain("urgent"), ["5", "5", "3", "1"]);
        broker.assert_no_panic();
    }
}

#[test]
fn what_was_in_doubt_after_a_kill_is_so_after_an_orderly_restart() {
    for store in STORES {
        let mut broker = start(store);
        let mut client = broker.broker().connect();
        client.declare_queue("q");
        client.fill_persistent("q", &["before"]);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        client.fill_persistent("q", &["after"]);
        for _ in 0..2 {
            assert!(broker.terminate(TO_TERMINATE).success());
            broker.start_again();
        }
        let mut client = broker.broker().connect();
        for (text, redelivered) in [("before", true), ("after", false)] {
            let got = client.get("q");
            assert_eq!((got.text().as_str(), got.redelivered), (text, redelivered), "{store}");
        }
        broker.assert_no_panic();
    }
}

/// Every property there is.
fn full_properties() -> Properties {
    let text = |text: &str| Some(text.to_owned());
    Properties {
        content_type: text("text/plain"),
        content_encoding: text("utf-8"),
        headers: Some(Table::new().with("nested", Value::Table(Table::new().with("a", 1)))),
        delivery_mode: Some(2),
        priority: Some(200),
        correlation_id: text("correlated"),
        reply_to: text("nobody"),
        expiration: text("36000000"),
        message_id: text("message"),
        timestamp: Some(1),
        kind: text("kind"),
        user_id: text("guest"),
        app_id: text("app"),
        cluster_id: text(""),
    }
}

#[test]
fn a_committed_transaction_survives_a_kill_and_others_do_not() {
    for store in STORES {
        let mut broker = start(store);
        let mut client = broker.broker().connect();
        for name in ["a", "b", "source"] {
            client.declare_queue(name);
        }
        client.fill_persistent("source", &["1", "2", "3"]);
        client.call(tx::select());
        let publish = |client: &mut RawClient, body: &str| {
            for name in ["a", "b"] {
                client.publish(&Message::to_queue(name).body(body).persistent());
            }
        };
        publish(&mut client, "committed");
        client.get("source");
        let last = client.get("source").delivery_tag;
        client.send(basic::ack(last).with(Flag::Multiple));
        client.call(tx::commit());
        publish(&mut client, "rolled back");
        client.call(tx::rollback());
        publish(&mut client, "without an end");
        let third = client.get("source").delivery_tag;
        client.send(basic::ack(third));
        client.queue_state("a");
        broker.kill();
        broker.start_again();

        let mut client = broker.broker().connect();
        assert_eq!(client.drain("a"), ["committed"]);
        assert_eq!(client.drain("b"), ["committed"]);
        assert_eq!(client.drain("source"), ["3"], "acks belong to the transaction");
        broker.assert_no_panic();
    }
}

#[test]
fn acks_are_written_though_nobody_waits_for_them() {
    for store in STORES {
        let mut broker = start(store);
        let mut client = broker.broker().connect();
        client.declare_queue("q");
        client.fill_persistent("q", &["1", "2", "3"]);
        let first = client.get("q").delivery_tag;
        client.send(basic::ack(first));
        client.queue_state("q");
        let_pass(TO_WRITE);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        assert_eq!(client.drain("q"), ["2", "3"]);
    }
}

/// Whoever moves the definitions away starts with none, and with messages whose queues are not
/// defined. The count of starts began again with them, so that new queues took numbers that the
/// message store knew, and what was confirmed in them was taken for settled at the next start.
#[test]
fn new_queues_after_lost_definitions_keep_their_messages() {
    for store in STORES {
        let mut broker = start(store);
        for _ in 0..3 {
            let mut client = broker.broker().connect();
            let queues = ["a", "b", "c"];
            for name in queues {
                client.declare_queue(name);
                client.select_confirms();
                client.publish(&Message::to_queue(name).body("kept").persistent());
            }
            client.expect_confirmed_up_to(1, queues.len() as u64);
            assert!(broker.terminate(TO_TERMINATE).success());
            broker.start_again();
        }
        assert!(broker.terminate(TO_TERMINATE).success());
        for entry in std::fs::read_dir(broker.data_directory()).expect("the data directory") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name");
            if name.starts_with("definitions.") {
                let aside = entry.path().with_file_name(format!("aside.{name}"));
                std::fs::rename(entry.path(), aside).expect("it can be moved");
            }
        }
        broker.start_again();
        let mut client = broker.broker().connect();
        assert!(!client.queue_exists("a"), "it starts empty");
        let names: Vec<_> = (0..5).map(|at| format!("new-{at}")).collect();
        client.select_confirms();
        for name in &names {
            client.declare_queue(name);
            client.publish(&Message::to_queue(name).body("new").persistent());
        }
        client.expect_confirmed_up_to(1, names.len() as u64);
        broker.kill();
        broker.start_again();
        let mut client = broker.broker().connect();
        for name in &names {
            assert_eq!(client.drain(name), ["new"], "{name}");
        }
        broker.assert_no_panic();
    }
}
