//! `/api/exchanges/VHOST/EXCHANGE/route`: where a message would go, hop by hop. Ours.
//!
//! Who may see the vhost may ask: its bindings say the same. Stays true: nothing is published.

use std::sync::Arc;

use axum::extract::{Path, State};
use leveret_protocol::properties::BasicProperties;
use serde_json::{Map, Value, json};

use super::Management;
use super::acting::with_code;
use super::answer::{Answer, Fault, blocking, json};
use super::authorization::Visitor;
use super::bindings::BindingRow;
use super::lenient;
use super::listing::Row;
use super::messages::Properties;
use super::request::{Document, named};
use super::selecting::known_only;
use crate::error::AmqpError;
use crate::message::asks_for_delay;
use crate::session::channel::message_properties::{self, Checked};
use crate::vhost::route_plan::{Hop, Plan, Via};
use crate::vhost::routing::Routed;

/// `POST /api/exchanges/VHOST/EXCHANGE/route`: `{"routing_key": …, "headers": {…}, "properties": {…}}`.
pub(super) async fn plan(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(mut body): Document,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    let exchange = there.exchange(named(&name)).ok_or_else(Fault::not_found)?;
    known_only(&body, |name| ["routing_key", "headers", "properties"].contains(&name))?;
    let routing_key = lenient::text(&body, "routing_key")?.unwrap_or_default();
    if let Some(headers) = lenient::object(&body, "headers")? {
        let mut properties = lenient::object(&body, "properties")?.unwrap_or_default();
        properties.insert("headers".to_owned(), headers.into());
        body.insert("properties".to_owned(), properties.into());
    }
    let encoded = Properties::read(&body)?.encoded();
    let keys = keys(&encoded, routing_key).map_err(|error| match error {
        AmqpError::Channel(error) => Fault::bad_request(with_code(&error)),
        AmqpError::Connection(error) => error.into(),
    })?;
    let told = blocking(move || {
        let properties = BasicProperties::parse(&encoded).unwrap_or_default();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let message = Routed { routing_keys: &keys, properties: &properties };
        told(&there.plan(&exchange, &message), asks_for_delay(&properties))
    });
    Ok(json(&told.await?))
}

/// The routing key, and those of the headers CC and BCC.
fn keys(encoded: &[u8], routing_key: String) -> Result<Vec<String>, AmqpError> {
    let properties = BasicProperties::parse(encoded)?;
    // Whose it would be does not matter.
    let Checked { extra_keys, .. } = message_properties::check_of(&properties, None, ("", true))?;
    let mut keys = vec![routing_key];
    keys.extend(extra_keys);
    Ok(keys)
}

fn told(plan: &Plan, delayed: bool) -> Value {
    let names: Vec<&str> = plan.hops.iter().map(|hop| hop.exchange.name()).collect();
    let hops: Vec<Value> = plan.hops.iter().map(|hop| hop_told(hop, &names)).collect();
    json!({
        "routed": !plan.queues.is_empty(),
        "queues": plan.queues,
        "delayed": delayed && plan.hops.iter().any(|hop| hop.waits),
        "hops": hops,
        "complete": !plan.is_cut,
    })
}

fn hop_told(hop: &Hop, names: &[&str]) -> Value {
    let (via, from) = match hop.via {
        Via::Publish => ("publish", None),
        Via::Binding(hop) => ("binding", names.get(hop)),
        Via::Alternate(hop) => ("alternate", names.get(hop)),
    };
    let bindings = hop.bindings.iter().cloned().map(|record| BindingRow { record }.render());
    let mut fields: Map<String, Value> = super::overview::object(json!({
        "exchange": hop.exchange.name(),
        "type": hop.exchange.settings().kind.name(),
        "internal": hop.exchange.settings().internal,
        "via": via,
        "from": from,
        "bindings": bindings.collect::<Vec<_>>(),
        "queues": hop.queues,
        "alternate": hop.alternate,
        "delays_it": hop.waits,
        "deduplicates": hop.deduplicates(),
    }));
    if let Some(by) = hop.chooses_by() {
        fields.insert("chooses_by".to_owned(), by.into());
    }
    fields.into()
}
