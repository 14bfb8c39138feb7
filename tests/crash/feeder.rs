//! A publisher that goes one message at a time and hears everything the broker says about it:
//! confirms, refusals, that it is blocked.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::deadline::{Deadline, TO_RUN};
use leveret_tests::now;
use leveret_tests::raw_client::method::connection;
use leveret_tests::raw_client::reply::Reply;

use crate::layout::Route;
use crate::link::Link;
use crate::publisher::Publisher;
use crate::record::Sent;
use crate::stamp::Stamp;

/// What a message or the publisher was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Confirmed,
    Refused,
    Blocked,
    Unblocked,
}

/// The broker does not end while a feeder is connected.
static NEVER: AtomicBool = AtomicBool::new(false);

/// See the module documentation.
pub(crate) struct Feeder {
    link: Link<'static>,
    publisher: u32,
    route: Route,
    open: BTreeSet<u64>,
    /// All that was published.
    pub(crate) sent: Vec<Sent>,
}

impl Feeder {
    /// Connects as this publisher, which has published nothing before.
    pub(crate) fn connect(broker: &Broker, publisher: u32, route: Route) -> Self {
        let link = Publisher::connect(broker, &NEVER);
        Self { link, publisher, route, open: BTreeSet::new(), sent: Vec::new() }
    }

    /// How many messages are neither confirmed nor refused.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// Publishes the next message.
    pub(crate) fn publish(&mut self) {
        let stamp = Stamp { publisher: self.publisher, number: self.sent.len() as u64 + 1 };
        let (route, sent_at) = (self.route, now());
        self.sent.push(Sent { stamp, route, sent_at, confirmed_at: None });
        self.open.insert(stamp.number);
        let bytes = route.encode(stamp, self.link.frame_max());
        self.link.say(&bytes);
    }

    /// Publishes so many messages and waits until all are confirmed.
    pub(crate) fn publish_confirmed(&mut self, count: usize) {
        (0..count).for_each(|_| self.publish());
        let deadline = Deadline::within("the confirms of what was fed", TO_RUN);
        while self.open() > 0 {
            assert_eq!(self.hear(), Said::Confirmed);
            deadline.check();
        }
    }

    /// Publishes one message, waits until nothing is open, and tells whether it was confirmed.
    pub(crate) fn is_stored_again(&mut self) -> bool {
        self.publish();
        let deadline = Deadline::of("an answer to everything that was fed");
        while self.open() > 0 {
            self.hear();
            deadline.check();
        }
        self.sent.last().is_some_and(|sent| sent.confirmed_at.is_some())
    }

    /// Waits for the next thing that the broker says.
    pub(crate) fn hear(&mut self) -> Said {
        let reply = self.link.answer().expect("the connection stays open");
        match reply.id {
            connection::BLOCKED => Said::Blocked,
            connection::UNBLOCKED => Said::Unblocked,
            _ => self.hear_confirm(&reply),
        }
    }

    fn hear_confirm(&mut self, reply: &Reply) -> Said {
        let confirm = reply.confirm();
        let settled = confirm.settle(&mut self.open);
        assert!(!settled.is_empty(), "a confirm of nothing: {confirm:?}");
        if !confirm.acked {
            return Said::Refused;
        }
        for number in settled {
            self.sent[usize::try_from(number - 1).expect("few messages")].confirmed_at =
                Some(now());
        }
        Said::Confirmed
    }
}
