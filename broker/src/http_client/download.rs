//! Answers that are too long for memory: taken as they come.
//!
//! A room of `http_client`. Stays true: an answer that ends early is an error.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::{BODY_MAX, Conversation, HttpError, Response};

/// What becomes of an answer: the bytes that are still to come, if the server says so, and a piece.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Option<u64>, &[u8]) -> Result<(), String>;

/// Asks, and gives every piece of the answer to `take`, each within `patience`. An answer other than 200
/// is given back.
///
/// # Errors
/// There is no whole answer, or `take` says why it goes no further.
pub(crate) async fn download(
    server: &str,
    stream: Box<dyn Conversation>,
    request: Request<Full<Bytes>>,
    patience: Duration,
    take: Take<'_>,
) -> Result<Option<Response>, HttpError> {
    let unreadable = |error: String| HttpError::Unreadable(server.to_owned(), error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreadable(error.to_string()))?;
    let late = |_| HttpError::Late(server.to_owned(), patience.as_millis());
    let taking = async {
        let asked = timeout(patience, sender.send_request(request)).await.map_err(late)?;
        let answer = asked.map_err(|error| unreadable(error.to_string()))?;
        let (status, body) = (answer.status().as_u16(), answer.into_body());
        if status == 200 {
            return all(server, body, patience, take).await.map(|()| None);
        }
        let refused = Limited::new(body, BODY_MAX).collect().await;
        let body = refused.map_err(|error| unreadable(error.to_string()))?.to_bytes().to_vec();
        Ok(Some(Response { status, body }))
    };
    tokio::pin!(taking);
    tokio::select! {
        answer = &mut taking => answer,
        // The connection may end with the last byte of the answer.
        _ = connection => taking.await,
    }
}

async fn all(
    server: &str,
    mut body: Incoming,
    patience: Duration,
    take: Take<'_>,
) -> Result<(), HttpError> {
    let unreadable = |error: String| HttpError::Unreadable(server.to_owned(), error);
    loop {
        let left = body.size_hint().exact();
        let late = |_| HttpError::Late(server.to_owned(), patience.as_millis());
        let Some(frame) = timeout(patience, body.frame()).await.map_err(late)? else {
            return Ok(());
        };
        let frame = frame.map_err(|error| unreadable(error.to_string()))?;
        if let Some(piece) = frame.data_ref() {
            take(left, piece).map_err(unreadable)?;
        }
    }
}
