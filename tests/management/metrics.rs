//! What Prometheus is told: the metrics that RabbitMQ's overview in Grafana is made of, in a text that keeps
//! the rules of the format.

use std::collections::{BTreeMap, BTreeSet};

use leveret_tests::broker_under_test::repository;

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row};

pub(crate) const ROWS: &[Row] = &[
    ("every panel of the overview has its metrics", Leveret, overview),
    ("our dashboard and alerts name what there is", Leveret, named),
    ("the text keeps the rules of its format", Leveret, format),
    ("they are for whoever monitors the broker", Leveret, rights),
];

/// What the expressions of the dashboard name, with labels that must be there.
const OVERVIEW: &[(&str, &[&str])] = &[
    ("rabbitmq_identity_info", &["rabbitmq_node", "rabbitmq_cluster", "rabbitmq_endpoint"]),
    ("rabbitmq_build_info", &["rabbitmq_version", "erlang_version"]),
    ("rabbitmq_erlang_uptime_seconds", &[]),
    ("rabbitmq_queue_messages_ready", &[]),
    ("rabbitmq_queue_messages_unacked", &[]),
    ("rabbitmq_queues", &[]),
    ("rabbitmq_connections", &[]),
    ("rabbitmq_channels", &[]),
    ("rabbitmq_resident_memory_limit_bytes", &[]),
    ("rabbitmq_process_resident_memory_bytes", &[]),
    ("rabbitmq_disk_space_available_bytes", &[]),
    ("rabbitmq_disk_space_available_limit_bytes", &[]),
    ("rabbitmq_process_max_fds", &[]),
    ("rabbitmq_process_open_fds", &[]),
    ("rabbitmq_connections_opened_total", &[]),
    ("rabbitmq_connections_closed_total", &[]),
    ("rabbitmq_channels_opened_total", &[]),
    ("rabbitmq_channels_closed_total", &[]),
    ("rabbitmq_queues_declared_total", &[]),
    ("rabbitmq_queues_created_total", &[]),
    ("rabbitmq_queues_deleted_total", &[]),
    ("rabbitmq_global_publishers", &["protocol"]),
    ("rabbitmq_global_consumers", &["protocol"]),
    ("rabbitmq_global_messages_received_total", &["protocol"]),
    ("rabbitmq_global_messages_received_confirm_total", &["protocol"]),
    ("rabbitmq_global_messages_routed_total", &["protocol"]),
    ("rabbitmq_global_messages_unroutable_dropped_total", &["protocol"]),
    ("rabbitmq_global_messages_unroutable_returned_total", &["protocol"]),
    ("rabbitmq_global_messages_confirmed_total", &["protocol"]),
    ("rabbitmq_global_messages_delivered_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_delivered_consume_auto_ack_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_delivered_consume_manual_ack_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_delivered_get_auto_ack_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_delivered_get_manual_ack_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_get_empty_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_redelivered_total", &["protocol", "queue_type"]),
    ("rabbitmq_global_messages_acknowledged_total", &["protocol", "queue_type"]),
    ("rabbitmq_message_size_bytes_bucket", &["protocol", "le"]),
    ("rabbitmq_message_size_bytes_count", &["protocol"]),
    ("rabbitmq_message_size_bytes_sum", &["protocol"]),
];

/// A line: a name, labels with values, and a number.
type Sample = (String, BTreeMap<String, String>, f64);

fn sample(line: &str) -> Sample {
    let (rest, number) = line.rsplit_once(' ').expect("a space before the number");
    let number = number.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let Some((name, labels)) = rest.split_once('{') else {
        return (rest.to_owned(), BTreeMap::new(), number);
    };
    let mut rest = labels.strip_suffix('}').expect("labels end");
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"").expect("a label has a value");
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, letter) in behind.char_indices() {
            match letter {
                '"' if !escaped => {
                    end = Some(at + 1);
                    break;
                }
                '\\' if !escaped => escaped = true,
                letter => {
                    value.push(letter);
                    escaped = false;
                }
            }
        }
        rest = &behind[end.expect("a value ends")..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
        assert!(labels.insert(label.to_owned(), value).is_none(), "{label} twice: {line}");
    }
    (name.to_owned(), labels, number)
}

