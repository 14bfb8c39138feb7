//! `/api/exchanges`: listed, declared, deleted.

use std::sync::Arc;

use axum::extract::{Path, State};
use leveret_protocol::methods::exchange::Declare;
use leveret_protocol::types::RawTable;
use serde_json::{Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, done, json, put as put_answer};
use super::authorization::Visitor;
use super::bindings::{incoming, outgoing};
use super::lenient;
use super::listing::{Columns, Listing, Row, pick};
use super::ranges::Ranges;
use super::request::{Document, Query, named};
use super::statistics;
use crate::definitions::json_arguments::to_json;
use crate::exchange::ExchangeKind;
use crate::session::declaring;
use crate::vhost::Vhost;
use crate::vhost::destination::Exchange;

/// An exchange in a list.
struct ExchangeRow {
    vhost: Arc<Vhost>,
    exchange: Arc<Exchange>,
    ranges: Ranges,
}

impl Row for ExchangeRow {
    fn name(&self) -> &str {
        self.exchange.name()
    }

    fn field(&self, path: &str) -> Value {
        match path {
            "name" => self.exchange.name().into(),
            "vhost" => self.vhost.name().into(),
            "type" => self.exchange.settings().kind.name().into(),
            _ => pick(&self.render(), path),
        }
    }

    fn render(&self) -> Value {
        let settings = self.exchange.settings();
        let policies = self.vhost.policies();
        let applied = policies.of_exchange(self.exchange.name());
        let mut value = json!({
            "name": self.exchange.name(),
            "vhost": self.vhost.name(),
            "type": settings.kind.name(),
            "durable": settings.durable,
            "auto_delete": settings.auto_delete,
            "internal": settings.internal,
            "arguments": to_json(&settings.arguments),
            "user_who_performed_action": "rmq-internal",
        });
        if let (Value::Object(fields), Some(policy)) = (&mut value, applied.policy) {
            fields.insert("policy".to_owned(), policy.name.as_str().into());
        }
        if let Value::Object(fields) = &mut value {
            let stats = statistics::of_exchange(self.exchange.meter(), &self.ranges);
            fields.insert("message_stats".to_owned(), stats);
        }
        value
    }
}

/// `GET /api/exchanges`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let vhosts = visitor.visible_vhosts(&management).await;
    list(&management, vhosts, &query).await
}

/// `GET /api/exchanges/VHOST`.
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
    let (listing, ranges) = (Listing::of(query)?, Ranges::of(management, query)?);
    let listed = blocking(move || {
        let mut rows = Vec::new();
        for vhost in vhosts {
            let default = vhost.exchange("").into_iter();
            let exchanges = vhost.exchanges().into_iter().chain(default);
            rows.extend(exchanges.map(|exchange| {
                let vhost = Arc::clone(&vhost);
                ExchangeRow { vhost, exchange, ranges }
            }));
        }
        listing.list(rows, |one: &ExchangeRow, other| {
            let key = |row: &'_ ExchangeRow| (row.vhost.name().to_owned(), row.name().to_owned());
            key(one).cmp(&key(other))
        })
    });
    Ok(json(&listed.await??))
}

/// `GET /api/exchanges/VHOST/EXCHANGE`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.vhost(&management, &vhost).await?;
    let exchange = vhost.exchange(named(&name)).ok_or_else(Fault::not_found)?;
    let ranges = Ranges::of(&management, &query).map_err(Fault::without_word)?;
    let rendered = blocking(move || {
        let mut rendered = ExchangeRow { vhost, exchange, ranges }.render();
        if let Value::Object(fields) = &mut rendered {
            fields.insert("incoming".to_owned(), json!([]));
            fields.insert("outgoing".to_owned(), json!([]));
        }
        rendered
    });
    Ok(json(&Columns::of(&query).of_value(rendered.await?)))
}

/// `PUT /api/exchanges/VHOST/EXCHANGE`. RabbitMQ: one without a type is a direct one.
pub(super) async fn put(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    Document(body): Document,
) -> Answer {
    let actor = visitor.actor(&management, &vhost).await?;
    let kind = lenient::text(&body, "type")?.unwrap_or_else(|| "direct".to_owned());
    if ExchangeKind::parse(&kind).is_none() {
        return Err(Fault::bad_request(format!("invalid exchange type '{kind}'")));
    }
    let durable = lenient::flag(&body, "durable")?.unwrap_or(false);
    let auto_delete = lenient::flag(&body, "auto_delete")?.unwrap_or(false);
    let internal = lenient::flag(&body, "internal")?.unwrap_or(false);
    let arguments = lenient::arguments(&body)?.to_bytes();
    let name = named(&name).to_owned();
    let is_new = management.broker.vhost(&vhost).is_some_and(|it| it.exchange(&name).is_none());
    let declared = actor.change(move |actor| {
        let declare = Declare {
            exchange: &name,
            kind: &kind,
            passive: false,
            durable,
            auto_delete,
            internal,
            no_wait: false,
            arguments: RawTable::new(&arguments),
        };
        declaring::declare_exchange(actor, &declare, &name)
    });
    declared.await?;
    Ok(put_answer(is_new))
}

/// `DELETE /api/exchanges/VHOST/EXCHANGE`.
pub(super) async fn delete(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let there = visitor.vhost(&management, &vhost).await?;
    let name = named(&name).to_owned();
    there.exchange(&name).ok_or_else(Fault::not_found)?;
    let actor = visitor.actor(&management, &vhost).await?;
    let if_unused = query.is_true("if-unused");
    actor.change(move |actor| declaring::delete_exchange(actor, &name, if_unused)).await?;
    Ok(done())
}

/// `GET /api/exchanges/VHOST/EXCHANGE/bindings/source`: what leads away from it.
pub(super) async fn sources(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.vhost(&management, &vhost).await?;
    let exchange = vhost.exchange(named(&name)).ok_or_else(Fault::not_found)?;
    let listing = Listing::of(&query)?;
    let listed =
        blocking(move || listing.list(outgoing(&vhost, &exchange), super::bindings::order));
    Ok(json(&listed.await??))
}

/// `GET /api/exchanges/VHOST/EXCHANGE/bindings/destination`: what leads to it.
pub(super) async fn destinations(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    Path((vhost, name)): Path<(String, String)>,
    query: Query,
) -> Answer {
    let vhost = visitor.vhost(&management, &vhost).await?;
    let name = named(&name).to_owned();
    vhost.exchange(&name).ok_or_else(Fault::not_found)?;
    let listing = Listing::of(&query)?;
    let listed = blocking(move || {
        let rows = incoming(&vhost, crate::definitions::records::DestinationKind::Exchange, &name);
        listing.list(rows, super::bindings::order)
    });
    Ok(json(&listed.await??))
}
