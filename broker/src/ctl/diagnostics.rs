//! What the broker says of itself: its status, its listeners, and checks whose exit code says whether all
//! is well.
//!
//! A room of `ctl`. Made of the overview and the node that management tells of. Stays true: a check that
//! fails exits with a code that is not 0.

use std::fmt::Write;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::Value;

use super::commands::Call;
use super::failure::{Failed, UNAVAILABLE};
use super::fields::{flag, list, number, text};
use super::show::Output;

type Done = Result<Output, Failed>;

/// How long a listener may take to accept.
const CONNECT: Duration = Duration::from_secs(5);

/// The broker as it stands in the list of nodes.
fn node(call: &Call<'_>) -> Result<Value, Failed> {
    let nodes = call.client.get("/nodes")?;
    let nodes = nodes.as_array().and_then(|nodes| nodes.first()).cloned();
    nodes.ok_or_else(|| Failed::refused("the broker knows of no node"))
}

/// Where the broker listens: the address, the port and the protocol.
fn all_listeners(call: &Call<'_>) -> Result<Vec<(String, u64, String)>, Failed> {
    let overview = call.client.get("/overview")?;
    let one = |listener: &Value| {
        let interface = text(listener, "ip_address").to_owned();
        (interface, number(listener, "port"), text(listener, "protocol").to_owned())
    };
    Ok(list(&overview, "listeners").iter().map(one).collect())
}

/// What a protocol is for, in RabbitMQ's words.
fn purpose(protocol: &str) -> &str {
    match protocol {
        "amqp" => "AMQP 0-9-1",
        "amqp/ssl" => "AMQP 0-9-1 over TLS",
        "http" => "HTTP API",
        "https" => "HTTP API over TLS (HTTPS)",
        "http/prometheus" => "Prometheus exporter API over HTTP",
        "https/prometheus" => "Prometheus exporter API over TLS (HTTPS)",
        other => other,
    }
}

fn listener_line((interface, port, protocol): &(String, u64, String)) -> String {
    let interface = match interface.contains(':') && !interface.starts_with('[') {
        true => format!("[{interface}]"),
        false => interface.clone(),
    };
    let purpose = purpose(protocol);
    format!("Interface: {interface}, port: {port}, protocol: {protocol}, purpose: {purpose}")
}

pub(super) fn listeners(call: &Call<'_>) -> Done {
    let lines: Vec<_> = all_listeners(call)?.iter().map(listener_line).collect();
    Ok(Output::Text(lines.join("\n")))
}

/// Bytes in the unit that somebody wants, `gb` unless they say.
fn sized(call: &Call<'_>, bytes: u64) -> String {
    let unit = call.line.value("unit").unwrap_or("gb").to_ascii_lowercase();
    let divisor: u32 = match unit.as_str() {
        "bytes" => 1,
        "mb" => 1_000_000,
        _ => 1_000_000_000,
    };
    // Four digits behind the point, without floating point numbers that lose some.
    let parts = u128::from(bytes) * 10_000 / u128::from(divisor);
    let (whole, rest) = (parts / 10_000, parts % 10_000);
    let rest = format!("{rest:04}");
    let rest = rest.trim_end_matches('0');
    format!("{whole}.{} {unit}", if rest.is_empty() { "0" } else { rest })
}

/// A part of a report, under its heading.
fn section(report: &mut String, heading: &str, lines: &[String]) {
    let body = if lines.is_empty() { "(none)".to_owned() } else { lines.join("\n") };
    let before = if report.is_empty() { "" } else { "\n\n" };
    // Into a text: there is no way to fail.
    let _ = write!(report, "{before}{heading}\n\n{body}");
}

fn bullets(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(Value::as_str).map(|value| format!(" * {value}")).collect()
}

/// The alarms that are in effect, a line each.
fn alarm_lines(node: &Value) -> Vec<String> {
    let name = text(node, "name");
    let alarms = [("mem_alarm", "Memory"), ("disk_free_alarm", "Free disk space")];
    let raised = alarms.into_iter().filter(|(member, _)| flag(node, member));
    raised.map(|(_, what)| format!("{what} alarm on node {name}")).collect()
}

