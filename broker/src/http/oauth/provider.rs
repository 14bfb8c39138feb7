//! What the provider is asked: where its endpoints are, and for a token in exchange for a code.
//!
//! A room of `http::oauth`. Stays true: nothing is asked, and no browser sent, where others could listen;
//! what it says about its endpoints is good for a while; no code and no token is in a message.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::pending::Begun;
use crate::clock;
use crate::config::SignIn;
use crate::http_client::{Form, HttpClient, Response, Times};
use crate::url::Url;

/// Until the provider has answered.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what it says about itself is good.
const KEPT: Duration = Duration::from_secs(300);
/// Of what a provider says, in a message.
const SHOWN_MAX: usize = 80;

/// See the module documentation.
pub(super) struct Provider {
    metadata: Url,
    client_id: String,
    client_secret: Option<String>,
    exchanged_with: Vec<(String, String)>,
    cacertfile: Option<PathBuf>,
    known: Mutex<Option<(Arc<Endpoints>, Duration)>>,
}

/// Where it is asked for what.
pub(super) struct Endpoints {
    /// Where browsers are sent to.
    pub authorization: Url,
    token: Url,
}

impl Provider {
    pub(super) fn new(settings: &SignIn) -> Self {
        Self {
            metadata: settings.metadata.clone(),
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            exchanged_with: settings.exchanged_with.clone(),
            cacertfile: settings.cacertfile.clone(),
            known: Mutex::default(),
        }
    }

    /// Its endpoints.
    ///
    /// # Errors
    /// It does not tell. A sentence.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, String> {
        let now = clock::steady();
        if let Some((known, since)) = &*self.known.lock()
            && now.saturating_sub(*since) < KEPT
        {
            return Ok(Arc::clone(known));
        }
        let url = &self.metadata;
        let answer = self.client(url)?.get(url, "").await.map_err(|error| error.to_string())?;
        let about = read(url, &answer)?;
        let endpoint = |name: &str| {
            let named = about.get(name).and_then(Value::as_str).and_then(Url::parse);
            let safe = named.filter(Url::is_secure);
            safe.ok_or_else(|| format!("{url} names no {name} that can be trusted"))
        };
        let (authorization, token) =
            (endpoint("authorization_endpoint")?, endpoint("token_endpoint")?);
        let endpoints = Arc::new(Endpoints { authorization, token });
        *self.known.lock() = Some((Arc::clone(&endpoints), now));
        Ok(endpoints)
    }

    /// The token for a code (RFC 6749, 4.1.3).
    ///
    /// # Errors
    /// There is none. A sentence.
    pub(super) async fn exchange(&self, code: &str, begun: &Begun) -> Result<String, String> {
        let endpoints = self.endpoints().await?;
        let mut form = Form::default();
        for (name, value) in [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &begun.back),
            ("client_id", &self.client_id),
            ("code_verifier", &begun.verifier),
        ] {
            form.add(name, value.as_bytes());
        }
        if let Some(secret) = &self.client_secret {
            form.add("client_secret", secret.as_bytes());
        }
        for (name, value) in &self.exchanged_with {
            form.add(name, value.as_bytes());
        }
        let url = &endpoints.token;
        let answer = self.client(url)?.post(url, form.into_text()).await;
        let about = read(url, &answer.map_err(|error| error.to_string())?)?;
        let token = about.get("access_token").and_then(Value::as_str);
        token.map(str::to_owned).ok_or_else(|| format!("{url} answered without an access_token"))
    }

    fn client(&self, url: &Url) -> Result<HttpClient, String> {
        let tls = url.with_tls().then_some(self.cacertfile.as_deref());
        let times = Times { connect: PATIENCE, request: PATIENCE };
        HttpClient::new(tls, times).map_err(|error| error.to_string())
    }
}

/// The JSON of an answer; of another, the error that RFC 6749, 5.2 has.
fn read(url: &Url, answer: &Response) -> Result<Value, String> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if answer.status != 200 {
        let error = body.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str);
        let error = error.map(|error| format!(" and {}", shown(error))).unwrap_or_default();
        return Err(format!("{url} answered with status {}{error}", answer.status));
    }
    body.ok_or_else(|| format!("{url} answered with no JSON"))
}

/// A word of somebody else's, as a line of the log can have it.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_MAX).collect()
}

/// What proves later who asked for a code (RFC 7636, 4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn errors_are_told_in_a_line() {
        let url = Url::parse("http://127.0.0.1:1/t").unwrap();
        let answer = |status, body: &str| Response { status, body: body.as_bytes().to_vec() };
        for (answer, expected) in [
            (answer(400, r#"{"error":"a\nb"}"#), "answered with status 400 and a b"),
            (answer(500, "<html>"), "answered with status 500"),
            (answer(200, "x"), "answered with no JSON"),
        ] {
            let told = read(&url, &answer).unwrap_err();
            assert!(told.ends_with(expected), "{told}");
        }
        assert_eq!(shown(&"é".repeat(100)).chars().count(), SHOWN_MAX);
    }
}
