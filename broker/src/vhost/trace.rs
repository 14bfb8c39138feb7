//! The firehose: a copy of every message that is published or delivered in a traced vhost.
//!
//! Whoever publishes or delivers notes it (`queue::taps`) while the vhost is traced; here the copies
//! are made and go to `amq.rabbitmq.trace` when effects are carried out, with no lock held. Bodies are
//! shared, not copied, from 4 KiB on. Stays true: copies are transient and nobody waits for them; of
//! what is noted in one step of work, what was published comes before its deliveries.
//!
//! See <https://www.rabbitmq.com/docs/firehose>. RabbitMQ forgets at its end which vhosts are traced;
//! here it is a part of their definition.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use leveret_protocol::properties::BasicProperties;
use leveret_protocol::types::{FieldTable, FieldValue, RawTable};
use leveret_storage::messages::Batch;

use super::Vhost;
use super::deduplicating::Sight;
use super::runs::{Runs, deliver, note_way};
use crate::definitions::command::{Access, Command};
use crate::definitions::records::VhostRecord;
use crate::definitions::store::Durable;
use crate::message::{Marks, Message};
use crate::names;
use crate::queue::taps::{Delivered, TRACE_EXCHANGE, Tap};
use crate::queue::{Effects, Queue};

/// The longest routing key, in bytes.
const KEY_MAX: usize = 255;

impl Vhost {
    /// Whether the firehose is told of what is published and delivered. Costs one load.
    #[inline]
    pub(crate) fn is_traced(&self) -> bool {
        self.is_traced.load(Ordering::Relaxed)
    }

    /// Turns the firehose on or off: connections notice with their next read, queues with their next
    /// deliveries. Returns when it is on disk.
    pub(crate) fn set_tracing(&self, is_traced: bool) -> Durable {
        let mut about = self.about.lock();
        if about.tracing == is_traced || about.is_leaving {
            return Durable::now();
        }
        about.tracing = is_traced;
        let proposal =
            self.definitions.propose(&[Command::Access(Access::PutVhost(about.clone()))]);
        self.is_traced.store(is_traced, Ordering::Relaxed);
        let (vhost, to) = (&self.name, if is_traced { "on" } else { "off" });
        tracing::info!("firehose of vhost '{vhost}' turned {to}");
        proposal.map(Durable::from).unwrap_or_default()
    }

    /// It is described like this from now on, which is proposed already.
    pub(crate) fn describe(&self, about: &VhostRecord) {
        let mut known = self.about.lock();
        *known = VhostRecord { tracing: known.tracing, ..about.clone() };
    }

    /// Tells of messages that were published, and where they went.
    pub(crate) fn tell_of_published(
        &self,
        published: &[(Tap, Vec<Arc<Queue>>)],
        effects: &mut Effects,
    ) {
        let mut copies = Copies::of(self);
        published.iter().for_each(|(tap, queues)| copies.published(tap, queues));
        copies.publish(effects);
    }

    /// Tells of messages that were delivered.
    pub(super) fn tell_of_delivered(&self, delivered: &Delivered, effects: &mut Effects) {
        let mut copies = Copies::of(self);
        let queue = &delivered.queue;
        delivered.taps.iter().for_each(|(tap, again)| copies.delivered(tap, queue, *again));
        copies.publish(effects);
    }
}

/// What goes to each queue.
struct Copies<'a> {
    vhost: &'a Vhost,
    stored: Batch,
    runs: Runs,
}

impl<'a> Copies<'a> {
    fn of(vhost: &'a Vhost) -> Self {
        Self { vhost, stored: Batch::default(), runs: Runs::default() }
    }

    fn publish(self, effects: &mut Effects) {
        let Self { mut stored, runs, .. } = self;
        for (target, run) in runs.into_values() {
            // What is full drops its copies: nobody waits for them.
            deliver(&target, run, &mut stored, effects, |_, _| {});
        }
        effects.move_as_one(stored);
    }

