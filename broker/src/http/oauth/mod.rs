//! Signing in at the management page where a provider of OAuth 2 knows the users.
//!
//! `routes` leads here: `/api/session/oauth` sends the browser to the provider, who sends it back with a
//! code to the address that RabbitMQ's page has for that. The broker exchanges the code for a token
//! (`provider`), and whoever the token names is signed in as with a password. Stays true: no script sees
//! the code's secret, the token, or the client's secret; a code counts once, and only in the browser that
//! asked for it (`pending`); where the browser goes afterwards is always this page.
//! See RFC 6749, 4.1 (the code), and RFC 7636 (its proof).

mod pending;
mod provider;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HOST, LOCATION, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::json;

use self::pending::{Begun, PATIENCE, Pending};
use self::provider::Provider;
use super::answer::{Answer, Fault, json};
use super::authorization::Visitor;
use super::cookies::{self, WithTls};
use super::request::Query;
use super::{Management, Peer};
use crate::auth::sasl::{Claim, Identity};
use crate::clock;
use crate::config::SignIn;
use crate::http_client::Form;

/// Where the provider sends browsers back to: the same as with RabbitMQ's page, so that whoever is
/// registered there stays so.
pub(super) const BACK: &str = "/js/oidc-oauth/login-callback.html";

/// See the module documentation.
pub(super) struct OAuth {
    settings: SignIn,
    provider: Provider,
    pending: Mutex<Pending>,
}

/// Why nobody was signed in: the page knows a sentence for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Somebody else's, an old one, or one that was used.
    Stale,
    /// The user or the provider does not want it.
    Denied,
    /// The provider cannot be asked.
    Unreachable,
    /// The token lets nobody in.
    Token,
    /// It does, and its user may not use the page.
    Untagged,
}

impl Refusal {
    fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::Token => "token",
            Self::Untagged => "untagged",
        }
    }
}

impl OAuth {
    pub(super) fn new(settings: SignIn) -> Self {
        let (provider, pending) = (Provider::new(&settings), Mutex::default());
        Self { settings, provider, pending }
    }

    /// Where the browser goes, and what it has to bring back.
    async fn begin(&self, back: String) -> Result<(String, String), Refusal> {
        let endpoints = self.provider.endpoints().await.map_err(|why| unreachable_for(&why))?;
        let random = || cookies::random().ok_or(Refusal::Unreachable);
        let (state, verifier) = (random()?, random()?);
        let mut form = Form::default();
        let settings = &self.settings;
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", &settings.client_id),
            ("redirect_uri", &back),
            ("scope", &settings.scopes),
            ("state", &state),
            ("code_challenge", &provider::challenge(&verifier)),
            ("code_challenge_method", "S256"),
        ] {
            form.add(name, value.as_bytes());
        }
        for (name, value) in &settings.asked_with {
            form.add(name, value.as_bytes());
        }
        let place = endpoints.authorization.with_query(&form.into_text());
        self.pending.lock().begin(&state, Begun { verifier, back }, clock::steady());
        Ok((place, state))
    }

    /// The token of whoever came back.
    async fn end(&self, query: &Query, state: Option<&str>) -> Result<String, Refusal> {
        let asked = query.get("state").filter(|own| Some(*own) == state).ok_or(Refusal::Stale)?;
        let begun = self.pending.lock().end(asked, clock::steady()).ok_or(Refusal::Stale)?;
        let Some(code) = query.get("code") else {
            tracing::warn!(
                event = "login.oauth_denied",
                "the provider signs nobody in: {}",
                provider::shown(query.get("error").unwrap_or("it gives no code"))
            );
            return Err(Refusal::Denied);
        };
        let token = self.provider.exchange(code, &begun).await;
        token.map_err(|why| unreachable_for(&why))
    }
}

fn unreachable_for(why: &str) -> Refusal {
    tracing::error!(event = "login.oauth_unreachable", "cannot sign in at the provider: {why}");
    Refusal::Unreachable
}

/// `GET /api/session/ways`: how somebody may sign in.
pub(super) async fn ways(State(management): State<Arc<Management>>) -> Answer {
    let oauth = management.oauth.as_ref().map(|oauth| &oauth.settings);
    Ok(json(&json!({
        "password": oauth.is_none_or(|settings| !settings.is_alone),
        "provider": oauth.map(|settings| settings.provider.host()),
    })))
}

