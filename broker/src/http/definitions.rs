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
use super::authorization::Administrator;
use super::request::{Query, Whole};
use crate::definitions::document::Scope;
use crate::definitions::document::written::Author;
use crate::import::running::{Import, export, import};

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
    visitor: Administrator,
    Whole(text): Whole,
) -> Answer {
    imported(management, visitor, None, text).await
}

/// `POST /api/definitions/VHOST`.
pub(super) async fn load_vhost(
    State(management): State<Arc<Management>>,
    visitor: Administrator,
    Path(vhost): Path<String>,
    Whole(text): Whole,
) -> Answer {
    if management.broker.vhost(&vhost).is_none() {
        return Err(Fault::missing("vhost_not_found"));
    }
    imported(management, visitor, Some(vhost), text).await
}

async fn imported(
    management: Arc<Management>,
    Administrator(visitor): Administrator,
    vhost: Option<String>,
    text: bytes::Bytes,
) -> Answer {
    let done_so = blocking(move || {
        let scope = scope(vhost.as_deref());
        let asked = Import { scope, text: &text, prune: false, dry_run: false };
        import(&management.broker, visitor.by(), &asked).map(drop)
    });
    done_so.await?.map_err(|refused| Fault::bad_request(refused.reason()))?;
    Ok(done())
}
