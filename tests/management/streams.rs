//! What happens and what is logged, told as it comes.

use serde_json::{Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("what happens is told as it happens", Leveret, events),
    ("lines of the log are told by level and category", Leveret, log),
    ("streams are for who may monitor and administrate", Leveret, rights),
];

fn data(said: &str) -> Value {
    let line = said.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(line.expect("an event has data")).expect("it is JSON")
}

fn events(api: &Api) {
    let mut stream = api.stream("events?keys=queue.,exchange.created");
    let head = stream.until("\r\n\r\n");
    assert!(head.contains("200 OK") && head.contains("text/event-stream"), "{head}");
    stream.until(": alive\n\n");
    api.vhost("streams-e");
    api.put("queues/streams-e/q", "{}").expect(201);
    let created = loop {
        let said = stream.until("\n\n");
        if said.contains("event: queue.created") && said.contains("streams-e") {
            break data(&said);
        }
    };
    for (name, expected) in [
        ("event", json!("queue.created")),
        ("name", json!("q")),
        ("vhost", json!("streams-e")),
        ("user_who_performed_action", json!("guest")),
    ] {
        assert_eq!(created[name], expected, "{created}");
    }
    assert!(created["timestamp_in_ms"].is_u64(), "{created}");
    api.forget(&["vhosts/streams-e"]);
}

fn log(api: &Api) {
    let mut stream = api.stream("log?level=info&category=default");
    stream.until(": alive\n\n");
    api.put("queues/%2F/streams-l", "{}").expect(201);
    api.put("queues/%2F/streams-l/pause", r#"{"consumers":true}"#).expect(204);
    let line = loop {
        let said = stream.until("\n\n");
        if said.contains("streams-l") {
            break data(&said);
        }
    };
    assert_eq!((&line["level"], &line["domain"]), (&json!("info"), &json!("rabbitmq.default")));
    assert!(line["msg"].as_str().is_some_and(|text| text.contains("are paused")), "{line}");
    let text = "there is no log level 'loud'";
    refused(api.get("log?level=loud"), 400, "bad_request", text);
    let text = "there is no log category 'no'";
    refused(api.get("log?category=no"), 400, "bad_request", text);
    api.forget(&["queues/%2F/streams-l"]);
}

fn rights(api: &Api) {
    let user = api.user("streams-u", "policymaker");
    refused(user.get("events"), 401, "not_authorised", "Not monitor user");
    let monitor = api.user("streams-m", "monitoring");
    refused(monitor.get("log"), 401, "not_authorised", "Not administrator user");
    monitor.stream("events").until(": alive\n\n");
    api.forget(&["users/streams-u", "users/streams-m"]);
}
