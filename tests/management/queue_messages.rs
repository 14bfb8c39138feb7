//! Messages of a queue looked at where they are, and deleted, copied, moved and brought back.

use leveret_tests::deadline::wait_for;
use serde_json::{Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("looking takes nothing, page by page", Leveret, pages),
    ("filters choose messages by all that is in them", Leveret, filters),
    ("what is handed out is seen with who has it", Leveret, handed_out),
    ("messages are counted and deleted", Leveret, deleted),
    ("messages are copied and moved to queues and exchanges", Leveret, moved),
    ("dead letters go back to where they died", Leveret, redriven),
    ("messages are named one by one", Leveret, picked),
    ("a filter that is not understood means nothing", Leveret, misunderstood),
    ("rights are those of who consumes and publishes", Leveret, rights),
    ("own keys to a topic exchange are asked for one by one", Leveret, topics),
];

fn with_queue(api: &Api, vhost: &str) {
    api.vhost(vhost);
    api.put(&format!("queues/{vhost}/q"), r#"{"durable":true}"#).expect(201);
}

fn publish(api: &Api, vhost: &str, exchange: &str, key: &str, properties: Value, payload: &str) {
    let body = json!({
        "properties": properties, "routing_key": key, "payload": payload,
        "payload_encoding": "string",
    });
    let path = format!("exchanges/{vhost}/{exchange}/publish");
    api.post(&path, &body.to_string()).expect(200);
}

fn fill(api: &Api, vhost: &str, bodies: &[&str]) {
    for body in bodies {
        publish(api, vhost, "amq.default", "q", json!({"delivery_mode": 2}), body);
    }
}

/// The bodies of what is seen.
fn seen(api: &Api, path: &str) -> Vec<String> {
    let page = api.json(path);
    let messages = page["messages"].as_array().expect("a list").iter();
    messages.map(|one| one["payload"].as_str().expect("a text").to_owned()).collect()
}

fn operate(api: &Api, path: &str, body: &Value) -> Value {
    api.post(path, &body.to_string()).expect(200).json()
}

fn pages(api: &Api) {
    with_queue(api, "peek-p");
    fill(api, "peek-p", &["one", "two", "three"]);
    let first = api.json("queues/peek-p/q/messages?count=2");
    let cursor = first["cursor"].as_str().expect("there is more");
    let one = &first["messages"][0];
    for (name, expected) in [
        ("payload", json!("one")),
        ("payload_encoding", json!("string")),
        ("payload_bytes", json!(3)),
        ("redelivered", json!(false)),
        ("routing_key", json!("q")),
        ("exchange", json!("")),
        ("failed_attempts", json!(0)),
        ("properties", json!({"delivery_mode": 2})),
        ("consumer_tag", Value::Null),
        ("is_readable", json!(true)),
    ] {
        assert_eq!(one[name], expected, "{name}");
    }
    assert!(one["arrived_at"].is_u64(), "{one}");
    assert_eq!(seen(api, &format!("queues/peek-p/q/messages?cursor={cursor}")), ["three"]);
    let last = api.json(&format!("queues/peek-p/q/messages?cursor={cursor}"));
    assert_eq!(last["cursor"], Value::Null);
    let cut = api.json("queues/peek-p/q/messages?count=1&truncate=2&encoding=base64");
    assert_eq!(cut["messages"][0]["payload"], "b24=");
    // Nothing was taken, and nothing marked.
    let body = json!({"count": 9, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let got = operate(api, "queues/peek-p/q/get", &body);
    assert_eq!((got.as_array().map(Vec::len), &got[2]["redelivered"]), (Some(3), &json!(false)));
    refused(api.get("queues/peek-p/no/messages"), 404, "Object Not Found", "Not Found");
    refused(api.get("queues/peek-no/q/messages"), 404, "Object Not Found", "Not Found");
    for wrong in ["count=x", "count=-1", "cursor=x", "state=no", "encoding=no", "truncate=x", "a=b"]
    {
        api.get(&format!("queues/peek-p/q/messages?{wrong}")).expect(400);
    }
    api.forget(&["vhosts/peek-p"]);
}

fn filters(api: &Api) {
    with_queue(api, "peek-f");
    api.put("exchanges/peek-f/x", r#"{"type":"topic"}"#).expect(201);
    api.post("bindings/peek-f/e/x/q/q", r##"{"routing_key":"#"}"##).expect(201);
    let headers = json!({"headers": {"tenant": "north", "attempt": 3}, "message_id": "m1"});
    publish(api, "peek-f", "x", "order.new", headers, "first order");
    publish(api, "peek-f", "x", "order.old", json!({"headers": {"tenant": "south"}}), "second");
    publish(api, "peek-f", "amq.default", "q", json!({"type": "t"}), "third");
    for (query, expected) in [
        ("header.tenant=north", &["first order"][..]),
        ("header.attempt=3&header.tenant=north", &["first order"]),
        ("routing_key_regex=%5Eorder%5C.", &["first order", "second"]),
        ("routing_key=order.old", &["second"]),
        ("exchange=amq.default", &["third"]),
        ("exchange=x&text=order", &["first order"]),
        ("text_regex=%5Es", &["second"]),
        ("type=t", &["third"]),
        ("message_id=m1", &["first order"]),
        ("older_than=3600", &[]),
        ("newer_than=3600", &["first order", "second", "third"]),
    ] {
        assert_eq!(seen(api, &format!("queues/peek-f/q/messages?{query}")), expected, "{query}");
    }
    api.forget(&["vhosts/peek-f"]);
}

fn handed_out(api: &Api) {
    api.put("queues/%2F/peek-h", "{}").expect(201);
    let mut client = api.amqp().connect();
    client.fill("peek-h", &["a", "b"]);
    let tag = client.consume("peek-h");
    client.expect_deliveries(&["a", "b"]);
    let held = wait_for("both are handed out", || {
        let page = api.json("queues/%2F/peek-h/messages?state=unacked");
        (page["messages"].as_array()?.len() == 2).then_some(page)
    });
    let first = &held["messages"][0];
    assert_eq!((&first["consumer_tag"], &first["user"]), (&json!(tag), &json!("guest")));
    let channel = first["channel"].as_str().expect("a channel");
    assert!(channel.ends_with(" (1)") && channel.contains(&client.local_port().to_string()));
    let arrived = first["arrived_at"].as_u64();
    assert!(first["delivered_at"].as_u64() >= arrived && arrived.is_some(), "{first}");
    assert_eq!(seen(api, "queues/%2F/peek-h/messages"), [""; 0]);
    let body = r#"{"state":"unacked"}"#;
    let text = "messages that are unacked belong to their consumers: only copy takes them";
    refused(api.post("queues/%2F/peek-h/messages/delete", body), 400, "bad_request", text);
    let counted = operate(api, "queues/%2F/peek-h/messages/count", &json!({"state": "unacked"}));
    assert_eq!(counted["matched"], 2);
    let copy = json!({"state": "unacked", "destination": {"queue": "peek-h"}, "limit": 1});
    assert_eq!(operate(api, "queues/%2F/peek-h/messages/copy", &copy)["done"], 1);
    api.delete("queues/%2F/peek-h").expect(204);
}

fn deleted(api: &Api) {
    with_queue(api, "peek-d");
    fill(api, "peek-d", &["a1", "b1", "a2", "a3"]);
    let path = "queues/peek-d/q/messages/delete";
    let dry = json!({"filter": {"text": "a"}, "dry_run": true});
    let expected = json!({
        "dry_run": true, "seen": 4, "matched": 3, "done": 0, "without_route": 0, "refused": 0,
        "unreadable": 0, "complete": true,
    });
    assert_eq!(operate(api, path, &dry), expected);
    let some = json!({"filter": {"text": "a"}, "limit": 2, "rate": 1000});
    assert_eq!(operate(api, path, &some)["done"], 2);
    assert_eq!(seen(api, "queues/peek-d/q/messages"), ["b1", "a3"]);
    assert_eq!(operate(api, path, &json!({}))["done"], 2);
    assert_eq!(seen(api, "queues/peek-d/q/messages"), [""; 0]);
    api.forget(&["vhosts/peek-d"]);
}

fn moved(api: &Api) {
    with_queue(api, "peek-m");
    api.put("queues/peek-m/r", r#"{"durable":true}"#).expect(201);
    api.post("bindings/peek-m/e/amq.direct/q/r", r#"{"routing_key":"k"}"#).expect(201);
    fill(api, "peek-m", &["a", "b"]);
    let copy = json!({"destination": {"queue": "r"}, "filter": {"text": "a"}});
    assert_eq!(operate(api, "queues/peek-m/q/messages/copy", &copy)["done"], 1);
    assert_eq!(seen(api, "queues/peek-m/q/messages"), ["a", "b"]);
    let to = |routing_key: Option<&str>| json!({"destination": {"exchange": "amq.direct", "routing_key": routing_key}});
    let nowhere = operate(api, "queues/peek-m/q/messages/move", &to(None));
    assert_eq!((&nowhere["without_route"], &nowhere["done"]), (&json!(2), &json!(0)));
    assert_eq!(operate(api, "queues/peek-m/q/messages/move", &to(Some("k")))["done"], 2);
    assert_eq!(seen(api, "queues/peek-m/q/messages"), [""; 0]);
    assert_eq!(seen(api, "queues/peek-m/r/messages"), ["a", "a", "b"]);
    let missing = json!({"destination": {"queue": "no"}}).to_string();
    let text = "no queue 'no' in vhost 'peek-m'";
    refused(api.post("queues/peek-m/q/messages/move", &missing), 404, "not_found", text);
    let missing = json!({"destination": {"exchange": "no"}}).to_string();
    let text = "no exchange 'no' in vhost 'peek-m'";
    refused(api.post("queues/peek-m/q/messages/move", &missing), 404, "not_found", text);
    for wrong in [
        json!({}),
        json!({"destination": {}}),
        json!({"destination": {"queue": "r", "exchange": "amq.direct"}}),
        json!({"destination": {"queue": "r", "else": 1}}),
        json!({"destination": "r"}),
    ] {
        api.post("queues/peek-m/q/messages/move", &wrong.to_string()).expect(400);
    }
    api.put("exchanges/peek-m/i", r#"{"type":"fanout","internal":true}"#).expect(201);
    let internal = json!({"destination": {"exchange": "i"}}).to_string();
    let text = "cannot publish to internal exchange 'i' in vhost 'peek-m'";
    refused(api.post("queues/peek-m/r/messages/copy", &internal), 400, "bad_request", text);
    api.forget(&["vhosts/peek-m"]);
}

fn redriven(api: &Api) {
    api.vhost("peek-r");
    let dead =
        json!({"arguments": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "d"}});
    api.put("queues/peek-r/q", &dead.to_string()).expect(201);
    api.put("queues/peek-r/d", "{}").expect(201);
    fill(api, "peek-r", &["a"]);
    let reject = json!({"count": 1, "ackmode": "reject_requeue_false", "encoding": "auto"});
    operate(api, "queues/peek-r/q/get", &reject);
    wait_for("it is a dead letter", || {
        (seen(api, "queues/peek-r/d/messages") == ["a"]).then_some(())
    });
    publish(api, "peek-r", "amq.default", "d", json!({}), "never died");
    let report = operate(api, "queues/peek-r/d/messages/redrive", &json!({}));
    assert_eq!((&report["done"], &report["without_route"]), (&json!(1), &json!(1)));
    assert_eq!(seen(api, "queues/peek-r/q/messages"), ["a"]);
    let back = api.json("queues/peek-r/q/messages");
    assert_eq!(back["messages"][0]["routing_key"], "q");
    assert_eq!(seen(api, "queues/peek-r/d/messages"), ["never died"]);
    let body = r#"{"destination":{"queue":"q"}}"#;
    let text = "unknown field destination";
    refused(api.post("queues/peek-r/d/messages/redrive", body), 400, "bad_request", text);
    api.forget(&["vhosts/peek-r"]);
}

fn picked(api: &Api) {
    with_queue(api, "peek-o");
    api.put("queues/peek-o/to", "{}").expect(201);
    fill(api, "peek-o", &["one", "two", "three", "four", "five"]);
    let all = api.json("queues/peek-o/q/messages");
    let name = |at: usize| {
        let one = &all["messages"][at];
        json!({"cursor": one["cursor"], "sequence": one["sequence"]})
    };
    let path = |verb: &str| format!("queues/peek-o/q/messages/{verb}");
    let some = json!({"messages": [name(3), name(1)], "dry_run": true});
    assert_eq!(operate(api, &path("count"), &some)["matched"], 2);
    assert_eq!(operate(api, &path("count"), &json!({"messages": []}))["matched"], 0);
    // A filter beside it means fewer.
    let fewer = json!({"messages": [name(3), name(1)], "filter": {"text": "two"}});
    assert_eq!(operate(api, &path("count"), &fewer)["matched"], 1);
    let moved = json!({"messages": [name(3), name(1)], "destination": {"queue": "to"}});
    assert_eq!(operate(api, &path("move"), &moved)["done"], 2);
    assert_eq!(seen(api, "queues/peek-o/to/messages"), ["four", "two"]);
    // What went on meanwhile is passed over, and nothing else in its stead.
    let body = json!({"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"});
    operate(api, "queues/peek-o/q/get", &body);
    let deleted = json!({"messages": [name(0), name(1), name(4)]});
    let report = operate(api, &path("delete"), &deleted);
    assert_eq!((&report["matched"], &report["done"]), (&json!(1), &json!(1)));
    assert_eq!(seen(api, "queues/peek-o/q/messages"), ["three"]);
    let other = json!({"messages": [{"cursor": name(2)["cursor"], "sequence": 77}]});
    assert_eq!(operate(api, &path("delete"), &other)["done"], 0);
    api.post(&path("delete"), r#"{"messages":["255-2"]}"#).expect(400);
    api.forget(&["vhosts/peek-o"]);
}

fn misunderstood(api: &Api) {
    with_queue(api, "peek-w");
    fill(api, "peek-w", &["a"]);
    for wrong in [
        json!({"filters": {}}),
        json!({"filter": {"routing-key": "q"}}),
        json!({"filter": "q"}),
        json!({"filter": {"text_regex": "("}}),
        json!({"filter": {"headers": {"a": null}}}),
        json!({"limit": -1}),
        json!({"limit": "x"}),
        json!({"rate": 0}),
        json!({"dry_run": "perhaps"}),
        json!({"state": "all"}),
    ] {
        api.post("queues/peek-w/q/messages/delete", &wrong.to_string()).expect(400);
    }
    refused(api.post("queues/peek-w/q/messages/delete", "[]"), 400, "bad_request", "not_json");
    assert_eq!(seen(api, "queues/peek-w/q/messages"), ["a"]);
    api.post("queues/peek-w/no/messages/delete", "{}").expect(404);
    assert_eq!(api.put("queues/peek-w/q/messages", "").status, 405);
    api.forget(&["vhosts/peek-w"]);
}

fn rights(api: &Api) {
    with_queue(api, "peek-a");
    api.put("queues/peek-a/own", "{}").expect(201);
    fill(api, "peek-a", &["a"]);
    let outsider = api.user("peek-a-out", "management");
    refused(outsider.get("queues/peek-a/q/messages"), 404, "not_found", "Not Found");
    let untagged = api.user("peek-a-none", "");
    let text = "Not management user";
    refused(untagged.get("queues/peek-a/q/messages"), 401, "not_authorised", text);
    let user = api.user_in("peek-a", "peek-a", "^own");
    let text = "Access refused.";
    refused(user.get("queues/peek-a/q/messages"), 401, "not_authorised", text);
    refused(user.post("queues/peek-a/q/messages/delete", "{}"), 401, "not_authorised", text);
    assert_eq!(seen(&user, "queues/peek-a/own/messages"), [""; 0]);
    // It may not publish to the default exchange.
    let body = r#"{"destination":{"queue":"own"}}"#;
    refused(user.post("queues/peek-a/own/messages/move", body), 401, "not_authorised", text);
    refused(user.post("queues/peek-a/own/messages/redrive", "{}"), 401, "not_authorised", text);
    // An administrator who may not enter the vhost cannot do what its clients do.
    let other = api.user("peek-a-admin", "administrator");
    refused(other.get("queues/peek-a/q/messages"), 401, "not_authorised", text);
    assert_eq!(seen(api, "queues/peek-a/q/messages"), ["a"]);
    let users = ["users/peek-a-out", "users/peek-a-none", "users/peek-a", "users/peek-a-admin"];
    api.forget(&["vhosts/peek-a"]);
    api.forget(&users);
}

fn topics(api: &Api) {
    with_queue(api, "peek-t");
    api.put("queues/peek-t/r", "{}").expect(201);
    api.post("bindings/peek-t/e/amq.topic/q/r", r##"{"routing_key":"#"}"##).expect(201);
    let user = api.user_in("peek-t", "peek-t", ".*");
    let rule = r#"{"exchange":"amq.topic","write":"^mine","read":".*"}"#;
    api.put("topic-permissions/peek-t/peek-t", rule).expect(201);
    api.put("exchanges/peek-t/f", r#"{"type":"fanout"}"#).expect(201);
    api.post("bindings/peek-t/e/f/q/q", "{}").expect(201);
    publish(api, "peek-t", "f", "mine.a", json!({}), "mine");
    publish(api, "peek-t", "f", "theirs.a", json!({}), "theirs");
    let own_keys = json!({"destination": {"exchange": "amq.topic"}});
    let report = operate(&user, "queues/peek-t/q/messages/move", &own_keys);
    assert_eq!((&report["seen"], &report["done"]), (&json!(2), &json!(1)));
    assert_eq!(seen(api, "queues/peek-t/r/messages"), ["mine"]);
    let theirs = json!({"destination": {"exchange": "amq.topic", "routing_key": "theirs.b"}});
    user.post("queues/peek-t/q/messages/move", &theirs.to_string()).expect(401);
    assert_eq!(seen(api, "queues/peek-t/q/messages"), ["theirs"]);
    api.forget(&["vhosts/peek-t", "users/peek-t"]);
}
