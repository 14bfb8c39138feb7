//! Debian's Prometheus and its promtool: they take what the broker tells, our rules are rules, and every
//! expression of RabbitMQ's overview dashboard, of ours and of our alerts can be asked.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use leveret_tests::broker_under_test::{BrokerUnderTest, repository, target_directory};
use leveret_tests::deadline::{run, wait_until};
use leveret_tests::http::{HttpClient, Place};
use leveret_tests::metrics;
use leveret_tests::program::{Program, require};
use leveret_tests::raw_client::Message;
use leveret_tests::raw_client::method::basic;
use serde_json::Value;
use tempfile::TempDir;

/// What RabbitMQ's overview shows as it is.
const LEVELS: [&str; 8] = [
    "rabbitmq_queue_messages_ready",
    "rabbitmq_queue_messages_unacked",
    "rabbitmq_global_publishers",
    "rabbitmq_global_consumers",
    "rabbitmq_connections",
    "rabbitmq_channels",
    "rabbitmq_queues",
    "(rabbitmq_resident_memory_limit_bytes - rabbitmq_process_resident_memory_bytes)",
];
/// And how fast it goes.
const RATES: [&str; 23] = [
    "rabbitmq_global_messages_received_total",
    "rabbitmq_global_messages_received_confirm_total",
    "rabbitmq_global_messages_confirmed_total",
    "rabbitmq_global_messages_routed_total",
    "rabbitmq_global_messages_unroutable_dropped_total",
    "rabbitmq_global_messages_unroutable_returned_total",
    "rabbitmq_global_messages_delivered_total",
    "rabbitmq_global_messages_delivered_consume_auto_ack_total",
    "rabbitmq_global_messages_delivered_consume_manual_ack_total",
    "rabbitmq_global_messages_delivered_get_auto_ack_total",
    "rabbitmq_global_messages_delivered_get_manual_ack_total",
    "rabbitmq_global_messages_redelivered_total",
    "rabbitmq_global_messages_acknowledged_total",
    "rabbitmq_global_messages_get_empty_total",
    "rabbitmq_queues_declared_total",
    "rabbitmq_queues_created_total",
    "rabbitmq_queues_deleted_total",
    "rabbitmq_channels_opened_total",
    "rabbitmq_channels_closed_total",
    "rabbitmq_connections_opened_total",
    "rabbitmq_connections_closed_total",
    "rabbitmq_message_size_bytes_sum",
    "rabbitmq_message_size_bytes_count",
];
/// Bounds of the sizes of messages that its heat map tells apart.
const BOUNDS: [&str; 9] =
    ["100.0", "1000.0", "10000.0", "100000.0", "1e+06", "1e+07", "5e+07", "1e+08", "+Inf"];
/// How it finds the broker that somebody chose.
const CHOSEN: &str = "* on(instance, job) group_left(rabbitmq_cluster, rabbitmq_node) \
                      rabbitmq_identity_info{rabbitmq_endpoint=\"aggregated\"}";

/// The overview's expressions.
fn overview() -> Vec<String> {
    let mut all = vec![
        "count(rabbitmq_identity_info{rabbitmq_endpoint=\"aggregated\"})".to_owned(),
        format!(
            "rabbitmq_erlang_uptime_seconds * on(instance, job) \
             group_left(rabbitmq_version, erlang_version) rabbitmq_build_info {CHOSEN}"
        ),
        format!(
            "(rabbitmq_disk_space_available_bytes - rabbitmq_disk_space_available_limit_bytes) \
             {CHOSEN}"
        ),
        format!("(rabbitmq_process_max_fds - rabbitmq_process_open_fds) {CHOSEN}"),
    ];
    for level in LEVELS {
        all.push(format!("sum({level} {CHOSEN}) by(rabbitmq_node)"));
        all.push(format!("sum({level} {CHOSEN})"));
    }
    for counter in RATES {
        all.push(format!("sum(rate({counter}[1m]) {CHOSEN}) by(rabbitmq_node)"));
        all.push(format!("sum(irate({counter}[1m]) {CHOSEN})"));
    }
    let sizes = |bound: &str| {
        let bucket = format!("rabbitmq_message_size_bytes_bucket{{le=\"{bound}\"}}[1m]");
        format!("sum(increase({bucket}) {CHOSEN})")
    };
    let pairs = BOUNDS.windows(2);
    all.extend(
        pairs.map(|pair| format!("({} - {}) / {}", sizes(pair[1]), sizes(pair[0]), sizes("+Inf"))),
    );
    all
}

