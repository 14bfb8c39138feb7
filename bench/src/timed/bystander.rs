//! A client that has nothing to do with what else happens, and how long its messages take.

use crate::client::frames::Incoming;
use crate::client::link::Link;
use crate::client::session::{Session, SessionError, unexpected};
use crate::clock::{Pace, Start};
use crate::statistics::Latencies;
use crate::target::Target;
use crate::timed::bulk::message;
use crate::timed::{CONNECTION_NAME, TimedError};
use leveret_protocol::properties::BasicProperties;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const QUEUE: &str = "leveret.bench.bystander";
/// Messages in a second.
const PACE: u32 = 1000;

/// Publishes one message after the other to a queue of its own and waits for each and its confirm,
/// until it is over. A message that could not be sent in time because the one before took long has
/// taken as long as it was held up, too.
pub(super) fn bystand(target: &Target, over: &AtomicBool) -> Result<Latencies, TimedError> {
    let mut session = Session::open(&target.address, CONNECTION_NAME)?;
    session.declare_queue(QUEUE, false)?;
    session.confirm()?;
    session.consume(QUEUE, 0, true)?;
    let frames = message(QUEUE, &BasicProperties::default(), 16, session.frame_max());
    let mut link = session.into_link();
    let mut latencies = Latencies::new();
    let start = Start::now();
    let mut pace = Pace::new(PACE, 0);
    while !over.load(Ordering::Relaxed) {
        let due = pace.next_at();
        let early = due.saturating_sub(start.nanoseconds());
        thread::sleep(Duration::from_nanos(early));
        // A sleep is late by itself, which is nobody's fault here.
        let begun = if early > 0 { start.nanoseconds() } else { due };
        pace.spend(1);
        link.write_all(&frames)?;
        wait(&mut link)?;
        latencies.record(start.nanoseconds().saturating_sub(begun));
    }
    Ok(latencies)
}

/// Reads until the message has come and is confirmed.
fn wait(link: &mut Link) -> Result<(), TimedError> {
    let (mut is_confirmed, mut is_delivered) = (false, false);
    while !(is_confirmed && is_delivered) {
        let Some((incoming, length)) = link.frame()? else {
            if !link.fill()? {
                return Err(TimedError::Standstill);
            }
            continue;
        };
        match incoming {
            Incoming::Confirm { positive: true, .. } => is_confirmed = true,
            Incoming::Body(_) => is_delivered = true,
            Incoming::Deliver { .. } | Incoming::Header { .. } | Incoming::Ignorable => {}
            other @ (Incoming::Confirm { .. } | Incoming::Method(_)) => {
                return Err(SessionError::from(unexpected(other)).into());
            }
        }
        link.consume(length);
    }
    Ok(())
}
