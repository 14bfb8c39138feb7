//! Clients that keep their socket full, in every way that makes the broker wait or work: heartbeats,
//! news, close and the end of the broker reach each of them all the same, and others are served.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::deadline::{Deadline, PATIENCE, TO_RUN, join, let_pass};
use leveret_tests::now;
use leveret_tests::raw_client::content::{FRAME_HEARTBEAT, FRAME_METHOD, Frame, frame};
use leveret_tests::raw_client::method::{MethodId, basic, connection, exchange, queue};
use leveret_tests::raw_client::{Flag, Handshake, Message, RawClient};

/// How long each floods before anything else happens: some intervals of the heartbeat.
const FLOOD: Duration = Duration::from_secs(4);
/// A client with an interval of a second gives its server up after two without a sign of life; the
/// machine may be busy.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// The queue whose end the flooding client wants to hear of.
const NEWS: &str = "news";
/// The queue it floods.
const FLOODED: &str = "flooded";

/// A client that sends without end on a thread of its own.
struct Flood {
    socket: TcpStream,
    input: Vec<u8>,
    stop: Arc<AtomicBool>,
    sending: Option<JoinHandle<()>>,
}

impl Flood {
    /// Connects with a heartbeat of a second, consumes `NEWS`, and sends `block` again and again.
    fn start(broker: &Broker, prepare: fn(&mut RawClient), block: Vec<u8>) -> Self {
        let handshake = Handshake { heartbeat: 1, ..broker.handshake() };
        let mut client = broker.connect_as(&handshake);
        client.call(basic::consume(NEWS, "news"));
        prepare(&mut client);
        let socket = client.into_socket();
        socket.set_write_timeout(None).expect("a socket option");
        let mut sender = socket.try_clone().expect("a second handle");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let deadline = Deadline::within("the flood", TO_RUN);
        let sending = std::thread::spawn(move || {
            let goes_on = || !stopped.load(Ordering::Relaxed) && !deadline.has_passed();
            while goes_on() && sender.write_all(&block).is_ok() {}
        });
        Self { socket, input: Vec::new(), stop, sending: Some(sending) }
    }

