//! Definitions over HTTP.

use serde_json::{Value, json};

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("a vhost is exported, and imported into another", Any, one_vhost),
    ("the whole is exported as a file", Leveret, whole),
    ("what cannot be is refused", Any, refusals),
];

fn one_vhost(api: &Api) {
    api.vhost("definitions-a");
    api.vhost("definitions-b");
    api.put("queues/definitions-a/q", r#"{"durable":true}"#).expect(201);
    api.put("exchanges/definitions-a/e", r#"{"type":"fanout","durable":true}"#).expect(201);
    api.post("bindings/definitions-a/e/e/q/q", r#"{"routing_key":"k"}"#).expect(201);
    let exported = api.json("definitions/definitions-a");
    assert_eq!(exported["rabbitmq_definition_format"], "single_virtual_host");
    assert_eq!(exported["queues"][0]["name"], "q");
    api.post("definitions/definitions-b", &exported.to_string()).expect(204);
    let bound = api.json("bindings/definitions-b/e/e/q/q");
    assert_eq!(bound[0]["routing_key"], "k");
    api.forget(&["vhosts/definitions-a", "vhosts/definitions-b"]);
}

fn whole(api: &Api) {
    let reply = api.get("definitions?download=all.json").expect(200);
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=all.json"));
    let exported = reply.json();
    for name in ["users", "vhosts", "permissions", "queues", "exchanges", "bindings", "policies"] {
        assert!(exported[name].is_array(), "{name}");
    }
    let users = exported["users"].as_array().expect("users");
    assert!(users.iter().any(|user: &Value| user["name"] == "guest"));
    api.post("definitions", &json!({}).to_string()).expect(204);
}

fn refusals(api: &Api) {
    refused(api.get("definitions/definitions-no"), 400, "bad_request", "vhost_not_found");
    refused(api.post("definitions/definitions-no", "{}"), 404, "not_found", "vhost_not_found");
    let user = api.user("definitions-u", "monitoring");
    refused(user.get("definitions"), 401, "not_authorised", "Not administrator user");
    refused(user.post("definitions", "{}"), 401, "not_authorised", "Not administrator user");
    api.forget(&["users/definitions-u"]);
}