/// `GET /api/session/oauth?origin=…`: to the provider. The origin is what the browser knows this place by.
pub(super) async fn begin(
    State(management): State<Arc<Management>>,
    Extension(WithTls(with_tls)): Extension<WithTls>,
    headers: HeaderMap,
    query: Query,
) -> Answer {
    let oauth = management.oauth.as_ref().ok_or_else(Fault::not_found)?;
    let origin = origin(&headers, query.get("origin"), with_tls)
        .ok_or_else(|| Fault::bad_request("the origin is not that of the request"))?;
    let back = format!("{origin}{}{BACK}", management.settings.path_prefix);
    Ok(match oauth.begin(back).await {
        Ok((place, state)) => {
            let mut response = sent(&place);
            let age = PATIENCE.as_secs();
            cookies::set_pending(&mut response, &headers, &state, (with_tls, age));
            response
        }
        Err(refusal) => refused(&management, refusal),
    })
}

/// `GET /js/oidc-oauth/login-callback.html?code=…&state=…`: back from the provider.
pub(super) async fn end(
    State(management): State<Arc<Management>>,
    Extension(peer): Extension<Peer>,
    Extension(WithTls(with_tls)): Extension<WithTls>,
    headers: HeaderMap,
    query: Query,
) -> Answer {
    let oauth = management.oauth.as_ref().ok_or_else(Fault::not_found)?;
    let state = cookies::pending(&headers);
    let mut response = match oauth.end(&query, state.as_deref()).await {
        Ok(token) => enter(&management, peer, token, (&headers, with_tls)).await?,
        Err(refusal) => refused(&management, refusal),
    };
    cookies::set_pending(&mut response, &headers, "", (with_tls, 0));
    Ok(response)
}

/// Signs in whom the token names.
async fn enter(
    management: &Management,
    peer: Peer,
    token: String,
    (headers, with_tls): (&HeaderMap, bool),
) -> Answer {
    let claim = Claim::Password(Identity { user: String::new(), password: token.into_bytes() });
    let visitor = match Visitor::enter(management, peer, &claim).await {
        Ok(visitor) => visitor,
        Err(fault) if fault.is_of_known() => return Ok(refused(management, Refusal::Untagged)),
        Err(_) => return Ok(refused(management, Refusal::Token)),
    };
    let mut response = sent(&format!("{}/", management.settings.path_prefix));
    if let Some(admitted) = visitor.admitted() {
        let token = management.open_session(admitted)?;
        cookies::set_cookie(&mut response, headers, &token, (with_tls, None));
    }
    Ok(response)
}

/// To the page, which says why.
fn refused(management: &Management, refusal: Refusal) -> Response {
    sent(&format!("{}/?refused={}", management.settings.path_prefix, refusal.word()))
}

fn sent(place: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let Ok(place) = HeaderValue::from_str(place) else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let headers = response.headers_mut();
    headers.insert(LOCATION, place);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// What the browser knows this place by, if that is the host it asks: there may be a proxy with TLS between.
fn origin(headers: &HeaderMap, claimed: Option<&str>, with_tls: bool) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let own = |scheme: &str| format!("{scheme}://{host}");
    match claimed {
        None => Some(own(if with_tls { "https" } else { "http" })),
        Some(claimed) => ["https", "http"].map(own).into_iter().find(|own| own == claimed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_that_of_the_request() {
        let mut headers = HeaderMap::new();
        assert_eq!(origin(&headers, None, true), None);
        headers.insert(HOST, HeaderValue::from_static("broker.example:15672"));
        for (claimed, with_tls, expected) in [
            (None, false, Some("http://broker.example:15672")),
            (None, true, Some("https://broker.example:15672")),
            (Some("https://broker.example:15672"), false, Some("https://broker.example:15672")),
            (Some("https://other.example"), false, None),
            (Some("https://broker.example:15672/x"), true, None),
        ] {
            assert_eq!(origin(&headers, claimed, with_tls).as_deref(), expected, "{claimed:?}");
        }
    }
}
