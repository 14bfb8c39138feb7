//! `/api/events` and `/api/log`: what happens and what is logged, as it comes (server-sent events, WHATWG
//! HTML 9.2). Ours.
//!
//! Events are for who may monitor the broker, the log for administrators. Stays true: who reads slowly
//! loses the oldest, is told how many in an event `lost`, and holds nobody; a stream ends with the broker,
//! and after ten minutes, so that whoever comes again shows again who it is.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Management;
use super::answer::{Answer, Fault};
use super::authorization::{Administrator, Monitor};
use super::request::Query;
use crate::config::LogCategory;
use crate::definitions::json_arguments::to_json;
use crate::events::Event;
use crate::logging::LogWatch;
use crate::watched::{Lost, Watch};

/// Streams at a time at most: the door's other places are for other requests.
pub(super) const STREAMS_MAX: usize = 256;
/// What is on its way to a reader, in events.
const AHEAD: usize = 64;
/// Something is sent so often, so that the way stays open.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// A stream lasts so long at most.
const LASTS: Duration = Duration::from_secs(600);
/// The longest list of keys, in bytes.
const KEYS_MAX: usize = 1024;

/// What is told next: `None` at the end.
trait Source: Send + 'static {
    fn next(&mut self) -> impl Future<Output = Option<Result<Told, Lost>>> + Send;
}

/// An event on its way.
struct Told {
    name: &'static str,
    data: String,
}

struct OfEvents {
    watch: Watch<Event>,
    /// The keys that are wanted begin with one of these; with none all are.
    keys: Vec<String>,
}

impl Source for OfEvents {
    async fn next(&mut self) -> Option<Result<Told, Lost>> {
        loop {
            let event = match self.watch.next().await? {
                Ok(event) => event,
                Err(lost) => return Some(Err(lost)),
            };
            if self.keys.is_empty() || self.keys.iter().any(|key| event.key.starts_with(key)) {
                let mut fields = to_json(&event.headers());
                fields.insert("event".to_owned(), event.key.into());
                return Some(Ok(Told { name: event.key, data: Value::from(fields).to_string() }));
            }
        }
    }
}

impl Source for LogWatch {
    async fn next(&mut self) -> Option<Result<Told, Lost>> {
        let seen = self.next().await?;
        Some(seen.map(|seen| Told { name: "log", data: seen.line.clone() }))
    }
}

/// `GET /api/events`: `?keys=queue.,connection.closed`.
pub(super) async fn events(
    State(management): State<Arc<Management>>,
    _: Monitor,
    query: Query,
) -> Answer {
    let keys = query.get("keys").unwrap_or_default();
    if keys.len() > KEYS_MAX {
        return Err(Fault::bad_request(format!("keys has more than {KEYS_MAX} bytes")));
    }
    let keys = keys.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect();
    let place = management.place_for_a_stream()?;
    let watch = management.broker.events().watched().watch();
    Ok(stream(OfEvents { watch, keys }, management.broker.stopping().clone(), place))
}

/// `GET /api/log`: `?level=info&category=connection`.
pub(super) async fn log(
    State(management): State<Arc<Management>>,
    _: Administrator,
    query: Query,
) -> Answer {
    let level = match query.get("level").unwrap_or("info") {
        "debug" => tracing::Level::DEBUG,
        "info" | "notice" => tracing::Level::INFO,
        "warning" => tracing::Level::WARN,
        "error" | "critical" | "alert" | "emergency" => tracing::Level::ERROR,
        other => return Err(Fault::bad_request(format!("there is no log level '{other}'"))),
    };
    let named = |name: &str| {
        let found = LogCategory::ALL.into_iter().find(|category| category.name() == name);
        found.ok_or_else(|| Fault::bad_request(format!("there is no log category '{name}'")))
    };
    let category = query.get("category").filter(|name| !name.is_empty()).map(named).transpose()?;
    let place = management.place_for_a_stream()?;
    let watch = management.broker.watch_log(level, category);
    let watch = watch.ok_or_else(|| Fault::internal("there is no log"))?;
    Ok(stream(watch, management.broker.stopping().clone(), place))
}

impl Management {
    fn place_for_a_stream(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        place.map_err(|_| {
            let text = format!("there are {STREAMS_MAX} streams already");
            Fault::with_status(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", text)
        })
    }
}

fn stream(
    source: impl Source,
    stopping: CancellationToken,
    place: OwnedSemaphorePermit,
) -> Response {
    let (to_reader, told) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let ended = tell(source, &stopping, &to_reader).await;
        if ended {
            // A reader that takes nothing does not hold the end.
            let _ = to_reader.try_send(said("end", "{}"));
        }
        drop(place);
    });
    let mut response = Response::new(Body::new(Reading(told)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Tells until there is nothing more to be told. False if the reader is gone.
async fn tell(
    mut source: impl Source,
    stopping: &CancellationToken,
    to_reader: &mpsc::Sender<Bytes>,
) -> bool {
    let end = Instant::now() + LASTS;
    let mut alive = interval(ALIVE_EVERY);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = tokio::select! {
            () = stopping.cancelled() => return true,
            () = sleep_until(end) => return true,
            () = to_reader.closed() => return false,
            // The first comes at once, and with it the head of the answer.
            _ = alive.tick() => Bytes::from_static(b": alive\n\n"),
            told = source.next() => match told {
                Some(Ok(Told { name, data })) => said(name, &data),
                Some(Err(Lost(count))) => said("lost", &json!({"count": count}).to_string()),
                None => return true,
            },
        };
        tokio::select! {
            () = stopping.cancelled() => return true,
            sent = to_reader.send(next) => if sent.is_err() { return false },
        }
    }
}

/// JSON has no ends of lines in it.
fn said(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// The body of a stream.
struct Reading(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Reading {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
