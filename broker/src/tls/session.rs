//! A TLS session that two tasks use at once: one reads, whoever has something to say writes.
//!
//! Owned by `transport`. Neither rustls nor this file keeps anything back: what was read is
//! decrypted to its end into the caller's buffer, and bytes count as written once all that they
//! became is in the socket. So the outgoing buffer knows what is unsent, and one batch of up to
//! 64 KiB is one system call, as without TLS.
//!
//! The lock of a session is taken last and held for one decryption or one write that does not wait.

use std::cell::RefCell;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::net::Shutdown;

use bytes::BytesMut;
use parking_lot::Mutex;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Most bytes of one read from the socket: as much as `connection::input` has room for.
const READ_MAX: usize = 128 * 1024;
/// Fewest, so that a record does not come in crumbs.
const READ_MIN: usize = 4 * 1024;

thread_local! {
    /// What was read and is not decrypted yet: used up before the reader waits.
    static ENCRYPTED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_MAX]);
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Session {
    socket: TcpStream,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connection: ServerConnection,
    /// Bytes that were encrypted and are not told written yet: whoever tries again brings them
    /// again, and they are passed over.
    owed: usize,
    /// The client said that it sends nothing more.
    ended: bool,
}

/// What of a socket can be had without waiting.
struct AtOnce<'a>(&'a TcpStream);

impl Read for AtOnce<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(bytes)
    }
}

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    /// Writes what is encrypted. False when the socket takes no more for now.
    fn send(&mut self, socket: &TcpStream) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut AtOnce(socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Decrypts to the end, and says how many bytes that gave.
    fn receive(
        &mut self,
        mut encrypted: &[u8],
        into: &mut BytesMut,
    ) -> Result<usize, rustls::Error> {
        let before = into.len();
        while !encrypted.is_empty() && !self.ended {
            // A slice does not fail, and rustls takes some of it, since nothing is left in it.
            let Ok(1..) = self.connection.read_tls(&mut encrypted) else { break };
            let progress = self.connection.process_new_packets()?;
            self.ended = progress.peer_has_closed();
            let mut reader = self.connection.reader();
            let mut left = progress.plaintext_bytes_to_read();
            while left > 0 {
                let Ok(chunk) = reader.fill_buf() else { break };
                into.extend_from_slice(chunk);
                let count = chunk.len();
                left = left.saturating_sub(count.max(1));
                reader.consume(count);
            }
        }
        Ok(into.len() - before)
    }
}

impl Session {
    pub(super) fn new(socket: TcpStream, connection: ServerConnection) -> Self {
        Self { socket, state: Mutex::new(State { connection, owed: 0, ended: false }) }
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Asks the session something.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&ServerConnection) -> T) -> T {
        question(&self.state.lock().connection)
    }

    /// One step of the handshake: takes what the client sent and answers. True when it is over.
    pub(super) async fn shake_hands(
        &self,
        received: &[u8],
        into: &mut BytesMut,
    ) -> Result<bool, HandshakeFailure> {
        let result = self.state.lock().receive(received, into);
        // An alert is worth sending too; whether it arrives changes nothing.
        let sent = self.send_all().await;
        result.map_err(HandshakeFailure::Tls)?;
        sent.map_err(|_| HandshakeFailure::Io)?;
        Ok(!self.ask(|connection| connection.is_handshaking()))
    }

    /// Bytes as the socket has them, for the next step of the handshake; 0 is the end.
    pub(super) async fn receive_raw(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            self.socket.readable().await?;
            match self.socket.try_read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    async fn send_all(&self) -> io::Result<()> {
        while !self.state.lock().send(&self.socket)? {
            self.socket.writable().await?;
        }
        Ok(())
    }

    /// Reads what is there, at least a byte; 0 is the end.
    ///
    /// # Errors
    /// The socket failed, or what came is not what the client encrypted.
    pub(crate) async fn read_buf(&self, into: &mut BytesMut) -> io::Result<usize> {
        loop {
            match self.try_read(into) {
                Ok(Some(count)) => return Ok(count),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait().await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads once; nothing if what came was no whole record, or not for us.
    fn try_read(&self, into: &mut BytesMut) -> io::Result<Option<usize>> {
        if self.state.lock().ended {
            return Ok(Some(0));
        }
        ENCRYPTED.with_borrow_mut(|encrypted| {
            let room = (into.capacity() - into.len()).clamp(READ_MIN, READ_MAX);
            let encrypted = encrypted.get_mut(..room).unwrap_or_default();
            let count = AtOnce(&self.socket).read(encrypted)?;
            if count == 0 {
                return Ok(Some(0));
            }
            let mut state = self.state.lock();
            let received = state.receive(encrypted.get(..count).unwrap_or_default(), into);
            // New keys are answered, and errors told. What does not fit now goes with the rest.
            let sent = state.send(&self.socket);
            let count = received.map_err(io::Error::other)?;
            sent?;
            Ok((count > 0 || state.ended).then_some(count))
        })
    }

    /// Waits until it is worth reading again, and sees to it meanwhile that an answer of the session
    /// itself goes out.
    async fn wait(&self) -> io::Result<()> {
        let unsent = self.ask(|connection| connection.wants_write());
        let interest =
            if unsent { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let ready = self.socket.ready(interest).await?;
        if unsent && ready.is_writable() {
            self.state.lock().send(&self.socket)?;
        }
        Ok(())
    }

    /// Encrypts and writes. `WouldBlock` says that not all is out yet: the same bytes have to come
    /// again, at the front of what comes then.
    ///
    /// # Errors
    /// `WouldBlock`, or the socket failed.
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state.lock();
        if !state.send(&self.socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if state.owed == 0 {
            state.owed = state.connection.writer().write_vectored(slices)?;
            if !state.send(&self.socket)? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(std::mem::take(&mut state.owed))
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// The socket failed.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.try_write_vectored(&[IoSlice::new(bytes)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.socket.writable().await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says that nothing more comes, as far as the socket takes that at once, and ends this
    /// direction.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        if state.owed == 0 {
            state.connection.send_close_notify();
        }
        // The client may be gone already.
        let _ = state.send(&self.socket);
        let _ = SockRef::from(&self.socket).shutdown(Shutdown::Write);
    }
}

/// Why a handshake failed.
#[derive(Debug)]
pub(super) enum HandshakeFailure {
    Tls(rustls::Error),
    Io,
}
