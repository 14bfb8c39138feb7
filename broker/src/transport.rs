//! What a connection's bytes go over: a socket, with or without TLS, whole until the handshake of
//! AMQP is over, then in two halves.
//!
//! Made by `connection`; the write half is what `outgoing` writes to. Without TLS this is tokio's
//! socket and a comparison that the processor foresees.

use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::tls::session::Session;

/// A socket, whole.
#[derive(Debug)]
pub(crate) enum Socket {
    /// As it is.
    Plain(TcpStream),
    /// With TLS, after its handshake.
    Tls(Arc<Session>),
}

/// Where bytes come from.
#[derive(Debug)]
pub(crate) enum ReadHalf {
    /// As they are.
    Plain(OwnedReadHalf),
    /// Decrypted.
    Tls(Arc<Session>),
}

/// Where bytes go; dropping it ends this direction.
#[derive(Debug)]
pub(crate) enum WriteHalf {
    /// As they are.
    Plain(OwnedWriteHalf),
    /// Encrypted.
    Tls(TlsWriter),
}

/// See [`WriteHalf`].
#[derive(Debug)]
pub(crate) struct TlsWriter(Arc<Session>);

impl Drop for TlsWriter {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What can be read from.
pub(crate) trait Source {
    /// Reads what is there, at least a byte; 0 is the end.
    fn read_buf(&mut self, into: &mut BytesMut) -> impl Future<Output = io::Result<usize>> + Send;
}

impl Source for Socket {
    async fn read_buf(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read_buf(into).await,
            Self::Tls(session) => session.read_buf(into).await,
        }
    }
}

impl Source for ReadHalf {
    async fn read_buf(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read_buf(into).await,
            Self::Tls(session) => session.read_buf(into).await,
        }
    }
}

impl Socket {
    /// Writes all of it.
    ///
    /// # Errors
    /// The socket failed.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes).await,
            Self::Tls(session) => session.write_all(bytes).await,
        }
    }

    /// In two halves.
    pub(crate) fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Plain(socket) => {
                let (read, write) = socket.into_split();
                (ReadHalf::Plain(read), WriteHalf::Plain(write))
            }
            Self::Tls(session) => {
                (ReadHalf::Tls(Arc::clone(&session)), WriteHalf::Tls(TlsWriter(session)))
            }
        }
    }
}

impl WriteHalf {
    /// Writes what is taken at once, which is at least a byte, or fails with `WouldBlock`; then the
    /// same bytes have to come again.
    ///
    /// # Errors
    /// `WouldBlock`, or the socket failed.
    #[inline]
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write_vectored(slices),
            Self::Tls(writer) => writer.0.try_write_vectored(slices),
        }
    }

    /// Waits until it is worth trying again.
    ///
    /// # Errors
    /// The socket failed.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.writable().await,
            Self::Tls(writer) => writer.0.socket().writable().await,
        }
    }
}
