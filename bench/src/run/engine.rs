//! One thread that drives many connections.
//!
//! The publishers of a run share a thread, and so do the consumers: on a small machine every
//! further thread would only take turns with the broker. A [`Party`] does what it can without
//! waiting and says what it waits for; the engine sleeps in epoll until one of them can go on.

use crate::client::link::Link;
use crate::clock::Start;
use rustix::event::{Timespec, epoll};
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The longest sleep: how late a thread may notice that it should end.
const SLEEP_MAX_NS: u64 = 20_000_000;
const EVENTS_MAX: usize = 128;

/// What a party does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It stopped only to let others have their turn.
    Again,
    /// It waits for its socket.
    Socket,
    /// It waits until so many nanoseconds after the start.
    At(u64),
    /// It is done.
    Done,
}

/// A publisher or consumer.
pub(crate) trait Party {
    /// Its connection.
    fn link(&mut self) -> &mut Link;

    /// Does what can be done now.
    fn progress(&mut self, signals: &Signals) -> io::Result<Next>;
}

/// What the monitor of a run tells all threads.
#[derive(Debug)]
pub(crate) struct Signals {
    pub(crate) start: Start,
    /// Publish no more, but wait for outstanding confirms.
    pub(crate) stop_publishing: AtomicBool,
    /// Stop where you are.
    pub(crate) stop: AtomicBool,
}

impl Signals {
    pub(crate) const fn new(start: Start) -> Self {
        Self { start, stop_publishing: AtomicBool::new(false), stop: AtomicBool::new(false) }
    }
}

/// What a party tells the monitor while it runs. Aligned so that no two share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Progress {
    /// Messages published or consumed.
    messages: AtomicU64,
    /// Nanoseconds after the start when the latest was.
    at: AtomicU64,
    /// Nothing is left to do.
    ended: AtomicBool,
}

impl Progress {
    pub(crate) fn set(&self, messages: u64, at: u64) {
        self.messages.store(messages, Ordering::Relaxed);
        self.at.store(at, Ordering::Relaxed);
    }

    /// Notes that the party is done; its counts are final.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(crate) fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }
}

/// Drives `parties` until all are done or told to stop, and gives them back.
///
/// # Errors
/// The first failure of a connection; it ends all of this thread.
pub(crate) fn drive<P: Party>(mut parties: Vec<P>, signals: &Signals) -> io::Result<Vec<P>> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    for (number, party) in (0..).zip(&mut parties) {
        party.link().set_blocking(false)?;
        epoll::add(&poll, party.link(), epoll::EventData::new_u64(number), interest)?;
    }
    let mut waiting: Vec<Next> = parties.iter().map(|_| Next::Again).collect();
    let mut events = [MaybeUninit::<epoll::Event>::uninit(); EVENTS_MAX];
    loop {
        for (party, next) in parties.iter_mut().zip(&mut waiting) {
            if *next != Next::Done {
                *next = party.progress(signals)?;
            }
        }
        let finished = waiting.iter().all(|next| *next == Next::Done);
        if finished || signals.stop.load(Ordering::Relaxed) {
            break;
        }
        let timeout = timeout(&waiting, signals.start.nanoseconds());
        let (ready, _) = match epoll::wait(&poll, &mut events, Some(&timeout)) {
            Err(error) if error == rustix::io::Errno::INTR => continue,
            other => other?,
        };
        for event in ready {
            let flags = event.flags;
            let ended = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
            let readable = ended || flags.contains(epoll::EventFlags::IN);
            let writable = ended || flags.contains(epoll::EventFlags::OUT);
            let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            if let Some(party) = parties.get_mut(number) {
                party.link().notice(readable, writable);
            }
        }
    }
    for party in &mut parties {
        party.link().set_blocking(true)?;
    }
    Ok(parties)
}

/// How long to sleep: until the earliest party wants to go on.
fn timeout(waiting: &[Next], now: u64) -> Timespec {
    let sleep = waiting.iter().map(|next| match next {
        Next::Again => 0,
        Next::Socket | Next::Done => SLEEP_MAX_NS,
        Next::At(moment) => moment.saturating_sub(now).min(SLEEP_MAX_NS),
    });
    let nanoseconds = sleep.min().unwrap_or(SLEEP_MAX_NS);
    Timespec { tv_sec: 0, tv_nsec: i64::try_from(nanoseconds).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_party_ends_the_sleep() {
        let sleep = |waiting: &[Next]| timeout(waiting, 1_000).tv_nsec;
        assert_eq!(sleep(&[Next::Socket, Next::At(4_000)]), 3_000);
        assert_eq!(sleep(&[Next::At(500), Next::Socket]), 0);
        assert_eq!(sleep(&[Next::Again, Next::At(4_000)]), 0);
        assert_eq!(sleep(&[Next::Socket, Next::Done]), 20_000_000);
    }
}
