//! Clients that publish as fast as they are confirmed, with windows of all sizes, and clients that
//! publish in transactions. They go on until the broker ends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use leveret_tests::broker_under_test::Broker;
use leveret_tests::now;
use leveret_tests::raw_client::ReadEnd;
use leveret_tests::raw_client::method::tx;
use rand::Rng;
use rand::rngs::StdRng;

use crate::layout::{KEPT, QUEUES, Route};
use crate::link::Link;
use crate::record::{Sent, Transaction};
use crate::stamp::Stamp;

/// Messages that may be on their way at once.
const WINDOW_MAX: usize = 300;
/// Messages one publisher sends in one life at the most.
const SENT_MAX: usize = 20_000;
/// Messages of one transaction at the most.
const TRANSACTION_MAX: usize = 20;

/// Which stamps a publisher gives, and what it has published in all since the test began.
pub(crate) struct Publisher {
    pub(crate) number: u32,
    pub(crate) next: u64,
    pub(crate) random: StdRng,
}

impl Publisher {
    fn stamp(&mut self) -> Stamp {
        self.next += 1;
        Stamp { publisher: self.number, number: self.next }
    }

    fn route(&mut self) -> Route {
        match self.random.random_range(0..8) {
            0 => Route::Copies,
            1 => Route::Queue(KEPT),
            _ => Route::Queue(self.random.random_range(0..QUEUES.len())),
        }
    }

    /// Connects and turns confirms on.
    pub(crate) fn connect<'a>(broker: &Broker, is_ending: &'a AtomicBool) -> Link<'a> {
        let mut client = broker.connect();
        client.select_confirms();
        Link::over(client, is_ending)
    }

    /// Publishes until the connection ends; counts what is confirmed into `pulse` as it goes.
    pub(crate) fn publish(&mut self, mut link: Link<'_>, pulse: &AtomicU64) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut open = BTreeSet::new();
        while sent.len() < SENT_MAX {
            let window = self.random.random_range(1..=WINDOW_MAX);
            let fits = window.saturating_sub(open.len());
            if !self.send(&mut link, fits, &mut sent, &mut open) {
                return sent;
            }
            let floor = self.random.random_range(0..window);
            if !hear_confirms(&mut link, floor, &mut sent, &mut open, pulse) {
                return sent;
            }
        }
        if hear_confirms(&mut link, 0, &mut sent, &mut open, pulse) {
            wait_for_end(&mut link);
        }
        sent
    }

    /// Sends so many messages in one write.
    fn send(
        &mut self,
        link: &mut Link<'_>,
        count: usize,
        sent: &mut Vec<Sent>,
        open: &mut BTreeSet<u64>,
    ) -> bool {
        let sent_at = now();
        let mut bytes = Vec::new();
        for _ in 0..count {
            let (stamp, route) = (self.stamp(), self.route());
            bytes.extend(route.encode(stamp, link.frame_max()));
            sent.push(Sent { stamp, route, sent_at, confirmed_at: None });
            open.insert(sent.len() as u64);
        }
        link.say(&bytes)
    }

    /// Connects and makes the channel transactional.
    pub(crate) fn connect_transactional<'a>(
        broker: &Broker,
        is_ending: &'a AtomicBool,
    ) -> Link<'a> {
        let mut client = broker.connect();
        client.call(tx::select());
        Link::over(client, is_ending)
    }

    /// Publishes in transactions until the connection ends. Some are rolled back, and some have no
    /// end: neither kind is in what this returns, because nothing of it may ever be seen.
    pub(crate) fn transact(&mut self, mut link: Link<'_>) -> Vec<Transaction> {
        let mut transactions: Vec<Transaction> = Vec::new();
        for _ in 0..SENT_MAX / TRANSACTION_MAX {
            let count = self.random.random_range(1..=TRANSACTION_MAX);
            let messages: Vec<(Stamp, Route)> =
                (0..count).map(|_| (self.stamp(), self.route())).collect();
            let frame_max = link.frame_max();
            let encode = |(stamp, route): &(Stamp, Route)| route.encode(*stamp, frame_max);
            let bytes: Vec<u8> = messages.iter().flat_map(encode).collect();
            if !link.say(&bytes) {
                return transactions;
            }
            let commits = self.random.random_ratio(7, 8);
            if commits {
                transactions.push(Transaction { messages, committed_at: None });
            }
            let end = if commits { tx::commit() } else { tx::rollback() };
            let answer = if link.ask(&end) { link.answer() } else { None };
            let Some(answer) = answer else { return transactions };
            assert!(matches!(answer.id, tx::COMMIT_OK | tx::ROLLBACK_OK), "{answer}");
            if let Some(last) = transactions.last_mut().filter(|_| commits) {
                last.committed_at = Some(now());
            }
        }
        wait_for_end(&mut link);
        transactions
    }
}

/// Reads confirms until no more than `floor` are missing; false when the connection has ended.
fn hear_confirms(
    link: &mut Link<'_>,
    floor: usize,
    sent: &mut [Sent],
    open: &mut BTreeSet<u64>,
    pulse: &AtomicU64,
) -> bool {
    while open.len() > floor {
        let Some(reply) = link.answer() else { return false };
        let confirm = reply.confirm();
        let settled = confirm.settle(open);
        assert!(!settled.is_empty(), "a confirm of nothing: {confirm:?}");
        assert!(confirm.acked || link.is_ending(), "a publish was refused: {confirm:?}");
        let confirmed_at = confirm.acked.then(now);
        for number in &settled {
            let position = usize::try_from(number - 1).expect("few messages");
            sent[position].confirmed_at = confirmed_at;
        }
        pulse.fetch_add(settled.len() as u64, Ordering::Relaxed);
    }
    true
}

fn wait_for_end(link: &mut Link<'_>) {
    match link.listen() {
        Err(ReadEnd::Closed) => {}
        Err(ReadEnd::TimedOut) => panic!("the broker did not end in time"),
        Ok(reply) => panic!("nothing was asked, but {reply} came"),
    }
}
