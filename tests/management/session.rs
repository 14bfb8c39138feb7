//! Signing in at the management page, and the page itself: all of it ours alone.

use leveret_tests::http::Reply;
use serde_json::Value;

use crate::scene::{Api, Needs, Row, Stream};

pub(crate) const ROWS: &[Row] = &[
    ("signs_in_and_out", Needs::Leveret, signs_in_and_out),
    ("refusals_have_reasons", Needs::Leveret, refusals_have_reasons),
    ("changes_need_the_header_of_the_page", Needs::Leveret, changes_need_the_header),
    ("no_browser_asks_for_a_password", Needs::Leveret, no_challenge),
    ("ends_with_its_user", Needs::Leveret, ends_with_its_user),
    ("authorization_counts_more_than_a_cookie", Needs::Leveret, authorization_counts),
    ("pages_that_watch_the_same_see_what_each_may_see", Needs::Leveret, pages_that_watch),
    ("hundreds_of_pages_are_open_at_once", Needs::Leveret, hundreds_of_pages),
    ("the_page_is_at_every_address_of_it", Needs::Leveret, the_page),
    ("files_of_the_page", Needs::Leveret, files_of_the_page),
];

const PAGE: (&str, &str) = ("X-Leveret-Page", "1");

fn sign_in(api: &Api, body: &str) -> Reply {
    api.with(None).with_body("POST", "/api/session", &[PAGE], body.as_bytes())
}

/// The cookie, as a browser sends it back.
fn signed_in(api: &Api, user: &str) -> String {
    let body = serde_json::json!({"user": user, "password": user}).to_string();
    let reply = sign_in(api, &body).expect(200);
    let cookie = reply.header("set-cookie").expect("a cookie").to_owned();
    cookie.split(';').next().expect("a pair").to_owned()
}

fn ask(api: &Api, method: &str, path: &str, cookie: &str) -> Reply {
    api.with(None).raw(method, path, &[PAGE, ("Cookie", cookie)])
}

