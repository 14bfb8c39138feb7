//! The management page: `/`, `/ui/…` and the files it is made of, under `/page/VERSION/…`.
//!
//! Merged into `routes`, beside the table of the API, by which the page does everything. Stays true: what
//! a browser keeps for ever has the version of all files in its address; nothing outside the folder `page`
//! is served; no script runs that did not come from here, and no text becomes markup.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use super::{Management, answer};

/// What `build.rs` wrote down.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/page.rs"));
}

/// Where the files are, for builds that embed none.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page");

/// What a page may load: from here, and nothing that is not a file.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'none'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// Nobody else's page can hold this one, or read from it.
const HEADERS: [(HeaderName, &str); 6] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

const KEPT: &str = "public, max-age=31536000, immutable";
const ASKED_ANEW: &str = "no-cache";

/// What is not in the table of the API.
pub(super) fn router() -> Router<Arc<Management>> {
    Router::new()
        .route("/", get(index))
        .route("/ui", get(index))
        .route("/ui/{*place}", get(index))
        .route("/page/{version}/{*file}", get(file))
}

/// The page itself, whatever place in it is asked for.
async fn index(State(management): State<Arc<Management>>, asked: HeaderMap) -> Response {
    let Some(text) =
        read("index.html").and_then(|bytes| String::from_utf8(bytes.into_owned()).ok())
    else {
        return answer::not_found();
    };
    let page = format!("{}/page/{}", management.settings.path_prefix, version());
    let preloads: String = modules()
        .iter()
        .map(|name| format!("<link rel=\"modulepreload\" href=\"{page}/{name}\">\n"))
        .collect();
    let text = text.replace("{{page}}", &page).replace("<!-- preloads -->\n", &preloads);
    told("index.html", Cow::Owned(text.into_bytes()), ASKED_ANEW, &asked)
}

/// One of its files.
async fn file(Path((asked_version, name)): Path<(String, String)>, asked: HeaderMap) -> Response {
    if asked_version != version() || name == "index.html" {
        return answer::not_found();
    }
    let kept = if is_embedded() { KEPT } else { ASKED_ANEW };
    match read(&name) {
        Some(bytes) => told(&name, bytes, kept, &asked),
        None => answer::not_found(),
    }
}

fn told(name: &str, bytes: Cow<'static, [u8]>, kept: &'static str, asked: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, &bytes)));
    let is_known = answer::is_known(asked, &etag);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Response::new(Body::from(bytes.into_owned())),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn is_embedded() -> bool {
    !embedded::FILES.is_empty()
}

/// Of all files together.
fn version() -> &'static str {
    if is_embedded() { embedded::VERSION } else { "live" }
}

/// The modules that every place needs: a browser may fetch them all at once. Those of single places are
/// fetched when they are shown first.
fn modules() -> Vec<&'static str> {
    let is_needed = |name: &&str| name.starts_with("app/") || name.starts_with("parts/");
    embedded::FILES
        .iter()
        .map(|(name, _)| *name)
        .filter(is_needed)
        .filter(|name| name.ends_with(".js"))
        .collect()
}

fn read(name: &str) -> Option<Cow<'static, [u8]>> {
    if is_embedded() {
        let found = embedded::FILES.iter().find(|(own, _)| *own == name);
        return found.map(|(_, bytes)| Cow::Borrowed(*bytes));
    }
    if !is_plain(name) {
        return None;
    }
    std::fs::read(PathBuf::from(FOLDER).join(name)).ok().map(Cow::Owned)
}

/// Whether it names a file of the page, and nothing above it or hidden.
fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    content_type(name) != "application/octet-stream" && name.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_read() {
        for name in ["app/main.js", "index.html", "style/theme.css", "mark.svg"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "../Cargo.toml",
            "app/../../x.js",
            "/etc/x.js",
            "app//x.js",
            ".x.js",
            "README.md",
            "app",
            "a\\b.js",
            "",
        ] {
            assert!(!is_plain(name), "{name}");
            assert!(read(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_policy_has_no_unsafe_word() {
        assert!(!POLICY.contains("unsafe") && !POLICY.contains('*'));
    }
}
