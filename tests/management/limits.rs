//! Limits of users and vhosts, over HTTP.

use serde_json::json;

use crate::scene::Needs::Any;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("users are limited", Any, users),
    ("vhosts are limited", Any, vhosts),
    ("a user sees its own limits", Any, own),
];

fn users(api: &Api) {
    api.user("limits-u", "");
    let path = "user-limits/limits-u/max-connections";
    api.put(path, r#"{"value":5}"#).expect(204);
    let expected = json!([{"user": "limits-u", "value": {"max-connections": 5}}]);
    assert_eq!(api.json("user-limits/limits-u"), expected);
    let all = api.json("user-limits");
    assert!(all.as_array().is_some_and(|all| all.contains(&expected[0])), "{all}");
    let text = r#"max-connections should be a number, actually was <<"5">>"#;
    refused(api.put(path, r#"{"value":"5"}"#), 400, "bad_request", text);
    refused(api.put(path, "{}"), 400, "bad_request", "[{key_missing,value}]");
    let text = r#"Unrecognised terms [{<<"max-no">>,5}] in user-limits"#;
    let reply = api.put("user-limits/limits-u/max-no", r#"{"value":5}"#);
    refused(reply, 400, "bad_request", text);
    let reply = api.put("user-limits/limits-no/max-channels", r#"{"value":5}"#);
    refused(reply, 400, "bad_request", json!(["no_such_user", "limits-no"]));
    refused(api.get("user-limits/limits-no"), 404, "Object Not Found", "Not Found");
    api.delete(path).expect(204);
    api.delete(path).expect(204);
    assert_eq!(api.json("user-limits/limits-u"), json!([]));
    api.forget(&["users/limits-u"]);
}

fn vhosts(api: &Api) {
    api.vhost("limits-v");
    api.put("vhost-limits/limits-v/max-connections", r#"{"value":500}"#).expect(204);
    api.put("vhost-limits/limits-v/max-queues", r#"{"value":50}"#).expect(204);
    let expected =
        json!([{"vhost": "limits-v", "value": {"max-connections": 500, "max-queues": 50}}]);
    assert_eq!(api.json("vhost-limits/limits-v"), expected);
    let reply = api.put("vhost-limits/limits-v/max-queues", r#"{"value":"x"}"#);
    let text = "Validation failed\n\nmax-queues should be a number, actually was <<\"x\">>\n";
    refused(reply, 400, "bad_request", text);
    let reply = api.put("vhost-limits/limits-v/max-no", r#"{"value":5}"#);
    let text = "Validation failed\n\nUnrecognised terms [{<<\"max-no\">>,5}] in limits\n";
    refused(reply, 400, "bad_request", text);
    let reply = api.put("vhost-limits/limits-no/max-queues", r#"{"value":5}"#);
    refused(reply, 404, "not_found", "vhost_not_found");
    refused(api.get("vhost-limits/limits-no"), 404, "Object Not Found", "Not Found");
    api.delete("vhost-limits/limits-v/max-queues").expect(204);
    api.delete("vhost-limits/limits-v/max-queues").expect(204);
    let left = json!([{"vhost": "limits-v", "value": {"max-connections": 500}}]);
    assert_eq!(api.json("vhost-limits/limits-v"), left);
    api.forget(&["vhosts/limits-v"]);
}

fn own(api: &Api) {
    let user = api.user("limits-o", "management");
    assert_eq!(user.json("user-limits/limits-o"), json!([]));
    let reply = user.get("user-limits/guest");
    refused(reply, 401, "not_authorised", "User not authorised to access object");
    api.forget(&["users/limits-o"]);
}
