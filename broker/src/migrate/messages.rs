//! The messages of one queue, from broker to broker, step by step.
//!
//! A room of `migrate`. A step: take some, put them into the queue together with how far it has come
//! (`progress`), and once that is on disk, let the other broker forget them. Stays true: see `migrate`.

use std::thread::sleep;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use leveret_bench::taking::{Taken, Taker};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::parcels::{STEP, STEP_BYTES, add, step};
use super::progress::{Progress, short};
use super::{Brokers, text};
use crate::ctl::client::{Sent, refusal, segment};
use crate::ctl::failure::Failed;
use crate::ctl::progress as shown;

/// Messages that are asked for at once at first: they may be large.
const ASKED_FIRST: usize = 8;
/// How long the broker to leave is given to notice that an earlier connection is gone, and how often it is
/// looked at: its list of connections is some seconds old.
const LOOKS: usize = 120;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What was moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// In all.
    pub messages: u64,
    /// Of them, those that an earlier run had moved.
    pub earlier: u64,
}

/// Moves all messages of a queue.
///
/// # Errors
/// One of the brokers does not answer or says no, or the queue has changed since it was begun.
pub(super) fn bring_over(
    brokers: &Brokers,
    amqp: &str,
    vhost: &str,
    queue: &str,
) -> Result<Moved, Failed> {
    let way = Way::new(brokers, vhost, queue);
    let begun = way.begun()?;
    if begun.is_some() {
        way.wait_for_an_earlier_connection()?;
    }
    let mut taker = Taker::open(amqp, vhost, &way.name).map_err(|error| way.stopped(&error))?;
    let outcome = way.go(&mut taker, begun);
    match outcome {
        Ok(moved) => {
            taker.close().map_err(|error| way.stopped(&error))?;
            way.forget()?;
            Ok(moved)
        }
        Err(failed) => Err(failed),
    }
}

/// From one queue to the other.
struct Way<'a> {
    brokers: &'a Brokers,
    vhost: &'a str,
    queue: &'a str,
    /// The queue in which it is written down how far it is, and what the connection is called.
    name: String,
}

impl<'a> Way<'a> {
    fn new(brokers: &'a Brokers, vhost: &'a str, queue: &'a str) -> Self {
        let sum = short(&Sha256::digest(format!("{vhost}\0{queue}")));
        Self { brokers, vhost, queue, name: format!("leveret.migrating.{sum}") }
    }

    fn stopped(&self, error: &dyn std::fmt::Display) -> Failed {
        Failed::refused(format!("taking messages from {}: {error}", self.brokers.source.server()))
    }

    fn place(&self) -> String {
        format!("/queues/{}/{}", segment(self.vhost), segment(&self.name))
    }

    /// How far an earlier run came.
    fn begun(&self) -> Result<Option<Progress>, Failed> {
        let path = format!("{}/messages?count=100", self.place());
        let answer = self.brokers.target.ask("GET", &path, None)?;
        if answer.status == 404 {
            return Ok(None);
        }
        if answer.status != 200 {
            return Err(refusal(&answer));
        }
        let page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let newest = page.get("messages").and_then(Value::as_array).and_then(|all| all.last());
        let Some(newest) = newest else { return Ok(None) };
        let written = match text(newest, "payload_encoding").as_str() {
            "base64" => STANDARD.decode(text(newest, "payload")).unwrap_or_default(),
            _ => text(newest, "payload").into_bytes(),
        };
        let read = serde_json::from_slice(&written);
        read.map(Some).map_err(|error| Failed::refused(format!("queue '{}': {error}", self.name)))
    }

    /// What an interrupted run had in hand is back in its queue only once its connection is gone.
    fn wait_for_an_earlier_connection(&self) -> Result<(), Failed> {
        for _ in 0..LOOKS {
            let connections = self.brokers.source.get("/connections")?;
            let is_ours = |one: &Value| {
                let given = one.get("client_properties").unwrap_or(&Value::Null);
                text(given, "connection_name") == self.name
            };
            if !connections.as_array().is_some_and(|all| all.iter().any(is_ours)) {
                // The queue hears of it a moment later.
                sleep(LOOK_EVERY);
                return Ok(());
            }
            sleep(LOOK_EVERY);
        }
        Err(Failed::refused("an earlier run is at it still, or its connection does not end"))
    }