/// The expressions of our dashboard.
fn ours(instance: &str) -> Vec<String> {
    fn add(all: &mut Vec<String>, value: &Value) {
        if let Some(expression) = value["expr"].as_str() {
            all.push(expression.to_owned());
        }
        let fields = value.as_object().map(|fields| fields.values()).into_iter().flatten();
        fields.for_each(|value| add(all, value));
        value.as_array().into_iter().flatten().for_each(|value| add(all, value));
    }
    let text = std::fs::read_to_string(repository().join("config/grafana/leveret.json"));
    let dashboard = serde_json::from_str(&text.expect("a file of ours")).expect("JSON");
    let mut all = Vec::new();
    add(&mut all, &dashboard);
    all.iter()
        .map(|one| one.replace("$instance", instance).replace("$__rate_interval", "1m"))
        .map(|one| one.replace("$__range", "1m"))
        .collect()
}

fn tool(name: &str) -> PathBuf {
    let path = target_directory().join("prometheus").join("usr/bin").join(name);
    require(&path);
    path
}

/// What promtool finds wrong with a name of RabbitMQ's.
const THEIRS: &str = "rabbitmq_unreachable_cluster_peers_count non-histogram and non-summary metrics \
                      should not have \"_count\" suffix";

/// Asserts that there is nothing else that promtool does not like.
fn holds(what: &str, output: &Output) {
    let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && *line != THEIRS);
    let is_good = |line: &str| line.starts_with("Checking ") || line.starts_with("SUCCESS: ");
    let bad: Vec<&str> = lines.filter(|line| !is_good(line)).collect();
    assert!(bad.is_empty(), "{what}: {bad:?}");
    assert!(output.status.success() || said.contains(THEIRS), "{what}: {:?}", output.status);
}

/// What a client leaves to be told of.
fn use_it(broker: &BrokerUnderTest) {
    let mut client = broker.broker().connect();
    client.declare_queue("prometheus");
    client.select_confirms();
    for _ in 0..3 {
        client.publish(&Message::to_queue("prometheus").persistent().body("123"));
    }
    client.expect_confirmed_up_to(1, 3);
    let fetched = client.get("prometheus");
    client.send(basic::ack(fetched.delivery_tag));
    client.consume("prometheus");
    client.expect_deliveries(&["123", "123"]);
    client.close();
}

#[test]
fn promtool() {
    let broker = BrokerUnderTest::start_with(metrics::CONFIG);
    use_it(&broker);
    let directory = TempDir::with_prefix("leveret-promtool-").expect("a temporary directory");
    let scraped = HttpClient { place: Place::Tcp(metrics::address(&broker)), authorization: None };
    let families = "queue_coarse_metrics&family=queue_metrics&family=exchange_metrics\
                    &family=queue_delivery_metrics&family=connection_metrics\
                    &family=connection_coarse_metrics&family=channel_metrics";
    for path in ["", "/per-object", "/memory-breakdown", &format!("/detailed?family={families}")] {
        let text = scraped.ask("GET", &format!("/metrics{path}"), "").expect(200);
        let file = directory.path().join("metrics");
        std::fs::write(&file, text.body).expect("a writable folder");
        let mut check = Command::new("sh");
        check.args(["-c", "exec \"$0\" check metrics <\"$1\""]);
        holds(path, &run(check.arg(tool("promtool")).arg(file)));
    }
    let config = repository().join("config/prometheus");
    for (kind, file) in [("rules", "alerts.yml"), ("config", "prometheus.yml")] {
        let mut check = Command::new(tool("promtool"));
        holds(file, &run(check.args(["check", kind]).arg(config.join(file))));
    }
}

