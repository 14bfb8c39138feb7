//! Who gets in, and what it may ask.

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, names, refused};

pub(crate) const ROWS: &[Row] = &[
    ("who says nothing of itself is asked to", Any, anonymous),
    ("a wrong password is refused", Any, wrong_password),
    ("what is no header is refused", Any, malformed),
    ("without a tag nobody gets in", Any, tags),
    ("tags say what may be asked", Any, what_tags_allow),
    ("vhosts are seen by those who may enter them, and by monitors", Any, visible_vhosts),
    ("what is in a vhost that may not be entered is not told", Any, hidden),
    ("other methods are not allowed", Any, methods),
    ("what is not there is not found", Any, not_found),
    ("paths may have slashes too many", Leveret, slashes),
    ("answers have RabbitMQ's headers", Any, headers),
    ("bodies of no object are refused", Any, bodies),
];

fn anonymous(api: &Api) {
    let reply = api.with(None).get("whoami").expect(401);
    assert_eq!(reply.text(), "");
    let challenge = reply.header("www-authenticate");
    assert_eq!(challenge, Some("Basic realm=\"RabbitMQ Management\""));
    assert!(api.with(None).get("version").expect(200).json().is_string(), "that is for all");
}

fn wrong_password(api: &Api) {
    let reply = api.by("guest", "wrong").get("whoami");
    assert_eq!(reply.header("www-authenticate"), None);
    refused(reply, 401, "not_authorized", "Not_Authorized");
    refused(api.by("nobody", "").get("whoami"), 401, "not_authorized", "Not_Authorized");
    let bearer = api.with(Some("Bearer abc".to_owned()));
    refused(bearer.get("whoami"), 401, "not_authorized", "Not_Authorized");
}

fn malformed(api: &Api) {
    let reply = api.with(Some("Basic abc".to_owned())).get("whoami").expect(400);
    assert_eq!(reply.text(), "");
}

fn tags(api: &Api) {
    let nobody = api.user("access-none", "");
    refused(nobody.get("whoami"), 401, "not_authorised", "Not management user");
    for tag in ["management", "policymaker", "monitoring", "administrator"] {
        let user = api.user("access-some", &format!("other,{tag}"));
        let said = user.json("whoami");
        assert_eq!(said["name"], "access-some");
        assert_eq!(said["tags"], serde_json::json!(["other", tag]));
        assert_eq!(said["is_internal_user"], true);
    }
    api.forget(&["users/access-none", "users/access-some"]);
}

fn what_tags_allow(api: &Api) {
    let (management, policymaker) =
        (api.user("access-m", "management"), api.user("access-p", "policymaker"));
    let monitor = api.user("access-o", "monitoring");
    for path in ["overview", "cluster-name", "vhosts", "extensions", "health/checks/alarms"] {
        for user in [&management, &policymaker, &monitor] {
            user.get(path).expect(200);
        }
    }
    for user in [&management, &policymaker] {
        refused(user.get("nodes"), 401, "not_authorised", "Not monitor user");
    }
    monitor.get("nodes").expect(200);
    for path in ["users", "users/guest", "permissions", "vhosts/%2F", "auth/hash_password/x"] {
        for user in [&management, &policymaker, &monitor] {
            refused(user.get(path), 401, "not_authorised", "Not administrator user");
        }
    }
    let listeners = |user: &Api| user.json("overview").get("listeners").is_some();
    assert!(listeners(&monitor) && !listeners(&management));
    api.forget(&["users/access-m", "users/access-p", "users/access-o"]);
}

fn visible_vhosts(api: &Api) {
    api.vhost("access-v");
    let (management, monitor) =
        (api.user("access-v-m", "management"), api.user("access-v-o", "monitoring"));
    assert_eq!(names(&management.json("vhosts")), [""; 0]);
    api.put("permissions/access-v/access-v-m", ALL).expect(201);
    assert_eq!(names(&management.json("vhosts")), ["access-v"]);
    let all = names(&monitor.json("vhosts"));
    assert!(all.contains(&"access-v".to_owned()) && all.contains(&"/".to_owned()), "{all:?}");
    api.forget(&["vhosts/access-v", "users/access-v-m", "users/access-v-o"]);
}

const ALL: &str = r#"{"configure":".*","write":".*","read":".*"}"#;

fn hidden(api: &Api) {
    api.vhost("access-h");
    let (management, monitor) =
        (api.user("access-h-m", "management"), api.user("access-h-o", "monitoring"));
    for user in [&management, &monitor] {
        let path = "aliveness-test/access-h";
        refused(user.get(path), 404, "not_found", "Not Found");
        refused(user.get("aliveness-test/access-no"), 404, "Object Not Found", "Not Found");
    }
    api.put("permissions/access-h/access-h-m", ALL).expect(201);
    management.get("aliveness-test/access-h").expect(200);
    api.forget(&["vhosts/access-h", "users/access-h-m", "users/access-h-o"]);
}

fn methods(api: &Api) {
    for (method, path) in [("DELETE", "overview"), ("PUT", "whoami"), ("PATCH", "users")] {
        let reply = api.ask(method, path, "").expect(405);
        assert_eq!(reply.text(), "", "{method} {path}");
        assert!(reply.header("allow").is_some_and(|allow| allow.contains("GET")));
    }
    assert_eq!(api.ask("HEAD", "overview", "").expect(200).text(), "");
}

fn not_found(api: &Api) {
    for path in ["no", "users/no-such-user", "vhosts/no-such-vhost", "nodes/no"] {
        refused(api.get(path), 404, "Object Not Found", "Not Found");
    }
}

fn slashes(api: &Api) {
    for path in ["whoami/", "/whoami//", "//whoami"] {
        assert_eq!(api.json(path), api.json("whoami"), "{path}");
    }
    // Others make vhosts meanwhile.
    for path in ["vhosts/", "/vhosts//"] {
        assert!(names(&api.json(path)).iter().any(|name| name == "/"), "{path}");
    }
}

fn headers(api: &Api) {
    let reply = api.get("whoami");
    for (name, expected) in [
        ("content-type", "application/json"),
        ("cache-control", "no-cache"),
        ("vary", "accept, accept-encoding, origin"),
        ("content-security-policy", "script-src 'self'; object-src 'self'"),
    ] {
        assert_eq!(reply.header(name), Some(expected), "{name}");
    }
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

fn bodies(api: &Api) {
    for body in ["no json", "[1]", "7"] {
        refused(api.put("users/access-b", body), 400, "bad_request", "not_json");
    }
    let twice = "invalid payload: the request body JSON-decoded to a string. Is the input \
                 doubly-JSON-encoded?";
    refused(api.put("users/access-b", "\"x\""), 400, "bad_request", twice);
}
