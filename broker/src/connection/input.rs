//! Bytes from the socket, and the whole frames in them.
//!
//! Owned by the connection's task. Stays true: a read buffer grows with what comes and goes when the
//! connection is idle; a body that outlives its read owns its bytes, or most of the buffer it keeps.

use bytes::{Buf, Bytes, BytesMut};
use leveret_protocol::constants::FRAME_HEADER_SIZE;
use leveret_protocol::content::ContentHeader;
use leveret_protocol::decoder::{decode_frame, needed};
use leveret_protocol::frame::{Frame, FrameKind};

use crate::error::{ConnectionError, Failure};
use crate::message::INLINE_BODY_MAX;
use crate::session::channel::publish::WholePublish;
use crate::session::step::Step;
use crate::session::{Dispatch, Taken};
use crate::transport::{ReadHalf, Source};

/// connection.close is class 10, method 50.
pub(super) const CLOSE: &[u8] = &[0, 10, 0, 50];
/// Bytes of a frame beside its payload.
const FRAME_OVERHEAD: u32 = 8;
/// The first read buffer; a connection that fills it gets larger ones.
pub(super) const READ_BUFFER_MIN: usize = 4 * 1024;
/// The largest read buffer. Larger ones make publishers faster and everyone else wait longer.
pub(super) const READ_BUFFER_MAX: usize = 128 * 1024;
/// A body in a frame of this size need not be copied, if it fills most of its read buffer: what it
/// keeps in memory beside itself is a third of itself at most.
const SLICED_MIN: usize = READ_BUFFER_MAX / 2;
/// One part of so many that TLS may have taken of a buffer that was filled.
const ENCRYPTION_SHARE: usize = 8;
/// Bytes that came at once, from which on a publisher may be asked to wait for consumers. With less
/// it sends one message after the other, and would wait for each.
const BURST_MIN: usize = 8 * 1024;
/// Work done before the task lets others run, in messages put into queues: some milliseconds.
const WORK_MAX: usize = 16 * 1024;
/// Frames handled before the task lets others run, whatever they ask for. A buffer may hold more,
/// if they are small.
const FRAMES_MAX: usize = 4096;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Input {
    bytes: BytesMut,
    buffer_size: usize,
    payload_max: u32,
    /// Bytes of the buffer, those that were handled included.
    allocated: usize,
    /// How far `closes` has looked.
    looked: usize,
    /// Bytes received so far.
    received: u64,
    received_before: u64,
}

impl Input {
    /// With what the client sent along with its last handshake frame; frames have at most
    /// `frame_max` bytes.
    pub(super) fn new(bytes: BytesMut, frame_max: u32) -> Self {
        Self {
            allocated: bytes.capacity(),
            bytes,
            buffer_size: READ_BUFFER_MIN,
            payload_max: frame_max.saturating_sub(FRAME_OVERHEAD),
            looked: 0,
            received: 0,
            received_before: 0,
        }
    }

    /// Bytes received so far: grows with any sign of life.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Most bytes of a frame's payload.
    pub(super) fn payload_max(&self) -> u32 {
        self.payload_max
    }

    /// Whether a read of `count` bytes is more than a client sends that waits for each answer: only
    /// such clients can outrun the consumers of a queue.
    pub(super) fn is_burst(count: usize) -> bool {
        count >= BURST_MIN
    }

    /// Reads what is there, with room for at least the frame that is due.
    pub(super) async fn read(&mut self, socket: &mut ReadHalf) -> std::io::Result<usize> {
        let wanted = if self.bytes.is_empty() { 0 } else { needed(&self.bytes) };
        let before = self.bytes.capacity();
        self.bytes.reserve(self.buffer_size.max(wanted));
        let room = self.bytes.capacity();
        if room != before {
            self.allocated = room;
        }
        let count = socket.read_buf(&mut self.bytes).await?;
        if self.bytes.len() > room {
            // With TLS, what was left of a record makes more of it than was read.
            self.allocated = self.bytes.capacity();
        }
        self.received += count as u64;
        if count >= self.buffer_size - self.buffer_size / ENCRYPTION_SHARE {
            self.buffer_size = (self.buffer_size * 2).min(READ_BUFFER_MAX);
        }
        Ok(count)
    }

