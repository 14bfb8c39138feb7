//! Logins by forms, members of quorum queues, uploads of pages, and what is described for programs.

use serde_json::json;

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("a form logs in", Any, login),
    ("each path says what may be asked of it", Any, allowed),
    ("a quorum queue has its members", Leveret, members),
    ("statistics are reset, and memory is told", Any, node),
    ("a page's form uploads definitions", Any, upload),
    ("the API is described for programs", Leveret, described),
];

fn login(api: &Api) {
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    let form = |form: &str| api.with(None).with_body("POST", "/api/login", &kind, form.as_bytes());
    let said = form("username=guest&password=guest").expect(200).json();
    let user = json!({"name": "guest", "tags": ["administrator"], "is_internal_user": true});
    assert_eq!(said["user"], user);
    assert_eq!(said["token"], json!({"type": "basic", "value": "Z3Vlc3Q6Z3Vlc3Q="}));
    for wrong in ["username=guest&password=no", "username=guest", "x", ""] {
        refused(form(wrong), 401, "not_authorized", "Not_Authorized");
    }
    api.with(None).delete("login").expect(204);
    assert_eq!(api.get("login").expect(405).header("allow"), Some("POST, DELETE, OPTIONS"));
    refused(api.with(None).get("auth"), 404, "Object Not Found", "Not Found");
}

fn allowed(api: &Api) {
    for (method, path, allow) in [
        ("GET", "/api/queues", "HEAD, GET, OPTIONS"),
        ("PUT", "/api/queues", "HEAD, GET, OPTIONS"),
        ("GET", "/api/queues/%2F/others-no", "HEAD, GET, PUT, DELETE, OPTIONS"),
        ("GET", "/api/definitions/others-no", "HEAD, GET, POST, OPTIONS"),
        ("OPTIONS", "/api/connections/username/u", "HEAD, GET, DELETE, OPTIONS"),
        ("OPTIONS", "/api/others-no", "HEAD, GET, OPTIONS"),
        ("PATCH", "/api/cluster-name", "HEAD, GET, PUT, OPTIONS"),
    ] {
        let reply = api.raw(method, path, &[]);
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
        if method == "OPTIONS" {
            let kept = Some("public, max-age=0, must-revalidate");
            assert_eq!((reply.status, reply.header("cache-control")), (200, kept));
            assert_eq!(reply.text(), "");
        }
    }
    let head = api.raw("HEAD", "/api/whoami", &[]);
    assert_eq!((head.status, head.text().as_str()), (200, ""));
    assert!(head.header("content-length").is_some_and(|length| length != "0"));
    assert_eq!(api.raw("FOO", "/api/queues", &[]).status, 501);
    let reply = api.with(None).raw("GET", "/api/queues", &[]).expect(401);
    assert_eq!(reply.header("allow"), Some("HEAD, GET, OPTIONS"));
}

fn members(api: &Api) {
    api.vhost("others-m");
    let quorum = r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#;
    api.put("queues/others-m/q", quorum).expect(201);
    api.put("queues/others-m/c", "{}").expect(201);
    let status = api.json("queues/quorum/others-m/q/status");
    assert_eq!(
        (&status[0]["Raft State"], &status[0]["Membership"]),
        (&json!("leader"), &json!("voter"))
    );
    let node = status[0]["Node Name"].as_str().expect("a name");
    refused(api.get("queues/quorum/others-m/no/status"), 404, "Object Not Found", "Not Found");
    api.get("queues/quorum/others-m/c/status").expect(400);
    let text = "Node is not a cluster member";
    let elsewhere = r#"{"node":"no@x"}"#;
    let here = json!({"node": node}).to_string();
    let add = "queues/quorum/others-m/q/replicas/add";
    refused(api.post(add, elsewhere), 400, "bad_request", text);
    api.post(add, &here).expect(204);
    let delete = |body: &str| api.ask("DELETE", "queues/quorum/others-m/q/replicas/delete", body);
    refused(delete(elsewhere), 400, "bad_request", text);
    refused(delete(&here), 503, "service_unavailable", "last_node");
    let text = "[{key_missing,vhost_pattern},{key_missing,queue_pattern}]";
    let grow = format!("queues/quorum/replicas/on/{node}/grow");
    refused(api.post(&grow, r#"{"strategy":"all"}"#), 400, "bad_request", text);
    let shrink = "queues/quorum/replicas/on/no@x/shrink";
    refused(api.delete(shrink), 404, "Object Not Found", "Not Found");
    api.forget(&["vhosts/others-m"]);
}

fn node(api: &Api) {
    api.delete("reset").expect(204);
    refused(api.delete("reset/no"), 404, "Object Not Found", "Not Found");
    let node = api.json("overview")["node"].as_str().expect("a name").to_owned();
    api.delete(&format!("reset/{node}")).expect(204);
    for path in ["", "/relative", "/ets", "/ets/rabbit"] {
        api.get(&format!("nodes/{node}/memory{path}")).expect(200);
        let missing = format!("nodes/no/memory{path}");
        refused(api.get(&missing), 404, "Object Not Found", "Not Found");
    }
    let user = api.user("others-n", "monitoring");
    refused(user.delete("reset"), 401, "not_authorised", "Not administrator user");
    api.forget(&["users/others-n"]);
}

fn upload(api: &Api) {
    let part = |name: &str, value: &str| {
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let kind = [("Content-Type", "multipart/form-data; boundary=xyz")];
    let send = |parts: &[String]| {
        let body = format!("{}--xyz--\r\n", parts.concat());
        api.with_body("POST", "/api/definitions", &kind, body.as_bytes())
    };
    let file = part("file", r#"{"vhosts":[{"name":"others-u"}]}"#);
    send(std::slice::from_ref(&file)).expect(204);
    assert_eq!(api.json("vhosts/others-u")["name"], "others-u");
    let reply = send(&[file, part("redirect", "../#/others")]).expect(303);
    assert_eq!(reply.header("location"), Some("../#/others"));
    refused(send(&[part("no", "x")]), 400, "bad_request", "failed_to_parse_json");
    api.forget(&["vhosts/others-u"]);
}

fn described(api: &Api) {
    let tag = api.get("openapi.json").expect(200).header("etag").expect("a tag").to_owned();
    let known = api.raw("GET", "/api/openapi.json", &[("If-None-Match", &tag)]);
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(&*tag)));

    let document = api.with(None).json("openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let queue = &document["paths"]["/api/queues/{vhost}/{queue}"];
    let body = &queue["put"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(body, "#/components/schemas/queue");
    assert_eq!(queue["parameters"][0]["name"], "vhost");
}
