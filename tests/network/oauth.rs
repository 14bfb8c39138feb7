//! Signing in at the management page where somebody else knows the users.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use leveret_tests::broker_under_test::{BrokerUnderTest, MANAGEMENT};
use leveret_tests::http::{HttpClient, Place, Reply};
use leveret_tests::provider::Provider;
use serde_json::{Value, json};

/// A browser that follows no redirect by itself.
struct Browser {
    client: HttpClient,
}

impl Browser {
    fn get(&self, path: &str, cookie: &str) -> Reply {
        self.client.ask_with("GET", path, &[("Cookie", cookie), ("X-Leveret-Page", "1")], b"")
    }
}

fn started(more: &str) -> (Provider, BrokerUnderTest, Browser) {
    let provider = Provider::start("rabbitmq.tag:monitoring rabbitmq.read:*/*");
    let broker = BrokerUnderTest::start_with(&format!("{MANAGEMENT}{}{more}", provider.config()));
    let place = Place::Tcp(broker.management());
    let browser = Browser { client: HttpClient { place, authorization: None } };
    (provider, broker, browser)
}

/// The pair of a cookie, as it is sent back.
fn cookie(reply: &Reply, name: &str) -> String {
    let set = reply.headers.iter().filter(|(own, _)| own == "set-cookie").map(|(_, value)| value);
    let own = set.clone().find(|value| value.starts_with(&format!("{name}=")));
    let own = own.unwrap_or_else(|| panic!("no {name} among {:?}", set.collect::<Vec<_>>()));
    own.split(';').next().expect("a pair").to_owned()
}

/// The path of where a browser is sent, behind a host that is as expected.
fn sent(reply: Reply, host: &str) -> String {
    let status = reply.status;
    assert!([302, 303].contains(&status), "{status} {}", String::from_utf8_lossy(&reply.body));
    let place = reply.header("location").expect("a place").to_owned();
    place.strip_prefix(host).unwrap_or_else(|| panic!("{place} is not at {host}")).to_owned()
}

/// Goes to the provider: what the browser comes back with, as a path, and its cookie.
fn comes_back(provider: &Provider, browser: &Browser) -> (String, String) {
    let reply = browser.get("/api/session/oauth?origin=https%3A%2F%2Fx", "").expect(303);
    let cookie = cookie(&reply, "leveret_pending");
    assert!(cookie.len() > "leveret_pending=".len() + 40, "{cookie}");
    let path = sent(reply, &provider.url());
    let address = provider.url().trim_start_matches("http://").parse().expect("an address");
    let there = HttpClient { place: Place::Tcp(address), authorization: None };
    (sent(there.ask("GET", &path, ""), "https://x"), cookie)
}

#[test]
fn whoever_the_provider_knows_is_signed_in() {
    let (provider, mut broker, browser) = started("");
    let ways = browser.get("/api/session/ways", "").expect(200).json();
    assert_eq!(ways, json!({"password": true, "provider": "127.0.0.1"}));
    let (path, pending) = comes_back(&provider, &browser);
    assert!(path.starts_with("/js/oidc-oauth/login-callback.html?"), "{path}");
    let reply = browser.get(&path, &pending).expect(303);
    assert_eq!(reply.header("location"), Some("/"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let session = cookie(&reply, "leveret_session");
    assert_eq!(cookie(&reply, "leveret_pending"), "leveret_pending=", "it is forgotten");
    let told = browser.get("/api/session", &session).expect(200).json();
    let expected = json!({"name": "ada", "tags": ["monitoring"], "is_internal_user": false});
    assert_eq!(told, expected);
    let _ = browser.get("/api/nodes", &session).expect(200);
    let _ = browser.get("/api/users", &session).expect(401);
    let again = browser.get(&path, &pending).expect(303);
    assert_eq!(again.header("location"), Some("/?refused=stale"), "a code counts once");
    broker.assert_sound();
}

#[test]
fn whoever_is_not_let_in_is_told_why() {
    let (provider, mut broker, browser) = started("");
    let refused = |reply: Reply| {
        let reply = reply.expect(303);
        let is_in = reply.headers.iter().any(|(_, value)| value.starts_with("leveret_session="));
        assert!(!is_in, "{:?}", reply.headers);
        reply.header("location").expect("a place").to_owned()
    };
    // The cookie of another browser, or none: a link that somebody else made signs nobody in.
    for cookie in ["", "leveret_pending=x"] {
        let (path, _) = comes_back(&provider, &browser);
        assert_eq!(refused(browser.get(&path, cookie)), "/?refused=stale");
    }
    let (path, pending) = comes_back(&provider, &browser);
    let forged = path.replace("code=code", "code=other");
    assert_eq!(refused(browser.get(&forged, &pending)), "/?refused=unreachable");
    provider.gives("rabbitmq.read:*/*");
    let (path, pending) = comes_back(&provider, &browser);
    assert_eq!(refused(browser.get(&path, &pending)), "/?refused=untagged");
    provider.denies(true);
    let (path, pending) = comes_back(&provider, &browser);
    assert_eq!(refused(browser.get(&path, &pending)), "/?refused=denied");
    let elsewhere = browser.get("/api/session/oauth?origin=https%3A%2F%2Fevil.example", "");
    assert_eq!(elsewhere.expect(400).json()["error"], "bad_request");
    broker.assert_sound();
}

#[test]
fn a_prefix_stands_before_all_of_it() {
    let (provider, mut broker, browser) = started("management.path_prefix = /mq\n");
    let reply = browser.get("/mq/api/session/oauth", "").expect(303);
    let path = sent(reply, &provider.url());
    assert!(path.contains("redirect_uri=http%3A%2F%2Fx%2Fmq%2Fjs%2Foidc-oauth%2F"), "{path}");
    let back = browser.get("/mq/js/oidc-oauth/login-callback.html?state=x", "").expect(303);
    assert_eq!(back.header("location"), Some("/mq/?refused=stale"));
    broker.assert_sound();
}

#[test]
fn where_nobody_else_knows_users_there_is_nowhere_to_go() {
    let mut broker = BrokerUnderTest::start_with(&format!(
        "{MANAGEMENT}management.oauth_enabled = true\nmanagement.oauth_client_id = a\n"
    ));
    let place = Place::Tcp(broker.management());
    let browser = Browser { client: HttpClient { place, authorization: None } };
    let ways = browser.get("/api/session/ways", "").expect(200).json();
    assert_eq!(ways, json!({"password": true, "provider": Value::Null}));
    for path in ["/api/session/oauth", "/js/oidc-oauth/login-callback.html?code=a&state=b"] {
        let _ = browser.get(path, "").expect(404);
    }
    broker.assert_sound();
}
