//! Exchanges over HTTP.

use serde_json::json;

use crate::scene::Needs::Any;
use crate::scene::{Api, Row, names, refused};

pub(crate) const ROWS: &[Row] = &[
    ("exchanges are declared, shown and deleted", Any, life),
    ("what differs from what is there is told", Any, inequivalent),
    ("what cannot be declared or deleted is refused", Any, refusals),
    ("those that are there from the start are listed", Any, predeclared),
];

fn life(api: &Api) {
    api.vhost("exchanges-l");
    let path = "exchanges/exchanges-l/e";
    let body = json!({
        "type": "topic", "durable": "true", "auto_delete": false, "internal": true,
        "arguments": {"alternate-exchange": "amq.fanout"},
    });
    api.put(path, &body.to_string()).expect(201);
    api.put(path, &body.to_string()).expect(204);
    let exchange = api.json(path);
    for (name, expected) in [
        ("name", json!("e")),
        ("vhost", json!("exchanges-l")),
        ("type", json!("topic")),
        ("durable", json!(true)),
        ("auto_delete", json!(false)),
        ("internal", json!(true)),
        ("arguments", json!({"alternate-exchange": "amq.fanout"})),
        ("incoming", json!([])),
        ("outgoing", json!([])),
    ] {
        assert_eq!(exchange[name], expected, "{name}");
    }
    assert_eq!(api.delete(path).expect(204).text(), "");
    refused(api.get(path), 404, "Object Not Found", "Not Found");
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    api.put(path, "").expect(201);
    assert_eq!(api.json(path)["type"], "direct");
    api.forget(&["vhosts/exchanges-l"]);
}

fn inequivalent(api: &Api) {
    api.vhost("exchanges-i");
    let path = "exchanges/exchanges-i/e";
    api.put(path, r#"{"type":"direct"}"#).expect(201);
    let text = "inequivalent arg 'type' for exchange 'e' in vhost 'exchanges-i': received 'topic' \
                but current is 'direct'";
    refused(api.put(path, r#"{"type":"topic"}"#), 400, "bad_request", text);
    api.forget(&["vhosts/exchanges-i"]);
}

fn refusals(api: &Api) {
    api.vhost("exchanges-r");
    let of = |name: &str| format!("exchanges/exchanges-r/{name}");
    let reason = "invalid exchange type 'nope'";
    refused(api.put(&of("n"), r#"{"type":"nope"}"#), 400, "bad_request", reason);
    let reason = json!(["not_boolean", "x"]);
    refused(api.put(&of("n"), r#"{"durable":"x"}"#), 400, "bad_request", reason);
    for name in ["amq.foo", "amq.default"] {
        let reply = api.put(&of(name), r#"{"type":"direct"}"#);
        refused(reply, 401, "not_authorised", "Access refused.");
    }
    for name in ["amq.topic", "amq.default"] {
        refused(api.delete(&of(name)), 401, "not_authorised", "Access refused.");
    }
    let reply = api.put("exchanges/exchanges-no/e", r#"{"type":"direct"}"#);
    refused(reply, 404, "not_found", "vhost_not_found");
    refused(api.get("exchanges/exchanges-no"), 404, "Object Not Found", "Not Found");
    let user = api.user_in("exchanges-u", "exchanges-r", "^own");
    refused(user.put(&of("other"), ""), 401, "not_authorised", "Access refused.");
    user.put(&of("own"), "").expect(201);
    api.put("queues/exchanges-r/q", "").expect(201);
    api.post("bindings/exchanges-r/e/own/q/q", "").expect(201);
    let text = "exchange 'own' in vhost 'exchanges-r' in use";
    refused(api.delete(&format!("{}?if-unused=true", of("own"))), 400, "bad_request", text);
    api.forget(&["vhosts/exchanges-r", "users/exchanges-u"]);
}

fn predeclared(api: &Api) {
    api.vhost("exchanges-p");
    let all = names(&api.json("exchanges/exchanges-p"));
    let expected = [
        "",
        "amq.direct",
        "amq.fanout",
        "amq.headers",
        "amq.match",
        "amq.rabbitmq.trace",
        "amq.topic",
    ];
    assert_eq!(all, expected);
    let default = api.json("exchanges/exchanges-p/amq.default");
    assert_eq!((&default["name"], &default["type"]), (&json!(""), &json!("direct")));
    api.forget(&["vhosts/exchanges-p"]);
}
