//! A socket with one buffer for each direction.
//!
//! Owned by a session while it is set up, then by a publisher or consumer that is driven by an
//! engine. Readiness is remembered rather than asked for: the engine's edge triggered notice sets it,
//! and a short read or write clears it, which saves the system calls that would only say "would
//! block".

use crate::client::frames::{self, Incoming};
use crate::client::tls::{Trust, Wire};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Read buffer: large, so that a busy consumer makes few system calls.
const INPUT_SIZE: usize = 256 * 1024;
/// Below this much room what is left of a frame is moved to the front before the next read.
const INPUT_ROOM_MIN: usize = 128 * 1024;

/// One connection's bytes.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Wire,
    readable: bool,
    writable: bool,
    input: Vec<u8>,
    /// What of `input` has arrived and is not consumed.
    start: usize,
    end: usize,
}

impl Link {
    /// Takes a connected socket in blocking mode; every wait on it ends after `patience`.
    pub(crate) fn new(stream: TcpStream, patience: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let input = vec![0; INPUT_SIZE];
        let stream = Wire::Plain(stream);
        Ok(Self { stream, readable: true, writable: true, input, start: 0, end: 0 })
    }

    /// As [`Link::new`], with TLS.
    pub(crate) fn encrypted(
        stream: TcpStream,
        patience: Duration,
        host: &str,
        trust: &Trust,
    ) -> io::Result<Self> {
        let link = Self::new(stream.try_clone()?, patience)?;
        Ok(Self { stream: Wire::encrypted(stream, host, trust)?, ..link })
    }

    /// Switches between waiting for the socket and not.
    pub(crate) fn set_blocking(&mut self, blocking: bool) -> io::Result<()> {
        self.readable = true;
        self.writable = true;
        self.stream.set_blocking(blocking)
    }

    /// Notes what the engine heard of the socket.
    pub(crate) fn notice(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    pub(crate) const fn is_readable(&self) -> bool {
        self.readable
    }

    pub(crate) const fn is_writable(&self) -> bool {
        self.writable
    }

    /// Bytes that have arrived and are not consumed.
    pub(crate) fn pending(&self) -> &[u8] {
        self.input.get(self.start..self.end).unwrap_or_default()
    }

    /// The first whole frame that has arrived and its length, for [`Link::consume`].
    pub(crate) fn frame(&self) -> io::Result<Option<(Incoming<'_>, usize)>> {
        frames::next(self.pending())
    }

    /// Drops `length` bytes from the front of what has arrived.
    pub(crate) fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Reads once. False when nothing came: the socket is not readable any more.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        self.make_room();
        let room = self.input.get_mut(self.end..).unwrap_or_default();
        let wanted = room.len();
        match self.stream.read(room) {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the broker hung up")),
            Ok(count) => {
                self.end += count;
                self.readable = count == wanted;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that the read buffer holds a frame of `size` bytes.
    pub(crate) fn reserve(&mut self, size: usize) {
        if self.input.len() < size + INPUT_ROOM_MIN {
            self.input.resize(size + INPUT_ROOM_MIN, 0);
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 && self.input.len() - self.end < INPUT_ROOM_MIN {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Writes once and returns how much the socket took; less than all means it is not writable
    /// any more.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Ok(count) => {
                self.writable = count == bytes.len();
                Ok(count)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(0)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Writes everything, waiting as long as it takes; for a blocking socket.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.socket().as_fd()
    }
}
