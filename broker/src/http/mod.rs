//! The management API over HTTP: what RabbitMQ's management plugin answers under `/api`
//! (<https://www.rabbitmq.com/docs/http-api-reference>), what this broker has beside it, and the management
//! page (`page`), which is a client of both.
//!
//! Started by `server`, which gives it the doors that requests come through: TCP, TLS, and the socket
//! `leveret.sock` in the data directory for whoever may use the command line. A request goes
//! `listener` → [`Management::answer`] → `routes` → one file a resource. Shared by the resources:
//! `authorization` (who asks, and what it may see), `request` (paths, queries, bodies), `lenient` (what
//! bodies say), `listing` (paging, sorting, columns), `answer` (statuses, errors).
//!
//! Stays true: nothing is done twice, since handlers call what AMQP's own handlers call; what takes
//! locks or time runs where blocking is allowed; no lock is held while an answer is rendered. Bodies are
//! read leniently, answers are strict: RabbitMQ's statuses, texts and types.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "of values of JSON, and of refusals, those that are not meant are passed on as they are"
)]

mod leading;
mod listener;
mod local_socket;

mod routes;

mod answer;
mod authorization;
mod acting;
mod lenient;
mod listing;
mod multipart;
mod request;
mod selecting;

mod backups;
mod bindings;
mod broker_itself;
mod compression;
mod clients;
mod channels;
mod configured;
mod connections;
mod consumers;
mod cookies;
mod definitions;
mod described;
mod delayed;
mod exchanges;
mod health;
mod limits;
mod login;
mod memory;
mod messages;
mod nodes;
mod oauth;
mod operation;
mod openapi;
mod overview;
mod page;
mod parameters;
mod pausing;
mod permissions;
mod policies;
mod queue_arguments;
mod queue_messages;
mod queues;
mod ranges;
mod reasons;
mod replicas;
mod restocking;
mod route_plans;
mod schemas;
mod session;
mod sessions;
mod sharing;
mod standing;
mod statistics;
mod streams;
mod users;
mod vhosts;
mod why;

pub(crate) use listener::{Door, serve};
pub(crate) use local_socket::{LocalSocket, NAME as SOCKET};

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL,
    CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, ORIGIN, STRICT_TRANSPORT_SECURITY,
    VARY,
};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::backup;
use crate::broker::Broker;
use crate::clock;
use crate::config::{Config, Identity, Management as Settings};
use crate::gzip;
use crate::metrics;
use crate::startup::Started;
use crate::tls::Tls;

/// Where requests of somebody come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// From this address.
    Network(SocketAddr),
    /// From whoever may open the socket in the data directory.
    Local,
}

/// A port on which the broker listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    /// RabbitMQ's name for what is spoken there.
    pub protocol: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// Whether with TLS.
    pub with_tls: bool,
}

/// See the module documentation.
pub(crate) struct Management {
    broker: Arc<Broker>,
    backups: Arc<backup::Source>,
    settings: Settings,
    identity: Identity,
    /// The name of the cluster, which may be given another.
    data_dir: PathBuf,
    config_files: Vec<PathBuf>,
    listening: Vec<Listening>,
    /// `backlog` and `nodelay` of clients' sockets.
    socket_options: (i32, bool),
    tls: Vec<Arc<Tls>>,
    metrics: metrics::Source,
    /// When the broker was started, in milliseconds since the epoch.
    started_ms: u64,
    is_ready: AtomicBool,
    /// Places for those who are told what happens.
    streams: Arc<Semaphore>,
    /// Who is signed in at the page.
    signed_in: Mutex<sessions::Sessions>,
    /// Where else they may do so.
    oauth: Option<oauth::OAuth>,
    /// What pages were told.
    shared: sharing::Shared,
}

impl Management {
    /// Of a broker that listens there, with these certificates.
    pub(crate) fn new(
        started: &Started,
        config: &Config,
        listening: Vec<Listening>,
        tls: Vec<Arc<Tls>>,
    ) -> Arc<Self> {
        let broker = Arc::clone(&started.broker);
        let metrics = metrics::Source::new(Arc::clone(&broker), &config.identity);
        Arc::new(Self {
            broker,
            backups: Arc::clone(&started.backups),
            metrics,
            settings: config.management.clone(),
            identity: config.identity.clone(),
            data_dir: config.data_dir.clone(),
            config_files: config.files.clone(),
            listening,
            socket_options: (config.listeners.backlog, config.listeners.nodelay),
            tls,
            started_ms: clock::unix_millis(),
            is_ready: AtomicBool::new(false),
            streams: Arc::new(Semaphore::new(streams::STREAMS_MAX)),
            oauth: config.management.sign_in.clone().map(oauth::OAuth::new),
            shared: sharing::Shared::default(),
            signed_in: Mutex::new(sessions::Sessions::new(config.management.session_timeout)),
        })
    }

