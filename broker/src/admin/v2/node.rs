//! What the second rabbitmqadmin shows of a node, and vhosts that it deletes together.
//!
//! A room of `admin::v2`, named by `more`.

use regex::Regex;
use serde_json::Value;

use super::commands::VHOSTS;
use super::{Call, DATA, USAGE};
use crate::admin::{Ended, Said};
use crate::ctl::client::segment;

type Done = Result<Said, Ended>;

/// The program's names for parts of the memory, and the API's.
const PARTS: [(&str, &str); 25] = [
    ("Reserved by the kernel but unallocated", "reserved_unallocated"),
    ("Code", "code"),
    ("Other (used by the runtime)", "other_system"),
    ("Other processes", "other_proc"),
    ("Other (ETS tables)", "other_ets"),
    ("Plugins and their data", "plugins"),
    ("Atom table", "atom"),
    ("Metrics data", "metrics"),
    ("Metadata store", "metadata_store"),
    ("Binary heap", "binary"),
    ("Management stats database", "mgmt_db"),
    ("Message store indices", "msg_index"),
    ("Client connections: others processes", "connection_other"),
    ("Quorum queue replica processes", "quorum_queue_procs"),
    ("Metadata store ETS tables", "metadata_store_ets"),
    ("Stream coordinator processes", "stream_queue_coordinator_procs"),
    ("Classic queue processes", "queue_procs"),
    ("Quorum queue ETS tables", "quorum_ets"),
    ("Stream replica processes", "stream_queue_procs"),
    ("Stream replica reader processes", "stream_queue_replica_reader_procs"),
    ("Allocated but unused", "allocated_unused"),
    ("AMQP 0-9-1 channels", "connection_channels"),
    ("Client connections: reader processes", "connection_readers"),
    ("Client connections: writer processes", "connection_writers"),
    ("Mnesia", "mnesia"),
];

/// Names with bytes, the most first.
type Parts = Vec<(&'static str, u64)>;

/// What the memory is used for, and all there is.
fn memory(call: &Call<'_>) -> Result<(Parts, Value), Ended> {
    let answer = call.get(&call.path("/nodes/{node}/memory"))?;
    let memory = answer.get("memory").cloned().unwrap_or_default();
    let bytes = |name: &str| memory.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut parts: Parts = PARTS.iter().map(|(name, key)| (*name, bytes(key))).collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    Ok((parts, memory.get("total").cloned().unwrap_or_default()))
}

fn total(totals: &Value, name: &str) -> u64 {
    totals.get(name).and_then(Value::as_u64).unwrap_or_default()
}

pub(super) fn memory_in_bytes(call: &Call<'_>) -> Done {
    let (mut parts, totals) = memory(call)?;
    parts.push(("Total (RSS)", total(&totals, "rss")));
    parts.push(("Total (allocated by the runtime)", total(&totals, "erlang")));
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let pairs: Vec<_> = parts.iter().map(|(name, bytes)| (*name, bytes.to_string())).collect();
    Ok(Some(call.pairs(&pairs)))
}

pub(super) fn memory_in_percent(call: &Call<'_>) -> Done {
    let (parts, totals) = memory(call)?;
    let all = total(&totals, "rss").max(1) as f64;
    let share = |bytes: u64| format!("{:.2}%", bytes as f64 * 100.0 / all);
    let mut pairs = vec![("total", "100%".to_owned())];
    pairs.extend(parts.iter().map(|(name, bytes)| (*name, share(*bytes))));
    Ok(Some(call.named_pairs(("key", "percentage"), &pairs)))
}

pub(super) fn plugins(call: &Call<'_>) -> Done {
    let nodes = match call.given("node") {
        Some(node) => Value::Array(vec![call.get(&format!("/nodes/{}", segment(node)))?]),
        None => call.get("/nodes")?,
    };
    let mut rows = Vec::new();
    for node in nodes.as_array().into_iter().flatten() {
        let name = node.get("name").cloned().unwrap_or_default();
        let plugins = node.get("enabled_plugins").and_then(Value::as_array);
        rows.extend(
            plugins.into_iter().flatten().map(
                |plugin| serde_json::json!({"node": name, "name": plugin, "state": "Enabled"}),
            ),
        );
    }
    let columns = [("node", "node"), ("name", "name"), ("state", "state")];
    Ok(Some(call.list(&Value::Array(rows), &columns)))
}

pub(super) fn delete_vhosts(call: &Call<'_>) -> Done {
    let pattern = Regex::new(call.value("name-pattern")).map_err(|_| Ended {
        text: "Unsupported argument value for property (field) name_pattern".to_owned(),
        code: USAGE,
    })?;
    if !call.has("approve") && !call.has("dry-run") {
        let text = "This operation is destructive and requires the --approve flag".to_owned();
        return Err(Ended { text, code: DATA });
    }
    let all = call.get("/vhosts")?;
    let name = |vhost: &Value| vhost.get("name").and_then(Value::as_str).map(str::to_owned);
    // The default one stays.
    let is_meant =
        |vhost: &&Value| name(vhost).is_some_and(|name| name != "/" && pattern.is_match(&name));
    let meant: Vec<Value> =
        all.as_array().into_iter().flatten().filter(is_meant).cloned().collect();
    if call.has("dry-run") {
        return Ok(Some(call.list(&Value::Array(meant), VHOSTS)));
    }
    for vhost in meant.iter().filter_map(name) {
        match call.send("DELETE", &format!("/vhosts/{}", segment(&vhost)), None) {
            Err(ended) if ended == super::not_found() && call.has("idempotently") => {}
            done => drop(done?),
        }
    }
    let count = meant.len();
    Ok((count > 0).then(|| format!("✅ Completed: {count} items processed successfully")))
}
