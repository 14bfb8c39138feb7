//! The cookie of who signed in at the management page, and who is behind it.
//!
//! `session` sets it, and `authorization` asks here whose a request without the header `authorization` is.
//! Stays true: no script can read the cookie, and no other site's request brings it; what changes something
//! needs the header `x-leveret-page` beside it, which no form of another site can send; whoever has a
//! cookie, or that header, is never asked by the browser itself for a password.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, uri};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use super::answer::Fault;
use super::sessions::Digest;
use super::{Management, Peer};
use crate::auth::authority::{Admitted, Authority};
use crate::clock;

/// The names of cookies have the port behind them: browsers give those of a host to all its ports.
const SESSION: &str = "leveret_session";
/// Who is away to sign in elsewhere. Unlike the other it comes along when another site sends here.
const PENDING: &str = "leveret_pending";
/// What the page's own requests have: the seconds after which it asks the same again, or 0.
const PAGE_HEADER: &str = "x-leveret-page";

/// Whether a request came with TLS.
#[derive(Clone, Copy, Debug)]
pub(super) struct WithTls(pub bool);

/// Whose a request is that has no header `authorization`.
///
/// # Errors
/// 401, or 403 if it would change something and is not of the page.
pub(super) fn admitted(
    management: &Management,
    peer: Peer,
    parts: &Parts,
) -> Result<Arc<Admitted>, Fault> {
    let Some(token) = token(&parts.headers) else {
        let fault = Fault::anonymous();
        return Err(if is_page(&parts.headers) { fault.without_challenge() } else { fault });
    };
    if ![Method::GET, Method::HEAD].contains(&parts.method) {
        assert_page(&parts.headers)?;
    }
    management.session(peer, &token).ok_or_else(|| {
        Fault::with_status(StatusCode::UNAUTHORIZED, "session_ended", "the session has ended")
    })
}

impl Management {
    /// Signs somebody in; the token.
    pub(super) fn open_session(&self, admitted: &Arc<Admitted>) -> Result<String, Fault> {
        let token = random().ok_or_else(|| Fault::internal("there is no randomness"))?;
        let user = match admitted.authority {
            Authority::Internal => self.broker.users().user(&admitted.name),
            Authority::Http(..) | Authority::Token(..) => None,
        };
        let now = clock::steady();
        let who = (Arc::clone(admitted), user);
        self.signed_in.lock().open(digest_of(token.as_bytes()), who, now);
        Ok(token)
    }

    /// Signs out.
    pub(super) fn close_session(&self, token: &Digest) {
        self.signed_in.lock().close(token);
    }

    /// Who is signed in by that token, and may be where this is.
    pub(super) fn session(&self, peer: Peer, token: &Digest) -> Option<Arc<Admitted>> {
        let users = self.broker.users();
        let now = (clock::steady(), clock::unix_millis() / 1000);
        let found = self.signed_in.lock().find(token, |name| users.user(name), now)?;
        let is_far = users.is_loopback_only(&found.name) && !peer.address().is_loopback();
        (!is_far).then_some(found)
    }
}

fn digest_of(token: &[u8]) -> Digest {
    let mut own = Digest::default();
    own.copy_from_slice(digest(&SHA256, token).as_ref());
    own
}

/// 256 bits that nobody guesses, as text.
pub(super) fn random() -> Option<String> {
    let bytes = ring::rand::generate::<Digest>(&ring::rand::SystemRandom::new()).ok()?.expose();
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// The token of the cookie, as it is known by.
pub(super) fn token(headers: &HeaderMap) -> Option<Digest> {
    cookie(headers, SESSION).map(|value| digest_of(value.as_bytes()))
}

/// What whoever comes back from elsewhere was given.
pub(super) fn pending(headers: &HeaderMap) -> Option<String> {
    cookie(headers, PENDING).map(str::to_owned)
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let name = named(headers, name);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let mut own = pairs.filter(|(own, _)| own.trim() == name);
    own.next().map(|(_, value)| value.trim())
}

/// The name of a cookie at the port that a request names.
fn named(headers: &HeaderMap, name: &str) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let port = host.and_then(|host| host.parse::<uri::Authority>().ok()?.port_u16());
    port.map_or_else(|| name.to_owned(), |port| format!("{name}_{port}"))
}

fn is_page(headers: &HeaderMap) -> bool {
    headers.contains_key(PAGE_HEADER)
}

/// The seconds after which the page asks the same again; `None` if it does not.
pub(super) fn asks_again(headers: &HeaderMap) -> Option<u64> {
    headers.get(PAGE_HEADER)?.to_str().ok()?.parse().ok()
}

/// Refused unless it is a request of the page.
pub(super) fn assert_page(headers: &HeaderMap) -> Result<(), Fault> {
    if is_page(headers) && !headers.contains_key(AUTHORIZATION) {
        return Ok(());
    }
    let text = format!("the header {PAGE_HEADER} has to be there, and authorization must not");
    Err(Fault::with_status(StatusCode::FORBIDDEN, "forbidden", text))
}

/// Has the browser keep whose session it is, or forget it (`age` 0).
pub(super) fn set_cookie(
    response: &mut Response,
    headers: &HeaderMap,
    token: &str,
    (with_tls, age): (bool, Option<u64>),
) {
    set(response, (&named(headers, SESSION), token), "Strict", (with_tls, age));
}

/// Has it keep for so many seconds that somebody is away to sign in elsewhere; 0 has it forget that.
pub(super) fn set_pending(
    response: &mut Response,
    headers: &HeaderMap,
    state: &str,
    (with_tls, age): (bool, u64),
) {
    set(response, (&named(headers, PENDING), state), "Lax", (with_tls, Some(age)));
}

fn set(
    response: &mut Response,
    (name, value): (&str, &str),
    same_site: &str,
    (with_tls, age): (bool, Option<u64>),
) {
    let secure = if with_tls { "; Secure" } else { "" };
    let age = age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}{age}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let with = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            token(&headers)
        };
        let expected = Some(digest_of(b"abc"));
        assert_eq!(with(&["leveret_session=abc"]), expected);
        assert_eq!(with(&["a=b; leveret_session=abc; c=d"]), expected);
        assert_eq!(with(&["a=b", "leveret_session=abc"]), expected);
        for none in ["", "a=b", "xleveret_session=abc", "leveret_session"] {
            assert_eq!(with(&[none]), None, "{none}");
        }
    }

    #[test]
    fn each_port_of_a_host_has_its_own() {
        let headers = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            headers
        };
        for (host, expected) in [
            ("broker.example", "leveret_session"),
            ("broker.example:15672", "leveret_session_15672"),
            ("[::1]:15673", "leveret_session_15673"),
            ("a b:1", "leveret_session"),
        ] {
            assert_eq!(named(&headers(host), SESSION), expected);
        }
        let mut with = headers("b:1");
        with.insert(COOKIE, HeaderValue::from_static("leveret_session=a; leveret_session_1=b"));
        assert_eq!(token(&with), Some(digest_of(b"b")));
    }
}
