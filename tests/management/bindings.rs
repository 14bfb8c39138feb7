//! Bindings over HTTP.

use serde_json::json;

use crate::scene::Needs::Any;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("bindings are made, found by their key, and undone", Any, life),
    ("a key in a path is quoted twice", Any, quoting),
    ("ends that are not there are told", Any, refusals),
    ("the default exchange leads to every queue", Any, default),
];

fn with_ends(api: &Api, vhost: &str) {
    api.vhost(vhost);
    api.put(&format!("exchanges/{vhost}/e"), r#"{"type":"topic"}"#).expect(201);
    api.put(&format!("exchanges/{vhost}/e2"), r#"{"type":"fanout"}"#).expect(201);
    api.put(&format!("queues/{vhost}/q"), "").expect(201);
}

fn life(api: &Api) {
    with_ends(api, "bindings-l");
    let between = "bindings/bindings-l/e/e/q/q";
    for _ in 0..2 {
        let reply = api.post(between, r#"{"routing_key":"a.b"}"#).expect(201);
        assert_eq!((reply.header("location"), reply.text().as_str()), (Some("q/a.b"), ""));
    }
    let binding = json!({
        "source": "e", "vhost": "bindings-l", "destination": "q", "destination_type": "queue",
        "routing_key": "a.b", "arguments": {}, "properties_key": "a.b",
    });
    assert_eq!(api.json(between), json!([binding]));
    assert_eq!(api.json(&format!("{between}/a.b")), binding);
    assert_eq!(api.json("exchanges/bindings-l/e/bindings/source"), json!([binding]));
    api.post("bindings/bindings-l/e/e/e/e2", r#"{"routing_key":"k"}"#).expect(201);
    let to_exchange = api.json("exchanges/bindings-l/e2/bindings/destination");
    assert_eq!(to_exchange[0]["destination_type"], "exchange");
    let of_queue = api.json("queues/bindings-l/q/bindings");
    assert_eq!(of_queue.as_array().map(Vec::len), Some(2), "{of_queue}");
    assert_eq!(api.json("bindings/bindings-l").as_array().map(Vec::len), Some(3));
    api.delete(&format!("{between}/a.b")).expect(204);
    refused(api.delete(&format!("{between}/a.b")), 404, "Object Not Found", "Not Found");
    refused(api.get(&format!("{between}/a.b")), 404, "Object Not Found", "Not Found");
    api.forget(&["vhosts/bindings-l"]);
}

fn quoting(api: &Api) {
    with_ends(api, "bindings-q");
    let between = "bindings/bindings-q/e/e/q/q";
    for (body, key, location) in [
        (r#"{}"#, "~", "q/~"),
        (
            r#"{"routing_key":"with space ~/%"}"#,
            "with+space+%7E%2F%25",
            "q/with%2Bspace%2B%257E%252F%2525",
        ),
    ] {
        let reply = api.post(between, body).expect(201);
        assert_eq!(reply.header("location"), Some(location));
        let path = location.strip_prefix("q/").expect("the destination");
        let found = api.json(&format!("{between}/{path}"));
        assert_eq!(found["properties_key"], key);
    }
    // Clients that do not know of quoting write the routing key as it is.
    api.post(between, r##"{"routing_key":"a.*.#"}"##).expect(201);
    for key in ["a.*.%23", "a.%2A.%23", "a.%252A.%2523"] {
        assert_eq!(api.json(&format!("{between}/{key}"))["routing_key"], "a.*.#");
    }
    api.delete(&format!("{between}/a.*.%23")).expect(204);
    let reply = api.post(between, r#"{"routing_key":"k","arguments":{"x":1}}"#).expect(201);
    let key =
        reply.header("location").and_then(|it| it.strip_prefix("q/")).expect("a key").to_owned();
    assert!(key.starts_with("k~") && key.len() > 4, "{key}");
    assert_eq!(api.json(&format!("{between}/{key}"))["arguments"], json!({"x": 1}));
    api.delete(&format!("{between}/{key}")).expect(204);
    api.forget(&["vhosts/bindings-q"]);
}

fn refusals(api: &Api) {
    with_ends(api, "bindings-r");
    let post = |path: &str| api.post(&format!("bindings/bindings-r/e/{path}"), "");
    refused(post("no/q/q"), 404, "not_found", "no exchange 'no' in vhost 'bindings-r'");
    refused(post("e/q/no"), 404, "not_found", "no queue 'no' in vhost 'bindings-r'");
    refused(post("amq.default/q/q"), 401, "not_authorised", "Access refused.");
    assert_eq!(api.json("bindings/bindings-r/e/e/q/no"), json!([]));
    api.forget(&["vhosts/bindings-r"]);
}

fn default(api: &Api) {
    with_ends(api, "bindings-d");
    let expected = json!([{
        "source": "", "vhost": "bindings-d", "destination": "q", "destination_type": "queue",
        "routing_key": "q", "arguments": {}, "properties_key": "q",
    }]);
    assert_eq!(api.json("bindings/bindings-d/e/amq.default/q/q"), expected);
    assert_eq!(api.json("exchanges/bindings-d/amq.default/bindings/source"), expected);
    api.forget(&["vhosts/bindings-d"]);
}
