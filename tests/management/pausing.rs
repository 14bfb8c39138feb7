//! Queues whose consumers or publishers wait.

use serde_json::{Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("consumers and publishers are paused and go on", Leveret, paused),
    ("what cannot be paused is refused", Leveret, refused_pauses),
];

fn publish(api: &Api) -> u16 {
    let body = r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
    api.post("exchanges/pause-p/amq.default/publish", body).status
}

fn fetched(api: &Api) -> usize {
    let body = r#"{"count":9,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
    let got = api.post("queues/pause-p/q/get", body).expect(200).json();
    got.as_array().expect("a list").len()
}

fn shown(api: &Api) -> Value {
    let shown = api.json("queues/pause-p/q")["paused"].clone();
    assert_eq!(api.json("queues/pause-p/q/pause"), shown);
    shown
}

fn paused(api: &Api) {
    api.vhost("pause-p");
    api.put("queues/pause-p/q", r#"{"durable":true}"#).expect(201);
    assert_eq!((publish(api), fetched(api)), (200, 1));
    let path = "queues/pause-p/q/pause";
    api.put(path, r#"{"consumers":true,"reason":"looking into it"}"#).expect(204);
    assert_eq!(shown(api), json!({"consumers": "looking into it", "publishers": null}));
    assert_eq!((publish(api), fetched(api)), (200, 0));
    api.put(path, r#"{"publishers":"true"}"#).expect(204);
    assert_eq!(shown(api), json!({"consumers": "looking into it", "publishers": ""}));
    assert_eq!(publish(api), 400);
    api.delete(&format!("{path}?consumers=true")).expect(204);
    assert_eq!((publish(api), fetched(api)), (400, 2));
    api.put(path, r#"{"consumers":true,"publishers":false}"#).expect(204);
    assert_eq!((publish(api), fetched(api)), (200, 0));
    api.delete(path).expect(204);
    assert_eq!((publish(api), fetched(api)), (200, 4));
    assert_eq!(shown(api), json!({"consumers": null, "publishers": null}));
    api.forget(&["vhosts/pause-p"]);
}

fn refused_pauses(api: &Api) {
    api.vhost("pause-r");
    api.put("queues/pause-r/q", "{}").expect(201);
    let path = "queues/pause-r/q/pause";
    let good = r#"{"consumers":true}"#;
    for wrong in [r#"{}"#, r#"{"consumers":"why"}"#, r#"{"consumer":true}"#, "[]"] {
        api.put(path, wrong).expect(400);
    }
    let long = json!({"consumers": true, "reason": "x".repeat(1025)}).to_string();
    let text = "the reason has more than 1024 bytes";
    refused(api.put(path, &long), 400, "bad_request", text);
    refused(api.put("queues/pause-r/no/pause", good), 404, "Object Not Found", "Not Found");
    let outsider = api.user("pause-out", "management");
    refused(outsider.put(path, good), 404, "not_found", "Not Found");
    let user = api.user_in("pause-r", "pause-r", "^own");
    refused(user.put(path, good), 401, "not_authorised", "Access refused.");
    refused(user.delete(path), 401, "not_authorised", "Access refused.");
    assert_eq!(user.json(path)["consumers"], Value::Null);
    api.forget(&["vhosts/pause-r", "users/pause-out", "users/pause-r"]);
}
