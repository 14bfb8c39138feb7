//! Bytes to frames. The connection's read loop calls [`decode_frame`] until it
//! says `None`, then reads more. Only here is input allowed to end early:
//! inside a payload the length is known, and an early end is an error.

use nom::IResult;
use nom::bytes::streaming::take;
use nom::number::streaming::{be_u8, be_u16, be_u32};

use crate::constants::{FRAME_END, FRAME_HEADER_SIZE, FRAME_OVERHEAD, FRAME_SIZE_TOLERANCE};
use crate::error::{DecodeError, Snippet};
use crate::frame::{Frame, FrameKind};

struct Envelope {
    frame_type: u8,
    channel: u16,
    size: u32,
}

#[inline]
fn envelope(input: &[u8]) -> IResult<&[u8], Envelope, ()> {
    let (input, frame_type) = be_u8(input)?;
    let (input, channel) = be_u16(input)?;
    let (input, size) = be_u32(input)?;
    Ok((input, Envelope { frame_type, channel, size }))
}

#[inline]
fn payload_and_end(input: &[u8], size: u32) -> IResult<&[u8], (&[u8], u8), ()> {
    let (input, payload) = take(size)(input)?;
    let (input, end) = be_u8(input)?;
    Ok((input, (payload, end)))
}

/// The first frame of `input`, or `None` while it is not there whole.
///
/// `payload_max` is `frame_max - 8` in octets, 0 for no limit. A frame that
/// exceeds it by more than [`FRAME_SIZE_TOLERANCE`] is refused as soon as its
/// header is there. After a frame, go on at [`Frame::encoded_len`].
///
/// # Errors
/// An oversized frame, a wrong end octet, an unknown frame type, a heartbeat
/// with a payload. The stream cannot be trusted after any of them.
#[inline]
pub fn decode_frame(input: &[u8], payload_max: u32) -> Result<Option<Frame<'_>>, DecodeError> {
    let Ok((rest, Envelope { frame_type, channel, size })) = envelope(input) else {
        return Ok(None);
    };
    if payload_max != 0 && size > payload_max.saturating_add(FRAME_SIZE_TOLERANCE) {
        return Err(DecodeError::FrameTooLarge { frame_type, size, max: payload_max });
    }
    let Ok((_, (payload, end))) = payload_and_end(rest, size) else {
        return Ok(None);
    };
    if end != FRAME_END {
        let payload = Snippet::new(payload);
        return Err(DecodeError::InvalidFrameEnd { frame_type, payload, end });
    }
    match FrameKind::from_octet(frame_type) {
        Some(FrameKind::Heartbeat) if !payload.is_empty() => {
            Err(DecodeError::HeartbeatPayload { payload: Snippet::new(payload) })
        }
        Some(kind) => Ok(Some(Frame { kind, channel, payload })),
        None => Err(DecodeError::UnknownFrameType { frame_type, payload: Snippet::new(payload) }),
    }
}

/// Octets still missing for the first frame of `input`, at least 1.
///
/// A hint for reserving buffer space; while the header itself is incomplete it
/// counts up to an empty frame.
#[must_use]
pub fn needed(input: &[u8]) -> usize {
    let whole = match envelope(input) {
        Ok((_, Envelope { size, .. })) => {
            usize::try_from(size).unwrap_or(usize::MAX).saturating_add(FRAME_OVERHEAD)
        }
        Err(_) => FRAME_HEADER_SIZE + 1,
    };
    whole.saturating_sub(input.len()).max(1)
}
