//! The few frames that come and go by the million, read and written in place.
//!
//! The load generator must be much cheaper than any broker under it, so on the data path it looks
//! only at the bytes it needs: the frame envelope, the delivery tag, the queue's slot in the
//! consumer tag, the stamp in the body. Everything else goes through the protocol crate.

use leveret_protocol::decoder::decode_frame;
use leveret_protocol::error::DecodeError;
use leveret_protocol::frame::FrameKind;
use leveret_protocol::methods::{MethodFrame, basic, connection};
use std::io::{self, ErrorKind};

const BASIC_DELIVER: u32 = id::<basic::Deliver<'_>>();
const BASIC_ACK: u32 = id::<basic::Ack>();
const BASIC_NACK: u32 = id::<basic::Nack>();
const CONNECTION_BLOCKED: u32 = id::<connection::Blocked<'_>>();
const CONNECTION_UNBLOCKED: u32 = id::<connection::Unblocked>();

/// Class and method as the first four bytes of a payload have them.
const fn id<M: MethodFrame>() -> u32 {
    ((M::CLASS_ID as u32) << 16) | M::METHOD_ID as u32
}

/// One incoming frame, as far as the data path is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming<'a> {
    /// `basic.deliver` to the consumer whose tag is the number `slot`.
    Deliver { slot: usize, delivery_tag: u64 },
    /// A content header that announces so many bytes.
    Header { body_size: u64 },
    /// A piece of a body.
    Body(&'a [u8]),
    /// `basic.ack` or `basic.nack`: the broker settles what was published.
    Confirm { delivery_tag: u64, multiple: bool, positive: bool },
    /// Heartbeats and the blocked notices.
    Ignorable,
    /// Any other method: the payload.
    Method(&'a [u8]),
}

/// The first frame in `input` and its length in bytes; none while it is incomplete.
pub(crate) fn next(input: &[u8]) -> io::Result<Option<(Incoming<'_>, usize)>> {
    let Some(frame) = decode_frame(input, 0).map_err(malformed)? else { return Ok(None) };
    let incoming = match frame.kind {
        FrameKind::Method => read_method(frame.payload)?,
        FrameKind::Header => Incoming::Header { body_size: read_body_size(frame.payload) },
        FrameKind::Body => Incoming::Body(frame.payload),
        FrameKind::Heartbeat => Incoming::Ignorable,
    };
    Ok(Some((incoming, frame.encoded_len())))
}

fn read_method(payload: &[u8]) -> io::Result<Incoming<'_>> {
    let Some((id, arguments)) = payload.split_first_chunk::<4>() else {
        return Ok(Incoming::Method(payload));
    };
    Ok(match u32::from_be_bytes(*id) {
        // Exchange and routing key are not looked at.
        BASIC_DELIVER => read_deliver(arguments).unwrap_or(Incoming::Method(payload)),
        BASIC_ACK => {
            let basic::Ack { delivery_tag, multiple } =
                basic::Ack::decode(arguments).map_err(malformed)?;
            Incoming::Confirm { delivery_tag, multiple, positive: true }
        }
        BASIC_NACK => {
            let basic::Nack { delivery_tag, multiple, .. } =
                basic::Nack::decode(arguments).map_err(malformed)?;
            Incoming::Confirm { delivery_tag, multiple, positive: false }
        }
        CONNECTION_BLOCKED | CONNECTION_UNBLOCKED => Incoming::Ignorable,
        _ => Incoming::Method(payload),
    })
}

fn read_deliver(arguments: &[u8]) -> Option<Incoming<'_>> {
    let (length, rest) = arguments.split_first()?;
    let (tag, rest) = rest.split_at_checked(usize::from(*length))?;
    let (delivery_tag, _) = read_u64(rest)?;
    Some(Incoming::Deliver { slot: read_decimal(tag)?, delivery_tag })
}

/// The announced size, behind class and weight; a header too short for it announces nothing.
fn read_body_size(payload: &[u8]) -> u64 {
    payload.get(4..).and_then(read_u64).map_or(0, |(size, _)| size)
}

fn malformed(error: DecodeError) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the broker sent what is no AMQP: {error}"))
}

fn read_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk::<8>().map(|(number, rest)| (u64::from_be_bytes(*number), rest))
}

fn read_decimal(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0_usize, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(usize::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use leveret_protocol::encoder::{
        write_body_frame, write_content_header, write_heartbeat, write_method,
    };
    use leveret_protocol::methods::channel;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut frame = Vec::new();
        write(&mut frame);
        frame
    }

    fn read(frame: &[u8]) -> Incoming<'_> {
        let (incoming, length) = next(frame).unwrap().unwrap();
        assert_eq!(length, frame.len());
        incoming
    }

    fn deliver(consumer_tag: &str) -> Vec<u8> {
        let method = basic::Deliver {
            consumer_tag,
            delivery_tag: 77,
            routing_key: "key",
            ..basic::Deliver::default()
        };
        written(|out| write_method(out, 1, &method))
    }

    #[test]
    fn deliveries_name_their_slot() {
        assert_eq!(read(&deliver("104")), Incoming::Deliver { slot: 104, delivery_tag: 77 });
        let foreign = deliver("amq.ctag-x");
        assert!(matches!(read(&foreign), Incoming::Method(_)), "no consumer of ours");
    }

    #[test]
    fn frames_wait_until_they_are_whole() {
        let mut bytes = deliver("0");
        for length in 0..bytes.len() {
            assert_eq!(next(&bytes[..length]).unwrap(), None, "{length} bytes");
        }
        *bytes.last_mut().unwrap() = 0;
        assert_eq!(next(&bytes).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn contents_and_the_rest() {
        let header = written(|out| write_content_header(out, 1, 60, 1024, &[0, 0]));
        assert_eq!(read(&header), Incoming::Header { body_size: 1024 });
        let body = written(|out| write_body_frame(out, 1, b"xyz"));
        assert_eq!(read(&body), Incoming::Body(b"xyz"));
        assert_eq!(read(&written(write_heartbeat)), Incoming::Ignorable);
        let close = written(|out| write_method(out, 1, &channel::Close::default()));
        assert!(matches!(read(&close), Incoming::Method([0, 20, 0, 40, ..])));
    }

    #[test]
    fn confirms_of_both_kinds() {
        let ack = basic::Ack { delivery_tag: 5, multiple: true };
        let confirm = Incoming::Confirm { delivery_tag: 5, multiple: true, positive: true };
        assert_eq!(read(&written(|out| write_method(out, 1, &ack))), confirm);
        let nack = basic::Nack { delivery_tag: 6, ..basic::Nack::default() };
        let confirm = Incoming::Confirm { delivery_tag: 6, multiple: false, positive: false };
        assert_eq!(read(&written(|out| write_method(out, 1, &nack))), confirm);
    }
}
