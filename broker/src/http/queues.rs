//! `/api/queues`: listed, declared, deleted, purged.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::extract::{Path, State};
use leveret_protocol::methods::queue::Declare;
use leveret_protocol::types::RawTable;
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, put as put_answer};
use super::authorization::Visitor;
use super::consumers::age;
use super::lenient;
use super::listing::{Columns, Listing, Row, pick};
use super::ranges::Ranges;
use super::request::{Document, Query};
use super::standing::{Seen, Standing};
use super::statistics;
use crate::auth::rights::Permission;
use crate::clock;
use crate::definitions::json_arguments::to_json;
use crate::definitions::store::Durable;
use crate::names;
use crate::policy::{QueueType, definition_of};
use crate::queue::{Effects, Queue, QueueCounts};
use crate::session::declaring::{self, Acting};
use crate::vhost::Vhost;

/// A queue in a list. There may be many: what they have in common is not theirs.
#[derive(Clone)]
pub(super) struct QueueRow<'a> {
    pub(super) vhost: &'a Arc<Vhost>,
    pub(super) queue: Arc<Queue>,
    pub(super) parts: Parts,
    pub(super) ranges: &'a Ranges,
}

/// How much of a queue is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// What is there, with how much is going on.
    All,
    /// What is there, and how many messages it has.
    Totals,
    /// What is there.
    Standing,
}

impl Parts {
    /// As the query or the configuration says it.
    pub(super) fn of(management: &Management, query: &Query) -> Self {
        let settings = &management.settings;
        let disabled = settings.disable_stats || query.is_true("disable_stats");
        let totals = settings.enable_queue_totals || query.is_true("enable_queue_totals");
        match (disabled, totals) {
            (false, _) => Self::All,
            (true, true) => Self::Totals,
            (true, false) => Self::Standing,
        }
    }
}

impl Row for QueueRow<'_> {
    fn name(&self) -> &str {
        self.queue.name()
    }

    fn field(&self, path: &str) -> Value {
        let counts = || self.queue.counts();
        match path {
            "name" => self.queue.name().into(),
            "vhost" => self.vhost.name().into(),
            "messages" => (counts().ready + counts().unacked).into(),
            "messages_ready" => counts().ready.into(),
            "messages_unacknowledged" => counts().unacked.into(),
            "consumers" => counts().consumers.into(),
            "message_bytes" => counts().bytes.into(),
            "durable" => self.queue.settings().durable.into(),
            "type" => kind_name(&self.queue).into(),
            "memory" => counts().resident_bytes.into(),
            "messages_delayed" => counts().delayed.into(),
            // For sorting, the oldest and the worst first: what has none comes last.
            "ready_for_ms" => age(self.queue.truth().oldest_ready_ms),
            "unacknowledged_for_ms" => age(self.queue.truth().oldest_unacked_ms),
            "standing" => {
                let oldest_ready_ms = self.queue.truth().oldest_ready_ms;
                u8::from(self.stands(&counts(), oldest_ready_ms)).into()
            }
            _ => match statistics::rate_of_queue(&self.queue, path, self.ranges) {
                Some(rate) if self.parts == Parts::All => rate.into(),
                _ => pick(&self.render(), path),
            },
        }
    }

    fn render(&self) -> Value {
        let mut fields = self.standing();
        let counts = self.queue.counts();
        if self.parts != Parts::Standing {
            let lengths = (counts.ready, counts.unacked);
            fields.extend(statistics::queue_lengths(&self.queue, lengths, self.ranges));
        }
        if self.parts == Parts::All {
            self.going_on(&mut fields, &counts);
        }
        fields.into()
    }
}

fn kind_name(queue: &Queue) -> &'static str {
    match QueueType::of(&queue.settings().arguments) {
        QueueType::Classic => "classic",
        QueueType::Quorum => "quorum",
        QueueType::Stream => "stream",
    }
}

