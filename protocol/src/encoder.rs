//! Methods, headers and bodies to frames (AMQP 0-9-1 §4.2.3). Everything is
//! appended to the caller's buffer, the size filled in afterwards; nothing is
//! allocated but the growth of that buffer.

use crate::constants::{
    FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_HEADER_SIZE, FRAME_HEARTBEAT, FRAME_METHOD,
    FRAME_OVERHEAD,
};
use crate::method_frame::MethodFrame;

/// Appends a method frame.
#[inline]
pub fn write_method<M: MethodFrame>(out: &mut Vec<u8>, channel: u16, method: &M) {
    let start = out.len();
    let [c1, c2] = channel.to_be_bytes();
    let [k1, k2] = M::CLASS_ID.to_be_bytes();
    let [m1, m2] = M::METHOD_ID.to_be_bytes();
    out.extend_from_slice(&[FRAME_METHOD, c1, c2, 0, 0, 0, 0, k1, k2, m1, m2]);
    method.encode_arguments(out);
    let size = u32::try_from(out.len() - start - FRAME_HEADER_SIZE).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start + 3..start + FRAME_HEADER_SIZE) {
        place.copy_from_slice(&size.to_be_bytes());
    }
    out.push(FRAME_END);
}

/// Appends a content header frame; `properties` are flags and values as
/// received, or as
/// [`BasicProperties::encode`](crate::properties::BasicProperties::encode) writes them.
#[inline]
pub fn write_content_header(
    out: &mut Vec<u8>,
    channel: u16,
    class_id: u16,
    body_size: u64,
    properties: &[u8],
) {
    const FIXED: usize = 12;
    out.reserve(FIXED + properties.len() + FRAME_OVERHEAD);
    frame_header(out, FRAME_HEADER, channel, FIXED + properties.len());
    let [k1, k2] = class_id.to_be_bytes();
    out.extend_from_slice(&[k1, k2, 0, 0]);
    out.extend_from_slice(&body_size.to_be_bytes());
    out.extend_from_slice(properties);
    out.push(FRAME_END);
}

/// Appends one body frame; the caller has made sure that it is small enough.
#[inline]
pub fn write_body_frame(out: &mut Vec<u8>, channel: u16, body: &[u8]) {
    out.reserve(body.len() + FRAME_OVERHEAD);
    frame_header(out, FRAME_BODY, channel, body.len());
    out.extend_from_slice(body);
    out.push(FRAME_END);
}

/// Appends `body` in as many frames as it takes for none to exceed `frame_max`
/// octets; 0 is no limit. An empty body has no frame.
#[inline]
pub fn write_body(out: &mut Vec<u8>, channel: u16, body: &[u8], frame_max: u32) {
    for piece in body.chunks(body_piece_max(frame_max)) {
        write_body_frame(out, channel, piece);
    }
}

/// Octets of body that fit into one frame of `frame_max`; 0 is no limit.
#[must_use]
#[inline]
pub fn body_piece_max(frame_max: u32) -> usize {
    if frame_max == 0 {
        return usize::MAX;
    }
    usize::try_from(frame_max).unwrap_or(usize::MAX).saturating_sub(FRAME_OVERHEAD).max(1)
}

/// Appends a heartbeat frame.
#[inline]
pub fn write_heartbeat(out: &mut Vec<u8>) {
    out.extend_from_slice(&[FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0, FRAME_END]);
}

/// Appends a method frame whose payload, of known length in octets, `write`
/// appends: for callers that hold parts of it in wire form already.
#[inline]
pub fn write_method_with(
    out: &mut Vec<u8>,
    channel: u16,
    payload: usize,
    write: impl FnOnce(&mut Vec<u8>),
) {
    out.reserve(payload + FRAME_OVERHEAD);
    frame_header(out, FRAME_METHOD, channel, payload);
    let start = out.len();
    write(out);
    debug_assert_eq!(out.len() - start, payload);
    out.push(FRAME_END);
}

/// Appends what comes before the payload of a body frame; the caller sends
/// payload and end octet by itself.
#[inline]
pub fn write_body_frame_header(out: &mut Vec<u8>, channel: u16, length: usize) {
    frame_header(out, FRAME_BODY, channel, length);
}

#[inline]
fn frame_header(out: &mut Vec<u8>, frame_type: u8, channel: u16, size: usize) {
    let [c1, c2] = channel.to_be_bytes();
    let [s1, s2, s3, s4] = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&[frame_type, c1, c2, s1, s2, s3, s4]);
}

#[cfg(test)]
mod tests;
