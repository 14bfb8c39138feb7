//! Health checks.

use serde_json::json;

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("a broker that is well says so", Any, well),
    ("load balancers need not log in", Any, open),
    ("ports and protocols are looked for", Any, listeners),
    ("certificates are looked at", Any, certificates),
    ("whoever starts brokers asks without a login", Leveret, live_and_ready),
];

fn well(api: &Api) {
    for check in [
        "alarms",
        "local-alarms",
        "virtual-hosts",
        "node-is-quorum-critical",
        "metadata-store/initialized",
        "metadata-store/initialized/with-data",
        "quorum-queues-without-elected-leaders/vhost/%2F",
    ] {
        assert_eq!(api.json(&format!("health/checks/{check}"))["status"], "ok", "{check}");
        api.with(None).get(&format!("health/checks/{check}")).expect(401);
    }
    assert_eq!(api.json("aliveness-test/%2F"), json!({"status": "ok"}));
    assert_eq!(api.json("healthchecks/node"), json!({"status": "ok"}));
    refused(api.get("healthchecks/node/no"), 404, "Object Not Found", "Not Found");
}

fn open(api: &Api) {
    for check in [
        "is-in-service",
        "ready-to-serve-clients",
        "below-node-connection-limit",
        "reached-target-cluster-size",
    ] {
        let said = api.with(None).json(&format!("health/checks/{check}"));
        assert_eq!(said["status"], "ok", "{check}");
    }
}

fn listeners(api: &Api) {
    let all = api.json("overview?columns=listeners");
    let all = all["listeners"].as_array().expect("listeners");
    let amqp = all.iter().find(|one| one["protocol"] == "amqp").expect("one of AMQP");
    let port = amqp["port"].as_u64().expect("a port");
    let said = api.json(&format!("health/checks/port-listener/{port}"));
    assert_eq!(said, json!({"status": "ok", "port": port}));
    let said = api.get("health/checks/port-listener/1").expect(503).json();
    assert_eq!((&said["status"], &said["missing"]), (&json!("failed"), &json!(1)));
    assert_eq!(said["reason"], "No active listener");
    assert!(said["ports"].as_array().is_some_and(|ports| ports.contains(&json!(port))));
    refused(api.get("health/checks/port-listener/x"), 400, "bad_request", "Invalid port");
    let said = api.json("health/checks/protocol-listener/amqp,http");
    assert_eq!(said["status"], "ok");
    let said = api.get("health/checks/protocol-listener/amqp,no").expect(503).json();
    assert_eq!((&said["missing"], &said["status"]), (&json!(["no"]), &json!("failed")));
}

fn certificates(api: &Api) {
    let path = |rest: &str| format!("health/checks/certificate-expiration/{rest}");
    assert_eq!(api.json(&path("1/weeks")), json!({"status": "ok"}));
    let text = "Time unit not recognised. Supported units: days, weeks, months, years.";
    refused(api.get(&path("1/hours")), 400, "bad_request", text);
    refused(api.get(&path("x/days")), 400, "bad_request", "Invalid expiration value.");
}

fn live_and_ready(api: &Api) {
    for path in ["/health/live", "/health/ready"] {
        let reply = api.with(None).raw("GET", path, &[]).expect(200);
        assert_eq!(reply.json(), json!({"status": "ok"}), "{path}");
    }
}