    /// Whether more may be read while what is here may not be handled.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() < READ_BUFFER_MAX
    }

    /// Whether connection.close stands among the frames that are here.
    pub(super) fn closes(&mut self) -> bool {
        let Self { bytes, looked, payload_max, .. } = self;
        let rest = |at: usize| bytes.get(at..).unwrap_or_default();
        while let Ok(Some(frame)) = decode_frame(rest(*looked), *payload_max) {
            let is_method = frame.kind == FrameKind::Method && frame.channel == 0;
            if is_method && frame.payload.starts_with(CLOSE) {
                return true;
            }
            *looked += frame.encoded_len();
        }
        false
    }

    /// Gives back the buffer of a connection that sends little.
    pub(super) fn release(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > 0 && self.is_idle() {
            self.bytes = BytesMut::new();
        }
    }

    fn is_idle(&self) -> bool {
        self.buffer_size == READ_BUFFER_MIN
    }

    /// Time passed; true when nothing was received meanwhile.
    pub(super) fn tick(&mut self) -> bool {
        let silent = self.received == self.received_before;
        self.received_before = self.received;
        if silent {
            self.buffer_size = READ_BUFFER_MIN;
        }
        silent
    }

    /// Handles whole frames until there are no more, or one asks for something, or it is time to
    /// let others run.
    pub(super) fn frames(&mut self, dispatch: &mut Dispatch) -> Result<Step, Failure> {
        let Self { bytes, payload_max, allocated, .. } = self;
        let mut at = 0;
        let mut frames = 0;
        let result = loop {
            frames += 1;
            let rest = bytes.get(at..).unwrap_or_default();
            let frame = match decode_frame(rest, *payload_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Ok(Step::Next),
                Err(error) => break Err(Failure::of_frame(0, ConnectionError::from(error))),
            };
            if dispatch.is_behind(&frame) {
                break Ok(Step::Behind);
            }
            if let Some((whole, length)) = whole_publish(rest, &frame, *payload_max) {
                match dispatch.whole_publish(frame.channel, &whole) {
                    Ok(Taken::Yes) => {
                        at += length;
                        if dispatch.work() < WORK_MAX {
                            continue;
                        }
                        break Ok(Step::Yield);
                    }
                    Ok(Taken::Parked) => break Ok(Step::Park),
                    Ok(Taken::Asking) => {
                        at += length;
                        break Ok(Step::Ask);
                    }
                    Ok(Taken::No) => {}
                    Err(failure) => {
                        at += length;
                        break Err(failure);
                    }
                }
            }
            let length = frame.encoded_len();
            let step = if frame.kind == FrameKind::Body && is_sliced(length, *allocated) {
                let channel = frame.channel;
                let part = body(bytes.split_to(at + length).freeze(), at);
                at = 0;
                dispatch.large_body(channel, part)
            } else {
                let step = dispatch.frame(frame);
                if !matches!(
                    step,
                    Ok(Step::Park | Step::AskFirst | Step::AfterRead(_) | Step::Again)
                ) {
                    at += length;
                }
                step
            };
            match step {
                Ok(Step::Next) if frames < FRAMES_MAX && dispatch.work() < WORK_MAX => {}
                Ok(Step::Next) => break Ok(Step::Yield),
                other => break other,
            }
        };
        bytes.advance(at);
        self.looked = 0;
        result
    }
}

/// Whether a body frame of this length is kept as it lies in a buffer of so many bytes.
fn is_sliced(length: usize, allocated: usize) -> bool {
    length >= SLICED_MIN && length.saturating_mul(4) >= allocated.saturating_mul(3)
}

/// The payload of the frame that begins at `at` and ends with the bytes.
fn body(bytes: Bytes, at: usize) -> Bytes {
    bytes.slice(at + FRAME_HEADER_SIZE..bytes.len() - 1)
}

/// A small basic.publish (class 60, method 40) and how long its frames are, if all of them are
/// there: most messages are, and need not be looked at frame by frame. Whatever is not as usual is
/// left to be found there.
#[inline]
fn whole_publish<'a>(
    bytes: &'a [u8],
    first: &Frame<'a>,
    payload_max: u32,
) -> Option<(WholePublish<'a>, usize)> {
    let method = first.payload;
    if first.kind != FrameKind::Method || !method.starts_with(&[0, 60, 0, 40]) {
        return None;
    }
    let next = |at: usize, kind| {
        let frame = decode_frame(bytes.get(at..)?, payload_max).ok()??;
        (frame.kind == kind && frame.channel == first.channel).then_some(frame)
    };
    let mut length = first.encoded_len();
    let header_frame = next(length, FrameKind::Header)?;
    let header = ContentHeader::decode(header_frame.payload).ok()?;
    length += header_frame.encoded_len();
    if header.body_size == 0 {
        return Some((WholePublish { method, header, body: &[] }, length));
    }
    let frame = next(length, FrameKind::Body)?;
    let is_whole = frame.payload.len() as u64 == header.body_size;
    length += frame.encoded_len();
    (is_whole && frame.payload.len() < INLINE_BODY_MAX)
        .then_some((WholePublish { method, header, body: frame.payload }, length))
}
