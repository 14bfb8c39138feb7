//! Messages published and fetched over HTTP.

use serde_json::{Value, json};

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("what is published is fetched, and stays or goes", Any, round_trip),
    ("properties come along", Any, properties),
    ("payloads may be no text, and long ones are cut", Any, payloads),
    ("what leads nowhere is told", Any, unroutable),
    ("what cannot be published is refused", Any, refused_publishes),
    ("what cannot be fetched is refused", Any, refused_gets),
    ("the old word for an ackmode is understood", Leveret, requeue),
    ("a large message comes back whole", Leveret, large),
];

fn with_queue(api: &Api, vhost: &str) {
    api.vhost(vhost);
    api.put(&format!("queues/{vhost}/q"), r#"{"durable":true}"#).expect(201);
}

fn publish(api: &Api, vhost: &str, key: &str, properties: Value, payload: &str) -> Value {
    let body = json!({
        "properties": properties, "routing_key": key, "payload": payload,
        "payload_encoding": "string",
    });
    let path = format!("exchanges/{vhost}/amq.default/publish");
    api.post(&path, &body.to_string()).expect(200).json()
}

fn get(api: &Api, vhost: &str, mode: &str) -> Value {
    let body = json!({"count": "10", "ackmode": mode, "encoding": "auto"});
    api.post(&format!("queues/{vhost}/q/get"), &body.to_string()).expect(200).json()
}

fn round_trip(api: &Api) {
    with_queue(api, "messages-r");
    for body in ["one", "two"] {
        let said = publish(api, "messages-r", "q", json!({}), body);
        assert_eq!(said, json!({"routed": true}));
    }
    for redelivered in [false, true] {
        let got = get(api, "messages-r", "ack_requeue_true");
        let bodies: Vec<&Value> =
            got.as_array().expect("a list").iter().map(|one| &one["payload"]).collect();
        assert_eq!(bodies, ["one", "two"]);
        assert_eq!(got[0]["redelivered"], redelivered);
        for (name, expected) in [
            ("payload_bytes", json!(3)),
            ("exchange", json!("")),
            ("routing_key", json!("q")),
            ("message_count", json!(1)),
            ("payload_encoding", json!("string")),
        ] {
            assert_eq!(got[0][name], expected, "{name}");
        }
    }
    assert_eq!(get(api, "messages-r", "ack_requeue_false").as_array().map(Vec::len), Some(2));
    assert_eq!(get(api, "messages-r", "ack_requeue_false"), json!([]));
    publish(api, "messages-r", "q", json!({}), "three");
    assert_eq!(get(api, "messages-r", "reject_requeue_true").as_array().map(Vec::len), Some(1));
    assert_eq!(get(api, "messages-r", "reject_requeue_false").as_array().map(Vec::len), Some(1));
    assert_eq!(get(api, "messages-r", "ack_requeue_true"), json!([]));
    api.forget(&["vhosts/messages-r"]);
}

fn properties(api: &Api) {
    with_queue(api, "messages-p");
    let given = json!({
        "delivery_mode": 2, "priority": 3, "timestamp": 1_700_000_000, "content_type": "text/plain",
        "message_id": "m", "correlation_id": "c", "reply_to": "r", "expiration": "60000",
        "type": "t", "user_id": "guest", "app_id": "a",
        "headers": {"a": 1, "b": "x", "c": true, "d": {"e": [1]}},
    });
    publish(api, "messages-p", "q", given.clone(), "x");
    let got = get(api, "messages-p", "ack_requeue_false");
    assert_eq!(got[0]["properties"], given);
    api.forget(&["vhosts/messages-p"]);
}

fn payloads(api: &Api) {
    with_queue(api, "messages-b");
    let body =
        r#"{"properties":{},"routing_key":"q","payload":"/wD+","payload_encoding":"base64"}"#;
    api.post("exchanges/messages-b/amq.default/publish", body).expect(200);
    let got = get(api, "messages-b", "ack_requeue_false");
    assert_eq!(
        (&got[0]["payload"], &got[0]["payload_encoding"]),
        (&json!("/wD+"), &json!("base64"))
    );
    publish(api, "messages-b", "q", json!({}), "hello");
    let body = r#"{"count":1,"ackmode":"ack_requeue_false","encoding":"base64","truncate":2}"#;
    let got = api.post("queues/messages-b/q/get", body).expect(200).json();
    assert_eq!((&got[0]["payload"], &got[0]["payload_bytes"]), (&json!("aGU="), &json!(5)));
    api.forget(&["vhosts/messages-b"]);
}

fn unroutable(api: &Api) {
    with_queue(api, "messages-u");
    let said = publish(api, "messages-u", "no", json!({}), "x");
    assert_eq!(said, json!({"routed": false}));
    let body = r#"{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}"#;
    publish(api, "messages-u", "q", json!({}), "x");
    let got = api.post("queues/messages-u/q/get", body).expect(200).json();
    assert_eq!(got[0]["properties"], json!([]), "as RabbitMQ has it where there are none");
    api.forget(&["vhosts/messages-u"]);
}

fn refused_publishes(api: &Api) {
    with_queue(api, "messages-f");
    api.put("exchanges/messages-f/i", r#"{"type":"fanout","internal":true}"#).expect(201);
    let to = |exchange: &str, body: &Value| {
        api.post(&format!("exchanges/messages-f/{exchange}/publish"), &body.to_string())
    };
    let with = |properties: Value, payload: &str, encoding: &str| {
        json!({
            "properties": properties, "routing_key": "q", "payload": payload,
            "payload_encoding": encoding,
        })
    };
    let good = with(json!({}), "x", "string");
    let default = "amq.default";
    refused(to("no", &good), 404, "not_found", "exchange_not_found");
    let text = "403 ACCESS_REFUSED - cannot publish to internal exchange 'i' in vhost 'messages-f'";
    refused(to("i", &good), 400, "bad_request", text);
    let missing =
        "[{key_missing,properties},\n {key_missing,payload},\n {key_missing,payload_encoding}]";
    refused(to(default, &json!({"routing_key": "q"})), 400, "bad_request", missing);
    let reason = json!(["not_base64", "!!"]);
    refused(to(default, &with(json!({}), "!!", "base64")), 400, "bad_request", reason);
    let reason = json!(["unsupported_encoding", "no"]);
    refused(to(default, &with(json!({}), "x", "no")), 400, "bad_request", reason);
    let reason = json!(["not_int", "priority"]);
    let body = with(json!({"priority": "x"}), "x", "string");
    refused(to(default, &body), 400, "bad_request", reason);
    let body = with(json!({"headers": {"a": null}}), "x", "string");
    refused(to(default, &body), 400, "bad_request", "null_not_allowed");
    let body = with(json!({"user_id": "other"}), "x", "string");
    let text = "406 PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was \
                'guest'";
    refused(to(default, &body), 400, "bad_request", text);
    let user = api.user_in("messages-f", "messages-f", "^own");
    let text = "403 ACCESS_REFUSED - write access to exchange 'amq.default' in vhost 'messages-f' \
                refused for user 'messages-f'";
    let reply = user.post("exchanges/messages-f/amq.default/publish", &good.to_string());
    refused(reply, 400, "bad_request", text);
    assert_eq!(get(api, "messages-f", "ack_requeue_true"), json!([]));
    api.forget(&["vhosts/messages-f", "users/messages-f"]);
}

fn refused_gets(api: &Api) {
    with_queue(api, "messages-g");
    let post = |body: Value| api.post("queues/messages-g/q/get", &body.to_string());
    let missing = "[{key_missing,ackmode},{key_missing,encoding}]";
    refused(post(json!({"count": 1})), 400, "bad_request", missing);
    let text = "Invalid ackmode value: no. Valid values are: ack_requeue_true, ack_requeue_false, \
                reject_requeue_true, reject_requeue_false";
    let body = json!({"count": 1, "ackmode": "no", "encoding": "auto"});
    refused(post(body), 400, "bad_request", text);
    let body = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "no"});
    let text = "Unsupported encoding. Please use auto or base64.";
    refused(post(body), 400, "bad_request", text);
    let body = json!({"count": "x", "ackmode": "ack_requeue_true", "encoding": "auto"});
    refused(post(body), 400, "bad_request", json!(["not_integer", "x"]));
    let good = json!({"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}).to_string();
    refused(api.post("queues/messages-g/no/get", &good), 404, "not_found", "queue_not_found");
    let user = api.user_in("messages-g", "messages-g", "^own");
    let text = "ACCESS_REFUSED - read access to queue 'q' in vhost 'messages-g' refused for user \
                'messages-g'";
    refused(user.post("queues/messages-g/q/get", &good), 401, "not_authorised", text);
    api.forget(&["vhosts/messages-g", "users/messages-g"]);
}

fn requeue(api: &Api) {
    with_queue(api, "messages-o");
    publish(api, "messages-o", "q", json!({}), "x");
    let post = |requeue: bool| {
        let body = json!({"count": 1, "requeue": requeue, "encoding": "auto"}).to_string();
        api.post("queues/messages-o/q/get", &body).expect(200).json()
    };
    assert_eq!(post(true)[0]["payload"], "x");
    assert_eq!(post(false)[0]["payload"], "x");
    assert_eq!(post(false), json!([]));
    api.forget(&["vhosts/messages-o"]);
}

fn large(api: &Api) {
    with_queue(api, "messages-l");
    let body = "a".repeat(300_000);
    publish(api, "messages-l", "q", json!({"delivery_mode": 2}), &body);
    let got = get(api, "messages-l", "ack_requeue_false");
    assert_eq!(got[0]["payload_bytes"], 300_000);
    assert_eq!(got[0]["payload"], body);
    api.forget(&["vhosts/messages-l"]);
}
