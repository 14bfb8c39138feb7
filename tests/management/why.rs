//! Why nothing moves, what counts for a queue, and where a message would go.

use leveret_tests::deadline::wait_for;
use leveret_tests::raw_client::RawClient;
use leveret_tests::raw_client::method::basic;
use serde_json::{Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("a queue says why nothing of it is delivered", Leveret, no_delivery),
    ("a queue says why its publishers wait", Leveret, no_publish),
    ("a consumer says what it holds and how long it takes", Leveret, consumers),
    ("a connection says what holds it back", Leveret, connections),
    ("a consumer is cancelled, and its client told", Leveret, cancelled),
    ("a message's way is told hop by hop", Leveret, planned),
    ("what cannot be planned is refused", Leveret, refused_plans),
    ("each value says whose word it is", Leveret, arguments),
    ("arguments that policies can set change in place", Leveret, amended),
];

fn reasons(api: &Api, path: &str, of: &str) -> Vec<String> {
    let why = api.json(path);
    let reasons = why[of].as_array().expect("a list").iter();
    reasons.map(|one| one["reason"].as_str().expect("a word").to_owned()).collect()
}

fn no_delivery(api: &Api) {
    api.put("queues/%2F/why-d", "{}").expect(201);
    let path = "queues/%2F/why-d/why";
    let said = || reasons(api, path, "not_delivering_because");
    assert_eq!(said(), ["empty", "no_consumers"]);
    let mut client = api.amqp().connect();
    client.fill("why-d", &["a"]);
    assert_eq!(said(), ["no_consumers"]);
    api.put("queues/%2F/why-d/pause", r#"{"consumers":true,"reason":"a test"}"#).expect(204);
    assert_eq!(said(), ["consumers_paused", "no_consumers"]);
    let text = &api.json(path)["not_delivering_because"][0]["text"];
    assert_eq!(text, "its consumers are paused: a test");
    refused(api.get("queues/%2F/why-no/why"), 404, "Object Not Found", "Not Found");
    let outsider = api.user("why-d", "management");
    refused(outsider.get(path), 404, "not_found", "Not Found");
    api.forget(&["queues/%2F/why-d", "users/why-d"]);
}

fn no_publish(api: &Api) {
    api.vhost("why-p");
    let full = json!({"arguments": {"x-max-length": 1, "x-overflow": "reject-publish"}});
    api.put("queues/why-p/q", &full.to_string()).expect(201);
    let path = "queues/why-p/q/why";
    let said = || reasons(api, path, "not_taking_because");
    assert_eq!(said(), [""; 0]);
    assert_eq!(api.json(path)["is_taking"], true);
    let body = r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
    api.post("exchanges/why-p/amq.default/publish", body).expect(200);
    assert_eq!(said(), ["full"]);
    api.put("queues/why-p/q/pause", r#"{"publishers":true}"#).expect(204);
    assert_eq!(said(), ["publishers_paused", "full"]);
    api.forget(&["vhosts/why-p"]);
}

fn consumers(api: &Api) {
    api.put("queues/%2F/why-c", "{}").expect(201);
    let mut client = api.amqp().connect();
    client.fill("why-c", &["a", "b"]);
    client.call(basic::qos(1));
    let tag = client.consume("why-c");
    client.expect_deliveries(&["a"]);
    let why = wait_for("one is handed out", || {
        let why = api.json("queues/%2F/why-c/why");
        (why["messages_unacknowledged"] == 1).then_some(why)
    });
    assert_eq!(why["not_delivering_because"][0]["reason"], "at_prefetch");
    let one = &why["consumers"][0];
    for (name, expected) in [
        ("consumer_tag", json!(tag)),
        ("standing", json!("at_prefetch")),
        ("messages_unacknowledged", json!(1)),
        ("deliveries", json!(1)),
        ("acks", json!(0)),
        ("user", json!("guest")),
    ] {
        assert_eq!(one[name], expected, "{name}");
    }
    assert!(one["oldest_unacknowledged_ms"].is_u64() && one["ack_times"]["count"] == 0, "{one}");
    api.delete("queues/%2F/why-c").expect(204);
}

/// A client, and its connection's name as a path has it.
fn connected(api: &Api) -> (RawClient, String) {
    let client = api.amqp().connect();
    let port = client.local_port();
    let name = wait_for("the connection is listed", || {
        let all = api.json("connections");
        let mut all = all.as_array().expect("a list").iter();
        let ours = all.find(|one| one["peer_port"] == port)?;
        ours["name"].as_str().map(str::to_owned)
    });
    (client, name.replace(' ', "%20").replace('>', "%3E"))
}

fn connections(api: &Api) {
    let (_client, name) = connected(api);
    let path = format!("connections/{name}/why");
    let why = api.json(&path);
    assert_eq!((&why["state"], &why["is_held"]), (&json!("running"), &json!(false)));
    assert_eq!(why["text"], "nothing holds it back");
    assert!(why["watermarks"]["disk"]["limit"].is_u64(), "{why}");
    let user = api.user("why-o", "management");
    let text = "User not authorised to access object";
    refused(user.get(&path), 401, "not_authorised", text);
    refused(api.get("connections/no/why"), 404, "Object Not Found", "Not Found");
    api.forget(&["users/why-o"]);
}

fn cancelled(api: &Api) {
    api.put("queues/%2F/why-x", "{}").expect(201);
    let (mut client, name) = connected(api);
    let tag = client.consume("why-x");
    client.fill("why-x", &["a"]);
    client.expect_deliveries(&["a"]);
    let path = format!("consumers/%2F/{name}%20%281%29/{tag}");
    let user = api.user("why-x", "monitoring");
    let text = "User not authorised to access object";
    refused(user.delete(&path), 401, "not_authorised", text);
    for missing in [
        format!("consumers/%2F/{name}%20%282%29/{tag}"),
        format!("consumers/%2F/{name}%20%281%29/no"),
        format!("consumers/%2F/{name}/{tag}"),
        "consumers/%2F/no/no".to_owned(),
    ] {
        refused(api.delete(&missing), 404, "Object Not Found", "Not Found");
    }
    api.delete(&path).expect(204);
    assert_eq!(client.expect(basic::CANCEL).consumer_tag(), tag);
    assert_eq!(api.json("queues/%2F/why-x")["consumers"], 0);
    // What it had is still its channel's.
    assert_eq!(api.json("queues/%2F/why-x")["messages_unacknowledged"], 1);
    api.delete(&path).expect(404);
    api.forget(&["queues/%2F/why-x", "users/why-x"]);
}

fn planned(api: &Api) {
    api.vhost("why-r");
    for queue in ["q", "r", "lost"] {
        api.put(&format!("queues/why-r/{queue}"), "{}").expect(201);
    }
    let alternate = r#"{"type":"topic","arguments":{"alternate-exchange":"ae"}}"#;
    api.put("exchanges/why-r/ae", r#"{"type":"fanout"}"#).expect(201);
    api.put("exchanges/why-r/t", alternate).expect(201);
    api.put("exchanges/why-r/h", r#"{"type":"headers"}"#).expect(201);
    for (from, kind, to, body) in [
        ("t", "e", "h", r##"{"routing_key":"a.#"}"##),
        ("t", "q", "q", r#"{"routing_key":"a.*"}"#),
        ("t", "q", "q", r#"{"routing_key":"b"}"#),
        ("h", "q", "r", r#"{"arguments":{"x-match":"all","n":1}}"#),
        ("ae", "q", "lost", "{}"),
    ] {
        api.post(&format!("bindings/why-r/e/{from}/{kind}/{to}"), body).expect(201);
    }
    let plan = |exchange: &str, body: Value| {
        let path = format!("exchanges/why-r/{exchange}/route");
        api.post(&path, &body.to_string()).expect(200).json()
    };
    let said = plan("t", json!({"routing_key": "a.b", "headers": {"n": 1}}));
    assert_eq!((&said["routed"], &said["queues"]), (&json!(true), &json!(["q", "r"])));
    let hops = &said["hops"];
    assert_eq!((&hops[0]["via"], &hops[0]["alternate"]), (&json!("publish"), &Value::Null));
    let keys: Vec<&Value> =
        hops[0]["bindings"].as_array().expect("a list").iter().map(|b| &b["routing_key"]).collect();
    assert!(keys.len() == 2 && keys.contains(&&json!("a.#")), "{hops}");
    assert_eq!((&hops[1]["exchange"], &hops[1]["from"]), (&json!("h"), &json!("t")));
    assert_eq!(plan("t", json!({"routing_key": "a.b"}))["queues"], json!(["q"]));
    let lost = plan("t", json!({"routing_key": "c"}));
    assert_eq!((&lost["queues"], &lost["hops"][0]["alternate"]), (&json!(["lost"]), &json!("ae")));
    assert_eq!(lost["hops"][1]["via"], "alternate");
    let copies = plan("amq.default", json!({"routing_key": "no", "headers": {"CC": ["q"]}}));
    assert_eq!(copies["queues"], json!(["q"]));
    let nowhere = plan("amq.direct", json!({}));
    assert_eq!((&nowhere["routed"], &nowhere["queues"]), (&json!(false), &json!([])));
    for queue in ["q", "r", "lost"] {
        assert_eq!(api.json(&format!("queues/why-r/{queue}"))["messages"], 0);
    }
    api.forget(&["vhosts/why-r"]);
}

fn refused_plans(api: &Api) {
    api.vhost("why-f");
    let path = "exchanges/why-f/amq.topic/route";
    for wrong in [
        json!({"key": "a"}),
        json!({"routing_key": []}),
        json!({"headers": "a"}),
        json!({"headers": {"a": null}}),
        json!({"headers": {"CC": "a"}}),
        json!({"properties": {"expiration": "soon"}}),
        json!({"properties": {"priority": "x"}}),
    ] {
        api.post(path, &wrong.to_string()).expect(400);
    }
    let missing = "exchanges/why-f/no/route";
    refused(api.post(missing, "{}"), 404, "Object Not Found", "Not Found");
    let outsider = api.user("why-f", "management");
    refused(outsider.post(path, "{}"), 404, "not_found", "Not Found");
    assert_eq!(api.get(path).status, 405);
    api.forget(&["vhosts/why-f", "users/why-f"]);
}

fn arguments(api: &Api) {
    api.vhost("why-a");
    let declared = json!({"arguments": {"x-max-length": 10, "x-expires": 60000}});
    api.put("queues/why-a/q", &declared.to_string()).expect(201);
    let policy = json!({"pattern": ".*", "definition": {"max-length": 5, "message-ttl": 7000}});
    api.put("policies/why-a/p", &policy.to_string()).expect(201);
    let limit = json!({"pattern": ".*", "definition": {"message-ttl": 6000}});
    api.put("operator-policies/why-a/o", &limit.to_string()).expect(201);
    let said = api.json("queues/why-a/q/arguments");
    assert_eq!(said["declared"], declared["arguments"]);
    assert_eq!((&said["policy"], &said["operator_policy"]), (&json!("p"), &json!("o")));
    assert_eq!(said["policy_definition"], json!({"max-length": 5, "message-ttl": 6000}));
    for (argument, value, origin) in [
        ("x-max-length", 5, json!({"kind": "policy", "name": "p"})),
        ("x-message-ttl", 6000, json!({"kind": "operator_policy", "name": "o"})),
        ("x-expires", 60000, json!({"kind": "argument"})),
    ] {
        assert_eq!(said["effective"][argument], json!({"value": value, "origin": origin}));
    }
    refused(api.get("queues/why-a/no/arguments"), 404, "Object Not Found", "Not Found");
    api.forget(&["vhosts/why-a"]);
}

fn amended(api: &Api) {
    api.vhost("why-m");
    let declared = json!({"durable": true, "arguments": {"x-max-length": 10, "x-expires": 60000}});
    api.put("queues/why-m/q", &declared.to_string()).expect(201);
    let path = "queues/why-m/q/arguments";
    let change = |arguments: Value| api.post(path, &json!({"arguments": arguments}).to_string());
    let publish = || {
        let body =
            r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
        api.post("exchanges/why-m/amq.default/publish", body).expect(200);
    };
    change(json!({"x-max-length": 1, "x-expires": null})).expect(204);
    publish();
    publish();
    assert_eq!(api.json("queues/why-m/q")["messages"], 1);
    assert_eq!(api.json(path)["declared"], json!({"x-max-length": 1}));
    let policy = json!({"pattern": ".*", "definition": {"max-length": 5, "message-ttl": 600_000}});
    api.put("policies/why-m/p", &policy.to_string()).expect(201);
    let said = api.json(path);
    assert_eq!(said["effective"]["x-max-length"]["origin"], json!({"kind": "argument"}));
    assert_eq!(said["effective"]["x-message-ttl"]["value"], 600_000);
    change(json!({"x-max-length": 3})).expect(204);
    publish();
    assert_eq!(api.json("queues/why-m/q")["messages"], 2);
    // Who declares it names what it has now.
    api.put("queues/why-m/q", &declared.to_string()).expect(400);
    let now = json!({"durable": true, "arguments": {"x-max-length": 3}});
    api.put("queues/why-m/q", &now.to_string()).expect(204);
    let text = "argument 'x-max-priority' is fixed when a queue is declared: what policies can set may \
                be changed";
    let fixed = change(json!({"x-max-priority": 3, "x-max-length": 9}));
    refused(fixed, 409, "conflict", text);
    for wrong in [json!({"x-max-length": -1}), json!({"x-overflow": "no"}), json!(7)] {
        change(wrong).expect(400);
    }
    api.post(path, "{}").expect(400);
    assert_eq!(api.json(path)["declared"], json!({"x-max-length": 3}));
    let user = api.user_in("why-m", "why-m", "^own");
    refused(user.post(path, r#"{"arguments":{}}"#), 401, "not_authorised", "Access refused.");
    api.forget(&["vhosts/why-m", "users/why-m"]);
}
