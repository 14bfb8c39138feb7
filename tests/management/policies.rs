//! Policies over HTTP.

use serde_json::json;

use crate::scene::Needs::Any;
use crate::scene::{Api, Row, names, refused};

pub(crate) const ROWS: &[Row] = &[
    ("policies are set, shown, in effect, and cleared", Any, life),
    ("those of operators are set by administrators", Any, operators),
    ("what is wrong with one is told", Any, refusals),
    ("policymakers set them where they may enter", Any, policymakers),
];

const LIMIT: &str =
    r#"{"pattern":"^q","definition":{"max-length":5},"priority":3,"apply-to":"queues"}"#;

fn life(api: &Api) {
    api.vhost("policies-l");
    let path = "policies/policies-l/p";
    api.put(path, LIMIT).expect(201);
    api.put(path, LIMIT).expect(204);
    let policy = json!({
        "vhost": "policies-l", "name": "p", "pattern": "^q", "apply-to": "queues",
        "definition": {"max-length": 5}, "priority": 3,
    });
    assert_eq!(api.json(path), policy);
    assert_eq!(api.json("policies/policies-l"), json!([policy]));
    assert!(names(&api.json("policies")).contains(&"p".to_owned()));
    api.put("queues/policies-l/q", r#"{"durable":true}"#).expect(201);
    api.delete(path).expect(204);
    refused(api.get(path), 404, "Object Not Found", "Not Found");
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    api.forget(&["vhosts/policies-l"]);
}

fn operators(api: &Api) {
    api.vhost("policies-o");
    let path = "operator-policies/policies-o/p";
    let user = api.user("policies-o", "policymaker");
    api.put("permissions/policies-o/policies-o", r#"{"configure":"","write":"","read":""}"#)
        .expect(201);
    refused(user.put(path, LIMIT), 401, "not_authorised", "Not administrator user");
    api.put(path, LIMIT).expect(201);
    assert_eq!(api.json(path)["definition"], json!({"max-length": 5}));
    api.get("policies/policies-o/p").expect(404);
    api.delete(path).expect(204);
    api.forget(&["vhosts/policies-o", "users/policies-o"]);
}

fn refusals(api: &Api) {
    api.vhost("policies-r");
    let put = |body: &str| api.put("policies/policies-r/p", body);
    let text = "[{key_missing,pattern},{key_missing,definition}]";
    refused(put("{}"), 400, "bad_request", text);
    let text = "Validation failed\n\n[{<<\"nope\">>,5}] are not recognised policy settings\n";
    refused(put(r#"{"pattern":"x","definition":{"nope":5}}"#), 400, "bad_request", text);
    let text = "Validation failed\n\npriority should be a number, actually was <<\"3\">>\n";
    let body = r#"{"pattern":"x","definition":{"max-length":5},"priority":"3"}"#;
    refused(put(body), 400, "bad_request", text);
    let reply = api.put("policies/policies-no/p", LIMIT);
    refused(reply, 404, "not_found", "vhost_not_found");
    api.forget(&["vhosts/policies-r"]);
}

fn policymakers(api: &Api) {
    api.vhost("policies-p");
    let path = "policies/policies-p/p";
    let user = api.user("policies-p", "management");
    let text = "User not authorised to access object";
    refused(user.put(path, LIMIT), 401, "not_authorised", text);
    let user = api.user("policies-p", "policymaker");
    refused(user.put(path, LIMIT), 404, "not_found", "Not Found");
    api.put("permissions/policies-p/policies-p", r#"{"configure":"","write":"","read":""}"#)
        .expect(201);
    user.put(path, LIMIT).expect(201);
    user.delete(path).expect(204);
    api.forget(&["vhosts/policies-p", "users/policies-p"]);
}