/// A Prometheus that has the configuration of `compose.yaml`, but for the places and for how often.
struct Prometheus {
    http: HttpClient,
    _program: Program,
    _directory: TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let directory = TempDir::with_prefix("leveret-prometheus-").expect("a directory");
        let folder = repository().join("config/prometheus");
        let config = std::fs::read_to_string(folder.join("prometheus.yml")).expect("ours");
        let rules = folder.join("alerts*.yml").display().to_string();
        let config = config
            .replace("scrape_interval: 15s", "scrape_interval: 200ms\n  evaluation_interval: 200ms")
            .replace("/etc/prometheus/alerts*.yml", &rules)
            .replace("broker:15692", &target.to_string());
        let file = directory.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("a writable folder");
        let address = free();
        let mut program = Self::program(&file, directory.path(), address);
        let http = HttpClient { place: Place::Tcp(address), authorization: None };
        let program = Program::start_watched(&mut program);
        Self { http, _program: program, _directory: directory }
    }

    fn program(file: &Path, data: &Path, address: SocketAddr) -> Command {
        let mut command = Command::new(tool("prometheus"));
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", data.join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command
    }

    fn is_ready(&self) -> bool {
        let Place::Tcp(address) = &self.http.place else { return false };
        let listens = TcpStream::connect(address).is_ok();
        listens && self.http.ask("GET", "/-/ready", "").status == 200
    }

    /// What an expression comes to.
    fn ask(&self, expression: &str) -> Vec<Value> {
        let mut query = String::new();
        for byte in expression.bytes() {
            match byte {
                byte if byte.is_ascii_alphanumeric() => query.push(char::from(byte)),
                byte => query += &format!("%{byte:02X}"),
            }
        }
        let reply = self.http.ask("GET", &format!("/api/v1/query?query={query}"), "");
        let said = reply.json();
        assert_eq!(said["status"], "success", "{expression}: {said}");
        said["data"]["result"].as_array().expect("a vector").clone()
    }
}

/// A port that nobody listens on.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
    listener.local_addr().expect("it has an address")
}

#[test]
fn prometheus_answers_what_dashboards_ask() {
    let broker = BrokerUnderTest::start_with(metrics::CONFIG);
    use_it(&broker);
    let target = metrics::address(&broker);
    let prometheus = Prometheus::start(target);
    wait_until("Prometheus is ready", || prometheus.is_ready());
    wait_until("some scrapes", || {
        let scrapes = prometheus.ask("count_over_time(up{job=\"rabbitmq\"}[1m])");
        let count = scrapes.first().and_then(|one| one["value"][1].as_str()?.parse::<u32>().ok());
        count.is_some_and(|count| count >= 3)
    });
    for expression in overview() {
        assert!(!prometheus.ask(&expression).is_empty(), "no data: {expression}");
    }
    let ours = ours(&target.to_string());
    assert!(ours.len() > 30, "{} expressions", ours.len());
    for expression in ours {
        assert!(!expression.contains('$'), "{expression}");
        prometheus.ask(&expression);
    }
    wait_until("the rules are evaluated", || {
        let rules = prometheus.http.ask("GET", "/api/v1/rules", "").expect(200).json();
        let rules = rules["data"]["groups"].as_array().expect("groups").clone();
        let rules: Vec<Value> = rules
            .iter()
            .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
            .collect();
        assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:?}");
        rules.len() > 10 && rules.iter().all(|rule| rule["health"] == "ok")
    });
}
