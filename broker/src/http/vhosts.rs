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
}

impl VhostRow {
    fn new(vhost: Arc<Vhost>) -> Self {
        let about = vhost.about();
        Self { vhost, about }
    }
}

impl Row for VhostRow {
    fn name(&self) -> &str {
        &self.about.name
    }

    fn field(&self, path: &str) -> Value {
        match path {
            "name" => self.about.name.as_str().into(),
            _ => super::listing::pick(&self.render(), path),
        }
    }

    fn render(&self) -> Value {
        let about = &self.about;
        let queue_type = about.default_queue_type.as_deref().unwrap_or("classic");
        let mut totals = QueueTotals::default();
        self.vhost.queues().iter().for_each(|queue| totals.add(queue));
        let mut fields = totals.fields();
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
    let listing = Listing::of(&query)?;
    let listed = blocking(move || {
        let rows = vhosts.into_iter().map(VhostRow::new).collect();
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
    let rendered = blocking(move || VhostRow::new(vhost).render()).await?;
    Ok(json(&Columns::of(&query).of_value(rendered)))
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