pub(super) fn status(call: &Call<'_>) -> Done {
    let (overview, node) = (call.client.get("/overview")?, node(call)?);
    let mut report = String::new();
    let runtime = [
        format!("OS PID: {}", text(&node, "os_pid")),
        format!("OS: {}", std::env::consts::OS),
        format!("Uptime (seconds): {}", number(&node, "uptime") / 1000),
        "Is under maintenance?: false".to_owned(),
        format!("RabbitMQ version: {}", text(&overview, "rabbitmq_version")),
        format!("Node name: {}", text(&node, "name")),
        format!("Erlang configuration: {}", text(&overview, "erlang_full_version")),
        format!("Scheduler run queue: {}", number(&node, "run_queue")),
    ];
    section(&mut report, "Runtime", &runtime);
    section(&mut report, "Plugins", &bullets(list(&node, "enabled_plugins")));
    let directory = format!("Node data directory: {}", text(&node, "db_dir"));
    section(&mut report, "Data directory", &[directory]);
    section(&mut report, "Config files", &bullets(list(&node, "config_files")));
    section(&mut report, "Log file(s)", &bullets(list(&node, "log_files")));
    section(&mut report, "Alarms", &alarm_lines(&node));
    section(&mut report, "Tags", &[]);
    let memory = [
        format!("Total memory used: {}", sized(call, number(&node, "mem_used"))),
        format!("Memory high watermark setting: {}", sized(call, number(&node, "mem_limit"))),
    ];
    section(&mut report, "Memory", &memory);
    let descriptors =
        format!("Total: {}, limit: {}", number(&node, "fd_used"), number(&node, "fd_total"));
    section(&mut report, "File Descriptors", &[descriptors]);
    let disk = [
        format!("Low free disk space watermark: {}", sized(call, number(&node, "disk_free_limit"))),
        format!("Free disk space: {}", sized(call, number(&node, "disk_free"))),
    ];
    section(&mut report, "Free Disk Space", &disk);
    let totals = overview.get("object_totals").cloned().unwrap_or_default();
    let vhosts = call.client.get("/vhosts?columns=name")?;
    let totals = [
        format!("Connection count: {}", number(&totals, "connections")),
        format!("Queue count: {}", number(&totals, "queues")),
        format!("Virtual host count: {}", vhosts.as_array().map_or(0, Vec::len)),
    ];
    section(&mut report, "Totals", &totals);
    let listeners: Vec<_> = all_listeners(call)?.iter().map(listener_line).collect();
    section(&mut report, "Listeners", &listeners);
    Ok(Output::Document(report, status_data(&overview, &node)))
}

/// The same for programs.
fn status_data(overview: &Value, node: &Value) -> Value {
    let mut data = serde_json::Map::new();
    let mut take = |name: &str, value: Option<&Value>| {
        data.insert(name.to_owned(), value.cloned().unwrap_or_default());
    };
    take("rabbitmq_version", overview.get("rabbitmq_version"));
    take("product_name", overview.get("product_name"));
    take("product_version", overview.get("product_version"));
    take("erlang_version", overview.get("erlang_full_version"));
    take("listeners", overview.get("listeners"));
    take("totals", overview.get("object_totals"));
    take("node", node.get("name"));
    take("data_directory", node.get("db_dir"));
    take("active_plugins", node.get("enabled_plugins"));
    take("config_files", node.get("config_files"));
    take("log_files", node.get("log_files"));
    take("uptime", node.get("uptime"));
    take("vm_memory_limit", node.get("mem_limit"));
    take("memory_used", node.get("mem_used"));
    take("disk_free_limit", node.get("disk_free_limit"));
    take("disk_free", node.get("disk_free"));
    data.insert("alarms".to_owned(), alarm_lines(node).into());
    Value::Object(data)
}