impl QueueRow<'_> {
    /// The order of queues where nobody says otherwise.
    pub(super) fn by_name(&self, other: &Self) -> Ordering {
        self.vhost.name().cmp(other.vhost.name()).then_with(|| self.name().cmp(other.name()))
    }

    /// What was declared, and what policies make of it.
    fn standing(&self) -> Map<String, Value> {
        let (queue, settings) = (&self.queue, self.queue.settings());
        let kind = kind_name(queue);
        let mut arguments = to_json(&queue.arguments());
        arguments.entry("x-queue-type").or_insert_with(|| kind.into());
        let policies = self.vhost.policies();
        let applied = policies.of_queue(queue.name(), QueueType::of(&settings.arguments));
        let name = |policy: Option<&crate::policy::Policy>| {
            policy.map_or(Value::Null, |policy| policy.name.as_str().into())
        };
        let pause = queue.paused();
        let mut fields = super::overview::object(json!({
            "name": queue.name(),
            "vhost": self.vhost.name(),
            "type": kind,
            "durable": settings.durable,
            "auto_delete": settings.auto_delete,
            "exclusive": settings.owner.is_some(),
            "internal": false,
            "internal_owner": false,
            "arguments": arguments,
            "node": names::node(),
            "state": "running",
            "policy": name(applied.policy),
            "operator_policy": name(applied.operator),
            "effective_policy_definition": definition_of(applied),
            "paused": {"consumers": pause.consumers, "publishers": pause.publishers},
        }));
        if kind == "quorum" {
            let (node, limit) = (names::node(), queue.truth().delivery_limit);
            fields.extend(super::overview::object(json!({
                "leader": node,
                "members": [node],
                "online": [node],
                "delivery_limit": limit.map_or(-1, i64::from),
            })));
        }
        fields
    }

    /// How it is doing.
    pub(super) fn stands(&self, counts: &QueueCounts, oldest_ready_ms: Option<u64>) -> Standing {
        let rate = "message_stats.deliver_get_details.rate";
        Standing::of(&Seen {
            pause: &self.queue.paused(),
            counts,
            delivered: statistics::rate_of_queue(&self.queue, rate, self.ranges).unwrap_or(0.0),
            oldest_ready_ms,
            now_ms: clock::unix_millis(),
        })
    }

    /// How much is in it and who uses it.
    fn going_on(&self, fields: &mut Map<String, Value>, counts: &QueueCounts) {
        let truth = self.queue.truth();
        let [exclusive, single] = self.queue.only_consumer();
        // Whether what is ready could be delivered at this moment.
        let capacity = u8::from(counts.consumers > 0 && counts.ready == 0);
        // A fraction for classic queues and a whole number for quorum queues, as RabbitMQ has it.
        let is_quorum = kind_name(&self.queue) == "quorum";
        let capacity = if is_quorum { json!(capacity) } else { json!(f64::from(capacity)) };
        let ready_bytes = counts.bytes.saturating_sub(counts.unacked_bytes);
        let more = json!({
            "consumers": counts.consumers,
            "consumer_capacity": capacity,
            "consumer_utilisation": capacity,
            "exclusive_consumer_tag": exclusive,
            "single_active_consumer_tag": single,
            "memory": counts.resident_bytes,
            "message_bytes": counts.bytes,
            "message_bytes_ready": ready_bytes,
            "message_bytes_unacknowledged": counts.unacked_bytes,
            "message_bytes_ram": counts.resident_bytes,
            "messages_delayed": counts.delayed,
            "messages_dlx": counts.kept,
            "head_message_timestamp": null,
            "storage_version": 2,
            "oldest_ready_ms": truth.oldest_ready_ms,
            "oldest_unacknowledged_ms": truth.oldest_unacked_ms,
            "message_stats": statistics::of_queue(&self.queue, &truth, self.ranges),
        });
        fields.extend(super::overview::object(more));
        fields.insert(
            "standing".to_owned(),
            self.stands(counts, truth.oldest_ready_ms).word().into(),
        );
        if is_quorum {
            // Whatever is in it is persistent, and no files are its own.
            fields.extend(super::overview::object(json!({
                "messages_persistent": counts.ready + counts.unacked,
                "message_bytes_persistent": counts.bytes,
                "open_files": {(names::node()): 0},
            })));
        }
    }
}

/// `GET /api/queues` and `/api/queues/detailed`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let vhosts = visitor.visible_vhosts(&management).await;
    list(&management, vhosts, &query).await
}

/// `GET /api/queues/VHOST`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    let vhost = visitor.visible_vhost(&management, &vhost).await?;
    list(&management, vec![vhost], &query).await
}

async fn list(management: &Management, vhosts: Vec<Arc<Vhost>>, query: &Query) -> Answer {
    let (listing, parts) = (Listing::of(query)?, Parts::of(management, query));
    let ranges = Ranges::of(management, query)?;
    let listed = blocking(move || {
        let mut rows = Vec::new();
        for vhost in &vhosts {
            let row = |queue| QueueRow { vhost, queue, parts, ranges: &ranges };
            rows.extend(vhost.queues().into_iter().map(row));
        }
        listing.list(rows, QueueRow::by_name)
    });
    Ok(json(&listed.await??))
}

