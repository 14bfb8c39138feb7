//! Vhosts over HTTP.

use serde_json::json;

use crate::scene::Needs::Any;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("vhosts are made, described and deleted", Any, life),
    ("whoever makes one may do everything in it", Any, of_its_maker),
    ("what a body does not say is nothing", Any, overwritten),
    ("types and flags that cannot be are refused", Any, refusals),
    ("one that is protected is not deleted", Any, protection),
    ("one that is there can be started", Any, start),
];

fn life(api: &Api) {
    let path = "vhosts/vhosts-life";
    let body = json!({"description": "d", "tags": "a,b", "default_queue_type": "quorum"});
    api.put(path, &body.to_string()).expect(201);
    let vhost = api.json(path);
    assert_eq!((&vhost["name"], &vhost["description"]), (&json!("vhosts-life"), &json!("d")));
    assert_eq!((&vhost["tags"], &vhost["tracing"]), (&json!(["a", "b"]), &json!(false)));
    let metadata = json!({"description": "d", "tags": ["a", "b"], "default_queue_type": "quorum"});
    assert_eq!(vhost["metadata"], metadata);
    assert_eq!(vhost["protected_from_deletion"], false);
    assert!(vhost["cluster_state"].as_object().is_some_and(|of| of.len() == 1));
    api.put(path, r#"{"tracing":"true"}"#).expect(204);
    assert_eq!(api.json(path)["tracing"], true);
    assert_eq!(api.delete(path).expect(204).text(), "");
    refused(api.get(path), 404, "Object Not Found", "Not Found");
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
}

fn of_its_maker(api: &Api) {
    api.vhost("vhosts-maker");
    let granted = api.json("vhosts/vhosts-maker/permissions");
    let all = json!([{
        "user": "guest", "vhost": "vhosts-maker", "configure": ".*", "write": ".*", "read": ".*",
    }]);
    assert_eq!(granted, all);
    api.forget(&["vhosts/vhosts-maker"]);
}

fn overwritten(api: &Api) {
    let path = "vhosts/vhosts-over";
    let body = r#"{"description":"d","tags":["a"],"default_queue_type":"quorum","tracing":true}"#;
    api.put(path, body).expect(201);
    api.put(path, "").expect(204);
    let vhost = api.json(path);
    assert_eq!((&vhost["description"], &vhost["tags"]), (&json!(""), &json!([])));
    assert_eq!(
        (&vhost["default_queue_type"], &vhost["tracing"]),
        (&json!("classic"), &json!(true))
    );
    api.forget(&[path]);
}

fn refusals(api: &Api) {
    let path = "vhosts/vhosts-refused";
    let reason = "nope is not a valid queue type";
    refused(api.put(path, r#"{"default_queue_type":"nope"}"#), 400, "bad_request", reason);
    let reason = json!(["not_boolean", 7]);
    refused(api.put(path, r#"{"tracing":7}"#), 400, "bad_request", reason);
    api.get(path).expect(404);
}

fn protection(api: &Api) {
    let path = "vhosts/vhosts-protected";
    api.vhost("vhosts-protected");
    api.post(&format!("{path}/deletion/protection"), "").expect(204);
    assert_eq!(api.json(path)["protected_from_deletion"], true);
    let text = "Refusing to delete virtual host 'vhosts-protected' because it is protected from \
                deletion";
    refused(api.delete(path), 412, "precondition_failed", text);
    api.delete(&format!("{path}/deletion/protection")).expect(204);
    api.forget(&[path]);
    let text = "Cannot enable deletion protection of virtual host 'vhosts-protected' because it \
                does not exist";
    refused(api.post(&format!("{path}/deletion/protection"), ""), 404, "not_found", text);
}

fn start(api: &Api) {
    let node = api.json("overview?columns=node")["node"].as_str().expect("a name").to_owned();
    api.post(&format!("vhosts/%2F/start/{node}"), "").expect(204);
    refused(api.post("vhosts/%2F/start/no", ""), 400, "bad_request", "Unknown node: no");
}
