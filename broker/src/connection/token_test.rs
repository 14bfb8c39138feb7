//! What connections meet that log in with a token in the place of a password.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::test_client::{TestClient, start};
use crate::clock;
use crate::startup::Started;

const REFUSED: &str = "403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. \
                       For details see the broker logfile.";

/// Signs with what everybody here knows.
fn token(key: &str, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "HS256", "kid": key});
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let made = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(made))
}

/// Claims of bob's, with these scopes, over in so many seconds.
fn claims(scopes: &str, seconds: i64) -> Value {
    let now = i64::try_from(clock::unix_millis() / 1000).unwrap();
    json!({"sub": "bob", "aud": "rabbitmq", "scope": scopes, "exp": now + seconds})
}

/// An issuer of tokens: its keys are what everybody here knows.
struct Issuer {
    keys: Arc<Mutex<Vec<&'static str>>>,
    asked: Arc<AtomicUsize>,
    port: u16,
}

impl Issuer {
    async fn start(keys: &[&'static str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let keys = Arc::new(Mutex::new(keys.to_vec()));
        let asked: Arc<AtomicUsize> = Arc::default();
        let (known, count) = (Arc::clone(&keys), Arc::clone(&asked));
        let router = Router::new().fallback(move |uri: Uri| {
            count.fetch_add(1, Ordering::Relaxed);
            let answer = match uri.path() {
                "/keys" => {
                    let jwk = |key: &&str| {
                        json!({"kty": "oct", "kid": key, "k": URL_SAFE_NO_PAD.encode(key)})
                    };
                    let keys: Vec<Value> = known.lock().iter().map(jwk).collect();
                    json!({ "keys": keys }).to_string()
                }
                "/realm/.well-known/openid-configuration" => {
                    json!({"jwks_uri": format!("http://127.0.0.1:{port}/keys")}).to_string()
                }
                _ => "not here".to_owned(),
            };
            async move { answer }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { keys, asked, port }
    }

    fn config(&self) -> String {
        format!(
            "auth_backends.1 = oauth2\nauth_oauth2.resource_server_id = rabbitmq\n\
             auth_oauth2.jwks_uri = http://127.0.0.1:{}/keys\n",
            self.port
        )
    }
}

struct Rig {
    issuer: Issuer,
    started: Started,
    _directory: tempfile::TempDir,
}

impl Rig {
    async fn start(more: &str) -> Self {
        let issuer = Issuer::start(&["k1"]).await;
        let directory = tempfile::tempdir().unwrap();
        let started = start(directory.path(), &format!("{}{more}", issuer.config()));
        Self { issuer, started, _directory: directory }
    }

    async fn open(&self, token: &str) -> Result<TestClient, String> {
        let opened = TestClient::open(&self.started.broker, ("", token), "/").await;
        let mut client = opened.map_err(|(code, text)| format!("{code} {text}"))?;
        client.open_channel(1).await.unwrap();
        Ok(client)
    }

    async fn bob(&self, scopes: &str) -> Result<TestClient, String> {
        self.open(&token("k1", &claims(scopes, 600))).await
    }
}

fn text(result: Result<(), (u16, String)>) -> String {
    result.map_or_else(|(code, text)| format!("{code} {text}"), |()| "fine".to_owned())
}

#[tokio::test]
async fn scopes_say_what_the_bearer_may_do() {
    let rig = Rig::start("").await;
    let scopes =
        "rabbitmq.configure:%2F/q* rabbitmq.write:*/amq.default rabbitmq.write:*/amq.topic/a.*";
    let mut bob = rig.bob(scopes).await.unwrap();
    bob.declare("q1").await.unwrap();
    assert_eq!(
        text(bob.declare("other").await),
        "403 ACCESS_REFUSED - configure access to queue 'other' in vhost '/' refused for user 'bob'"
    );
    bob.publish("", "q1", b"hello").await;
    bob.publish("amq.topic", "a.b", b"hello").await;
    assert_eq!(text(bob.declare("q1").await), "fine");
    let queue = rig.started.broker.vhost("/").unwrap().queue("q1").unwrap();
    assert_eq!(queue.counts().ready, 1);
    bob.publish("amq.topic", "b.a", b"hello").await;
    assert_eq!(
        bob.closed().await.1,
        "ACCESS_REFUSED - write access to topic 'b.a' in exchange 'amq.topic' in vhost '/' refused \
         for user 'bob'"
    );
}

#[tokio::test]
async fn who_has_no_good_token_is_refused() {
    let rig = Rig::start("").await;
    let good = claims("rabbitmq.read:*/*", 600);
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        token("k1", &claims)
    };
    let mut forged = token("k1", &good);
    forged.pop();
    for bad in [
        "guest".to_owned(),
        String::new(),
        forged,
        token("other", &good),
        token("k1", &claims("rabbitmq.read:*/*", -1)),
        with("aud", json!("others")),
        with("exp", json!("never")),
    ] {
        assert_eq!(rig.open(&bad).await.unwrap_err(), REFUSED, "{bad}");
    }
    let elsewhere = rig.bob("rabbitmq.read:v/*").await.unwrap_err();
    assert_eq!(elsewhere, "530 NOT_ALLOWED - access to vhost '/' refused for user 'bob'");
    assert!(rig.open(&token("k1", &good)).await.is_ok());
}

#[tokio::test]
async fn tokens_cannot_be_guessed_and_nobody_waits_for_an_old_one() {
    let rig = Rig::start("").await;
    let attempts = || rig.started.broker.logins().attempts();
    for _ in 0..30 {
        let old = token("k1", &claims("rabbitmq.read:*/*", -1));
        assert_eq!(rig.open(&old).await.unwrap_err(), REFUSED);
    }
    assert_eq!((attempts().failed, attempts().slowed), (30, 0));
    assert!(rig.bob("rabbitmq.read:*/*").await.is_ok());
    for _ in 0..5 {
        assert_eq!(rig.open("guess").await.unwrap_err(), REFUSED);
    }
    assert_eq!(attempts().slowed, 1, "a password may be guessed");
}

#[tokio::test]
async fn a_connection_ends_with_its_token() {
    let rig = Rig::start("").await;
    let mut bob = rig.open(&token("k1", &claims("rabbitmq.read:*/*", 2))).await.unwrap();
    assert_eq!(bob.closed().await, (320, "CONNECTION_FORCED - credential expired".to_owned()));
}

#[tokio::test]
async fn a_new_token_goes_on_in_the_place_of_the_old_one() {
    let rig = Rig::start("").await;
    let mut bob = rig.open(&token("k1", &claims("rabbitmq.configure:*/a", 3))).await.unwrap();
    bob.declare("a").await.unwrap();
    bob.publish("", "a", b"not yet").await;
    assert!(text(bob.declare("a").await).starts_with("403 ACCESS_REFUSED - write access"));
    let scopes = "rabbitmq.configure:*/b rabbitmq.write:*/*";
    bob.update_secret(&token("k1", &claims(scopes, 600))).await.unwrap();
    assert!(text(bob.declare("a").await).starts_with("403"), "scopes are the new token's");
    bob.declare("b").await.unwrap();
    bob.publish("", "b", b"now").await;
    assert_eq!(text(bob.declare("b").await), "fine");
    // Longer than the first token would have lasted.
    tokio::time::sleep(std::time::Duration::from_millis(3500)).await;
    assert_eq!(text(bob.declare("b").await), "fine");
    bob.update_secret(&token("k1", &claims(scopes, 1))).await.unwrap();
    assert_eq!(bob.closed().await, (320, "CONNECTION_FORCED - credential expired".to_owned()));
}

#[tokio::test]
async fn consumers_that_a_new_token_does_not_permit_end() {
    let rig = Rig::start("").await;
    let all = "rabbitmq.configure:*/* rabbitmq.read:*/* rabbitmq.write:*/*";
    let mut bob = rig.bob(all).await.unwrap();
    for queue in ["a", "b"] {
        bob.declare(queue).await.unwrap();
        bob.consume(queue).await.unwrap();
    }
    let less = "rabbitmq.configure:*/* rabbitmq.read:*/b";
    bob.update_secret(&token("k1", &claims(less, 600))).await.unwrap();
    bob.declare("a").await.unwrap();
    let vhost = rig.started.broker.vhost("/").unwrap();
    let consumers = |name| vhost.queue(name).unwrap().counts().consumers;
    assert_eq!((consumers("a"), consumers("b")), (0, 1));
}

#[tokio::test]
async fn a_new_token_that_is_not_good_ends_the_connection() {
    let rig = Rig::start("").await;
    let scopes = "rabbitmq.configure:*/*";
    let mut eves = claims(scopes, 600);
    eves["sub"] = json!("eve");
    let mut for_others = claims(scopes, 600);
    for_others["aud"] = json!("others");
    let refused = "530 NOT_ALLOWED - New secret was refused by one of the backends";
    for (bad, expected) in [
        ("nonsense".to_owned(), "530 NOT_ALLOWED - Secret update failed"),
        (token("k1", &for_others), "530 NOT_ALLOWED - Secret update failed"),
        (token("other", &claims(scopes, 600)), refused),
        (token("k1", &eves), refused),
        (
            token("k1", &claims(scopes, -5)),
            "530 NOT_ALLOWED - access to vhost '/' refused for user 'bob', backend \
             rabbit_auth_backend_oauth2 returned an error: \"Provided JWT token has expired at",
        ),
        (
            token("k1", &claims("rabbitmq.configure:elsewhere/*", 600)),
            "530 NOT_ALLOWED - access to vhost '/' refused for user 'bob'",
        ),
    ] {
        let mut bob = rig.bob(scopes).await.unwrap();
        let told = text(bob.update_secret(&bad).await);
        assert!(told.starts_with(expected), "{told}");
    }
    // Of a user with a password the secret is none of ours, as on RabbitMQ.
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let mut guest = TestClient::open(&started.broker, ("guest", "guest"), "/").await.unwrap();
    guest.update_secret("whatever").await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_not_known_is_looked_for_but_not_again_and_again() {
    let rig = Rig::start("").await;
    let good = claims("rabbitmq.read:*/*", 600);
    assert!(rig.open(&token("k1", &good)).await.is_ok());
    assert_eq!(rig.issuer.asked.load(Ordering::Relaxed), 1);
    rig.issuer.keys.lock().push("k2");
    for unknown in ["k2", "k3", "k4"] {
        assert_eq!(rig.open(&token(unknown, &good)).await.unwrap_err(), REFUSED);
    }
    assert_eq!(rig.issuer.asked.load(Ordering::Relaxed), 1, "it was asked a moment ago");
    assert!(rig.open(&token("k1", &good)).await.is_ok());
}

#[tokio::test]
async fn an_issuer_says_where_its_keys_are_and_files_have_others() {
    let issuer = Issuer::start(&["k1"]).await;
    let directory = tempfile::tempdir().unwrap();
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let file = directory.path().join("key.pem");
    std::fs::write(&file, pair.public_key_pem()).unwrap();
    let config = format!(
        "auth_backends.1 = internal\nauth_backends.2 = oauth2\n\
         auth_oauth2.resource_server_id = rabbitmq\nauth_oauth2.default_key = file\n\
         auth_oauth2.issuer = http://127.0.0.1:{}/realm\nauth_oauth2.signing_keys.file = {}\n",
        issuer.port,
        file.display()
    );
    let started = start(directory.path(), &config);
    let good = claims("rabbitmq.read:*/*", 600);
    let open = async |token: &str| TestClient::open(&started.broker, ("", token), "/").await;
    assert!(open(&token("k1", &good)).await.is_ok());
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 2);
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({"alg": "EdDSA"})), encode(&good));
    let signer = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair.serialize_der()).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()));
    assert!(open(&format!("{signed}.{signature}")).await.is_ok(), "a token that names no key");
    assert!(TestClient::open(&started.broker, ("guest", "guest"), "/").await.is_ok());
}
