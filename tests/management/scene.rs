//! The broker that rows are put to, and what they ask it with.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest, MANAGEMENT};
use leveret_tests::http::{HttpClient, Place, Reply};
use leveret_tests::metrics;
use serde_json::Value;

/// A name, what is needed for it, and what is done.
pub(crate) type Row = (&'static str, Needs, fn(&Api));

/// Which brokers a row can be put to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Ours and RabbitMQ.
    Any,
    /// Ours alone.
    Leveret,
}

/// The API of a broker, asked by somebody.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: HttpClient,
    /// Of a broker of ours: its AMQP, and the socket of its data directory.
    own: Option<(Broker, PathBuf)>,
    /// Where Prometheus may ask.
    metrics: Option<SocketAddr>,
}

/// Ours, started by the first row.
static STARTED: Mutex<Option<BrokerUnderTest>> = Mutex::new(None);

/// Samples are taken often, so that no row waits long for a rate.
const SAMPLING: &str = "collect_statistics_interval = 200\n";

/// The broker of all rows.
pub(crate) fn shared() -> Api {
    if let Some(peer) = Api::peer() {
        return peer;
    }
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    let broker = started.get_or_insert_with(|| BrokerUnderTest::start_with(&configuration()));
    let socket = broker.data_directory().join("leveret.sock");
    Api {
        http: HttpClient {
            place: Place::Tcp(broker.management()),
            authorization: Some(basic("guest", "guest")),
        },
        own: Some((broker.broker(), socket)),
        metrics: Some(metrics::address(broker)),
    }
}

fn configuration() -> String {
    format!("{MANAGEMENT}{SAMPLING}{}", metrics::CONFIG)
}

/// Ends it.
pub(crate) fn stop() {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(mut broker) = started.take() {
        broker.assert_sound();
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, at| {
            number << 8 | usize::from(part.get(at).copied().unwrap_or_default())
        });
        for at in 0..4 {
            let letter = LETTERS[number >> (18 - 6 * at) & 63];
            text.push(if at <= part.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

impl Api {
    /// The broker of `LEVERET_PEER_HTTP`, if it is set.
    pub(crate) fn peer() -> Option<Self> {
        let url = std::env::var("LEVERET_PEER_HTTP").ok()?;
        let rest = url.strip_prefix("http://").expect("an http URL").trim_end_matches('/');
        let (credentials, authority) = rest.rsplit_once('@').unwrap_or(("guest:guest", rest));
        let (user, password) = credentials.split_once(':').expect("user:password");
        let address = authority.to_socket_addrs().ok().and_then(|mut all| all.next());
        let place = Place::Tcp(address.expect("host:port"));
        let metrics = std::env::var("LEVERET_PEER_METRICS").ok();
        let metrics = metrics.filter(|url| !url.is_empty()).map(|url| {
            let authority = url.strip_prefix("http://").expect("an http URL").trim_end_matches('/');
            authority.parse().expect("host:port")
        });
        Some(Self {
            http: HttpClient { place, authorization: Some(basic(user, password)) },
            own: None,
            metrics,
        })
    }

    /// The same, asked by somebody else.
    pub(crate) fn by(&self, user: &str, password: &str) -> Self {
        self.with(Some(basic(user, password)))
    }

    /// The same with another header, or none.
    pub(crate) fn with(&self, authorization: Option<String>) -> Self {
        let http = HttpClient { authorization, ..self.http.clone() };
        Self { http, own: self.own.clone(), metrics: self.metrics }
    }

    /// The same over the socket of the data directory.
    pub(crate) fn local(&self) -> Self {
        let socket = self.own.as_ref().expect("a broker of ours").1.clone();
        let http = HttpClient { place: Place::Local(socket), authorization: None };
        Self { http, own: self.own.clone(), metrics: self.metrics }
    }

    /// What Prometheus is told at this path of its port, if the broker has one.
    pub(crate) fn scrape(&self, path: &str) -> Option<String> {
        let http = HttpClient { place: Place::Tcp(self.metrics?), authorization: None };
        Some(http.ask("GET", path, "").expect(200).text())
    }

    /// The broker's AMQP.
    pub(crate) fn amqp(&self) -> Broker {
        let own = self.own.as_ref().map(|(broker, _)| broker.clone());
        own.or_else(Broker::peer).expect("LEVERET_PEER says where the peer's AMQP is")
    }

    /// `GET /api/…`.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "")
    }

    /// `GET /api/…`, which has to be found.
    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).expect(200).json()
    }

    /// `PUT /api/…`.
    pub(crate) fn put(&self, path: &str, body: &str) -> Reply {
        self.ask("PUT", path, body)
    }

    /// `POST /api/…`.
    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        self.ask("POST", path, body)
    }

    /// `DELETE /api/…`.
    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, "")
    }

    /// Whatever under `/api/`.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        self.http.ask(method, &format!("/api/{path}"), body)
    }

    /// Whatever, with headers.
    pub(crate) fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.http.ask_with(method, path, headers, b"")
    }

    /// Whatever, with headers and a body.
    pub(crate) fn with_body(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        self.http.ask_with(method, path, headers, body)
    }

    /// `GET /api/…`, of which the answer does not end.
    pub(crate) fn stream(&self, path: &str) -> Stream {
        Stream(self.http.open(&format!("/api/{path}")))
    }

    /// A user with these tags and the password `p`, and the API asked by it.
    pub(crate) fn user(&self, name: &str, tags: &str) -> Self {
        let body = format!(r#"{{"password":"p","tags":"{tags}"}}"#);
        let status = self.put(&format!("users/{name}"), &body).status;
        assert!(status == 201 || status == 204, "{status}");
        self.by(name, "p")
    }

    /// A user who may enter a vhost, with this expression for all it does there.
    pub(crate) fn user_in(&self, name: &str, vhost: &str, rights: &str) -> Self {
        let user = self.user(name, "management");
        let body = format!(r#"{{"configure":"{rights}","write":"{rights}","read":"{rights}"}}"#);
        self.put(&format!("permissions/{vhost}/{name}"), &body).expect(201);
        user
    }

    /// A vhost of this name, empty.
    pub(crate) fn vhost(&self, name: &str) {
        let _ = self.delete(&format!("vhosts/{name}"));
        self.put(&format!("vhosts/{name}"), "").expect(201);
    }

    /// Takes away what a row made.
    pub(crate) fn forget(&self, paths: &[&str]) {
        for path in paths {
            self.delete(path).expect(204);
        }
    }
}

/// An answer that does not end.
pub(crate) struct Stream(leveret_tests::http::Unending);

impl Stream {
    /// Reads until this has come, and returns all up to it.
    pub(crate) fn until(&mut self, end: &str) -> String {
        self.0.until(end)
    }
}

/// Asserts that a request was refused like this.
pub(crate) fn refused(reply: Reply, status: u16, error: &str, reason: impl Into<Value>) {
    let said = reply.expect(status).json();
    assert_eq!(said["error"], error, "{said}");
    assert_eq!(said["reason"], reason.into(), "{said}");
}

/// The names in a list.
pub(crate) fn names(list: &Value) -> Vec<String> {
    let items = list.get("items").unwrap_or(list).as_array().expect("a list").iter();
    items.map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}
