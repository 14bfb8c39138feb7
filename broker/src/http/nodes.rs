//! `/api/nodes`: the one node there is, as a process.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, Fault, blocking, json};
use super::authorization::Monitor;
use super::listing::{Columns, Listing, Rendered, by};
use super::overview::{NO_ERLANG, exchange_types, object};
use super::ranges::Ranges;
use super::request::Query;
use super::statistics::{churn, used, written_to_disk};
use crate::broker::sampling::USED;
use crate::clock;
use crate::names;
use crate::resources;

/// RabbitMQ's limit of Erlang's processes. Tasks have none, and tools divide by this.
const TASKS_MAX: u64 = 1_048_576;

/// 404 unless it is this node.
///
/// # Errors
/// It is not.
pub(super) fn assert_node(name: &str) -> Result<(), Fault> {
    if name == names::node() { Ok(()) } else { Err(Fault::not_found()) }
}

/// `GET /api/nodes`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    _: Monitor,
    query: Query,
) -> Answer {
    let ranges = Ranges::of(&management, &query)?;
    let node = described(management, ranges).await?;
    Ok(json(&Listing::of(&query)?.list(vec![Rendered(node)], by(&["name"]))?))
}

/// `GET /api/nodes/NODE`.
pub(super) async fn one(
    State(management): State<Arc<Management>>,
    _: Monitor,
    Path(node): Path<String>,
    query: Query,
) -> Answer {
    assert_node(&node)?;
    let ranges = Ranges::of(&management, &query).map_err(Fault::without_word)?;
    let node = described(management, ranges).await?;
    Ok(json(&Columns::of(&query).of_value(node)))
}

/// `GET /api/nodes/NODE/memory/ets`, and of some of them: there are none of Erlang's tables.
pub(super) async fn tables(_: Monitor, Path(node): Path<String>) -> Answer {
    assert_node(&node)?;
    Ok(json(&json!({"ets_tables_memory": "not_available"})))
}

/// The same, of some.
pub(super) async fn some_tables(
    _: Monitor,
    Path((node, _filter)): Path<(String, String)>,
) -> Answer {
    assert_node(&node)?;
    Ok(json(&json!({"ets_tables_memory": "not_available"})))
}

async fn described(management: Arc<Management>, ranges: Ranges) -> Result<Value, Fault> {
    // Asked here, where there is a runtime.
    let runtime = tokio::runtime::Handle::current().metrics();
    let (tasks, waiting) = (runtime.num_alive_tasks(), runtime.global_queue_depth());
    let workers = runtime.num_workers();
    blocking(move || {
        let mut fields = management.standing();
        fields.insert("run_queue".to_owned(), waiting.into());
        fields.insert("processors".to_owned(), workers.into());
        let sampled = management.broker.node_sampled(ranges.node_stats.as_ref());
        fields.extend(used(management.used(tasks as u64), &sampled));
        fields.extend(churn(&management.broker.events().churn().counts(), &sampled));
        let [written, fsyncs] = management.broker.written();
        fields.extend(written_to_disk([written, fsyncs], &sampled));
        let spent_us = management.broker.messages().durable().statistics().fsync_micros;
        let average_ms = spent_us as f64 / 1000.0 / fsyncs.max(1) as f64;
        fields.insert("io_sync_avg_time".to_owned(), average_ms.into());
        fields.into()
    })
    .await
}

impl Management {
    /// What hardly changes.
    fn standing(&self) -> Map<String, Value> {
        let watermarks = self.broker.watermarks();
        let alarms = self.broker.alarms();
        let (memory_limit, disk_limit) = (watermarks.memory_limit(), watermarks.disk_free_limit());
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        object(json!({
            "name": names::node(),
            "type": "disc",
            "running": true,
            "being_drained": false,
            "partitions": [],
            "cluster_links": [],
            "os_pid": std::process::id().to_string(),
            "uptime": clock::unix_millis().saturating_sub(self.started_ms),
            "rates_mode": "basic",
            "net_ticktime": 60,
            "mem_limit": memory_limit,
            "mem_alarm": alarms.is_memory_low(),
            "mem_calculation_strategy": "rss",
            "disk_free_limit": disk_limit,
            "disk_free_alarm": alarms.is_disk_low(),
            "fd_total": descriptors,
            "sockets_total": descriptors,
            "proc_total": TASKS_MAX,
            "exchange_types": exchange_types(),
            "auth_mechanisms": self.mechanisms(),
            "applications": [{
                "name": "rabbit",
                "description": "Leveret",
                "version": self.identity.version,
            }],
            "contexts": self.contexts(),
            "log_files": self.broker.log_files(),
            "config_files": self.config_files,
            "db_dir": self.data_dir,
            "enabled_plugins": ["rabbitmq_management", "rabbitmq_prometheus"],
            "rabbitmq_version": self.identity.version,
            "leveret_version": env!("CARGO_PKG_VERSION"),
            "erlang_version": NO_ERLANG,
            "erlang_full_version": NO_ERLANG,
            "crypto_lib_version": "rustls with ring",
            "metrics_gc_queue_length": {},
        }))
    }

    fn mechanisms(&self) -> Vec<Value> {
        let offered = self.broker.mechanisms(true).split(' ').filter(|name| !name.is_empty());
        let described = |name: &str| {
            let description = match name {
                "PLAIN" => "SASL PLAIN authentication mechanism",
                "AMQPLAIN" => "QPid AMQPLAIN mechanism",
                _ => "TLS peer verification-based authentication plugin",
            };
            json!({"name": name, "description": description, "enabled": true})
        };
        offered.map(described).collect()
    }

    /// What it uses. Asks the system.
    fn used(&self, tasks: u64) -> [u64; USED] {
        [
            resources::resident_bytes().unwrap_or_default(),
            self.broker.watermarks().disk_free_now().unwrap_or_default(),
            resources::open_descriptors().unwrap_or_default(),
            self.broker.connection_count() as u64,
            tasks,
        ]
    }
}
