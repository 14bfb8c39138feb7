//! Queues over HTTP.

use serde_json::json;

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, names, refused};

pub(crate) const ROWS: &[Row] = &[
    ("queues are declared, shown and deleted", Any, life),
    ("arguments come back as they were given", Any, arguments),
    ("what differs or cannot be is told", Any, refusals),
    ("rights are those of AMQP", Any, rights),
    ("conditions hold deletions back", Any, conditions),
    ("a queue has the fields that strict clients need", Leveret, fields),
    ("many queues are paged and sorted", Leveret, many),
];

fn life(api: &Api) {
    api.vhost("queues-l");
    let path = "queues/queues-l/q";
    let body = r#"{"durable":"true","auto_delete":"false","arguments":{}}"#;
    api.put(path, body).expect(201);
    api.put(path, body).expect(204);
    let queue = api.json(path);
    for (name, expected) in [
        ("name", json!("q")),
        ("vhost", json!("queues-l")),
        ("type", json!("classic")),
        ("durable", json!(true)),
        ("auto_delete", json!(false)),
        ("exclusive", json!(false)),
        ("state", json!("running")),
        ("consumer_details", json!([])),
    ] {
        assert_eq!(queue[name], expected, "{name}");
    }
    assert_eq!(names(&api.json("queues/queues-l")), ["q"]);
    assert_eq!(api.delete("queues/queues-l/q/contents").expect(204).text(), "");
    api.delete(path).expect(204);
    refused(api.get(path), 404, "Object Not Found", "Not Found");
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    let reply = api.delete("queues/queues-l/q/contents");
    refused(reply, 404, "Object Not Found", "Not Found");
    api.forget(&["vhosts/queues-l"]);
}

fn arguments(api: &Api) {
    api.vhost("queues-a");
    let given = json!({
        "x-expires": 60000, "x-queue-type": "classic", "a": {"b": [1, "x", true, 1.5]}, "c": -5,
    });
    let body = json!({"durable": true, "arguments": given}).to_string();
    api.put("queues/queues-a/q", &body).expect(201);
    assert_eq!(api.json("queues/queues-a/q")["arguments"], given);
    let body = r#"{"arguments":{"a":null}}"#;
    refused(api.put("queues/queues-a/n", body), 400, "bad_request", "null_not_allowed");
    api.put("queues/queues-a/empty", r#"{"durable":true,"arguments":[]}"#).expect(201);
    let quorum = r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#;
    api.put("queues/queues-a/quorum", quorum).expect(201);
    let quorum = api.json("queues/queues-a/quorum");
    assert_eq!(quorum["type"], "quorum");
    assert_eq!(quorum["members"].as_array().map(Vec::len), Some(1));
    api.forget(&["vhosts/queues-a"]);
}

fn refusals(api: &Api) {
    api.vhost("queues-r");
    let of = |name: &str| format!("queues/queues-r/{name}");
    api.put(&of("q"), r#"{"durable":true}"#).expect(201);
    let text = "inequivalent arg 'durable' for queue 'q' in vhost 'queues-r': received 'false' but \
                current is 'true'";
    refused(api.put(&of("q"), r#"{"durable":false}"#), 400, "bad_request", text);
    let text = "invalid arg 'x-message-ttl' for queue 'n' in vhost 'queues-r': \"expected integer, \
                got longstr\"";
    let body = r#"{"durable":true,"arguments":{"x-message-ttl":"abc"}}"#;
    refused(api.put(&of("n"), body), 400, "bad_request", text);
    let text = json!(["not_boolean", "maybe"]);
    refused(api.put(&of("n"), r#"{"durable":"maybe"}"#), 400, "bad_request", text);
    let text = "Node nope is not a cluster member";
    let body = r#"{"durable":true,"node":"nope"}"#;
    refused(api.put(&of("n"), body), 400, "bad_request", text);
    refused(api.put(&of("amq.x"), ""), 401, "not_authorised", "Access refused.");
    refused(api.put("queues/queues-no/q", ""), 404, "not_found", "vhost_not_found");
    refused(api.get("queues/queues-no"), 404, "Object Not Found", "Not Found");
    let reply = api.post(&format!("{}/actions", of("q")), r#"{"action":"sync"}"#);
    refused(reply, 400, "bad_request", json!(["unknown", "sync"]));
    api.forget(&["vhosts/queues-r"]);
}

fn rights(api: &Api) {
    api.vhost("queues-u");
    api.put("queues/queues-u/other", r#"{"durable":true}"#).expect(201);
    let user = api.user_in("queues-u", "queues-u", "^own");
    let body = r#"{"durable":true}"#;
    user.put("queues/queues-u/own", body).expect(201);
    for reply in [
        user.put("queues/queues-u/another", body),
        user.delete("queues/queues-u/other"),
        user.delete("queues/queues-u/other/contents"),
        user.post("bindings/queues-u/e/amq.topic/q/other", ""),
        user.put(
            "queues/queues-u/own.dead",
            r#"{"durable":true,"arguments":{"x-dead-letter-exchange":"amq.topic"}}"#,
        ),
    ] {
        refused(reply, 401, "not_authorised", "Access refused.");
    }
    user.get("queues/queues-u/other").expect(200);
    api.forget(&["vhosts/queues-u", "users/queues-u"]);
}

fn conditions(api: &Api) {
    api.vhost("queues-c");
    api.put("queues/queues-c/q", r#"{"durable":true}"#).expect(201);
    let body = json!({
        "properties": {}, "routing_key": "q", "payload": "x", "payload_encoding": "string",
    });
    api.post("exchanges/queues-c/amq.default/publish", &body.to_string()).expect(200);
    let text = "queue 'q' in vhost 'queues-c' not empty";
    refused(api.delete("queues/queues-c/q?if-empty=true"), 400, "bad_request", text);
    api.delete("queues/queues-c/q?if-unused=true").expect(204);
    api.forget(&["vhosts/queues-c"]);
}

fn fields(api: &Api) {
    api.vhost("queues-f");
    api.put("queues/queues-f/q", r#"{"durable":true}"#).expect(201);
    let queue = &api.json("queues/queues-f")[0];
    for name in ["messages", "messages_ready", "messages_unacknowledged", "message_bytes"] {
        assert!(queue[name].is_u64(), "{name}: {queue}");
    }
    for name in ["messages_details", "messages_ready_details", "messages_unacknowledged_details"] {
        assert!(queue[name]["rate"].is_f64(), "{name}: {queue}");
    }
    let quick = &api.json("queues/queues-f?disable_stats=true&enable_queue_totals=true")[0];
    assert!(quick["messages"].is_u64() && quick.get("memory").is_none(), "{quick}");
    let quick = &api.json("queues/queues-f?disable_stats=true")[0];
    assert!(quick.get("messages").is_none(), "{quick}");
    api.forget(&["vhosts/queues-f"]);
}

fn many(api: &Api) {
    api.vhost("queues-m");
    for n in 0..40 {
        api.put(&format!("queues/queues-m/q{n:02}"), r#"{"durable":false}"#).expect(201);
    }
    let page = api.json("queues/queues-m?page=2&page_size=15&sort=name&sort_reverse=true");
    assert_eq!(names(&page).first().map(String::as_str), Some("q24"));
    assert_eq!((&page["page_count"], &page["total_count"]), (&json!(3), &json!(40)));
    api.forget(&["vhosts/queues-m"]);
}
