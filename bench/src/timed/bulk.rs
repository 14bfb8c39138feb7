//! A number of messages published as fast as confirms allow, each changed in place before it goes.

use crate::client::frames::Incoming;
use crate::client::link::Link;
use crate::client::session::{CHANNEL, SessionError, unexpected};
use crate::interrupt::Interrupt;
use crate::run::window::Window;
use crate::timed::TimedError;
use leveret_protocol::encoder::{write_body, write_content_header, write_method};
use leveret_protocol::methods::{MethodFrame, basic};
use leveret_protocol::properties::BasicProperties;
use std::io;
use std::num::NonZeroU32;

/// Messages of one write.
const PIECE: u64 = 500;
/// Messages that are not confirmed yet, at most.
const WINDOW: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

/// All frames of a message to a queue.
pub(super) fn message(
    queue: &str,
    properties: &BasicProperties<'_>,
    size: usize,
    frame_max: u32,
) -> Vec<u8> {
    let publish = basic::Publish { routing_key: queue, ..basic::Publish::default() };
    let mut encoded = Vec::new();
    properties.encode(&mut encoded);
    let mut frames = Vec::new();
    write_method(&mut frames, CHANNEL, &publish);
    let class = basic::Publish::CLASS_ID;
    write_content_header(&mut frames, CHANNEL, class, size as u64, &encoded);
    write_body(&mut frames, CHANNEL, &vec![0; size], frame_max);
    frames
}

/// The confirms of a connection that has just asked for them.
pub(super) fn window() -> Window {
    Window::new(WINDOW)
}

/// Publishes `frames` so many times over a connection with these confirms, each time after
/// `change` had its way with it, and waits until all are confirmed.
///
/// # Errors
/// When the connection fails, or a signal comes.
pub(super) fn publish(
    (link, window): (&mut Link, &mut Window),
    frames: &[u8],
    count: u64,
    interrupt: &Interrupt,
    mut change: impl FnMut(u64, &mut [u8]),
) -> Result<(), TimedError> {
    let mut piece = Vec::new();
    let mut sent = 0;
    while sent < count || window.outstanding() > 0 {
        if interrupt.is_set() {
            return Err(TimedError::Interrupted);
        }
        let fits = (count - sent).min(PIECE);
        if fits > 0 && window.room() >= fits {
            piece.clear();
            for number in sent..sent + fits {
                let at = piece.len();
                piece.extend_from_slice(frames);
                change(number, piece.get_mut(at..).unwrap_or_default());
                window.open(1);
            }
            link.write_all(&piece)?;
            sent += fits;
        } else {
            wait(link, window)?;
        }
    }
    Ok(())
}

/// Reads confirms, some at least.
fn wait(link: &mut Link, window: &mut Window) -> Result<(), TimedError> {
    if !link.fill()? {
        return Err(TimedError::Standstill);
    }
    take_confirms(link, window)
}

fn take_confirms(link: &mut Link, window: &mut Window) -> Result<(), TimedError> {
    while let Some((incoming, length)) = link.frame()? {
        match incoming {
            Incoming::Confirm { delivery_tag, multiple, positive } => {
                window.settle(delivery_tag, multiple, positive, 1);
            }
            Incoming::Ignorable => {}
            other @ (Incoming::Deliver { .. }
            | Incoming::Header { .. }
            | Incoming::Body(_)
            | Incoming::Method(_)) => return Err(unexpected(other).into()),
        }
        link.consume(length);
    }
    if window.negative() > 0 {
        let refused = io::Error::other("the broker refused messages");
        return Err(SessionError::Io(refused).into());
    }
    Ok(())
}
