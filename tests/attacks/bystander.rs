//! A client that does the same all the time: publishes with confirms, consumes and acknowledges 200
//! messages a second, and notes how long each takes from when it was due to when it was back.
//!
//! A message that could not be sent in time counts from when it should have been: who is held up for
//! a second notes 200 late messages, not one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::deadline::{Deadline, join, let_pass};
use leveret_tests::now;
use leveret_tests::raw_client::method::{basic, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

/// Between two messages.
const EVERY: Duration = Duration::from_millis(5);
/// The phase in which it ends.
const OVER: usize = usize::MAX;

/// See the module documentation.
pub(crate) struct Bystander {
    phase: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<(usize, Duration)>>,
}

/// How long its messages took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lateness {
    pub(crate) messages: usize,
    pub(crate) p99: Duration,
    pub(crate) longest: Duration,
}

impl Bystander {
    /// Begins in phase 0.
    pub(crate) fn start(broker: &Broker) -> Self {
        let mut client = broker.connect();
        client.call(queue::declare("bystander").with(Flag::Exclusive));
        client.select_confirms();
        client.call(basic::consume("bystander", "bystander"));
        let phase = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&phase);
        let thread = std::thread::spawn(move || stand_by(client, &seen));
        Self { phase, thread }
    }

    /// What is measured from here on belongs to this phase.
    pub(crate) fn enter(&self, phase: usize) {
        self.phase.store(phase, Ordering::Relaxed);
    }

    /// Ends it; how late it was in phase 0, 1 and so on.
    pub(crate) fn end(self, phases: usize) -> Vec<Lateness> {
        self.enter(OVER);
        let samples = join("the bystander's last message", self.thread);
        (0..phases).map(|phase| Lateness::of(phase, &samples)).collect()
    }
}

impl Lateness {
    fn of(phase: usize, samples: &[(usize, Duration)]) -> Self {
        let of_phase = samples.iter().filter(|(of, _)| *of == phase);
        let mut took: Vec<_> = of_phase.map(|(_, took)| *took).collect();
        took.sort_unstable();
        let longest = *took.last().expect("the bystander was there in every phase");
        Self { messages: took.len(), p99: took[took.len() * 99 / 100], longest }
    }
}

/// Every message comes back in its turn, and is confirmed.
fn stand_by(mut client: RawClient, phase: &AtomicUsize) -> Vec<(usize, Duration)> {
    let mut samples = Vec::new();
    let started = now();
    for number in 0_u32.. {
        let due = started + EVERY * number;
        let_pass(due.saturating_duration_since(now()));
        let of = phase.load(Ordering::Relaxed);
        if of == OVER {
            break;
        }
        let body = number.to_string();
        client.publish(&Message::to_queue("bystander").body(&body));
        let mut is_confirmed = false;
        let mut delivered = None;
        let deadline = Deadline::of("the bystander's message");
        while !is_confirmed || delivered.is_none() {
            deadline.check();
            let reply = client.expect_any();
            match reply.id {
                basic::ACK => is_confirmed = true,
                _ => delivered = Some(reply.delivery()),
            }
        }
        let delivery = delivered.expect("it was");
        assert_eq!(delivery.text(), body, "nothing of the bystander's is lost or comes twice");
        client.send(basic::ack(delivery.delivery_tag));
        samples.push((of, due.elapsed()));
    }
    client.close();
    samples
}
