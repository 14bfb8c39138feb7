//! What connections meet when a service of the operator's says who may do what.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::RawForm;
use axum::http::Uri;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::test_client::{TestClient, start};
use crate::broker::Broker;
use crate::startup::Started;

/// A service that allows everything but what it is told to answer otherwise.
struct Service {
    port: u16,
    answers: Arc<Mutex<HashMap<&'static str, &'static str>>>,
    /// The questions, in order: the last part of the path, and the form.
    asked: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers: Arc<Mutex<HashMap<&'static str, &'static str>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (rules, noted) = (Arc::clone(&answers), Arc::clone(&asked));
        let router = Router::new().fallback(move |uri: Uri, RawForm(form): RawForm| {
            let path = uri.path().trim_start_matches("/auth/").to_owned();
            let question = format!("{path} {}", String::from_utf8_lossy(&form));
            let answer =
                rules.lock().iter().find(|(part, _)| question.contains(**part)).map(|a| *a.1);
            noted.lock().push(question);
            async move { answer.unwrap_or("allow") }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, answers, asked, server }
    }

    fn answer(&self, part: &'static str, answer: &'static str) {
        self.answers.lock().insert(part, answer);
    }

    /// The questions since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn config(&self, more: &str) -> String {
        let paths = ["user", "vhost", "resource", "topic"].map(|path| {
            format!("auth_http.{path}_path = http://127.0.0.1:{}/auth/{path}\n", self.port)
        });
        format!("{}{more}", paths.concat())
    }
}

struct Rig {
    service: Service,
    started: Started,
    _directory: tempfile::TempDir,
}

impl Rig {
    async fn start(lines: &str) -> Self {
        let service = Service::start().await;
        let directory = tempfile::tempdir().unwrap();
        let started = start(directory.path(), &service.config(lines));
        Self { service, started, _directory: directory }
    }

    fn broker(&self) -> &Arc<Broker> {
        &self.started.broker
    }

    async fn open(&self, user: &str, password: &str) -> Result<TestClient, String> {
        let opened = TestClient::open(self.broker(), (user, password), "/").await;
        let mut client = opened.map_err(|(code, text)| format!("{code} {text}"))?;
        client.open_channel(1).await.unwrap();
        Ok(client)
    }
}

fn text(result: Result<(), (u16, String)>) -> String {
    result.map_or_else(|(code, text)| format!("{code} {text}"), |()| "fine".to_owned())
}

const LOGIN_REFUSED: &str = "403 ACCESS_REFUSED - Login was refused using authentication mechanism \
                             PLAIN. For details see the broker logfile.";

#[tokio::test]
async fn the_service_says_who_may_log_in_and_where() {
    let rig = Rig::start("auth_backends.1 = http\nauth_http.http_method = post\n").await;
    rig.service.answer("username=eve", "deny no such user");
    rig.service.answer("username=mad", "perhaps");
    rig.service.answer("vhost username=out", "deny");
    let _bob = rig.open("bob", "se cret&").await.unwrap();
    assert_eq!(
        rig.service.asked(),
        [
            "user username=bob&password=se+cret%26",
            "vhost username=bob&vhost=%2F&ip=127.0.0.1&tags="
        ]
    );
    for refused in ["eve", "mad"] {
        assert_eq!(rig.open(refused, "x").await.unwrap_err(), LOGIN_REFUSED, "{refused}");
    }
    let out = rig.open("out", "x").await.unwrap_err();
    assert_eq!(out, "530 NOT_ALLOWED - access to vhost '/' refused for user 'out'");
    assert_eq!(rig.broker().logins().attempts().failed, 2);
}

#[tokio::test]
async fn the_service_is_asked_once_for_what_it_allows() {
    let rig = Rig::start("auth_backends.1 = http\n").await;
    rig.service.answer("user username=bob", "allow management");
    let mut bob = rig.open("bob", "x").await.unwrap();
    rig.service.asked();
    for _ in 0..3 {
        bob.declare("q").await.unwrap();
    }
    assert_eq!(
        rig.service.asked(),
        [
            "resource username=bob&vhost=%2F&resource=queue&name=q&permission=configure&tags=management"
        ]
    );
    rig.service.answer("name=not-this", "deny");
    for _ in 0..2 {
        assert_eq!(
            text(bob.declare("not-this").await),
            "403 ACCESS_REFUSED - configure access to queue 'not-this' in vhost '/' refused for user \
             'bob'"
        );
    }
    assert_eq!(rig.service.asked().len(), 2, "refusals are asked anew");
    bob.declare("q").await.unwrap();
    assert_eq!(rig.service.asked().len(), 0);
}