    fn published(&mut self, tap: &Tap, queues: &[Arc<Queue>]) {
        let exchange = String::from_utf8_lossy(tap.message.exchange());
        let routed = queues.iter().map(|queue| FieldValue::from(queue.name())).collect();
        let more = ("routed_queues", FieldValue::Array(routed));
        self.copy(tap, &format!("publish.{exchange}"), more);
    }

    fn delivered(&mut self, tap: &Tap, queue: &Queue, redelivered: bool) {
        let more = ("redelivered", FieldValue::I32(redelivered.into()));
        self.copy(tap, &format!("deliver.{}", queue.name()), more);
    }

    fn copy(&mut self, tap: &Tap, key: &str, more: (&str, FieldValue)) {
        let Some(exchange) = self.vhost.exchange(TRACE_EXCHANGE) else { return };
        let key = key.get(..key.floor_char_boundary(KEY_MAX)).unwrap_or(key);
        let headers = headers(self.vhost.name(), tap, more).to_bytes();
        let headers = Some(RawTable::new(&headers));
        let properties = BasicProperties { headers, ..BasicProperties::default() };
        let Some(copy) = tap.message.published_anew(TRACE_EXCHANGE, key, &properties) else {
            return;
        };
        let copy = copy.unmarked(Marks::PERSISTENT).with_priority(0);
        // No exchange takes it for the message that it is a copy of.
        let sight = Sight::As(&[]);
        let queues = self.vhost.route_made(&exchange, &copy, &[key], sight).queues;
        note_way(0, &copy, queues, &mut self.stored.publishes, &mut self.runs);
    }
}

/// RabbitMQ's headers, in its order.
fn headers(vhost: &str, tap: &Tap, more: (&str, FieldValue)) -> FieldTable {
    let message = &tap.message;
    let (name, user) =
        tap.connection.client().map_or(("", ""), |client| (&*client.name, &*client.user));
    let keys = message.shown_keys().into_iter().chain(message.hidden_keys());
    let keys = keys.map(|key| FieldValue::from(&*key)).collect();
    let mut headers = vec![
        ("channel", FieldValue::I32(tap.channel.into())),
        ("connection", name.into()),
        ("exchange_name", FieldValue::LongString(message.exchange().to_vec())),
        ("node", names::node().into()),
        ("properties", FieldValue::Table(properties(message))),
        ("routing_keys", FieldValue::Array(keys)),
        ("user", user.into()),
        ("vhost", vhost.into()),
        more,
    ];
    headers.sort_by_key(|(name, _)| *name);
    headers.into_iter().collect()
}

/// The properties as a table: last to first, numbers of 32 bits and long strings, as RabbitMQ has it.
fn properties(message: &Message) -> FieldTable {
    // They were read when it was published.
    let properties = BasicProperties::parse(message.properties()).unwrap_or_default();
    let text = |octets: Option<&[u8]>| octets.map(|octets| FieldValue::LongString(octets.to_vec()));
    let number = |octet: Option<u8>| octet.map(|octet| FieldValue::I32(octet.into()));
    let table = |table: RawTable<'_>| table.parse().ok().map(FieldValue::Table);
    #[expect(clippy::cast_possible_truncation, reason = "RabbitMQ's width, and how it cuts")]
    let time = properties.timestamp.map(|seconds| FieldValue::I32(seconds as i32));
    let all = [
        ("cluster_id", text(properties.cluster_id)),
        ("app_id", text(properties.app_id)),
        ("user_id", text(properties.user_id)),
        ("type", text(properties.message_type)),
        ("timestamp", time),
        ("message_id", text(properties.message_id)),
        ("expiration", text(properties.expiration)),
        ("reply_to", text(properties.reply_to)),
        ("correlation_id", text(properties.correlation_id)),
        ("priority", number(properties.priority)),
        ("delivery_mode", number(properties.delivery_mode)),
        ("headers", properties.headers.and_then(table)),
        ("content_encoding", text(properties.content_encoding)),
        ("content_type", text(properties.content_type)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
