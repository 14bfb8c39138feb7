//! `/api/vhosts`: listed, made, described, protected, deleted.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, put as put_answer, stored};
use super::authorization::{Administrator, Visitor};
use super::lenient;
use super::listing::{Columns, Listing, Row};
use super::nodes::assert_node;
use super::ranges::Ranges;
use super::request::{Document, Query};
use super::statistics::QueueTotals;
use crate::broker::access::{Refused, VhostDraft};
use crate::definitions::records::VhostRecord;
use crate::names;
use crate::vhost::Vhost;

/// A vhost in a list.
struct VhostRow {
    vhost: Arc<Vhost>,
    about: VhostRecord,
    ranges: Ranges,
    /// Whether anybody wants to know what goes on in it: that takes a look at each of its queues.
    counts: bool,
}

/// What is known of a vhost without a look at its queues.
const DESCRIBED: [&str; 8] = [
    "name",
    "description",
    "tags",
    "default_queue_type",
    "metadata",
    "protected_from_deletion",
    "tracing",
    "cluster_state",
];

impl VhostRow {
    fn new(vhost: Arc<Vhost>, ranges: Ranges, columns: &Columns) -> Self {
        let about = vhost.about();
        Self { vhost, about, ranges, counts: columns.want_more_than(&DESCRIBED) }
    }

    /// What goes on in it.
    fn going_on(&self) -> Map<String, Value> {
        let mut totals = QueueTotals::default();
        totals.add_vhost(&self.vhost);
        let Ranges { lengths, msg_rates, data_rates, ticks, .. } = &self.ranges;
        let sampled = |range: &Option<_>| self.vhost.sampled(range.as_ref(), ticks);
        let mut fields = totals.lengths(&sampled(lengths));
        fields.extend(totals.octets(&sampled(data_rates)));
        let stats = totals.message_stats(&sampled(msg_rates));
        fields.insert("message_stats".to_owned(), stats);
        fields
    }
}

impl Row for VhostRow {
    fn name(&self) -> &str {
        &self.about.name
    }

    fn field(&self, path: &str) -> Value {
        match path {
            "name" => self.about.name.as_str().into(),
            _ => super::listing::pick(&self.rendered(true), path),
        }
    }

    fn render(&self) -> Value {
        self.rendered(self.counts)
    }
}

impl VhostRow {
    fn rendered(&self, counts: bool) -> Value {
        let about = &self.about;
        let queue_type = about.default_queue_type.as_deref().unwrap_or("classic");
        let mut fields = if counts { self.going_on() } else { Map::new() };
        let node = Map::from_iter([(names::node().to_owned(), "running".into())]);
        let Value::Object(described) = json!({
            "name": about.name,
            "description": about.description,
            "tags": about.tags,
            "default_queue_type": queue_type,
            "metadata": {
                "description": about.description,
                "tags": about.tags,
                "default_queue_type": queue_type,
            },
            "protected_from_deletion": about.protected_from_deletion,
            "tracing": about.tracing,
            "cluster_state": node,
        }) else {
            return Value::Null;
        };
        fields.extend(described);
        fields.into()
    }
}

/// `GET /api/vhosts`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let vhosts = visitor.visible_vhosts(&management).await;
    let (listing, ranges) = (Listing::of(&query)?, Ranges::of(&management, &query)?);
    let columns = Columns::of(&query);
    let listed = blocking(move || {
        let row = |vhost| VhostRow::new(vhost, ranges, &columns);
        let rows = vhosts.into_iter().map(row).collect();
        listing.list(rows, |one: &VhostRow, other| one.about.name.cmp(&other.about.name))
    });
    Ok(json(&listed.await??))
}

/// `GET /api/vhosts/VHOST`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(name): Path<String>,
    query: Query,
) -> Answer {
    let vhost = management.broker.vhost(&name).ok_or_else(Fault::not_found)?;
    let ranges = Ranges::of(&management, &query).map_err(Fault::without_word)?;
    let columns = Columns::of(&query);
    let rendered = blocking(move || {
        let rendered = VhostRow::new(vhost, ranges, &columns).render();
        columns.of_value(rendered)
    });
    Ok(json(&rendered.await?))
}

/// `PUT /api/vhosts/VHOST`. RabbitMQ: what the body does not say of description, tags and type is
/// nothing from now on, also of a vhost that is there.
pub(super) async fn put(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path(name): Path<String>,
    Document(body): Document,
) -> Answer {
    let draft = VhostDraft {
        description: Some(lenient::text(&body, "description")?.unwrap_or_default()),
        tags: Some(lenient::words(&body, "tags")?.unwrap_or_default()),
        default_queue_type: Some(lenient::text(&body, "default_queue_type")?.unwrap_or_default()),
        protected_from_deletion: None,
        tracing: lenient::flag(&body, "tracing")?,
    };
    let made = blocking(move || management.broker.put_vhost(visitor.by(), &name, &draft));
    let (is_new, durable) = made.await??;
    stored(durable).await?;
    Ok(put_answer(is_new))
}

/// `DELETE /api/vhosts/VHOST`: answered when nothing of it is left.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path(name): Path<String>,
) -> Answer {
    if management.broker.vhost(&name).is_none() {
        return Err(Fault::not_found());
    }
    // Begun on a task of the runtime: what goes on beyond it is one.
    let begun = tokio::spawn(async move { management.broker.delete_vhost(visitor.by(), &name) });
    let begun = begun.await.map_err(|error| Fault::internal(&error.to_string()))?;
    stored(begun?).await?;
    Ok(done())
}

/// `POST /api/vhosts/VHOST/deletion/protection`.
pub(super) async fn protect(
    state: State<Arc<Management>>,
    visitor: Administrator,
    name: Path<String>,
) -> Answer {
    set_protection(state, visitor, name, true).await
}

/// `DELETE /api/vhosts/VHOST/deletion/protection`.
pub(super) async fn unprotect(
    state: State<Arc<Management>>,
    visitor: Administrator,
    name: Path<String>,
) -> Answer {
    set_protection(state, visitor, name, false).await
}

async fn set_protection(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path(name): Path<String>,
    is_protected: bool,
) -> Answer {
    let draft = VhostDraft { protected_from_deletion: Some(is_protected), ..VhostDraft::default() };
    let set = blocking(move || {
        management.broker.update_vhost(visitor.by(), &name, &draft).map_err(|refused| {
            let change = if is_protected { "enable" } else { "disable" };
            match refused {
                Refused::NoSuchVhost(name) => Fault::missing(&format!(
                    "Cannot {change} deletion protection of virtual host '{name}' because it does \
                     not exist"
                )),
                refused => refused.into(),
            }
        })
    });
    stored(set.await??).await?;
    Ok(done())
}

/// `POST /api/vhosts/VHOST/start/NODE`: a vhost that is there runs.
pub(super) async fn start(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path((name, node)): Path<(String, String)>,
) -> Answer {
    management.broker.vhost(&name).ok_or_else(Fault::not_found)?;
    assert_node(&node).map_err(|_| Fault::bad_request(format!("Unknown node: {node}")))?;
    Ok(done())
}