    /// Reads until `enough`, and fails when nothing came for too long.
    fn read_until(&mut self, what: &str, mut enough: impl FnMut(&Frame) -> bool) {
        let deadline = Deadline::within(what, PATIENCE + FLOOD);
        let mut last = now();
        self.socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket option");
        loop {
            while let Some(frame) = Frame::cut(&mut self.input) {
                last = now();
                let closes = frame.kind == FRAME_METHOD && frame.method_id() == connection::CLOSE;
                if enough(&frame) {
                    return;
                }
                assert!(!closes, "{what}: {:?}", String::from_utf8_lossy(&frame.payload));
            }
            let mut piece = [0; 65536];
            match self.socket.read(&mut piece) {
                Ok(0) => panic!("{what}: the broker hung up"),
                Ok(count) => self.input.extend(&piece[..count]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            assert!(last.elapsed() < SILENCE_MAX, "{what}: no sign of life for {SILENCE_MAX:?}");
            deadline.check();
        }
    }

    fn read_until_method(&mut self, id: MethodId) -> Frame {
        let mut found = None;
        self.read_until(&format!("{id:?}"), |frame| {
            let is_it = frame.kind == FRAME_METHOD && frame.method_id() == id;
            if is_it {
                found = Some(frame.payload.clone());
            }
            is_it
        });
        Frame { kind: FRAME_METHOD, channel: 0, payload: found.expect("it was found") }
    }

    /// Ends the sending between two blocks.
    fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let deadline = Deadline::within("the end of the flood", TO_RUN);
        // What the broker says meanwhile has to be read, lest it stop reading.
        while self.sending.as_ref().is_some_and(|sending| !sending.is_finished()) {
            let mut piece = [0; 65536];
            if let Ok(count) = self.socket.read(&mut piece) {
                self.input.extend(&piece[..count]);
            }
            deadline.check();
        }
        join("the end of the flood", self.sending.take().expect("stopped once"));
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.socket.shutdown(Shutdown::Both).ok();
    }
}

/// Floods, and sees to it that the client is told what it has to be told.
fn lives_through(config: &str, prepare: fn(&mut RawClient), block: &dyn Fn() -> Vec<u8>) {
    let mut broker = BrokerUnderTest::start_with(config);
    let reach = broker.broker();
    let mut other = reach.connect();
    other.call(queue::declare(FLOODED).arg("x-max-length", 1000));
    other.call(queue::declare(NEWS));
    let mut flood = Flood::start(&reach, prepare, block());
    let end = now() + FLOOD;
    flood.read_until("signs of life", |_| now() >= end);
    other.round_trip(b"others are served");
    other.call(queue::delete(NEWS));
    flood.read_until_method(basic::CANCEL);
    flood.stop();
    let close = connection::close(200, "bye", (0, 0)).frame();
    flood.socket.write_all(&close).expect("the broker reads");
    flood.read_until_method(connection::CLOSE_OK);
    drop(flood);
    other.call(queue::declare(NEWS));
    let mut flood = Flood::start(&reach, prepare, block());
    other.round_trip(b"the flood goes on");
    broker.ask_to_end();
    let close = flood.read_until_method(connection::CLOSE);
    assert_eq!(close.payload[4..6], 320_u16.to_be_bytes());
    drop(flood);
    assert!(broker.terminate(PATIENCE).success());
    broker.assert_no_panic();
}

fn nothing(_: &mut RawClient) {}

fn publishes(message: &Message, count: usize) -> Vec<u8> {
    message.encode(4096).repeat(count)
}

#[test]
fn publishing_without_confirms() {
    lives_through("", nothing, &|| publishes(&Message::to_queue(FLOODED).body([b'x'; 100]), 500));
}

/// The consumer is far slower than the publisher, which waits for it at the gate now and then.
#[test]
fn publishing_to_a_consumer_that_lags() {
    let prepare = |client: &mut RawClient| {
        client.call(queue::declare("lagging").arg("x-max-length", 5000));
    };
    let mut broker = BrokerUnderTest::start();
    let mut consumer = broker.broker().connect();
    consumer.call(queue::declare("lagging").arg("x-max-length", 5000));
    consumer.call(queue::declare(NEWS));
    consumer.call(basic::qos(100));
    consumer.call(basic::consume("lagging", "slow"));
    let block = publishes(&Message::to_queue("lagging").body([b'x'; 100]), 500);
    let mut flood = Flood::start(&broker.broker(), prepare, block);
    let end = now() + FLOOD;
    flood.read_until("signs of life", |_| now() >= end);
    drop(flood);
    broker.assert_sound();
}

/// More than the disk takes: the store is crowded all the time.
#[test]
fn publishing_what_is_stored() {
    let prepare = |client: &mut RawClient| {
        client.call(queue::declare("stored").with(Flag::Durable).arg("x-max-length", 1000));
    };
    let message = Message::to_queue("stored").body(vec![b'x'; 20_000]).persistent();
    lives_through("", prepare, &|| publishes(&message, 50));
}

/// Each waits until it is on disk, and nothing behind it is read meanwhile.
#[test]
fn declaring_what_is_stored() {
    let declare = || queue::declare("again").with(Flag::Durable).with(Flag::NoWait).frame();
    let delete = || queue::delete("again").with(Flag::NoWait).frame();
    // Few among much else: what is under way when the flood ends is carried out, too.
    let beats = || frame(FRAME_HEARTBEAT, 0, b"").repeat(8000);
    lives_through("", nothing, &|| [declare(), delete(), beats()].concat());
}

/// Each read of this is ten thousand messages put into queues.
#[test]
fn publishing_to_very_many_queues() {
    let prepare = |client: &mut RawClient| {
        client.call(exchange::declare("many", "fanout"));
        for number in 0..300 {
            let name = format!("many-{number}");
            client.call(queue::declare(&name).arg("x-max-length", 10));
            client.call(queue::bind(&name, "many", ""));
        }
    };
    let message = Message::to("many", "").body([b'x'; 3000]);
    lives_through("", prepare, &|| publishes(&message, 50));
}

/// The bodies of the queue are out of the way: each get waits until one was read.
#[test]
fn getting_what_was_paged_out() {
    let config = "message_memory.queue = 64KiB\n";
    let prepare = |client: &mut RawClient| {
        client.call(queue::declare("paged"));
        let message = Message::to_queue("paged").body(vec![b'x'; 10_000]);
        client.send_bytes(&publishes(&message, 200));
    };
    let message = Message::to_queue("paged").body(vec![b'x'; 10_000]);
    let get = basic::get("paged").with(Flag::NoAck).frame();
    lives_through(config, prepare, &|| [message.encode(4096), get.clone()].concat().repeat(20));
}

#[test]
fn heartbeats_alone() {
    lives_through("", nothing, &|| frame(FRAME_HEARTBEAT, 0, b"").repeat(8000));
}

#[test]
fn methods_that_are_carried_out_at_once() {
    let qos = || basic::qos(10).frame();
    lives_through("", nothing, &|| qos().repeat(1000));
}

/// Some clients at once do the least that a frame can ask for; the others notice nothing.
#[test]
fn many_floods_starve_nobody() {
    let mut broker = BrokerUnderTest::start();
    let reach = broker.broker();
    let mut other = reach.connect();
    other.call(queue::declare(NEWS));
    let beats = || frame(FRAME_HEARTBEAT, 0, b"").repeat(8000);
    let floods: Vec<Flood> = (0..4).map(|_| Flood::start(&reach, nothing, beats())).collect();
    let_pass(Duration::from_millis(500));
    let started = now();
    for _ in 0..20 {
        other.round_trip(b"meanwhile");
    }
    println!("20 round trips in {:?}", started.elapsed());
    drop(floods);
    broker.assert_sound();
}
