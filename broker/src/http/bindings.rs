//! `/api/bindings`: listed, made, undone.
//!
//! A binding is named in a path by its properties key: its routing key, and of its arguments a hash that
//! says nothing else. Stays true: the same binding has the same properties key, also after a restart.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leveret_protocol::types::FieldTable;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Management;
use super::answer::{Answer, Fault, blocking, created_at, done, json};
use super::authorization::Visitor;
use super::lenient;
use super::listing::{Listing, Row, pick};
use super::request::{Document, Query, decoded, named};
use crate::definitions::json_arguments::to_json;
use crate::definitions::records::{BindingRecord, DestinationKind};
use crate::session::declaring::{self, Acting};
use crate::vhost::Vhost;
use crate::vhost::bindings::Ends;
use crate::vhost::destination::{Destination, Exchange};

/// Octets of the hash of arguments: it tells the bindings between two ends with one routing key apart.
const HASH_SIZE: usize = 6;

/// A binding in a list.
pub(super) struct BindingRow {
    pub(super) record: BindingRecord,
}

impl Row for BindingRow {
    fn name(&self) -> &str {
        &self.record.destination
    }

    fn field(&self, path: &str) -> Value {
        match path {
            "source" => self.record.source.as_str().into(),
            "destination" => self.record.destination.as_str().into(),
            "routing_key" => self.record.routing_key.as_str().into(),
            "vhost" => self.record.vhost.as_str().into(),
            _ => pick(&self.render(), path),
        }
    }

    fn render(&self) -> Value {
        let BindingRecord { vhost, source, destination_kind, destination, routing_key, arguments } =
            &self.record;
        json!({
            "source": source,
            "vhost": vhost,
            "destination": destination,
            "destination_type": kind_name(*destination_kind),
            "routing_key": routing_key,
            "arguments": to_json(arguments),
            "properties_key": properties_key(routing_key, arguments),
        })
    }
}

const fn kind_name(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Queue => "queue",
        DestinationKind::Exchange => "exchange",
    }
}

/// How bindings are sorted.
pub(super) fn order(one: &BindingRow, other: &BindingRow) -> Ordering {
    let key = |row: &BindingRow| {
        let BindingRecord { vhost, source, destination_kind, destination, routing_key, .. } =
            &row.record;
        let kind = kind_name(*destination_kind);
        (vhost.clone(), source.clone(), kind, destination.clone(), routing_key.clone())
    };
    let arguments = |row: &BindingRow| row.record.arguments.to_bytes();
    key(one).cmp(&key(other)).then_with(|| arguments(one).cmp(&arguments(other)))
}

/// What names a binding in a path.
fn properties_key(routing_key: &str, arguments: &FieldTable) -> String {
    if arguments.is_empty() {
        return if routing_key.is_empty() { "~".to_owned() } else { quoted(routing_key) };
    }
    let digest = Sha256::digest(arguments.to_bytes());
    let hash = digest.get(..HASH_SIZE).unwrap_or_default();
    format!("{}~{}", quoted(routing_key), URL_SAFE_NO_PAD.encode(hash))
}

/// Whether a binding is meant by what stands in a path. The routing key may be there as it is, too.
fn is_named(binding: &BindingRecord, key: &str) -> bool {
    let (routing_key, hash) = key.split_once('~').unwrap_or((key, ""));
    let own = properties_key(&binding.routing_key, &binding.arguments);
    let (_, own_hash) = own.split_once('~').unwrap_or_default();
    decoded(routing_key) == binding.routing_key && hash == own_hash
}

/// As forms encode it, `~` as well.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => quoted.push('+'),
            b'-' | b'.' | b'_' => quoted.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => quoted.push(char::from(byte)),
            byte => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}

/// What leads away from an exchange. From the default one, every queue by its name.
pub(super) fn outgoing(vhost: &Vhost, exchange: &Exchange) -> Vec<BindingRow> {
    if exchange.name().is_empty() {
        let queues = vhost.queues();
        return queues.iter().map(|queue| by_name(vhost, queue.name())).collect();
    }
    let records = vhost.bindings_from(exchange, |_| true);
    records.into_iter().map(|record| BindingRow { record }).collect()
}

/// Every queue is bound to the default exchange by its name.
fn by_name(vhost: &Vhost, queue: &str) -> BindingRow {
    let record = BindingRecord {
        vhost: vhost.name().to_owned(),
        source: String::new(),
        destination_kind: DestinationKind::Queue,
        destination: queue.to_owned(),
        routing_key: queue.to_owned(),
        arguments: FieldTable::new(),
    };
    BindingRow { record }
}

/// What leads to a queue or an exchange.
pub(super) fn incoming(vhost: &Vhost, kind: DestinationKind, name: &str) -> Vec<BindingRow> {
    let leads_there = |destination: &Destination| match destination {
        Destination::Queue(queue) => kind == DestinationKind::Queue && queue.name() == name,
        Destination::Exchange(exchange) => {
            kind == DestinationKind::Exchange && exchange.name() == name
        }
    };
    let mut rows = Vec::new();
    if kind == DestinationKind::Queue {
        rows.push(by_name(vhost, name));
    }
    for exchange in vhost.exchanges() {
        let records = vhost.bindings_from(&exchange, leads_there).into_iter();
        rows.extend(records.map(|record| BindingRow { record }));
    }
    rows
}

fn all_of(vhost: &Vhost) -> Vec<BindingRow> {
    let exchanges = vhost.exchanges().into_iter().chain(vhost.exchange(""));
    exchanges.flat_map(|exchange| outgoing(vhost, &exchange)).collect()
}

