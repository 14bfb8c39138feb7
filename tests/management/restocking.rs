//! Messages put into queues as they were on another broker.

use leveret_tests::http::Reply;
use serde_json::json;

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("messages are put into queues as they were", Leveret, put),
    ("all can be read and every queue is there, or nothing is put anywhere", Leveret, whole),
    ("a full queue refuses those that it does not take", Leveret, full),
    ("only administrators put messages into queues", Leveret, rights),
];

/// Content type, persistent, one header.
const PROPERTIES: &[u8] = b"\xb0\x00\x03a/b\x00\x00\x00\x07\x01kI\x00\x00\x00\x05\x02";

fn message(queue: &str, exchange: &str, key: &str, body: &str) -> Vec<u8> {
    let short =
        |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    let long = |bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("short");
        [&length.to_be_bytes(), bytes].concat()
    };
    let names = [short(queue), short(exchange), short(key)].concat();
    [names, long(PROPERTIES), long(body.as_bytes())].concat()
}

fn send(api: &Api, path: &str, body: &[u8]) -> Reply {
    api.with_body(
        "POST",
        &format!("/api/{path}"),
        &[("Content-Type", "application/octet-stream")],
        body,
    )
}

fn queues(api: &Api, vhost: &str, arguments: &serde_json::Value) {
    api.vhost(vhost);
    let declare = json!({"durable": true, "arguments": arguments}).to_string();
    for queue in ["q", "r"] {
        api.put(&format!("queues/{vhost}/{queue}"), &declare).expect(201);
    }
}

fn count(api: &Api, vhost: &str) -> usize {
    let seen = |queue: &str| {
        let page = api.json(&format!("queues/{vhost}/{queue}/messages"));
        page["messages"].as_array().expect("a list").len()
    };
    seen("q") + seen("r")
}

fn put(api: &Api) {
    queues(api, "stock", &json!({}));
    let body = [message("q", "gone", "a.b", "one"), message("r", "", "q", "two")].concat();
    let became = send(api, "vhosts/stock/messages", &body).expect(200).json();
    assert_eq!(became, json!({"taken": 2, "refused": []}));
    let page = api.json("queues/stock/q/messages");
    let found = &page["messages"][0];
    assert_eq!((&found["exchange"], &found["routing_key"]), (&json!("gone"), &json!("a.b")));
    let expected = json!({"content_type": "a/b", "delivery_mode": 2, "headers": {"k": 5}});
    assert_eq!((&found["payload"], &found["properties"]), (&json!("one"), &expected));
    assert_eq!(count(api, "stock"), 2);
    let nothing = send(api, "vhosts/stock/messages", b"").expect(200).json();
    assert_eq!(nothing, json!({"taken": 0, "refused": []}));
}

fn whole(api: &Api) {
    queues(api, "whole", &json!({}));
    let one = message("q", "", "q", "one");
    let cut = [&one[..], &one[..one.len() - 1]].concat();
    let reply = send(api, "vhosts/whole/messages", &cut);
    refused(reply, 400, "bad_request", "message 2 cannot be read");
    let elsewhere = [one, message("none", "", "q", "two")].concat();
    let reply = send(api, "vhosts/whole/messages", &elsewhere);
    refused(reply, 404, "not_found", "there is no queue 'none'");
    send(api, "vhosts/nowhere/messages", &elsewhere).expect(404);
    assert_eq!(count(api, "whole"), 0);
}

fn full(api: &Api) {
    queues(api, "full", &json!({"x-max-length": 2, "x-overflow": "reject-publish"}));
    let names = ["q", "q", "q", "r", "q"];
    let body: Vec<u8> = names.iter().flat_map(|queue| message(queue, "", "k", "m")).collect();
    let became = send(api, "vhosts/full/messages", &body).expect(200).json();
    assert_eq!(became, json!({"taken": 3, "refused": [2, 4]}));
    assert_eq!(count(api, "full"), 3);
}

fn rights(api: &Api) {
    queues(api, "rights-of-stock", &json!({}));
    let monitor = api.user("stock-monitor", "monitoring");
    let body = message("q", "", "q", "one");
    send(&monitor, "vhosts/rights-of-stock/messages", &body).expect(401);
    monitor.get("backup").expect(401);
    assert_eq!(count(api, "rights-of-stock"), 0);
}