fn signs_in_and_out(api: &Api) {
    let reply = sign_in(api, r#"{"user":"guest","password":"guest"}"#).expect(200);
    assert_eq!(reply.json()["name"], "guest");
    assert_eq!(reply.json()["tags"][0], "administrator");
    let set = reply.header("set-cookie").expect("a cookie").to_owned();
    for part in ["leveret_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains("guest"), "{set}");
    let cookie = set.split(';').next().expect("a pair");
    assert!(cookie.len() >= "leveret_session=".len() + 43, "256 bits: {cookie}");
    assert_eq!(ask(api, "GET", "/api/session", cookie).expect(200).json()["name"], "guest");
    assert_eq!(ask(api, "GET", "/api/whoami", cookie).expect(200).json()["name"], "guest");
    let left = ask(api, "DELETE", "/api/session", cookie).expect(204);
    assert!(left.header("set-cookie").is_some_and(|set| set.contains("Max-Age=0")));
    assert_eq!(ask(api, "GET", "/api/session", cookie).expect(200).json(), Value::Null);
    let ended = ask(api, "GET", "/api/whoami", cookie).expect(401);
    assert_eq!(ended.json()["error"], "session_ended");
}

fn refusals_have_reasons(api: &Api) {
    let wrong = sign_in(api, r#"{"user":"session-nobody","password":"x"}"#).expect(401);
    assert_eq!(wrong.json()["reason"], "Not_Authorized");
    assert_eq!((wrong.header("www-authenticate"), wrong.header("set-cookie")), (None, None));
    api.put("users/session-plain", r#"{"password":"session-plain","tags":""}"#).expect(201);
    let plain = sign_in(api, r#"{"user":"session-plain","password":"session-plain"}"#).expect(401);
    assert_eq!(plain.json()["reason"], "Not management user");
    assert_eq!(plain.header("set-cookie"), None);
    api.delete("users/session-plain").expect(204);
    sign_in(api, r#"{"user":"guest"}"#).expect(400);
    sign_in(api, r#"{"user":"guest","password":7}"#).expect(400);
}

/// A form of another site cannot send the header, and a browser asks first whether a script may.
fn changes_need_the_header(api: &Api) {
    let nobody = api.with(None);
    let body = br#"{"user":"guest","password":"guest"}"#;
    nobody.with_body("POST", "/api/session", &[], body).expect(403);
    let cookie = signed_in(api, "guest");
    let queue = "/api/queues/%2F/session-q";
    for (method, path) in [("PUT", queue), ("DELETE", queue), ("POST", "/api/definitions")] {
        let refused = nobody.raw(method, path, &[("Cookie", &cookie)]).expect(403);
        assert_eq!(refused.json()["error"], "forbidden", "{method}");
    }
    nobody.raw("DELETE", "/api/session", &[("Cookie", &cookie)]).expect(403);
    nobody.raw("GET", "/api/whoami", &[("Cookie", &cookie)]).expect(200);
    api.get("queues/%2F/session-q").expect(404);
    ask(api, "PUT", queue, &cookie).expect(201);
    ask(api, "DELETE", queue, &cookie).expect(204);
}

fn no_challenge(api: &Api) {
    let nobody = api.with(None);
    let challenged = |headers: &[(&str, &str)]| {
        nobody.raw("GET", "/api/overview", headers).expect(401).header("www-authenticate").is_some()
    };
    assert!(challenged(&[]));
    assert!(!challenged(&[PAGE]));
    assert!(!challenged(&[("Cookie", "leveret_session=x")]));
    assert!(challenged(&[("Cookie", "other=x")]));
}

fn ends_with_its_user(api: &Api) {
    let user = "session-bob";
    let put = |password: &str, tags: &str| {
        let body = serde_json::json!({"password": password, "tags": tags}).to_string();
        api.put(&format!("users/{user}"), &body)
    };
    let changes: [(&str, &dyn Fn()); 3] = [
        ("another password", &|| drop(put("other", "monitoring").expect(204))),
        ("other tags", &|| drop(put(user, "administrator").expect(204))),
        ("deleted and made again", &|| {
            api.delete(&format!("users/{user}")).expect(204);
            put(user, "monitoring").expect(201);
        }),
    ];
    put(user, "monitoring").expect(201);
    for (what, change) in changes {
        put(user, "monitoring").expect(204);
        let cookie = signed_in(api, user);
        assert_eq!(ask(api, "GET", "/api/session", &cookie).expect(200).json()["name"], user);
        change();
        assert_eq!(ask(api, "GET", "/api/session", &cookie).json(), Value::Null, "{what}");
        ask(api, "GET", "/api/overview", &cookie).expect(401);
    }
    api.delete(&format!("users/{user}")).expect(204);
}

fn authorization_counts(api: &Api) {
    let cookie = signed_in(api, "guest");
    let wrong = api.by("guest", "wrong").raw("GET", "/api/whoami", &[("Cookie", &cookie)]);
    assert_eq!(wrong.status, 401);
    let right = api.raw("PUT", "/api/queues/%2F/session-basic", &[("Cookie", "leveret_session=x")]);
    assert_eq!(right.status, 201, "no cookie is looked at");
    api.delete("queues/%2F/session-basic").expect(204);
}

/// Pages that ask the same again and again are told the same: those who may see it, and not after a change.
fn pages_that_watch(api: &Api) {
    let (vhost, user) = ("session-watched", "session-watcher");
    api.put(&format!("vhosts/{vhost}"), "").expect(201);
    api.put(&format!("queues/{vhost}/q"), "{}").expect(201);
    let body = serde_json::json!({"password": user, "tags": "management"}).to_string();
    api.put(&format!("users/{user}"), &body).expect(201);
    let cookies = [signed_in(api, "guest"), signed_in(api, user)];
    let watch = |cookie: &str, again: &str| {
        let headers = [("X-Leveret-Page", again), ("Cookie", cookie)];
        let path = format!("/api/queues?name={vhost}-&columns=name&page=1");
        let reply = api.with(None).raw("GET", &path, &headers).expect(200).json();
        reply["filtered_count"].as_u64().expect("a number")
    };
    let seen = |again: &str| cookies.each_ref().map(|cookie| watch(cookie, again));
    let permission = format!("permissions/{vhost}/{user}");
    for again in ["600", "5", "0", "no number"] {
        assert_eq!(seen(again), [0, 0], "{again}");
        let queue = format!("queues/{vhost}/{vhost}-q");
        api.put(&queue, "{}").expect(201);
        assert_eq!(seen(again), [1, 0], "{again}: it was made");
        api.put(&permission, r#"{"configure":"","write":"","read":""}"#).expect(201);
        assert_eq!(seen(again), [1, 1], "{again}: it may be seen");
        api.delete(&permission).expect(204);
        assert_eq!(seen(again), [1, 0], "{again}: and not any more");
        api.delete(&queue).expect(204);
    }
    let mut client = api.amqp().connect();
    client.declare_queue(&format!("{vhost}-amqp"));
    assert_eq!(watch(&cookies[0], "0"), 1, "what is asked once is answered as it is");
    api.delete(&format!("queues/%2F/{vhost}-amqp")).expect(204);
    api.delete(&format!("users/{user}")).expect(204);
    api.delete(&format!("vhosts/{vhost}")).expect(204);
}

/// A browser keeps up to six connections open, and pages ask again before they end.
fn hundreds_of_pages(api: &Api) {
    let nobody = api.with(None);
    let mut open: Vec<Stream> = (0..600).map(|_| nobody.stream("session/ways")).collect();
    for stream in &mut open {
        assert!(stream.until("\r\n\r\n").contains("200 OK"));
    }
    api.get("overview?columns=node").expect(200);
    drop(open);
}

fn the_page(api: &Api) {
    let nobody = api.with(None);
    for path in ["/", "/ui", "/ui/overview", "/ui/queues/%2F/a%20b?sort=name", "/ui/a/b/c/d"] {
        let reply = nobody.raw("GET", path, &[]).expect(200);
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        let policy = reply.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.contains("<title>Leveret</title>") && !text.contains("{{"), "{text}");
        let etag = reply.header("etag").expect("an etag").to_owned();
        let again = nobody.raw("GET", path, &[("If-None-Match", &etag)]).expect(304);
        assert!(again.body.is_empty());
    }
    let unknown = nobody.raw("GET", "/api/nowhere", &[]).expect(404);
    assert_eq!(unknown.json()["error"], "Object Not Found");
    nobody.raw("POST", "/ui/overview", &[]).expect(405);
}

fn files_of_the_page(api: &Api) {
    let nobody = api.with(None);
    let page = nobody.raw("GET", "/", &[]).expect(200);
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let sources: Vec<&str> = page.split('"').filter(|part| part.starts_with("/page/")).collect();
    assert!(sources.len() >= 3, "{page}");
    for source in &sources {
        let file = nobody.raw("GET", source, &[]).expect(200);
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"), "{source}");
        let expected = match source.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(file.header("content-type"), Some(expected), "{source}");
    }
    let script = sources.iter().find(|source| source.ends_with(".js")).expect("a script");
    let other = script.replacen("/page/", "/page/x", 1);
    nobody.raw("GET", &other, &[]).expect(404);
    let folder = script.rsplit_once("/app/").expect("of app").0;
    for wrong in ["README.md", "..%2FCargo.toml", "app/..%2f..%2fCargo.toml", "app/none.js"] {
        nobody.raw("GET", &format!("{folder}/{wrong}"), &[]).expect(404);
    }
}
