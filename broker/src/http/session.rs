//! `/api/session`: signing in and out at the management page. Ours.
//!
//! What a request's cookie says is read in `cookies`, for every handler. Stays true: a password is tried
//! as AMQP's logins are, and is not kept; nobody signs others in or out from another site.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::answer::{Answer, Fault, done, json};
use super::authorization::Visitor;
use super::cookies::{WithTls, assert_page, set_cookie, token};
use super::request::Document;
use super::{Management, Peer};
use crate::auth::sasl::{Claim, Identity};

/// `POST /api/session`: `{"user": …, "password": …}`.
pub(super) async fn enter(
    State(management): State<Arc<Management>>,
    Extension(peer): Extension<Peer>,
    Extension(WithTls(with_tls)): Extension<WithTls>,
    headers: HeaderMap,
    Document(body): Document,
) -> Answer {
    assert_page(&headers)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(user), Some(password)) = (text("user"), text("password")) else {
        return Err(Fault::bad_request("user and password have to be given, as text"));
    };
    let claim = Claim::Password(Identity { user, password: password.into_bytes() });
    let visitor = Visitor::enter(&management, peer, &claim).await?;
    let mut response = json(&user_of(&visitor));
    if let Some(admitted) = visitor.admitted() {
        let token = management.open_session(admitted)?;
        set_cookie(&mut response, &headers, &token, (with_tls, None));
    }
    Ok(response)
}

/// `GET /api/session`: who is signed in; `null` is nobody.
pub(super) async fn show(
    State(management): State<Arc<Management>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Answer {
    let visitor = token(&headers).and_then(|token| management.session(peer, &token));
    let visitor = visitor.map(|admitted| Visitor::of_session(peer, admitted));
    Ok(json(&visitor.as_ref().map(user_of)))
}

/// `DELETE /api/session`.
pub(super) async fn leave(
    State(management): State<Arc<Management>>,
    Extension(WithTls(with_tls)): Extension<WithTls>,
    headers: HeaderMap,
) -> Answer {
    assert_page(&headers)?;
    if let Some(token) = token(&headers) {
        management.close_session(&token);
    }
    let mut response = done();
    set_cookie(&mut response, &headers, "", (with_tls, Some(0)));
    Ok(response)
}

fn user_of(visitor: &Visitor) -> Value {
    json!({
        "name": visitor.name(),
        "tags": visitor.tags(),
        "is_internal_user": visitor.is_internal(),
    })
}
