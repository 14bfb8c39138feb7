//! `/api/definitions`: exported and imported, of the broker and of a vhost.
//!
//! `import::running` does it. See <https://www.rabbitmq.com/docs/definitions>.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;

use super::Management;
use super::answer::{Answer, Fault, blocking, done};
use super::authorization::{Administrator, Visitor};
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
            cluster_name: management.identity.cluster_name.clone(),
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
    Whole(text): Whole,
) -> Answer {
    imported(management, visitor, None, text, How::default()).await.map(|_| done())
}

/// `POST /api/definitions/VHOST`.
pub(super) async fn load_vhost(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
    Path(vhost): Path<String>,
    Whole(text): Whole,
) -> Answer {
    if management.broker.vhost(&vhost).is_none() {
        return Err(Fault::missing("vhost_not_found"));
    }
    imported(management, visitor, Some(vhost), text, How::default()).await.map(|_| done())
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
    text: bytes::Bytes,
    How { prune, dry_run }: How,
) -> Result<Imported, Fault> {
    let imported = blocking(move || {
        let asked = Import { scope: scope(vhost.as_deref()), text: &text, prune, dry_run };
        import(&management.broker, visitor.by(), &asked)
    });
    imported.await?.map_err(|refused| Fault::bad_request(refused.reason()))
}
