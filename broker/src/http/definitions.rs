//! `/api/definitions`: exported and imported, of the broker and of a vhost.
//!
//! `import::running` does it. See <https://www.rabbitmq.com/docs/definitions>.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::Management;
use super::answer::{Answer, Fault, blocking, done};
use super::authorization::{Administrator, Visitor};
use super::multipart;
use super::request::{Query, Whole};
use crate::definitions::document::Scope;
use crate::definitions::document::written::Author;
use crate::import::running::{Import, Imported, export, import};

/// `GET /api/definitions`.
pub(super) async fn all(
    State(management): State<Arc<Management>>,
    _: Administrator,
    query: Query,
) -> Answer {
    exported(management, None, &query).await
}

/// `GET /api/definitions/VHOST`.
pub(super) async fn of_vhost(
    State(management): State<Arc<Management>>,
    _: Administrator,
    Path(vhost): Path<String>,
    query: Query,
) -> Answer {
    if management.broker.vhost(&vhost).is_none() {
        return Err(Fault::bad_request("vhost_not_found"));
    }
    exported(management, Some(vhost), &query).await
}

async fn exported(management: Arc<Management>, vhost: Option<String>, query: &Query) -> Answer {
    let text = blocking(move || {
        let author = Author {
            product: management.identity.product.clone(),
            version: management.identity.version.clone(),
            cluster_name: management.broker.introduction().now().cluster_name.clone(),
        };
        export(&management.broker, scope(vhost.as_deref()), &author)
    });
    let text = text.await?.map_err(|error| Fault::internal(&error.to_string()))?;
    let mut response = Response::new(Body::from(text));
    let content = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content);
    if let Some(name) = query.get("download") {
        let name: String = name.chars().filter(|letter| !"\"\r\n\\".contains(*letter)).collect();
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename={name}")) {
            response.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
    }
    Ok(response)
}

fn scope(vhost: Option<&str>) -> Scope<'_> {
    vhost.map_or(Scope::Whole, Scope::Vhost)
}

/// `POST /api/definitions`.
pub(super) async fn load(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Answer {
    let Upload { text, redirect } = Upload::of(&headers, body)?;
    imported(management, visitor, None, text, How::default()).await?;
    Ok(redirected(redirect.as_deref()))
}

/// Definitions as they are sent: by themselves, or as a page's form has them.
struct Upload {
    text: Bytes,
    /// Where the page goes on.
    redirect: Option<String>,
}

impl Upload {
    fn of(headers: &HeaderMap, body: Bytes) -> Result<Self, Fault> {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let Some(kind) = kind.filter(|kind| multipart::is_form(kind)) else {
            return Ok(Self { text: body, redirect: None });
        };
        let no_form = || Fault::bad_request("failed_to_parse_json");
        let fields = multipart::fields(kind, &body).ok_or_else(no_form)?;
        let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted);
        let (_, text) = field("file").ok_or_else(no_form)?;
        let redirect = field("redirect").and_then(|(_, to)| str::from_utf8(to).ok());
        Ok(Self { text: body.slice_ref(text), redirect: redirect.map(str::to_owned) })
    }
}

/// 303 to where a page goes on, or 204.
fn redirected(to: Option<&str>) -> Response {
    let location = to.and_then(|to| HeaderValue::from_str(to).ok());
    let Some(location) = location else { return done() };
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, location);
    response
}

/// `POST /api/definitions/VHOST`.
pub(super) async fn load_vhost(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path(vhost): Path<String>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Answer {
    if management.broker.vhost(&vhost).is_none() {
        return Err(Fault::missing("vhost_not_found"));
    }
    let Upload { text, redirect } = Upload::of(&headers, body)?;
    imported(management, visitor, Some(vhost), text, How::default()).await?;
    Ok(redirected(redirect.as_deref()))
}

/// What an import does beside making what a document holds.
#[derive(Clone, Copy, Default)]
pub(super) struct How {
    /// Whether what it does not hold is deleted.
    pub prune: bool,
    /// Whether nothing is changed, and only told what would be.
    pub dry_run: bool,
}

/// A document imported, of one vhost or whole: what it changed, and what it says and could not be done.
pub(super) async fn imported(
    management: Arc<Management>,
    visitor: Visitor,
    vhost: Option<String>,
    text: Bytes,
    How { prune, dry_run }: How,
) -> Result<Imported, Fault> {
    let imported = blocking(move || {
        let asked = Import { scope: scope(vhost.as_deref()), text: &text, prune, dry_run };
        import(&management.broker, visitor.by(), &asked)
    });
    imported.await?.map_err(|refused| Fault::bad_request(refused.reason()))
}
