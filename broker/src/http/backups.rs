//! `GET /api/backup`: everything that the broker keeps, as one archive. Ours.
//!
//! `backup` makes it, `leveret backup` asks for it. Stays true: who reads slowly holds up nothing but the
//! next backup; one that is not read to its end has no end that says it is whole.

use std::io::{self, BufWriter, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Management;
use super::answer::{Answer, Fault, blocking};
use super::authorization::Administrator;
use crate::backup::{About, Copied, NoBackup};
use crate::names;

/// What is read at once, in bytes.
const PIECE: usize = 256 * 1024;
/// Pieces on their way to a reader.
const AHEAD: usize = 4;

/// `GET /api/backup`.
pub(super) async fn taken(
    State(management): State<Arc<Management>>,
    Administrator(visitor): Administrator,
) -> Answer {
    let about = About::now(names::node().to_owned());
    let source = Arc::clone(&management.backups);
    let copied = blocking(move || source.copy()).await?.map_err(refused)?;
    info!("a backup of {} bytes is made for user '{}'", copied.bytes(), visitor.name());
    let left = copied.archive_length(&about);
    let (to_reader, pieces) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || write(&copied, &about, to_reader));
    let mut response = Response::new(Body::new(Archive { pieces, left }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let name = HeaderValue::from_static("attachment; filename=leveret-backup.tar");
    headers.insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

fn refused(error: NoBackup) -> Fault {
    match error {
        NoBackup::Busy => Fault::with_status(
            StatusCode::SERVICE_UNAVAILABLE,
            "service_unavailable",
            error.to_string(),
        ),
        NoBackup::Storage(_) | NoBackup::Unreadable(_) => Fault::internal(&error.to_string()),
    }
}

fn write(copied: &Copied, about: &About, to_reader: mpsc::Sender<Piece>) {
    let mut out = BufWriter::with_capacity(PIECE, ToReader(to_reader));
    match copied.write_archive(about, &mut out).and_then(|()| out.flush()) {
        Ok(()) => info!("the backup is made"),
        Err(error) => {
            warn!("the backup is not whole: {error}");
            // The connection ends before all was sent that was promised.
            let _ = out.get_ref().0.blocking_send(Err(error));
        }
    }
}

type Piece = io::Result<Bytes>;

/// Hands on what is written, piece by piece.
struct ToReader(mpsc::Sender<Piece>);

impl Write for ToReader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader is gone"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body of the answer.
struct Archive {
    pieces: mpsc::Receiver<Piece>,
    /// Bytes that are still to come.
    left: u64,
}

impl hyper::body::Body for Archive {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(context).map(|piece| {
            let piece = piece?;
            if let Ok(bytes) = &piece {
                self.left = self.left.saturating_sub(bytes.len() as u64);
            }
            Some(piece.map(Frame::data))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