    /// The start is complete.
    pub(crate) fn is_ready_now(&self) {
        self.is_ready.store(true, Ordering::Release);
    }

    /// Whether clients can be served: the start is complete, and the end has not begun.
    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire) && !self.broker.stopping().is_cancelled()
    }

    /// Everything there is to ask.
    fn service(self: &Arc<Self>) -> Service {
        TowerToHyperService::new(routes::router().with_state(Arc::clone(self)))
    }

    /// Answers a request, or tells what a page was told that asked the same.
    async fn answer(
        self: Arc<Self>,
        service: Service,
        from: (Peer, bool),
        request: hyper::Request<Incoming>,
    ) -> Response {
        let (peer, _) = from;
        let uri = request::normalise(request.uri(), &self.settings.path_prefix);
        let question = sharing::Question::of(&self, peer, uri.as_ref(), &request);
        let reads = reads(request.method());
        let answered = Arc::clone(&self).answer_alone(service, from, uri, request);
        let response = match question {
            Some(question) => self.shared.answer(question, answered).await,
            None => answered.await,
        };
        if !reads {
            self.shared.has_changed();
        }
        response
    }

    async fn answer_alone(
        self: Arc<Self>,
        service: Service,
        (peer, with_tls): (Peer, bool),
        uri: Option<Uri>,
        mut request: hyper::Request<Incoming>,
    ) -> Response {
        let origin = request.headers().get(ORIGIN).cloned();
        let takes_gzip = gzip::is_accepted(request.headers());
        let is_asking = request.method() == Method::OPTIONS;
        let reads = reads(request.method());
        let is_known = KNOWN.contains(request.method());
        let allowed = uri.as_ref().filter(|_| is_known).map(|uri| openapi::allowed(uri.path()));
        let mut response = match uri {
            Some(_) if is_asking => Response::new(Body::empty()),
            Some(_) if !is_known => StatusCode::NOT_IMPLEMENTED.into_response(),
            Some(uri) => {
                *request.uri_mut() = uri;
                request.extensions_mut().insert(peer);
                request.extensions_mut().insert(cookies::WithTls(with_tls));
                // A router cannot fail.
                let request: Request<Incoming> = request;
                service.call(request).await.unwrap_or_else(|never| match never {})
            }
            None => answer::not_found(),
        };
        let is_told = reads && response.status().is_success();
        self.add_headers(response.headers_mut(), origin.as_ref(), (is_asking, is_told));
        if let Some(allowed) = allowed.and_then(|names| HeaderValue::try_from(names).ok()) {
            response.headers_mut().insert(ALLOW, allowed);
        }
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            *response.body_mut() = Body::empty();
        }
        if takes_gzip { compression::compress(response).await } else { response }
    }

    fn add_headers(
        &self,
        headers: &mut HeaderMap,
        origin: Option<&HeaderValue>,
        (asking, is_told): (bool, bool),
    ) {
        let mut add = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        add(VARY, "accept, accept-encoding, origin");
        if let Some(policy) = &self.settings.strict_transport_security {
            add(STRICT_TRANSPORT_SECURITY, policy);
        }
        let allowed = &self.settings.allowed_origins;
        let is_allowed = |origin: &&str| allowed.iter().any(|one| one == "*" || one == origin);
        let origin = origin.and_then(|origin| origin.to_str().ok()).filter(is_allowed);
        if let Some(origin) = origin {
            add(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            add(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
            if asking {
                let age = self.settings.origins_max_age_seconds.to_string();
                add(ACCESS_CONTROL_MAX_AGE, &age);
                add(ACCESS_CONTROL_ALLOW_METHODS, "HEAD, GET, PUT, POST, DELETE, OPTIONS");
                add(ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, x-reason");
            }
        }
        let policy = &self.settings.content_security_policy;
        if !policy.is_empty()
            && !headers.contains_key(CONTENT_SECURITY_POLICY)
            && let Ok(policy) = HeaderValue::from_str(policy)
        {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        if !headers.contains_key(CACHE_CONTROL) {
            let kept = if is_told { "no-cache" } else { "public, max-age=0, must-revalidate" };
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
        }
    }
}

/// Methods that there are; what is asked with another is answered 501.
const KNOWN: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

fn reads(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

type Service = TowerToHyperService<Router>;

impl Peer {
    /// The address, or this machine's own.
    fn address(self) -> IpAddr {
        match self {
            Self::Network(address) => address.ip().to_canonical(),
            Self::Local => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        }
    }
}