pub(super) fn cluster_status(call: &Call<'_>) -> Done {
    let (overview, node) = (call.client.get("/overview")?, node(call)?);
    let name = text(&node, "name").to_owned();
    let mut report = String::new();
    let basics = [
        format!("Cluster name: {}", text(&overview, "cluster_name")),
        format!("Total CPU cores available cluster-wide: {}", number(&node, "processors")),
    ];
    section(&mut report, "Basics", &basics);
    section(&mut report, "Disk Nodes", std::slice::from_ref(&name));
    section(&mut report, "Running Nodes", std::slice::from_ref(&name));
    let version = text(&overview, "rabbitmq_version");
    section(&mut report, "Versions", &[format!("{name}: RabbitMQ {version}")]);
    section(&mut report, "Alarms", &alarm_lines(&node));
    section(&mut report, "Network Partitions", &[]);
    let listeners = all_listeners(call)?;
    let line = |listener: &(String, u64, String)| {
        let line = listener_line(listener);
        format!("Node: {name}, {}", line.replacen("Interface", "interface", 1))
    };
    section(&mut report, "Listeners", &listeners.iter().map(line).collect::<Vec<_>>());
    let data = serde_json::json!({
        "cluster_name": overview.get("cluster_name"),
        "disk_nodes": [name], "running_nodes": [name], "ram_nodes": [], "partitions": {},
        "alarms": alarm_lines(&node),
    });
    Ok(Output::Document(report, data))
}

pub(super) fn environment(call: &Call<'_>) -> Done {
    let settings = call.client.get("/config/effective")?;
    let text = serde_json::to_string_pretty(&settings).unwrap_or_default();
    Ok(Output::Document(text, settings))
}

pub(super) fn check_running(call: &Call<'_>) -> Done {
    let node = call.client.server();
    match call.client.get("/health/checks/is-in-service") {
        Ok(_) => Ok(Output::Text(format!("RabbitMQ on node {node} is fully booted and running"))),
        Err(Failed::Refused(reason, UNAVAILABLE)) => Err(Failed::Refused(
            format!("RabbitMQ on node {node} is not running or has not fully booted yet: {reason}"),
            UNAVAILABLE,
        )),
        Err(failed) => Err(failed),
    }
}

pub(super) fn is_booting(call: &Call<'_>) -> Done {
    let node = call.client.server();
    let text = match call.client.get("/health/checks/is-in-service") {
        Ok(_) => format!(
            "RabbitMQ on node {node} is fully booted (check with is_running), stopped or has not \
             started booting yet"
        ),
        Err(_) => format!("RabbitMQ on node {node} is booting"),
    };
    Ok(Output::Text(text))
}

pub(super) fn alarms(call: &Call<'_>) -> Done {
    let node = node(call)?;
    let lines = alarm_lines(&node);
    let none = || format!("Node {} reported no alarms, local or clusterwide", text(&node, "name"));
    Ok(Output::Text(if lines.is_empty() { none() } else { lines.join("\n") }))
}

pub(super) fn check_alarms(call: &Call<'_>) -> Done {
    let node = node(call)?;
    let lines = alarm_lines(&node);
    match lines.is_empty() {
        true => alarms(call),
        false => Err(Failed::refused(lines.join("\n"))),
    }
}

pub(super) fn check_local_alarms(call: &Call<'_>) -> Done {
    let node = node(call)?;
    match alarm_lines(&node) {
        lines if lines.is_empty() => {
            Ok(Output::Text(format!("Node {} reported no local alarms", text(&node, "name"))))
        }
        lines => Err(Failed::refused(lines.join("\n"))),
    }
}

pub(super) fn check_virtual_hosts(call: &Call<'_>) -> Done {
    call.client.get("/health/checks/virtual-hosts")?;
    Ok(Output::Text(format!("Node {} reported all vhosts as running", call.client.server())))
}

pub(super) fn check_certificate_expiration(call: &Call<'_>) -> Done {
    call.client.get("/health/checks/certificate-expiration/4/weeks")?;
    Ok(Output::Text("No certificates are expiring within 4 weeks.".to_owned()))
}

