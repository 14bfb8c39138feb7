//! What users may do in vhosts, over HTTP.

use serde_json::json;

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("permissions are given, shown and taken", Any, life),
    ("what is missing or unknown is told", Any, refusals),
    ("an expression that cannot be compiled is told", Leveret, expressions),
    ("everybody is told what it may do itself", Leveret, own),
    ("rules over topics are given, shown and taken", Any, topics),
];

fn life(api: &Api) {
    api.user("permissions-l", "");
    let path = "permissions/%2F/permissions-l";
    let body = r#"{"configure":"^a","write":"","read":".*"}"#;
    api.put(path, body).expect(201);
    api.put(path, body).expect(204);
    let given = json!({
        "user": "permissions-l", "vhost": "/", "configure": "^a", "write": "", "read": ".*",
    });
    assert_eq!(api.json(path), given);
    assert_eq!(api.json("users/permissions-l/permissions"), json!([given]));
    for list in ["permissions", "vhosts/%2F/permissions"] {
        let all = api.json(list);
        assert!(all.as_array().is_some_and(|all| all.contains(&given)), "{list}: {all}");
    }
    api.delete(path).expect(204);
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    refused(api.get(path), 404, "Object Not Found", "Not Found");
    api.forget(&["users/permissions-l"]);
}

fn refusals(api: &Api) {
    let body = r#"{"configure":"","write":"","read":""}"#;
    let missing = "[{key_missing,write},{key_missing,read}]";
    let reply = api.put("permissions/%2F/guest", r#"{"configure":""}"#);
    refused(reply, 400, "bad_request", missing);
    for path in ["permissions/%2F/permissions-no", "permissions/permissions-no/guest"] {
        refused(api.put(path, body), 400, "bad_request", "vhost_or_user_not_found");
        refused(api.get(path), 404, "Object Not Found", "Not Found");
        refused(api.delete(path), 404, "Object Not Found", "Not Found");
    }
    refused(api.get("users/permissions-no/permissions"), 404, "Object Not Found", "Not Found");
    refused(api.get("vhosts/permissions-no/permissions"), 404, "Object Not Found", "Not Found");
}

fn expressions(api: &Api) {
    api.user("permissions-e", "");
    let body = r#"{"configure":"(","write":"","read":""}"#;
    let said = api.put("permissions/%2F/permissions-e", body).expect(400).json();
    assert_eq!((&said["reason"][0], &said["reason"][1]), (&json!("invalid_regexp"), &json!("(")));
    api.forget(&["users/permissions-e"]);
}

fn own(api: &Api) {
    let mine = api.user("permissions-o", "management");
    assert_eq!(mine.json("whoami/rights"), json!([]));
    api.vhost("permissions-o");
    api.put(
        "permissions/permissions-o/permissions-o",
        r#"{"configure":"^a","write":"","read":".*"}"#,
    )
    .expect(201);
    let rule = r#"{"exchange":"amq.topic","write":"^{username}$","read":"b"}"#;
    api.put("topic-permissions/permissions-o/permissions-o", rule).expect(201);
    let given = json!([{
        "vhost": "permissions-o", "configure": "^a", "write": "", "read": ".*",
        "topics": [{"exchange": "amq.topic", "write": "^permissions\\-o$", "read": "b"}],
    }]);
    assert_eq!(mine.json("whoami/rights"), given);
    assert!(api.json("whoami/rights").as_array().is_some_and(|all| !all.is_empty()));
    api.forget(&["vhosts/permissions-o", "users/permissions-o"]);
}

fn topics(api: &Api) {
    api.user("permissions-t", "");
    let path = "topic-permissions/%2F/permissions-t";
    let body = r#"{"exchange":"amq.topic","write":"^a","read":"b"}"#;
    refused(api.get(path), 404, "Object Not Found", "Not Found");
    api.put(path, body).expect(201);
    api.put(path, body).expect(204);
    let given = json!([{
        "user": "permissions-t", "vhost": "/", "exchange": "amq.topic", "write": "^a", "read": "b",
    }]);
    for list in [path, "users/permissions-t/topic-permissions"] {
        assert_eq!(api.json(list), given, "{list}");
    }
    let reason = json!(["no_such_exchange", "permissions-no"]);
    let body = r#"{"exchange":"permissions-no","write":"","read":""}"#;
    refused(api.put(path, body), 400, "bad_request", reason);
    refused(
        api.put(path, r#"{"exchange":""}"#),
        400,
        "bad_request",
        "[{key_missing,write},{key_missing,read}]",
    );
    api.delete(&format!("{path}/amq.topic")).expect(204);
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    api.forget(&["users/permissions-t"]);
}
