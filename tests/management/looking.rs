//! What an operator looks at first: the queues that lead, the configuration by its keys, levels of the log.

use serde_json::{Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row, names, refused};

pub(crate) const ROWS: &[Row] = &[
    ("queues lead by what they are looked at for", Leveret, leading),
    ("only queues that one may see lead", Leveret, leading_of_ones_own),
    ("every key of the configuration is told, and no secret", Leveret, keys),
    ("the levels of the log are told as they are set", Leveret, levels),
    ("a filter looks at the columns that it is told", Leveret, searched),
];

fn publish(api: &Api, vhost: &str, queue: &str, count: usize) {
    let message = json!({
        "properties": {}, "routing_key": queue, "payload": "x", "payload_encoding": "string"
    });
    for _ in 0..count {
        let path = format!("exchanges/{vhost}/amq.default/publish");
        api.post(&path, &message.to_string()).expect(200);
    }
}

/// A user who sees the vhost alone, and in it queues by how many messages are in them, and one that is paused.
fn filled(api: &Api, vhost: &str, user: &str) -> Api {
    api.vhost(vhost);
    for (queue, messages) in [("few", 1), ("none", 0), ("most", 3), ("paused", 0), ("some", 2)] {
        api.put(&format!("queues/{vhost}/{queue}"), r#"{"durable":true}"#).expect(201);
        publish(api, vhost, queue, messages);
    }
    api.put(&format!("queues/{vhost}/paused/pause"), r#"{"consumers":true}"#).expect(204);
    api.user_in(user, vhost, ".*")
}

fn leading(api: &Api) {
    let user = filled(api, "look-l", "look-l");
    let told = user.json("overview/queues?columns=name,standing,messages_ready");
    assert_eq!(names(&told["messages_ready"]), ["most", "some", "few"]);
    assert_eq!(told["messages_ready"][0]["messages_ready"], 3);
    // Without consumers before what is paused, and of the same by name.
    assert_eq!(names(&told["standing"]), ["few", "most", "some", "paused"]);
    assert_eq!(
        told["standing"][3],
        json!({"name": "paused", "standing": "paused", "messages_ready": 0})
    );
    let mut oldest = names(&told["ready_for_ms"]);
    oldest.sort();
    assert_eq!(oldest, ["few", "most", "some"]);
    assert_eq!(told["unacknowledged_for_ms"], json!([]));
    let first = user.json("overview/queues?size=1&columns=name");
    assert_eq!(names(&first["messages_ready"]), ["most"]);
    for wrong in ["0", "101", "x", "-1"] {
        let reply = user.get(&format!("overview/queues?size={wrong}"));
        refused(reply, 400, "bad_request", "size must be from 1 to 100");
    }
    api.forget(&["vhosts/look-l", "users/look-l"]);
}

fn leading_of_ones_own(api: &Api) {
    let user = filled(api, "look-o", "look-o");
    let all = api.json("overview/queues?size=100&columns=name,vhost");
    let of_vhost = |all: &Value| {
        let all = all.as_array().expect("a list").iter();
        all.filter(|one| one["vhost"] == "look-o").count()
    };
    assert_eq!(of_vhost(&all["messages_ready"]), 3, "{all}");
    api.delete("permissions/look-o/look-o").expect(204);
    let told = user.json("overview/queues");
    let none = json!({
        "standing": [], "ready_for_ms": [], "messages_ready": [], "unacknowledged_for_ms": []
    });
    assert_eq!(told, none);
    api.with(None).get("overview/queues").expect(401);
    api.forget(&["vhosts/look-o", "users/look-o"]);
}

fn keys(api: &Api) {
    let all = api.json("config/keys");
    let all = all.as_array().expect("a list");
    let of = |key: &str| all.iter().find(|one| one["key"] == key).expect(key);
    let interval = of("collect_statistics_interval");
    let origin = interval["origin"].as_str().expect("it is set");
    assert!(origin.contains(".conf:"), "{interval}");
    assert_ne!(interval["value"], interval["default"]);
    let heartbeat = of("heartbeat");
    for (name, expected) in [
        ("value", Value::Null),
        ("origin", Value::Null),
        ("default", json!("60")),
        ("changes_count", json!("new connections")),
    ] {
        assert_eq!(heartbeat[name], expected, "{name}");
    }
    assert!(all.iter().all(|one| one["meaning"].as_str().is_some_and(|text| !text.is_empty())));
    let user = api.user("look-k", "monitoring");
    user.get("config/keys").expect(401);
    api.forget(&["users/look-k"]);
}

fn levels(api: &Api) {
    let told = || api.json("operation/log-level");
    let before = told();
    assert_eq!(before["outputs"][0]["level"], "info", "{before}");
    let set = |level: &str| {
        let body = json!({"level": level, "category": "user"}).to_string();
        api.put("operation/log-level", &body).expect(204);
    };
    set("debug");
    assert_eq!(told()["categories"], json!({"user": "debug"}));
    set("warning");
    assert_eq!(told()["categories"], json!({"user": "warning"}));
    assert_eq!(told()["outputs"], before["outputs"]);
    set("info");
    api.user("look-v", "monitoring").get("operation/log-level").expect(401);
    api.forget(&["users/look-v"]);
}

fn searched(api: &Api) {
    api.vhost("look-s");
    for queue in ["look-s-a", "look-s-b"] {
        api.put(&format!("queues/look-s/{queue}"), r#"{"durable":true}"#).expect(201);
    }
    let found = |query: &str| names(&api.json(&format!("queues/look-s?page=1&{query}")));
    assert_eq!(found("name=look-s-a&search_in=vhost"), [""; 0]);
    assert_eq!(found("name=look-s&search_in=vhost,name"), ["look-s-a", "look-s-b"]);
    assert_eq!(found("name=-b&search_in=vhost,name"), ["look-s-b"]);
    api.forget(&["vhosts/look-s"]);
}
