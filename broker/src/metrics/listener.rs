//! The HTTP side: `GET /metrics` and what stands behind it, and nothing else.
//!
//! Spawned by `server` on a bound listener; runs until the process ends, so that a shutdown can be
//! watched too. Stays true: a bounded number of connections, and none that is idle for long, so that
//! nobody takes the broker's file descriptors here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::error;

use super::{Endpoint, Snapshot, Wanted, render};
use crate::gzip;
use crate::idle_limit::IdleLimited;

/// Connections at a time: a few servers that scrape, and a person or two.
const CONNECTIONS_MAX: usize = 32;
/// A connection on which nothing comes for so long is closed. Longer than servers usually take
/// from one scrape to the next.
const IDLE_MAX: Duration = Duration::from_secs(90);
/// How long to wait after accept failed: the usual reason is too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What the text is.
pub(crate) const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers scrapes for ever, each with a snapshot of its own, at this path and behind it. Taking one may
/// block. Where `per_object` is set the path itself tells of single objects.
pub(crate) async fn serve(
    listener: TcpListener,
    (path, per_object): (String, bool),
    snapshot: impl Fn(Endpoint, Option<Wanted>) -> Snapshot + Clone + Send + Sync + 'static,
) {
    let answer = move |endpoint| {
        let snapshot = snapshot.clone();
        get(move |query: RawQuery, asked: HeaderMap| {
            let wanted = match endpoint {
                Endpoint::Aggregated | Endpoint::MemoryBreakdown => None,
                Endpoint::PerObject => Some(Wanted::default()),
                Endpoint::Detailed => Some(Wanted::of(query.0.as_deref().unwrap_or_default())),
            };
            scrape(move || snapshot(endpoint, wanted), gzip::is_accepted(&asked))
        })
    };
    let first = if per_object { Endpoint::PerObject } else { Endpoint::Aggregated };
    let behind = |name: &str| format!("{}/{name}", path.trim_end_matches('/'));
    let routes = Router::new()
        .route(&path, answer(first))
        .route(&behind("per-object"), answer(Endpoint::PerObject))
        .route(&behind("detailed"), answer(Endpoint::Detailed))
        .route(&behind("memory-breakdown"), answer(Endpoint::MemoryBreakdown));
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    if let Err(error) = axum::serve(Bounded { listener, permits }, routes).await {
        error!("the metrics can no longer be read: {error}");
    }
}

async fn scrape(
    snapshot: impl FnOnce() -> Snapshot + Send + 'static,
    takes_gzip: bool,
) -> Response {
    let text = move || {
        let text = render(&snapshot());
        let shrinks = takes_gzip && text.len() >= gzip::LEAST_BYTES;
        if shrinks { (gzip::compressed(text.as_bytes()), true) } else { (text.into(), false) }
    };
    match tokio::task::spawn_blocking(text).await {
        Ok((body, true)) => {
            ([(CONTENT_TYPE, CONTENT), (CONTENT_ENCODING, "gzip")], body).into_response()
        }
        Ok((body, false)) => ([(CONTENT_TYPE, CONTENT)], body).into_response(),
        Err(error) => {
            error!("no metrics: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A listener that accepts no more than it has permits for.
struct Bounded {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

impl axum::serve::Listener for Bounded {
    type Io = IdleLimited<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (IdleLimited<TcpStream>, SocketAddr) {
        // Nobody closes the semaphore; without a permit there would merely be no bound.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => return (IdleLimited::new(stream, IDLE_MAX, permit), peer),
                Err(error) => {
                    error!("cannot accept connections for metrics: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A server for the metrics of a broker with this name.
    async fn started(cluster_name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cluster_name = cluster_name.to_owned();
        let snapshot = Snapshot { cluster_name, ..Snapshot::default() };
        let scraped = move |endpoint, wanted: Option<Wanted>| {
            let objects = wanted.map(|wanted| (wanted, super::super::Objects::default()));
            Snapshot { endpoint, objects, ..snapshot.clone() }
        };
        tokio::spawn(serve(listener, ("/metrics".to_owned(), false), scraped));
        address
    }

    async fn answer(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_scrape_gets_the_snapshot() {
        let address = started("here").await;
        let answer = answer(address, "GET /metrics").await;
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        assert!(text.contains("rabbitmq_cluster=\"here\""), "{text}");
    }

    #[tokio::test]
    async fn each_endpoint_says_which_it_is() {
        let address = started("here").await;
        for (path, endpoint) in [
            ("/metrics", "aggregated"),
            ("/metrics/per-object", "per-object"),
            ("/metrics/detailed?family=queue_metrics", "detailed"),
            ("/metrics/memory-breakdown", "memory-breakdown"),
        ] {
            let answer = answer(address, &format!("GET {path}")).await;
            let label = format!("rabbitmq_endpoint=\"{endpoint}\"}} 1");
            assert_eq!(answer.matches(&label).count(), 1, "{answer}");
            assert_eq!(answer.matches("\nrabbitmq_identity_info{").count(), 1, "{answer}");
        }
    }

    #[tokio::test]
    async fn there_is_nothing_else() {
        let address = started("here").await;
        for (request, status) in [("GET /", "404"), ("POST /metrics", "405")] {
            let answer = answer(address, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_end_and_make_room() {
        let address = started("here").await;
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        // Accepted only after one of the others has ended.
        let answer = answer(address, "GET /metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let mut byte = [0];
        for stream in &mut idle {
            assert_eq!(stream.read(&mut byte).await.unwrap(), 0, "it was closed");
        }
    }
}