#[tokio::test]
async fn a_publish_waits_for_the_answer_and_goes_on_by_itself() {
    let rig = Rig::start("auth_backends.1 = http\n").await;
    let mut bob = rig.open("bob", "x").await.unwrap();
    bob.declare("q").await.unwrap();
    rig.service.asked();
    for _ in 0..3 {
        bob.publish("", "q", b"hello").await;
    }
    bob.publish("amq.topic", "a.b", b"hello").await;
    assert_eq!(text(bob.declare("q").await), "fine");
    let queue = rig.broker().vhost("/").unwrap().queue("q").unwrap();
    assert_eq!(queue.counts().ready, 3);
    let write = "resource username=bob&vhost=%2F&resource=exchange&name=";
    assert_eq!(
        rig.service.asked(),
        [
            format!("{write}amq.default&permission=write&tags="),
            format!("{write}amq.topic&permission=write&tags="),
            "topic username=bob&vhost=%2F&resource=topic&name=amq.topic&permission=write&tags=&\
             routing_key=a.b&variable_map.username=bob&variable_map.vhost=%2F"
                .to_owned(),
        ]
    );
    rig.service.answer("name=amq.fanout", "deny");
    bob.publish("amq.fanout", "", b"hello").await;
    assert_eq!(
        bob.closed().await.1,
        "ACCESS_REFUSED - write access to exchange 'amq.fanout' in vhost '/' refused for user 'bob'"
    );
}

#[tokio::test]
async fn answers_expire_and_are_asked_anew() {
    let rig = Rig::start("auth_backends.1 = http\nauth_cache.cache_ttl = 200\n").await;
    let mut bob = rig.open("bob", "x").await.unwrap();
    bob.declare("q").await.unwrap();
    bob.publish("", "q", b"hello").await;
    bob.declare("q").await.unwrap();
    rig.service.answer("name=amq.default", "deny");
    // What was allowed is so for a while, and then no more: the route is forgotten with it.
    let refused = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            bob.publish("", "q", b"hello").await;
            match text(bob.declare("q").await) {
                fine if fine == "fine" => tokio::time::sleep(Duration::from_millis(20)).await,
                refused => break refused,
            }
        }
    });
    assert_eq!(
        refused.await.unwrap(),
        "403 ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user \
         'bob'"
    );
}

#[tokio::test]
async fn a_service_that_is_gone_refuses_and_says_so_in_the_reason() {
    let lines = "auth_backends.1 = http\nauth_http.authorization_failure_disclosure = true\n";
    let rig = Rig::start(lines).await;
    let mut bob = rig.open("bob", "x").await.unwrap();
    rig.service.answer("name=q", "deny not today");
    let refused = "403 ACCESS_REFUSED - configure access to queue 'q' in vhost '/' refused for user \
                   'bob'";
    let told = format!("{refused} by backend rabbit_auth_backend_http: not today");
    assert_eq!(text(bob.declare("q").await), told);
    rig.service.answer("name=q", "certainly");
    let told = format!("{refused}, backend rabbit_auth_backend_http returned an error: ");
    let nonsense = text(bob.declare("q").await);
    assert!(nonsense.starts_with(&told) && nonsense.contains("certainly"), "{nonsense}");
    rig.service.server.abort();
    while tokio::net::TcpStream::connect(("127.0.0.1", rig.service.port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let gone = text(bob.declare("q").await);
    assert!(gone.starts_with(&told) && gone.contains("cannot connect"), "{gone}");
    assert_eq!(rig.open("bob", "x").await.unwrap_err(), LOGIN_REFUSED);
}

#[tokio::test]
async fn backends_are_asked_in_their_order() {
    let rig = Rig::start("auth_backends.1 = internal\nauth_backends.2 = http\n").await;
    let _guest = rig.open("guest", "guest").await.unwrap();
    assert_eq!(rig.service.asked(), [""; 0], "the first knows");
    let _bob = rig.open("bob", "x").await.unwrap();
    assert_eq!(rig.service.asked().len(), 2);
    rig.service.answer("username=eve", "deny");
    assert_eq!(rig.open("eve", "x").await.unwrap_err(), LOGIN_REFUSED);
}

#[tokio::test]
async fn who_lets_in_and_who_gives_rights_may_be_two() {
    let rig = Rig::start("auth_backends.1.authn = http\nauth_backends.1.authz = internal\n").await;
    let mut guest = rig.open("guest", "whatever").await.unwrap();
    guest.declare("q").await.unwrap();
    assert_eq!(rig.service.asked(), ["user username=guest&password=whatever"]);
    // Whoever is unknown here has no rights.
    assert_eq!(rig.open("bob", "x").await.unwrap_err(), LOGIN_REFUSED);
    let rig = Rig::start("auth_backends.1.authn = internal\nauth_backends.1.authz = http\n").await;
    assert_eq!(rig.open("guest", "wrong").await.unwrap_err(), LOGIN_REFUSED);
    assert_eq!(rig.service.asked(), [""; 0]);
    let mut guest = rig.open("guest", "guest").await.unwrap();
    guest.declare("q").await.unwrap();
    let asked = rig.service.asked();
    let first: Vec<_> = asked.iter().filter_map(|asked| asked.split(' ').next()).collect();
    assert_eq!(first, ["user", "vhost", "resource"], "{asked:?}");
}

#[tokio::test]
async fn behind_the_cache_connections_share_what_they_were_told() {
    let lines = "auth_backends.1 = cache\nauth_cache.cached_backend = http\n";
    let rig = Rig::start(lines).await;
    for n in 0..3 {
        let mut bob = rig.open("bob", "x").await.unwrap();
        bob.declare("q").await.unwrap();
        assert_eq!(rig.service.asked().len(), if n == 0 { 3 } else { 0 });
    }
    rig.service.answer("password=y", "deny");
    for _ in 0..2 {
        assert_eq!(rig.open("bob", "y").await.unwrap_err(), LOGIN_REFUSED);
    }
    assert_eq!(rig.service.asked().len(), 2, "refusals are not remembered");
}