/// `GET /api/users/USER/queues`: who declared a queue is not kept, so none is known to be somebody's.
pub(super) async fn of_user(_: super::authorization::Administrator, _: Path<String>) -> Answer {
    Ok(json(&json!([])))
}

/// `GET /api/queues/VHOST/QUEUE`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.vhost(&management, &vhost).await?;
    let queue = vhost.queue(&name).ok_or_else(Fault::not_found)?;
    let parts = Parts::of(&management, &query);
    let ranges = Ranges::of(&management, &query).map_err(Fault::without_word)?;
    let rendered = blocking(move || {
        let row = QueueRow { vhost: &vhost, queue, parts, ranges: &ranges };
        let mut rendered = row.render();
        if let Value::Object(fields) = &mut rendered {
            let consumers = super::consumers::of_queue(&management, row.vhost, &row.queue);
            let consumers: Vec<Value> = consumers.iter().map(Row::render).collect();
            fields.insert("consumer_details".to_owned(), consumers.into());
            fields.insert("incoming".to_owned(), json!([]));
            fields.insert("deliveries".to_owned(), json!([]));
            if let Some(owner) = row.queue.settings().owner {
                fields.insert("owner_pid_details".to_owned(), management.owner(owner));
            }
        }
        rendered
    });
    Ok(json(&Columns::of(&query).of_value(rendered.await?)))
}

/// `PUT /api/queues/VHOST/QUEUE`. Nobody can own a queue over HTTP: `exclusive` means nothing here, as on
/// RabbitMQ.
pub(super) async fn put(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = visitor.actor(&management, &vhost).await?;
    let durable = lenient::flag(&body, "durable")?.unwrap_or(false);
    let auto_delete = lenient::flag(&body, "auto_delete")?.unwrap_or(false);
    if let Some(node) = lenient::text(&body, "node")?.filter(|node| !node.is_empty()) {
        super::nodes::assert_node(&node)
            .map_err(|_| Fault::bad_request(format!("Node {node} is not a cluster member")))?;
    }
    let arguments = lenient::arguments(&body)?.to_bytes();
    let is_new = management.broker.vhost(&vhost).is_some_and(|it| it.queue(&name).is_none());
    let declared = actor.change(move |actor| {
        let declare = Declare {
            queue: &name,
            passive: false,
            durable,
            exclusive: false,
            auto_delete,
            no_wait: false,
            arguments: RawTable::new(&arguments),
        };
        declaring::declare_queue(actor, &declare, &name).map(|(_, durable)| ((), durable))
    });
    declared.await?;
    Ok(put_answer(is_new))
}

/// `DELETE /api/queues/VHOST/QUEUE`.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    there.queue(&name).ok_or_else(Fault::not_found)?;
    let actor = visitor.actor(&management, &vhost).await?;
    let conditions = (query.is_true("if-unused"), query.is_true("if-empty"));
    actor.change(move |actor| declaring::delete_queue(actor, &name, conditions)).await?;
    Ok(done())
}

/// `DELETE /api/queues/VHOST/QUEUE/contents`.
pub(super) async fn purge(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    there.queue(&name).ok_or_else(Fault::not_found)?;
    let actor = visitor.actor(&management, &vhost).await?;
    actor.assert(Permission::Read, &there.queue_name(&name), &name).await?;
    let purged = actor.change(move |actor| {
        let queue = actor.vhost().open_queue(&name, actor.connection())?;
        let mut effects = Effects::default();
        let count = queue.purge(&mut effects);
        effects.carry_out(queue.messages());
        let all = queue.messages().last();
        Ok((count, Durable::now().and_forgotten(queue.messages(), Some(all))))
    });
    purged.await?;
    Ok(done())
}

/// `POST /api/queues/VHOST/QUEUE/actions`: RabbitMQ has none left.
pub(super) async fn act(
    State(management): State<Arc<Management>>,
    super::authorization::Administrator(visitor): super::authorization::Administrator,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    there.queue(&name).ok_or_else(Fault::not_found)?;
    lenient::require(&body, &["action"])?;
    let action = body.get("action").cloned().unwrap_or_default();
    Err(Fault::bad_request(Value::Array(vec!["unknown".into(), action])))
}
