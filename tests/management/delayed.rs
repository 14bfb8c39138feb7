//! What waits for its time, in queues and at exchanges.

use leveret_tests::deadline::wait_for;
use serde_json::{Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("what an exchange delays is seen and cancelled", Leveret, of_exchanges),
    ("what came back and waits is seen and deleted", Leveret, of_queues),
    ("others see nothing of it", Leveret, rights),
];

fn delay(api: &Api, vhost: &str, exchange: &str, (key, body): (&str, &str)) {
    let body = json!({
        "properties": {"headers": {"x-delay": 3_600_000}}, "routing_key": key, "payload": body,
        "payload_encoding": "string",
    });
    let path = format!("exchanges/{vhost}/{exchange}/publish");
    api.post(&path, &body.to_string()).expect(200);
}

fn bodies(page: &Value) -> Vec<&str> {
    let messages = page["messages"].as_array().expect("a list").iter();
    messages.map(|one| one["payload"].as_str().expect("a text")).collect()
}

fn of_exchanges(api: &Api) {
    api.vhost("delayed-x");
    api.put("queues/delayed-x/q", "{}").expect(201);
    let delaying = r#"{"type":"x-delayed-message","arguments":{"x-delayed-type":"direct"}}"#;
    for exchange in ["x", "y"] {
        api.put(&format!("exchanges/delayed-x/{exchange}"), delaying).expect(201);
        for key in ["a", "b", "c"] {
            let binding = json!({"routing_key": key}).to_string();
            api.post(&format!("bindings/delayed-x/e/{exchange}/q/q"), &binding).expect(201);
        }
    }
    for (exchange, key, body) in
        [("x", "a", "1"), ("y", "a", "2"), ("x", "b", "3"), ("x", "a", "4"), ("x", "c", "5")]
    {
        delay(api, "delayed-x", exchange, (key, body));
    }
    let path = "exchanges/delayed-x/x/delayed";
    let all = api.json(path);
    assert_eq!((bodies(&all), &all["cursor"]), (vec!["1", "3", "4", "5"], &Value::Null));
    assert!(all["messages"][0]["due_at"].is_u64(), "{all}");
    let first = api.json(&format!("{path}?count=1"));
    let cursor = first["cursor"].as_str().expect("there is more");
    let rest = api.json(&format!("{path}?cursor={cursor}&routing_key=a"));
    assert_eq!((bodies(&first), bodies(&rest)), (vec!["1"], vec!["4"]));
    let one = first["messages"][0]["cursor"].as_str().expect("a place").to_owned();
    api.delete(&format!("exchanges/delayed-x/y/delayed/{one}")).expect(404);
    api.delete(&format!("{path}/{one}")).expect(204);
    for gone in [&one, "x", "0-0"] {
        api.delete(&format!("{path}/{gone}")).expect(404);
    }
    let cancelled = api.delete(&format!("{path}?routing_key=a")).expect(200).json();
    assert_eq!(cancelled, json!({"deleted": 1}));
    assert_eq!(bodies(&api.json(path)), ["3", "5"]);
    api.delete(&format!("{path}?key=a")).expect(400);
    assert_eq!(api.delete(path).expect(200).json(), json!({"deleted": 2}));
    assert_eq!(bodies(&api.json("exchanges/delayed-x/y/delayed")), ["2"]);
    api.forget(&["vhosts/delayed-x"]);
}

fn of_queues(api: &Api) {
    api.vhost("delayed-q");
    let retried = json!({
        "durable": true,
        "arguments": {
            "x-queue-type": "quorum", "x-delivery-limit": -1, "x-delayed-retry-type": "all",
            "x-delayed-retry-min": 3_600_000, "x-delayed-retry-max": 3_600_000,
        },
    });
    api.put("queues/delayed-q/q", &retried.to_string()).expect(201);
    for body in ["1", "2", "3"] {
        let body = json!({
            "properties": {}, "routing_key": "q", "payload": body, "payload_encoding": "string",
        });
        api.post("exchanges/delayed-q/amq.default/publish", &body.to_string()).expect(200);
    }
    let reject = r#"{"count":9,"ackmode":"reject_requeue_true","encoding":"auto"}"#;
    api.post("queues/delayed-q/q/get", reject).expect(200);
    let path = "queues/delayed-q/q/delayed";
    let all = wait_for("all of them wait", || {
        let all = api.json(path);
        (bodies(&all).len() == 3).then_some(all)
    });
    assert_eq!(bodies(&all), ["1", "2", "3"]);
    assert!(all["messages"][0]["due_at"].is_u64(), "{all}");
    assert_eq!(bodies(&api.json("queues/delayed-q/q/messages?state=delayed&text=2")), ["2"]);
    let one = all["messages"][0]["cursor"].as_str().expect("a place");
    api.delete(&format!("{path}/{one}")).expect(204);
    api.delete(&format!("{path}/{one}")).expect(404);
    assert_eq!(api.delete(&format!("{path}?text=2")).expect(200).json(), json!({"deleted": 1}));
    assert_eq!(bodies(&api.json(path)), ["3"]);
    api.delete(&format!("{path}?key=a")).expect(400);
    assert_eq!(api.delete(path).expect(200).json(), json!({"deleted": 1}));
    api.forget(&["vhosts/delayed-q"]);
}

fn rights(api: &Api) {
    api.vhost("delayed-r");
    let user = api.user_in("delayed-r", "delayed-r", "^own");
    let path = "exchanges/delayed-r/amq.topic/delayed";
    refused(user.get(path), 401, "not_authorised", "Access refused.");
    refused(user.delete(path), 401, "not_authorised", "Access refused.");
    let outsider = api.user("delayed-out", "management");
    refused(outsider.get(path), 404, "not_found", "Not Found");
    let missing = "exchanges/delayed-r/no/delayed";
    refused(api.get(missing), 404, "Object Not Found", "Not Found");
    api.forget(&["vhosts/delayed-r", "users/delayed-r", "users/delayed-out"]);
}