pub(super) fn check_port_listener(call: &Call<'_>) -> Done {
    let port = call.word(0).parse::<u64>().map_err(|_| Failed::usage("Bad argument."))?;
    let (node, listeners) = (call.client.server(), all_listeners(call)?);
    if listeners.iter().any(|(_, listens, _)| *listens == port) {
        return Ok(Output::Text(format!("A listener for port {port} is running on node {node}.")));
    }
    let ports: Vec<_> = listeners.iter().map(|(_, port, _)| port.to_string()).collect();
    let text = format!(
        "No listener for port {port} is active on node {node}. Found listeners that use the following \
         ports: {}",
        ports.join(", ")
    );
    Err(Failed::Plain(text, UNAVAILABLE))
}

pub(super) fn check_protocol_listener(call: &Call<'_>) -> Done {
    let asked = call.word(0);
    let meant = match asked.to_ascii_lowercase().as_str() {
        "amqp" | "amqp091" | "amqp0.9.1" | "amqp1" | "amqp10" => "amqp".to_owned(),
        "amqps" | "amqp/ssl" | "amqp+ssl" => "amqp/ssl".to_owned(),
        "prometheus" => "http/prometheus".to_owned(),
        other => other.to_owned(),
    };
    let (node, listeners) = (call.client.server(), all_listeners(call)?);
    if listeners.iter().any(|(_, _, protocol)| *protocol == meant) {
        let text = format!("A listener for protocol {meant} is running on node {node}.");
        return Ok(Output::Text(text));
    }
    let mut there: Vec<_> = listeners.into_iter().map(|(_, _, protocol)| protocol).collect();
    there.sort();
    there.dedup();
    Err(Failed::refused(format!(
        "No listener for protocol {meant} is active on node {node}. Found listeners for the following \
         protocols: {}",
        there.join(", ")
    )))
}

pub(super) fn check_port_connectivity(call: &Call<'_>) -> Done {
    let node = call.client.server();
    let mut ports = Vec::new();
    for (interface, port, _) in all_listeners(call)? {
        let host = match interface.as_str() {
            "0.0.0.0" | "" => "127.0.0.1".to_owned(),
            "::" | "[::]" => "localhost".to_owned(),
            other => other.trim_matches(['[', ']']).to_owned(),
        };
        let port = u16::try_from(port).unwrap_or_default();
        let mut addresses = (host.as_str(), port).to_socket_addrs().into_iter().flatten();
        if !addresses.any(|address| TcpStream::connect_timeout(&address, CONNECT).is_ok()) {
            return Err(Failed::refused(format!(
                "Connection attempt to port {port} of {host} failed on node {node}"
            )));
        }
        ports.push(port.to_string());
    }
    let ports = ports.join(", ");
    Ok(Output::Text(format!("Successfully connected to ports {ports} on node {node}.")))
}

pub(super) fn memory_breakdown(call: &Call<'_>) -> Done {
    let node = node(call)?;
    let path = format!("/nodes/{}/memory", super::client::segment(text(&node, "name")));
    let answer = call.client.get(&path)?;
    let Some(parts) = answer.get("memory").and_then(Value::as_object) else {
        return Err(Failed::refused("the broker does not say what its memory is for"));
    };
    let parts = parts.iter().filter_map(|(name, bytes)| Some((name, bytes.as_u64()?)));
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let total: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
    let share = |bytes: u64| bytes.saturating_mul(10_000) / total.max(1);
    let line = |(name, bytes): &(&String, u64)| {
        let (share, size) = (share(*bytes), sized(call, *bytes));
        format!("{name}: {size} ({}.{:02}%)", share / 100, share % 100)
    };
    let text = parts.iter().map(line).collect::<Vec<_>>().join("\n");
    Ok(Output::Document(text, answer.get("memory").cloned().unwrap_or_default()))
}

pub(super) fn server_version(call: &Call<'_>) -> Done {
    let overview = call.client.get("/overview")?;
    Ok(Output::Text(text(&overview, "rabbitmq_version").to_owned()))
}

pub(super) fn own_version(_: &Call<'_>) -> Done {
    Ok(Output::Text(env!("CARGO_PKG_VERSION").to_owned()))
}
