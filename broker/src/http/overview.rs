//! `GET /api/overview`: the broker at a glance, of vhosts that the visitor may see.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Fault, blocking, json};
use super::authorization::Visitor;
use super::listing::Columns;
use super::ranges::Ranges;
use super::request::Query;
use super::statistics::{self, QueueTotals};
use super::{Listening, Management};
use crate::exchange::ExchangeKind;
use crate::meters::history::Sampled;
use crate::names;
use crate::queue::death_counts::DeathsByStrategy;
use crate::tls::Tls;
use crate::vhost::Vhost;

/// What stands for versions of Erlang, which tools show and do not compare.
pub(super) const NO_ERLANG: &str = "n/a";

/// `GET /api/overview`.
pub(super) async fn overview(
    State(management): State<Arc<Management>>,
    visitor: Visitor,
    query: Query,
) -> Answer {
    let vhosts = visitor.visible_vhosts(&management).await;
    let columns = Columns::of(&query);
    let ranges = Ranges::of(&management, &query).map_err(Fault::without_word)?;
    let rendered = blocking(move || {
        let mut fields = management.about();
        let has_totals = !management.settings.disable_stats;
        fields.extend(management.totals(&visitor, &vhosts, has_totals, &ranges));
        if visitor.is_monitor() {
            fields.extend(management.about_node());
        }
        columns.of_value(fields.into())
    });
    Ok(json(&rendered.await?))
}

impl Management {
    /// Who it is.
    fn about(&self) -> Map<String, Value> {
        let version = &self.identity.version;
        let fields = json!({
            "management_version": version,
            "rabbitmq_version": version,
            "product_name": self.identity.product,
            "product_version": version,
            "leveret_version": env!("CARGO_PKG_VERSION"),
            "cluster_name": self.broker.introduction().now().cluster_name,
            "cluster_tags": {},
            "node_tags": {},
            "node": names::node(),
            "erlang_version": NO_ERLANG,
            "erlang_full_version": NO_ERLANG,
            "crypto_lib_version": "rustls with ring",
            "rates_mode": "basic",
            "sample_retention_policies": {
                "global": [600, 3600, 28800, 86400],
                "basic": [600, 3600],
                "detailed": [600],
            },
            "exchange_types": exchange_types(),
            "default_queue_type": "classic",
            "disable_stats": self.settings.disable_stats,
            "enable_queue_totals": self.settings.enable_queue_totals,
            "is_op_policy_updating_enabled": true,
            "require_definition_json_extension": false,
            "statistics_db_event_queue": 0,
        });
        object(fields)
    }

    /// How much there is in these vhosts. Locks one queue after the other.
    fn totals(
        &self,
        visitor: &Visitor,
        vhosts: &[Arc<Vhost>],
        has_totals: bool,
        ranges: &Ranges,
    ) -> Map<String, Value> {
        let (mut queues, mut exchanges) = (QueueTotals::default(), 0);
        let mut deaths = DeathsByStrategy::default();
        let mut stats = Sampled::nothing(ranges.msg_rates.as_ref());
        let mut lengths = Sampled::nothing(ranges.lengths.as_ref());
        for vhost in vhosts {
            exchanges += vhost.exchange_count();
            queues.add_vhost(vhost);
            deaths.add_all(vhost.deaths().all());
            stats.add_all(&vhost.sampled(ranges.msg_rates.as_ref(), &ranges.ticks));
            lengths.add_all(&vhost.sampled(ranges.lengths.as_ref(), &ranges.ticks));
        }
        let node = self.broker.node_sampled(ranges.msg_rates.as_ref());
        let (connections, channels) = match visitor.is_monitor() {
            true => (self.broker.connection_count(), self.broker.admissions().channels()),
            false => self.broker.admissions().of_user(visitor.name()),
        };
        let mut fields = object(json!({
            "object_totals": {
                "channels": channels,
                "connections": connections,
                "consumers": queues.consumers,
                "exchanges": exchanges,
                "queues": queues.queues,
            },
            "churn_rates": statistics::churn(&self.broker.events().churn().counts(), &node),
            "message_stats": queues.message_stats(&stats),
            "deaths": statistics::deaths(&deaths),
        }));
        if has_totals || self.settings.enable_queue_totals {
            fields.insert("queue_totals".to_owned(), queues.lengths(&lengths).into());
        }
        fields
    }

    /// Where it listens.
    fn about_node(&self) -> Map<String, Value> {
        let told = |one: &Listening| listener(one, self.socket_options);
        let listeners: Vec<Value> = self.listening.iter().map(told).collect();
        let mut contexts = self.contexts();
        for context in &mut contexts {
            if let Value::Object(fields) = context {
                fields.insert("node".to_owned(), names::node().into());
            }
        }
        let certificates = self.certificates();
        object(json!({"listeners": listeners, "contexts": contexts, "certificates": certificates}))
    }

    /// What is served with over TLS, the one that ends first before the others: `about` it in a few words,
    /// the `names` it is for, and when it `expires_ms`, since the epoch.
    fn certificates(&self) -> Vec<Value> {
        let of = |tls: &Arc<Tls>| (tls.expires_seconds(), tls.names(), tls.about());
        let mut all: Vec<(u64, String, String)> = self.tls.iter().map(of).collect();
        all.sort();
        // Most listeners have the same.
        all.dedup();
        let told = |(seconds, names, about): (u64, String, String)| json!({"about": about, "expires_ms": seconds.saturating_mul(1000), "names": names});
        all.into_iter().map(told).collect()
    }

    /// The API itself, as RabbitMQ lists what answers over HTTP.
    pub(super) fn contexts(&self) -> Vec<Value> {
        let prefix = &self.settings.path_prefix;
        let path = if prefix.is_empty() { "/" } else { prefix };
        let own = self.listening.iter().filter(|one| one.protocol.starts_with("http"));
        let own = own.filter(|one| !one.protocol.ends_with("prometheus"));
        let context = |one: &Listening| {
            json!({
                "description": "RabbitMQ Management",
                "path": path,
                "ip": one.address.ip().to_string(),
                "port": one.address.port().to_string(),
                "protocol": one.protocol,
                "ssl_opts": [],
                "cowboy_opts": "[]",
            })
        };
        own.map(context).collect()
    }
}

fn listener(listening: &Listening, (backlog, nodelay): (i32, bool)) -> Value {
    let (ip, port) = (listening.address.ip().to_string(), listening.address.port());
    let options = match listening.protocol.starts_with("http") {
        true => json!({"ip": ip, "port": port, "protocol": listening.protocol}),
        false => json!({"backlog": backlog, "nodelay": nodelay}),
    };
    json!({
        "node": names::node(),
        "protocol": listening.protocol,
        "ip_address": ip,
        "port": port,
        "socket_opts": options,
        "tls": listening.with_tls,
    })
}

/// Every type of exchange there is.
pub(super) fn exchange_types() -> Vec<Value> {
    let described = |kind: ExchangeKind| json!({"name": kind.name(), "description": kind.description(), "enabled": true});
    ExchangeKind::ALL.into_iter().map(described).collect()
}

/// The fields of an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}
