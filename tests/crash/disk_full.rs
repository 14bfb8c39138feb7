//! A disk that fills up, truly or as far as `disk_free_limit` lets it: publishers wait or are
//! refused, consumers go on, nothing confirmed is lost, and with room the broker goes on by itself.

use std::io::Write;
use std::path::PathBuf;

use leveret_tests::broker_under_test::BrokerUnderTest;
use leveret_tests::deadline::{Deadline, TO_RUN, wait_until};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::reply::Delivery;
use leveret_tests::raw_client::{Flag, Message};

use crate::feeder::{Feeder, Said};
use crate::inventory::{self, Inventory};
use crate::layout::{self, KEPT, QUEUES, Route};
use crate::ledger::Ledger;
use crate::record::{Ending, Fate, Life, Stream, Taken};
use crate::stamp::{LARGE_FROM, Stamp};
use crate::volume::{Kind, Volume, skip};

/// Messages on their way at once. A blocked connection is not read from: what is on its way then has
/// to fit into the sockets' buffers.
const WINDOW: usize = 8;
/// Messages after which the disk must be full: a large one has at least 20 kB.
const SENT_MAX: usize = 10_000;
/// Messages that are consumed while the disk is full.
const CONSUMED: usize = 150;
/// Messages that are taken before they are acked.
const AT_ONCE: usize = 100;
/// Messages that must be confirmed when there is room again.
const AFTERWARDS: usize = 50;

/// A broker on a small volume, most of which something else takes up.
struct Rig {
    // Dropped in this order: the broker must be gone before its volume is.
    broker: BrokerUnderTest,
    volume: Volume,
}

impl Rig {
    /// Nothing if volumes cannot be mounted here.
    fn new(test: &str, megabytes: u64, ballast_megabytes: usize, free_limit: &str) -> Option<Self> {
        let volume = match Volume::mount(Kind::Tmpfs, megabytes) {
            Ok(volume) => volume,
            Err(reason) => {
                skip(test, &reason);
                return None;
            }
        };
        let config = format!("disk_free_limit.absolute = {free_limit}\n");
        let data = volume.path().join("data");
        let mut broker = BrokerUnderTest::stopped(&config, Some(&data));
        broker.start_again();
        let rig = Self { broker, volume };
        std::fs::write(rig.ballast(), vec![1; ballast_megabytes << 20]).expect("room for it");
        layout::declare(&mut rig.broker.broker().connect());
        Some(rig)
    }

    fn ballast(&self) -> PathBuf {
        self.volume.path().join("ballast")
    }

    /// Kills the broker and judges what it has afterwards.
    fn check_after_kill(&mut self, feeder: Feeder, streams: Vec<Stream>) {
        let end_began = now();
        self.broker.kill();
        self.broker.assert_no_panic();
        let (sent, ending) = (feeder.sent, Ending::Kill);
        let mut ledger = Ledger::new();
        ledger.absorb(&Life { sent, transactions: vec![], streams, ending, end_began });
        self.broker.start_again();
        let inventories = inventory::take_all(&self.broker.broker());
        let found: Vec<Vec<Stamp>> = inventories.iter().map(Inventory::stamps).collect();
        ledger.check_recovered(&found);
        inventories.into_iter().for_each(|inventory| drop(inventory.settle_all()));
        self.broker.assert_no_panic();
    }
}

/// Publishes until the broker says that it cannot take more.
fn fill(rig: &Rig) -> (Feeder, Said) {
    let broker = rig.broker.broker();
    let mut feeder = Feeder::connect(&broker, LARGE_FROM, Route::Queue(KEPT));
    let deadline = Deadline::within("the end of the room", TO_RUN);
    while feeder.sent.len() < SENT_MAX {
        deadline.check();
        feeder.publish();
        while feeder.open() >= WINDOW {
            deadline.check();
            let said = feeder.hear();
            if said != Said::Confirmed {
                return (feeder, said);
            }
        }
    }
    panic!("{SENT_MAX} large messages fit on the volume");
}

/// Consumes so many messages, some at a time, all acked and the acks heard.
fn consume(rig: &Rig, count: usize) -> Stream {
    let name = QUEUES[KEPT].name;
    let mut client = rig.broker.broker().connect();
    let mut taken: Vec<Taken> = Vec::new();
    let deadline = Deadline::within("all that is to be consumed", TO_RUN);
    while taken.len() < count {
        deadline.check();
        let some = (count - taken.len()).min(AT_ONCE);
        client.call(basic::qos(u16::try_from(some).expect("a small number")));
        let consumer_tag = client.consume(name);
        let deliveries: Vec<Delivery> = (0..some).map(|_| client.expect_delivery()).collect();
        client.call(basic::cancel(&consumer_tag));
        let at = now();
        let last = deliveries.last().expect("at least one").delivery_tag;
        client.send(basic::ack(last).with(Flag::Multiple));
        client.queue_state(name);
        let fate = Fate::Settled { at, answered_at: Some(now()) };
        taken.extend(deliveries.iter().map(|delivery| {
            let (stamp, redelivered) = (Stamp::of(&delivery.content), delivery.redelivered);
            Taken { stamp, redelivered, at, fate }
        }));
    }
    client.close();
    Stream { queue: KEPT, taken }
}

