//! A socket of HTTP on which something has to happen now and then, and its place among so many.
//!
//! Made by the listeners of `metrics` and `http`. Stays true: whoever is silent for long gives back the
//! file descriptor and the place, so that nobody takes them all here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

/// A socket that fails once nothing has come or gone for so long.
pub(crate) struct IdleLimited<S> {
    stream: S,
    idle: Pin<Box<Sleep>>,
    limit: Duration,
    _place: Option<OwnedSemaphorePermit>,
}

impl<S> IdleLimited<S> {
    /// Nothing has happened on it yet.
    pub(crate) fn new(stream: S, limit: Duration, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, idle: Box::pin(sleep(limit)), limit, _place: place }
    }

    /// Something happened, or it was too long ago.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.idle.as_mut().reset(Instant::now() + self.limit);
            return result;
        }
        self.idle.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for IdleLimited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watched(context, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for IdleLimited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