/// `GET /api/bindings`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let vhosts = visitor.visible_vhosts(&management).await;
    list(&query, move || vhosts.iter().flat_map(|vhost| all_of(vhost)).collect()).await
}

/// `GET /api/bindings/VHOST`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    let vhost = visitor.visible_vhost(&management, &vhost).await?;
    list(&query, move || all_of(&vhost)).await
}

/// `GET /api/queues/VHOST/QUEUE/bindings`.
pub(super) async fn of_queue(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, queue)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.vhost(&management, &vhost).await?;
    vhost.queue(&queue).ok_or_else(Fault::not_found)?;
    list(&query, move || incoming(&vhost, DestinationKind::Queue, &queue)).await
}

async fn list(query: &Query, rows: impl FnOnce() -> Vec<BindingRow> + Send + 'static) -> Answer {
    let listing = Listing::of(query)?;
    let listed = blocking(move || listing.list(rows(), order));
    Ok(json(&listed.await??))
}

/// The ends of bindings that a path names.
struct Between {
    vhost: Arc<Vhost>,
    source: String,
    kind: DestinationKind,
    destination: String,
}

impl Between {
    async fn of(
        management: &Management,
        visitor: &Visitor,
        (vhost, source, kind, destination): (String, String, String, String),
    ) -> Result<Self, Fault> {
        let kind = match kind.as_str() {
            "q" => DestinationKind::Queue,
            "e" => DestinationKind::Exchange,
            _ => return Err(Fault::not_found()),
        };
        let vhost = visitor.vhost(management, &vhost).await?;
        let source = named(&source).to_owned();
        let destination = match kind {
            DestinationKind::Queue => destination,
            DestinationKind::Exchange => named(&destination).to_owned(),
        };
        Ok(Self { vhost, source, kind, destination })
    }

    fn all(&self) -> Vec<BindingRow> {
        let all = incoming(&self.vhost, self.kind, &self.destination).into_iter();
        let is_there = match self.kind {
            DestinationKind::Queue => self.vhost.queue(&self.destination).is_some(),
            DestinationKind::Exchange => self.vhost.exchange(&self.destination).is_some(),
        };
        all.filter(|row| is_there && row.record.source == self.source).collect()
    }

    fn one(&self, key: &str) -> Option<BindingRow> {
        let is_it = |row: &BindingRow| is_named(&row.record, key);
        self.all().into_iter().find(is_it)
    }
}

/// `GET /api/bindings/VHOST/e/SOURCE/q/DESTINATION`, or `e` in place of `q`.
pub(super) async fn between(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(path): Path<(String, String, String, String)>,
    query: Query,
) -> Answer {
    let between = Between::of(&management, &visitor, path).await?;
    list(&query, move || between.all()).await
}

/// `POST` there: binds, and says where the binding is.
pub(super) async fn bind(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path(path): Path<(String, String, String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = visitor.actor(&management, &path.0).await?;
    let Between { source, kind, destination, .. } =
        Between::of(&management, &visitor, path).await?;
    let routing_key = lenient::text(&body, "routing_key")?.unwrap_or_default();
    let arguments = lenient::arguments(&body)?;
    let key = properties_key(&routing_key, &arguments);
    let location = format!("{}/{}", quoted(&destination), quoted(&key).replace("%7E", "~"));
    let bound = actor.change(move |actor| {
        let ends = Ends { source: &source, kind, destination: &destination };
        let (missed, durable) = declaring::bind(actor, ends, &routing_key, arguments.clone())?;
        Ok(((), actor.vhost().catch_up(missed, durable)))
    });
    bound.await?;
    Ok(created_at(&location))
}

/// `GET /api/bindings/VHOST/e/SOURCE/q/DESTINATION/KEY`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, source, kind, destination, key)): Path<(String, String, String, String, String)>,
) -> Answer {
    let path = (vhost, source, kind, destination);
    let between = Between::of(&management, &visitor, path).await?;
    let found = blocking(move || between.one(&key)).await?.ok_or_else(Fault::not_found)?;
    Ok(json(&found.render()))
}

/// `DELETE` there.
pub(super) async fn unbind(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, source, kind, destination, key)): Path<(String, String, String, String, String)>,
) -> Answer {
    let actor = visitor.actor(&management, &vhost).await?;
    let path = (vhost, source, kind, destination);
    let between = Between::of(&management, &visitor, path).await?;
    let found = blocking(move || between.one(&key)).await?.ok_or_else(Fault::not_found)?;
    let unbound = actor.change(move |actor| {
        let BindingRecord { source, destination_kind, destination, routing_key, arguments, .. } =
            &found.record;
        let ends = Ends { source, kind: *destination_kind, destination };
        declaring::unbind(actor, ends, routing_key, arguments)
    });
    unbound.await?;
    Ok(done())
}

#[cfg(test)]
mod tests {
    use leveret_protocol::types::FieldValue;

    use super::*;

    #[test]
    fn a_properties_key_is_the_routing_key_and_a_hash_of_arguments() {
        let none = FieldTable::new();
        assert_eq!(properties_key("", &none), "~");
        assert_eq!(properties_key("a.b", &none), "a.b");
        assert_eq!(properties_key("with space ~/%", &none), "with+space+%7E%2F%25");
        let with = |number| -> FieldTable {
            [("x".to_owned(), FieldValue::I64(number))].into_iter().collect()
        };
        let key = properties_key("a", &with(1));
        assert!(key.starts_with("a~") && key.len() == 10, "{key}");
        assert_ne!(key, properties_key("a", &with(2)));
        assert_eq!(properties_key("", &with(1)), key.trim_start_matches('a'));
    }
}