    fn go(&self, taker: &mut Taker, begun: Option<Progress>) -> Result<Moved, Failed> {
        let left = taker.waiting(self.queue).map_err(|error| self.stopped(&error))?;
        let mut progress = match begun {
            Some(begun) => begun,
            None if left == 0 => return Ok(Moved { messages: 0, earlier: 0 }),
            None => self.begin(left)?,
        };
        let earlier = progress.moved;
        self.pass_over(taker, &progress, left)?;
        let mut bar = shown::Progress::new(format!("moving '{}'", self.queue));
        let mut at_once = ASKED_FIRST;
        loop {
            let mut taken: Vec<Taken> = Vec::new();
            let mut bytes = 0;
            while taken.len() < STEP && bytes < STEP_BYTES {
                let most = at_once.min(STEP - taken.len());
                let more = taker.take(self.queue, most).map_err(|error| self.stopped(&error))?;
                let is_all = more.len() < most;
                bytes += more.iter().map(|message| message.body.len()).sum::<usize>();
                taken.extend(more);
                if is_all {
                    break;
                }
                let each = bytes / taken.len().max(1);
                at_once = (STEP_BYTES / 2 / each.max(1)).clamp(1, STEP);
            }
            if taken.is_empty() {
                return Ok(Moved { messages: progress.moved, earlier });
            }
            let mut rest = taken.as_slice();
            while !rest.is_empty() {
                let some = step(rest);
                progress = self.put(some, &progress)?;
                let last = some.last().map_or(0, |message| message.delivery_tag);
                taker.settle(last).map_err(|error| self.stopped(&error))?;
                rest = rest.get(some.len()..).unwrap_or_default();
                bar.tell(progress.moved, Some(progress.total), |count| count.to_string());
            }
        }
    }

    /// Writes down how much there is to move.
    fn begin(&self, total: u64) -> Result<Progress, Failed> {
        let declared = json!({"durable": true, "arguments": {"x-max-length": 1}});
        match self.brokers.target.send("PUT", &self.place(), Some(&declared))? {
            Sent::Done(_) => {}
            Sent::Missing(reason) => return Err(Failed::refused(reason)),
        }
        let progress = Progress { total, ..Progress::default() };
        self.put(&[], &progress)
    }

    /// Lets the other broker forget what is here already.
    fn pass_over(&self, taker: &mut Taker, progress: &Progress, left: u64) -> Result<(), Failed> {
        let first = taker.take(self.queue, progress.last.len());
        let first = first.map_err(|error| self.stopped(&error))?;
        let overlap = progress.overlap(left, &first, &self.name);
        let overlap = overlap.map_err(|changed| Failed::refused(changed.to_string()))?;
        let (over, back) = first.split_at_checked(overlap).unwrap_or_default();
        if let Some(last) = over.last() {
            taker.settle(last.delivery_tag).map_err(|error| self.stopped(&error))?;
        }
        if let Some(last) = back.last() {
            taker.put_back(last.delivery_tag).map_err(|error| self.stopped(&error))?;
        }
        Ok(())
    }

    /// Puts messages into the queue, and beside them how far it has come.
    fn put(&self, some: &[Taken], progress: &Progress) -> Result<Progress, Failed> {
        let reached = progress.and(some);
        let refused = self.send(some, &reached)?;
        let Some(first) = refused.first().copied() else { return Ok(reached) };
        // What is written down says that all are there, and those before the first are.
        self.send(&[], &progress.and(some.get(..first).unwrap_or_default()))?;
        let twice = match some.len().saturating_sub(first + refused.len()) {
            0 => String::new(),
            count => format!("; {count} behind them went over, and will again"),
        };
        Err(Failed::refused(format!(
            "the queue at the new broker is full: it did not take {} messages, which are where they were{twice}",
            refused.len()
        )))
    }

    /// Which of them the queue did not take.
    fn send(&self, some: &[Taken], progress: &Progress) -> Result<Vec<usize>, Failed> {
        let mut body = Vec::new();
        let written = Taken {
            delivery_tag: 0,
            redelivered: false,
            exchange: String::new(),
            routing_key: self.name.clone(),
            // Persistent, and nothing else.
            properties: vec![0x10, 0, 2],
            body: serde_json::to_vec(progress).unwrap_or_default(),
        };
        let are_there = some.iter().all(|message| add(&mut body, self.queue, message))
            && add(&mut body, &self.name, &written);
        if !are_there {
            return Err(Failed::refused("a message has a name that AMQP does not have"));
        }
        let path = format!("/vhosts/{}/messages", segment(self.vhost));
        let answer = self.brokers.target.ask("POST", &path, Some(&body))?;
        if answer.status != 200 {
            return Err(refusal(&answer));
        }
        let became: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let refused = became.get("refused").and_then(Value::as_array).into_iter().flatten();
        let places = refused.filter_map(Value::as_u64).map(usize::try_from);
        Ok(places.flatten().collect())
    }

    /// Removes what was written down.
    fn forget(&self) -> Result<(), Failed> {
        self.brokers.target.send("DELETE", &self.place(), None).map(drop)
    }
}
