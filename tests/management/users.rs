//! Users over HTTP.

use serde_json::{Value, json};

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("users are made, shown, changed and deleted", Any, life),
    ("tags are a list or a text with commas", Any, tags),
    ("a user without a password cannot log in", Any, no_password),
    ("a hash is taken as it is, if it is one", Any, hashes),
    ("limits come along", Any, limits),
    ("what is missing or too much is told", Any, refusals),
    ("what is not what it should be is refused", Leveret, wrong_types),
    ("protected users are left alone", Any, protected),
    ("many are deleted at once", Any, bulk),
    ("who may enter no vhost is listed", Any, without_permissions),
    ("passwords are hashed on demand", Any, hash_password),
];

fn life(api: &Api) {
    let path = "users/users-life";
    api.put(path, r#"{"password":"a","tags":"management"}"#).expect(201);
    let user = api.json(path);
    assert_eq!(user["name"], "users-life");
    assert_eq!(user["hashing_algorithm"], "rabbit_password_hashing_sha256");
    assert_eq!((&user["tags"], &user["limits"]), (&json!(["management"]), &json!({})));
    assert_eq!(api.by("users-life", "a").json("whoami")["name"], "users-life");
    api.put(path, r#"{"password":"b","tags":"management"}"#).expect(204);
    refused(api.by("users-life", "a").get("whoami"), 401, "not_authorized", "Not_Authorized");
    api.by("users-life", "b").get("whoami").expect(200);
    assert_eq!(api.delete(path).expect(204).text(), "");
    refused(api.delete(path), 404, "Object Not Found", "Not Found");
    refused(api.by("users-life", "b").get("whoami"), 401, "not_authorized", "Not_Authorized");
}

fn tags(api: &Api) {
    let path = "users/users-tags";
    for (given, expected) in [
        (json!("a, b,c"), json!(["a", "b", "c"])),
        (json!(["a", "b"]), json!(["a", "b"])),
        (json!(""), json!([])),
        (json!([]), json!([])),
    ] {
        let status = api.put(path, &json!({"tags": given}).to_string()).status;
        assert!(status == 201 || status == 204, "{status}");
        assert_eq!(api.json(path)["tags"], expected, "{given}");
    }
    api.forget(&[path]);
}

fn no_password(api: &Api) {
    let path = "users/users-blank";
    for body in [r#"{"tags":"management"}"#, r#"{"password_hash":"","tags":"management"}"#] {
        let status = api.put(path, body).status;
        assert!(status == 201 || status == 204, "{status}");
        assert_eq!(api.json(path)["password_hash"], "");
        let reply = api.by("users-blank", "").get("whoami");
        refused(reply, 401, "not_authorized", "Not_Authorized");
    }
    api.forget(&[path]);
}

fn hashes(api: &Api) {
    let path = "users/users-hash";
    let body = json!({
        "password_hash": "xMHW4aXhn1pgEzVfcaTVn9oSCoFdwlO7uqpEDrTX7kVkia13",
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "management",
    });
    api.put(path, &body.to_string()).expect(201);
    assert_eq!(api.json(path)["password_hash"], body["password_hash"]);
    api.by("users-hash", "guest").get("whoami").expect(200);
    let wrong = r#"{"password_hash":"!!","tags":""}"#;
    refused(api.put(path, wrong), 400, "bad_request", json!(["not_base64", "!!"]));
    api.forget(&[path]);
}

fn limits(api: &Api) {
    let path = "users/users-limits";
    api.put(path, r#"{"tags":"x","limits":{"max-connections":3}}"#).expect(201);
    assert_eq!(api.json(path)["limits"], json!({"max-connections": 3}));
    api.put(path, r#"{"tags":"x"}"#).expect(204);
    assert_eq!(api.json(path)["limits"], json!({"max-connections": 3}), "they stay");
    api.forget(&[path]);
}

fn refusals(api: &Api) {
    let path = "users/users-refused";
    for (body, reason) in [
        ("", "tags_not_present"),
        (r#"{"password":"x"}"#, "tags_not_present"),
        (
            r#"{"password":"a","password_hash":"b","tags":""}"#,
            "both_password_and_password_hash_are_provided",
        ),
    ] {
        refused(api.put(path, body), 400, "bad_request", reason);
    }
    refused(api.get(path), 404, "Object Not Found", "Not Found");
}

fn wrong_types(api: &Api) {
    for (body, reason) in [
        (r#"{"password":true,"tags":""}"#, json!(["not_string", true])),
        (r#"{"tags":{"a":1}}"#, json!(["not_list", {"a": 1}])),
        (r#"{"tags":"","limits":7}"#, json!(["not_map", 7])),
        (r#"{"tags":"","limits":{"max-channels":"x"}}"#, json!(["not_integer", "x"])),
        (
            r#"{"password_hash":"AAAA","hashing_algorithm":"rot13","tags":""}"#,
            json!("unknown_hashing_algorithm"),
        ),
    ] {
        refused(api.put("users/users-types", body), 400, "bad_request", reason);
    }
}

fn protected(api: &Api) {
    if Api::peer().is_some() {
        // Nothing over HTTP could take it away again.
        return;
    }
    let path = "users/users-protected";
    let text = "Protected users cannot be modified via the HTTP API";
    api.put(path, r#"{"password":"a","tags":"protected"}"#).expect(201);
    refused(api.put(path, r#"{"tags":""}"#), 400, "bad_request", text);
    refused(api.delete(path), 400, "bad_request", text);
    api.local().delete(path).expect(204);
}

fn bulk(api: &Api) {
    let of = |n| format!("users/users-bulk-{n}");
    for n in [1, 2] {
        api.put(&of(n), r#"{"tags":""}"#).expect(201);
    }
    let body = r#"{"users":["users-bulk-1","users-bulk-2","users-bulk-3"]}"#;
    api.post("users/bulk-delete", body).expect(204);
    for n in [1, 2] {
        api.get(&of(n)).expect(404);
    }
    refused(api.post("users/bulk-delete", "{}"), 400, "bad_request", "[{key_missing,users}]");
}

fn without_permissions(api: &Api) {
    let path = "users/users-outside";
    api.put(path, r#"{"tags":""}"#).expect(201);
    let listed = || {
        let all: Value = api.json("users/without-permissions?columns=name");
        all.as_array().is_some_and(|all| all.contains(&json!({"name": "users-outside"})))
    };
    assert!(listed());
    api.put("permissions/%2F/users-outside", r#"{"configure":"","write":"","read":""}"#)
        .expect(201);
    assert!(!listed());
    api.forget(&[path]);
}

fn hash_password(api: &Api) {
    let hash = api.json("auth/hash_password/secret");
    let hash = hash["ok"].as_str().expect("a hash").to_owned();
    let body = json!({"password_hash": hash, "tags": "management"});
    api.put("users/users-hashed", &body.to_string()).expect(201);
    api.by("users-hashed", "secret").get("whoami").expect(200);
    api.forget(&["users/users-hashed"]);
}