fn scraped(api: &Api) -> String {
    let reply = api.raw("GET", "/metrics", &[]).expect(200);
    assert!(
        reply.header("content-type").is_some_and(|of| of.starts_with("text/plain; version=0.0.4"))
    );
    reply.text()
}

fn samples(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn overview(api: &Api) {
    let all = samples(&scraped(api));
    for (name, labels) in OVERVIEW {
        let those: Vec<_> = all.iter().filter(|(other, ..)| other == name).collect();
        assert!(!those.is_empty(), "{name} is not told");
        for (_, own, _) in those {
            assert!(labels.iter().all(|label| own.contains_key(*label)), "{name} {own:?}");
        }
    }
    let bounds = all.iter().filter(|(name, ..)| name == "rabbitmq_message_size_bytes_bucket");
    let bounds: Vec<&str> = bounds.map(|(_, labels, _)| labels["le"].as_str()).collect();
    let expected =
        ["100.0", "1000.0", "10000.0", "100000.0", "1e+06", "1e+07", "5e+07", "1e+08", "+Inf"];
    assert_eq!(bounds, expected);
    let identities: Vec<_> =
        all.iter().filter(|(name, ..)| name == "rabbitmq_identity_info").collect();
    assert_eq!(identities.len(), 1, "panels multiply by it");
    assert_eq!(identities[0].1["rabbitmq_endpoint"], "aggregated");
}

fn named(api: &Api) {
    let told: BTreeSet<String> =
        samples(&scraped(api)).into_iter().map(|(name, ..)| name).collect();
    for file in ["config/grafana/leveret.json", "config/prometheus/alerts.yml"] {
        let text = std::fs::read_to_string(repository().join(file)).expect("a file of ours");
        let is_part = |one: char| one.is_ascii_alphanumeric() || one == '_';
        let words = text.split(|one| !is_part(one));
        let is_metric = |word: &&str| {
            ["rabbitmq_", "leveret_", "process_"].iter().any(|start| word.starts_with(start))
        };
        let mut count = 0;
        for name in words.filter(is_metric) {
            assert!(told.contains(name), "{name} of {file} is not told");
            count += 1;
        }
        assert!(count > 10, "{file}: {count}");
    }
}

fn format(api: &Api) {
    let text = scraped(api);
    assert!(text.ends_with('\n'));
    let (mut kinds, mut helped) = (BTreeMap::new(), BTreeSet::new());
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
        } else {
            let (name, labels, number) = sample(line);
            let is_name = |name: &str| {
                let first = name.chars().next().is_some_and(|first| !first.is_ascii_digit());
                first && name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
            };
            assert!(is_name(&name) && labels.keys().all(|label| is_name(label)), "{line}");
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let base = base.filter(|base| kinds.get(*base).is_some_and(|kind| kind == "histogram"));
            let base = base.unwrap_or(&name).to_owned();
            let kind = kinds.get(&base).unwrap_or_else(|| panic!("no type before {line}"));
            assert!(helped.contains(&base), "no help: {line}");
            assert!(kind != "counter" || name.ends_with("_total"), "{line}");
            assert!(kind == "gauge" || number >= 0.0, "{line}");
            assert!(seen.insert((name, labels)), "twice: {line}");
        }
    }
    assert!(seen.len() > 100, "{}", seen.len());
}

fn rights(api: &Api) {
    let user = api.user("metrics-u", "management");
    assert_eq!(user.raw("GET", "/metrics", &[]).status, 401);
    assert_eq!(api.with(None).raw("GET", "/metrics", &[]).status, 401);
    let monitor = api.user("metrics-m", "monitoring");
    assert_eq!(monitor.raw("GET", "/metrics", &[]).status, 200);
    api.forget(&["users/metrics-u", "users/metrics-m"]);
}
