//! Answers: statuses, bodies and errors as RabbitMQ's management has them.
//!
//! Made by every resource. Stays true: an error is an object of `error` and `reason`, or has no body
//! where RabbitMQ's has none.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, IF_NONE_MATCH, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::broker::access::Refused;
use crate::definitions::store::Durable;

/// What a handler answers.
pub(super) type Answer = Result<Response, Fault>;

/// Why a request is not answered with what was asked for.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    /// RabbitMQ's word, and why; `None` for an empty body.
    said: Option<(&'static str, Value)>,
    challenges: bool,
}

impl Fault {
    pub(super) fn with_status(
        status: StatusCode,
        error: &'static str,
        reason: impl Into<Value>,
    ) -> Self {
        Self { status, said: Some((error, reason.into())), challenges: false }
    }

    /// 400.
    pub(super) fn bad_request(reason: impl Into<Value>) -> Self {
        Self::with_status(StatusCode::BAD_REQUEST, "bad_request", reason)
    }

    /// 400 with a word of its own.
    pub(super) fn bad(error: &'static str, reason: impl Into<Value>) -> Self {
        Self::with_status(StatusCode::BAD_REQUEST, error, reason)
    }

    /// The same as 400 without a word of its own.
    pub(super) fn without_word(self) -> Self {
        let said = self.said.map(|(_, reason)| ("bad_request", reason));
        Self { said, ..self }
    }

    /// 400 for a request that is no HTTP.
    pub(super) fn malformed() -> Self {
        Self { status: StatusCode::BAD_REQUEST, said: None, challenges: false }
    }

    /// 401: nobody says who asks.
    pub(super) fn anonymous() -> Self {
        Self { status: StatusCode::UNAUTHORIZED, said: None, challenges: true }
    }

    /// The same, and no browser asks for a password by itself.
    pub(super) fn without_challenge(self) -> Self {
        Self { challenges: false, ..self }
    }

    /// 401: not who it claims to be.
    pub(super) fn unauthenticated() -> Self {
        Self::with_status(StatusCode::UNAUTHORIZED, "not_authorized", "Not_Authorized")
    }

    /// 401: known, and not allowed to.
    pub(super) fn not_authorised(reason: &str) -> Self {
        Self::with_status(StatusCode::UNAUTHORIZED, "not_authorised", reason)
    }

    /// Whether whoever asks is known, and may not do it.
    pub(super) fn is_of_known(&self) -> bool {
        matches!(self.said, Some(("not_authorised", _)))
    }

    /// 404: there is no such thing.
    pub(super) fn not_found() -> Self {
        Self::with_status(StatusCode::NOT_FOUND, "Object Not Found", "Not Found")
    }

    /// 404: whether there is such a thing is not for this user to know.
    pub(super) fn hidden() -> Self {
        Self::missing("Not Found")
    }

    /// 404 with a reason.
    pub(super) fn missing(reason: &str) -> Self {
        Self::with_status(StatusCode::NOT_FOUND, "not_found", reason)
    }

    /// 412.
    pub(super) fn precondition(reason: &str) -> Self {
        Self::with_status(StatusCode::PRECONDITION_FAILED, "precondition_failed", reason)
    }

    /// 413: the body is larger than it may be.
    pub(super) fn too_large() -> Self {
        Self::bad_request("payload_too_large")
    }

    /// 500: something went wrong here.
    pub(super) fn internal(reason: &str) -> Self {
        Self::with_status(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", reason)
    }

    /// 503: what was looked at is not well.
    pub(super) fn unwell(mut about: Value) -> Response {
        if let Value::Object(fields) = &mut about {
            fields.insert("status".to_owned(), "failed".into());
        }
        (StatusCode::SERVICE_UNAVAILABLE, json(&about)).into_response()
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Self { status, said, challenges } = self;
        let mut response = match said {
            Some((error, reason)) => json(&json!({"error": error, "reason": reason})),
            None => Response::new(Body::empty()),
        };
        *response.status_mut() = status;
        if challenges {
            let realm = HeaderValue::from_static("Basic realm=\"RabbitMQ Management\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// RabbitMQ's text where its management passes on what the broker says.
impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        match &refused {
            Refused::ProtectedVhost(_) => Self::precondition(&refused.to_string()),
            Refused::DiskFull => Self::internal(&refused.to_string()),
            Refused::Auth(_)
            | Refused::UserExists(_)
            | Refused::NoSuchVhost(_)
            | Refused::LeavingVhost(_)
            | Refused::TooManyVhosts(..)
            | Refused::QueueType(_)
            | Refused::NoSuchExchange(_)
            | Refused::ProtectedUser
            | Refused::TooManyTags(_)
            | Refused::NoHash
            | Refused::Name(_)
            | Refused::Limits(_) => Self::bad_request(refused.to_string()),
        }
    }
}

/// 404: nothing answers to this path.
pub(super) fn not_found() -> Response {
    Fault::not_found().into_response()
}

/// Whether who asks has what this tag stands for (RFC 9110, 13.1.2).
pub(super) fn is_known(asked: &HeaderMap, etag: &str) -> bool {
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
    let tag = etag.trim_start_matches("W/");
    known.flat_map(|known| known.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.trim_start_matches("W/") == tag
    })
}

/// 200 with this.
pub(super) fn json(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    let content = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content);
    response
}

/// 201 where something is new, and 204 where it was there.
pub(super) fn put(is_new: bool) -> Response {
    if is_new { StatusCode::CREATED.into_response() } else { done() }
}

/// 204.
pub(super) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// 201, and where it is.
pub(super) fn created_at(location: &str) -> Response {
    let mut response = StatusCode::CREATED.into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// Waits until a change is on disk.
pub(super) async fn stored(durable: Durable) -> Result<(), Fault> {
    durable.wait().await.map_err(|error| Fault::internal(&error.to_string()))
}

/// Does what takes locks or time, where blocking is allowed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!("a request of the management API came to nothing: {error}");
        Fault::internal("the request was not carried out, see the log")
    })
}
