//! A backup of a broker under load, restored elsewhere: everything that was confirmed before it was begun is
//! there, and what was settled before that is not.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest, run_leveret};
use leveret_tests::deadline::{PATIENCE, join_scoped, wait_within};
use leveret_tests::raw_client::method::{exchange, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

/// Filled only.
const KEPT: &str = "kept";
/// Filled and emptied again and again.
const DRAINED: &str = "drained";
const AT_ONCE: usize = 50;
/// Confirmed before the backup is begun.
const BEFORE: usize = 2000;
/// Bytes of a message: all of them are more than a segment.
const BODY: usize = 20_000;

fn body(number: usize) -> String {
    format!("{number:>BODY$}")
}

fn number(body: &str) -> usize {
    body.trim_start().parse().expect("a number")
}

#[derive(Default)]
struct Load {
    confirmed: AtomicUsize,
    drained: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn fill(&self, mut client: RawClient) {
        for first in (0..).step_by(AT_ONCE).take_while(|_| !self.is_over()) {
            let bodies: Vec<String> = (first..first + AT_ONCE).map(body).collect();
            let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
            client.fill_persistent(KEPT, &bodies);
            self.confirmed.store(first + AT_ONCE, Ordering::Release);
        }
    }

    fn fill_and_drain(&self, mut client: RawClient) {
        for first in (0..).step_by(AT_ONCE).take_while(|_| !self.is_over()) {
            let bodies: Vec<String> = (first..first + AT_ONCE).map(body).collect();
            let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
            client.fill_persistent(DRAINED, &bodies);
            assert_eq!(client.drain(DRAINED), bodies);
            self.drained.store(first + AT_ONCE, Ordering::Release);
        }
    }
}

fn declare(broker: &Broker) {
    let mut client = broker.connect();
    client.call(queue::declare(KEPT).with(Flag::Durable));
    client.call(queue::declare(DRAINED).with(Flag::Durable));
    client.call(exchange::declare("way", "topic").with(Flag::Durable));
    client.call(queue::bind(KEPT, "way", "a.#"));
    client.close();
}

fn back_up(broker: &BrokerUnderTest, file: &Path) -> std::process::Output {
    let socket = broker.data_directory().join("leveret.sock");
    let words = ["backup", "--socket", &socket.display().to_string(), &file.display().to_string()];
    run_leveret(&words)
}

fn restore(file: &Path, directory: &Path) -> std::process::Output {
    run_leveret(&["restore", &file.display().to_string(), &directory.display().to_string()])
}

/// Under load; what was confirmed and what was drained before it.
fn back_up_under_load(broker: &BrokerUnderTest, file: &Path) -> (usize, usize) {
    let reach = broker.broker();
    declare(&reach);
    let load = Load::default();
    thread::scope(|scope| {
        let filling = scope.spawn(|| load.fill(reach.connect()));
        let draining = scope.spawn(|| load.fill_and_drain(reach.connect()));
        wait_within("enough that is confirmed", PATIENCE, || {
            let is_enough = load.confirmed.load(Ordering::Acquire) >= BEFORE;
            (is_enough && load.drained.load(Ordering::Acquire) > 0).then_some(())
        });
        let before = load.confirmed.load(Ordering::Acquire);
        let drained = load.drained.load(Ordering::Acquire);
        let made = back_up(broker, file);
        load.is_over.store(true, Ordering::Release);
        join_scoped("whoever fills", filling);
        join_scoped("whoever drains", draining);
        assert!(made.status.success(), "{made:?}");
        (before, drained)
    })
}

#[test]
fn what_was_confirmed_before_a_backup_is_in_it() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, restored): (PathBuf, PathBuf) =
        (place.path().join("a.tar"), place.path().join("restored"));
    let mut broker = BrokerUnderTest::start();
    let (before, drained) = back_up_under_load(&broker, &file);
    assert!(!broker.data_directory().join("backup.tmp").exists(), "nothing is left of it");
    broker.kill();
    let made = restore(&file, &restored);
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8_lossy(&made.stdout).contains("sound"), "{made:?}");

    let mut other = BrokerUnderTest::stopped("", Some(&restored));
    other.start_again();
    let mut client = other.broker().connect();
    let kept: Vec<usize> = client.drain(KEPT).iter().map(|body| number(body)).collect();
    assert_eq!(kept, (0..kept.len()).collect::<Vec<_>>());
    assert!(kept.len() >= before, "{} of {before} are there", kept.len());
    let left = client.drain(DRAINED);
    assert!(left.iter().all(|body| number(body) >= drained), "what was settled is back");
    // Definitions, too.
    client.publish(&Message::to("way", "a.b").body("routed"));
    client.expect_count(KEPT, 1);
    assert_eq!(client.drain(KEPT), ["routed"]);
    client.close();
    other.assert_no_panic();
}

#[test]
fn what_is_no_whole_backup_is_refused_and_leaves_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, restored) = (place.path().join("a.tar"), place.path().join("restored"));
    let broker = BrokerUnderTest::start();
    declare(&broker.broker());
    broker.broker().connect().fill_persistent(KEPT, &["one", "two"]);
    assert!(back_up(&broker, &file).status.success());
    let whole = std::fs::read(&file).expect("it was written");
    let refused = |bytes: &[u8], why: &str| {
        let cut = place.path().join("b.tar");
        std::fs::write(&cut, bytes).expect("a file");
        let told = restore(&cut, &restored);
        let text = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.status.code(), Some(1), "{text}");
        assert!(text.contains(why), "{why:?} in {text:?}");
        let left: Vec<_> = std::fs::read_dir(place.path()).expect("it is there").collect();
        assert_eq!(left.len(), 2, "{left:?}");
    };
    for length in [0, 512, whole.len() / 2, whole.len() - 2048] {
        refused(&whole[..length], "cut short");
    }
    refused(&whole[..100], "no backup");
    refused(&b"hello".repeat(1000), "no backup");
    let changed: Vec<u8> =
        whole.iter().map(|byte| if *byte == b'w' { b'W' } else { *byte }).collect();
    let at = whole.windows(3).position(|three| three == b"two").expect("its body");
    let mut damaged = whole.clone();
    damaged[at..at + 3].copy_from_slice(&changed[at..at + 3]);
    refused(&damaged, "damaged");

    let told = restore(&file, place.path());
    assert!(String::from_utf8_lossy(&told.stderr).contains("is not empty"), "{told:?}");
    let told = back_up(&broker, Path::new("/no/such/place/a.tar"));
    assert_eq!(told.status.code(), Some(70), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stderr).contains("/no/such/place"), "{told:?}");
}