/// Waits until the publisher may go on, and until what it goes on with is stored. Room may come bit
/// by bit, so that it is stopped again in between.
fn go_on(feeder: &mut Feeder, said: Said) {
    if said == Said::Blocked {
        wait_until("the end of the block", || feeder.hear() == Said::Unblocked);
    }
    let deadline = Deadline::of("publishes are taken again");
    let mut stored = 0;
    while stored < AFTERWARDS {
        stored += usize::from(feeder.is_stored_again());
        deadline.check();
    }
}

/// Fills the volume, makes room, and goes on without a restart.
fn fill_and_go_on(mut rig: Rig, make_room: impl FnOnce(&Rig) -> Vec<Stream>) {
    let (mut feeder, said) = fill(&rig);
    println!("{said:?} after {} messages", feeder.sent.len());
    let mut streams = vec![consume(&rig, CONSUMED)];
    streams.extend(make_room(&rig));
    go_on(&mut feeder, said);
    rig.check_after_kill(feeder, streams);
}

fn remove_ballast(rig: &Rig) -> Vec<Stream> {
    std::fs::remove_file(rig.ballast()).expect("the ballast is there");
    vec![]
}

/// Consumes all there is; what was pending is taken from memory.
fn consume_everything(rig: &Rig) -> Vec<Stream> {
    let count = rig.broker.broker().connect().queue_state(QUEUES[KEPT].name).message_count;
    vec![consume(rig, usize::try_from(count).expect("few messages"))]
}

#[test]
fn a_low_disk_blocks_publishers_until_there_is_room() {
    if let Some(rig) = Rig::new("a low disk", 400, 250, "50MB") {
        fill_and_go_on(rig, remove_ballast);
    }
}

#[test]
fn a_full_disk_loses_nothing_and_is_left_when_there_is_room() {
    if let Some(rig) = Rig::new("a full disk", 100, 40, "1") {
        fill_and_go_on(rig, remove_ballast);
    }
}

#[test]
fn a_full_disk_is_left_by_consuming() {
    if let Some(rig) = Rig::new("a full disk, consumed", 100, 40, "1") {
        fill_and_go_on(rig, consume_everything);
    }
}

/// Takes up all there is on the volume.
fn fill_up(rig: &Rig) {
    let mut file = std::fs::File::create(rig.volume.path().join("rest")).expect("a file");
    let block = vec![1; 64 << 10];
    for size in [block.len(), 512, 1] {
        while file.write_all(&block[..size]).is_ok() {}
    }
}

/// A durable declare on a full disk ended the process.
#[test]
fn a_full_disk_refuses_declares_and_goes_on_with_the_rest() {
    let Some(mut rig) = Rig::new("a full disk, declares", 100, 1, "1") else { return };
    let mut client = rig.broker.broker().connect();
    client.declare_queue("old");
    client.declare_queue("goes");
    fill_up(&rig);
    client.send(queue::declare("new").with(Flag::Durable));
    let text = "INTERNAL_ERROR - the disk is full, the change was not made";
    client.expect_connection_close(541, text, queue::DECLARE);
    let mut client = rig.broker.broker().connect();
    client.declare_queue("old");
    client.call(queue::declare("transient"));
    client.round_trip(b"transient messages go on");
    // Whoever restarts it is served as well: consumers make room.
    rig.broker.kill();
    rig.broker.start_again();
    let mut client = rig.broker.broker().connect();
    client.declare_queue("old");
    client.consume("old");
    client.call(queue::delete("goes"));
    std::fs::remove_file(rig.volume.path().join("rest")).expect("it is there");
    client.declare_queue("new");
    rig.broker.kill();
    rig.broker.start_again();
    let mut client = rig.broker.broker().connect();
    for (name, there) in [("old", true), ("new", true), ("goes", false)] {
        assert_eq!(client.queue_exists(name), there, "{name}");
    }
    rig.broker.assert_no_panic();
}

/// The answer came only when there was room for every message that waited.
#[test]
fn on_a_full_disk_a_queue_is_deleted_while_messages_wait() {
    let Some(mut rig) = Rig::new("a full disk, deletes", 100, 40, "1") else { return };
    let mut client = rig.broker.broker().connect();
    client.declare_queue("goes");
    client.fill_persistent("goes", &["stored"; 10]);
    // So much at once that some of it waits for the room that is not there.
    let mut publisher = rig.broker.broker().connect();
    publisher.declare_queue("burst");
    let large = Message::to_queue("burst").body("large ".repeat(100_000)).persistent();
    (0..100).for_each(|_| publisher.publish(&large));
    let (feeder, said) = fill(&rig);
    println!("{said:?} after {} messages", feeder.sent.len());
    client.call(queue::delete("goes"));
    rig.broker.kill();
    rig.broker.start_again();
    assert!(!rig.broker.broker().connect().queue_exists("goes"));
    rig.check_after_kill(feeder, vec![]);
}
