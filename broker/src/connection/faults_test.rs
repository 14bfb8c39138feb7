//! A fault of the broker in the middle of a command, with a queue locked: it ends the connection whose
//! command it was, and nothing of that is left behind.

use std::time::Duration;

use leveret_protocol::methods::{basic, queue};
use leveret_protocol::types::RawTable;
use tokio::time::{Instant, sleep};

use super::test_client::{TestClient, start};
use crate::queue::FAULTY;

const GUEST: (&str, &str) = ("guest", "guest");
const WITHIN: Duration = Duration::from_secs(30);

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < WITHIN, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn declare_exclusive(client: &mut TestClient, name: &str) {
    let declare = queue::Declare {
        queue: name,
        passive: false,
        durable: false,
        exclusive: true,
        auto_delete: false,
        no_wait: true,
        arguments: RawTable::new(&[]),
    };
    client.send(1, &declare).await;
}

async fn consume(client: &mut TestClient, name: &str) {
    let consume = basic::Consume {
        queue: name,
        consumer_tag: "one",
        no_local: false,
        no_ack: false,
        exclusive: false,
        no_wait: true,
        arguments: RawTable::new(&[]),
    };
    client.send(1, &consume).await;
}

#[tokio::test]
async fn a_fault_ends_its_connection_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = &started.broker;
    let vhost = broker.vhost("/").unwrap();
    let mut bystander = TestClient::open(broker, GUEST, "/").await.unwrap();
    bystander.open_channel(1).await.unwrap();
    bystander.declare("shared").await.unwrap();
    for round in 1..=3 {
        let mut client = TestClient::open(broker, GUEST, "/").await.unwrap();
        client.open_channel(1).await.unwrap();
        client.declare(FAULTY).await.unwrap();
        declare_exclusive(&mut client, "own").await;
        consume(&mut client, "shared").await;
        client.declare("shared").await.unwrap();
        assert!(vhost.queue("own").is_some());
        assert_eq!(vhost.queue("shared").unwrap().counts().consumers, 1);
        client.send(1, &queue::Purge { queue: FAULTY, no_wait: false }).await;
        client.hung_up().await;
        wait_until("it is gone from the registry", || broker.connection_count() == 1).await;
        assert!(vhost.queue("own").is_none(), "its exclusive queue goes with it");
        assert_eq!(vhost.queue("shared").unwrap().counts().consumers, 0);
        assert_eq!(vhost.queue(FAULTY).unwrap().counts().ready, 0, "nobody holds its lock");
        assert_eq!(broker.admissions().in_vhost("/"), 1);
        wait_until("it is counted", || broker.incidents().counts().panics == round).await;
        bystander.declare("shared").await.unwrap();
    }
    started.close().unwrap();
}
