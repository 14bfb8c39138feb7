//! Answers in gzip, for whoever takes them so.
//!
//! The last thing that `Management::answer` does. Stays true: what comes as it happens, or while it is read
//! from disk, goes out as it comes; what is compressed has no length of its own but that, and a tag that says so.

use axum::body::{Body, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use axum::response::Response;
use http_body_util::BodyExt;

use crate::gzip;

/// Longer bodies are compressed where blocking is allowed: some milliseconds of work.
const AT_ONCE_MAX: usize = 64 * 1024;
/// What shrinks.
const TEXTS: [&str; 4] = ["application/json", "text/", "image/svg+xml", "application/javascript"];

/// The answer in gzip, if that is worth it.
pub(super) async fn compress(response: Response) -> Response {
    let is_text = |kind: &HeaderValue| {
        let kind = kind.as_bytes();
        TEXTS.iter().any(|text| kind.starts_with(text.as_bytes()))
    };
    let headers = response.headers();
    let is_wanted =
        headers.get(CONTENT_TYPE).is_some_and(is_text) && !headers.contains_key(CONTENT_ENCODING);
    // What has no length yet is a stream.
    let length = response.body().size_hint().exact().unwrap_or_default();
    if !is_wanted || length < gzip::LEAST_BYTES as u64 {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is there: such a body is one part.
    let Ok(whole) = body.collect().await else {
        return Response::from_parts(parts, Body::empty());
    };
    let bytes = whole.to_bytes();
    let compressed = match bytes.len() > AT_ONCE_MAX {
        true => {
            let bytes = bytes.clone();
            tokio::task::spawn_blocking(move || gzip::compressed(&bytes)).await.ok()
        }
        false => Some(gzip::compressed(&bytes)),
    };
    let Some(compressed) = compressed else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    // The same content, and other bytes: such a tag is a weak one.
    let weak = parts.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
    let weak = weak.filter(|tag| !tag.starts_with("W/")).map(|tag| format!("W/{tag}"));
    if let Some(tag) = weak.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        parts.headers.insert(ETAG, tag);
    }
    Response::from_parts(parts, Body::from(compressed))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use hyper::body::Frame;

    use super::*;

    /// Whose end nobody knows.
    struct Stream;

    impl HttpBody for Stream {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }

    fn response(kind: &'static str, body: Body) -> Response {
        let mut response = Response::new(body);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(ETAG, HeaderValue::from_static("\"x\""));
        response
    }

    async fn encoding(kind: &'static str, body: Body) -> (Option<HeaderValue>, HeaderValue) {
        let response = compress(response(kind, body)).await;
        let headers = response.headers();
        (headers.get(CONTENT_ENCODING).cloned(), headers[ETAG].clone())
    }

    #[tokio::test]
    async fn texts_that_are_long_enough_and_there_are_compressed() {
        let long = "a".repeat(100_000);
        let gzip = Some(HeaderValue::from_static("gzip"));
        let (encoded, tag) = encoding("application/json", Body::from(long.clone())).await;
        assert_eq!((encoded, tag.as_bytes()), (gzip, b"W/\"x\"".as_slice()));
        for (kind, body) in [
            ("application/json", Body::from("short")),
            ("application/x-tar", Body::from(long)),
            ("text/event-stream", Body::new(Stream)),
        ] {
            let (encoded, tag) = encoding(kind, body).await;
            assert_eq!((encoded, tag.as_bytes()), (None, b"\"x\"".as_slice()), "{kind}");
        }
    }
}
