//! `/api/login`: a name and a password of a form, told back as what later requests bring with them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::answer::{Answer, Fault, done, json};
use super::authorization::Visitor;
use super::request::{Query, Whole};
use super::{Management, Peer};
use crate::auth::sasl::{Claim, Identity};

/// `POST /api/login`: `username=…&password=…`.
pub(super) async fn enter(
    State(management): State<Arc<Management>>,
    Extension(peer): Extension<Peer>,
    Whole(body): Whole,
) -> Answer {
    let form = str::from_utf8(&body).map(Query::parse).unwrap_or_default();
    let (Some(user), Some(password)) = (form.get("username"), form.get("password")) else {
        return Err(Fault::unauthenticated());
    };
    let token = STANDARD.encode(format!("{user}:{password}"));
    let identity = Identity { user: user.to_owned(), password: password.as_bytes().to_vec() };
    let visitor = Visitor::enter(&management, peer, &Claim::Password(identity)).await?;
    Ok(json(&json!({
        "user": {
            "name": visitor.name(),
            "tags": visitor.tags(),
            "is_internal_user": visitor.is_internal(),
        },
        "token": {"type": "basic", "value": token},
    })))
}

/// `DELETE /api/login`: nothing is kept of it.
pub(super) async fn leave() -> Answer {
    Ok(done())
}
