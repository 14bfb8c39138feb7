//! Where callers leave what they append, and how the log thread is woken for it.
//!
//! `Log::append` pushes; the log thread takes everything at once. The lock is held for moving items
//! from one list to another, never for more.
//!
//! Stays true: tickets ascend by one with every append; a thread that is at work is not woken, and
//! one that sleeps is woken at most once.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use super::load::Load;
use crate::clock;
use crate::messages::{Batch, Progress, Ticket};

/// How long what nobody waits for may gather: the longer, the more of it is settled before it is
/// written.
const LINGER: Duration = Duration::from_millis(10);

/// Bytes of content that are worth writing at once though nobody waits for them.
const LINGER_BYTES: usize = 1 << 20;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Input {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    load: Load,
    tickets: u64,
    messages: u64,
    bytes: u64,
    /// Of what is in the load.
    load_bytes: usize,
    is_urgent: bool,
    /// When the first of what waits came, if nobody waits for it.
    since: Option<Instant>,
    sleeper: Sleeper,
    orders: Orders,
    is_closed: bool,
    is_failed: bool,
}

/// What the log thread is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sleeper {
    #[default]
    Works,
    /// Sleeps until anything comes.
    Sleeps,
    /// Sleeps for a while; only what is urgent is worth waking it for.
    Lingers,
}

/// What others ask of the log thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Orders {
    /// Something more is on disk, and the log is to say so.
    pub(super) synced: bool,
    /// The open segment is to be sealed.
    pub(super) roll: bool,
    /// There may be room on the disk again.
    pub(super) room: bool,
    /// Everything is to be written, and then the thread ends.
    pub(super) close: bool,
    /// The store has failed: the thread ends.
    pub(super) fail: bool,
}

impl Input {
    /// Takes everything out of the batch and gives the ticket. Nothing is kept once the input is
    /// closed, nor of what is too large.
    pub(super) fn push(&self, batch: &mut Batch, progress: &Progress) -> Ticket {
        if let Some(refused) = batch.refuse() {
            return refused;
        }
        let mut state = self.state.lock();
        if batch.is_empty() {
            return Ticket(state.tickets);
        }
        state.tickets += 1;
        let ticket = Ticket(state.tickets);
        if state.is_closed {
            drop(state);
            batch.clear();
            return ticket;
        }
        state.messages += batch.publishes.len() as u64;
        let is_urgent = batch.awaited;
        let content = state.load.push(batch, ticket);
        // Under the lock: whoever writes it takes this away again.
        progress.add_pending(content);
        state.bytes += content as u64;
        state.load_bytes += content;
        state.is_urgent |= is_urgent || state.load_bytes >= LINGER_BYTES;
        let is_worth_waking = match state.sleeper {
            Sleeper::Works => false,
            Sleeper::Sleeps => true,
            Sleeper::Lingers => state.is_urgent,
        };
        self.wake_if(state, is_worth_waking);
        ticket
    }

    /// Sleeps until there is something to write or to do, or the time has come; then moves
    /// everything to the end of `backlog` and says what else is to be done.
    pub(super) fn take(&self, backlog: &RwLock<Load>, until: Option<Instant>) -> Orders {
        self.sleep(until);
        // In this order, as readers do, so that nothing is seen twice or not at all.
        let mut backlog = backlog.write();
        let mut state = self.state.lock();
        backlog.append(&mut state.load);
        state.load_bytes = 0;
        state.is_urgent = false;
        state.since = None;
        let close = state.is_closed;
        let fail = state.is_failed;
        Orders { close, fail, ..std::mem::take(&mut state.orders) }
    }

    fn sleep(&self, until: Option<Instant>) {
        let mut state = self.state.lock();
        loop {
            if state.is_due() {
                break;
            }
            let mut wake_at = until;
            state.sleeper = Sleeper::Sleeps;
            if !state.load.is_empty() {
                let since = *state.since.get_or_insert_with(clock::now);
                let linger_until = since + LINGER;
                wake_at = Some(until.map_or(linger_until, |until| until.min(linger_until)));
                state.sleeper = Sleeper::Lingers;
            }
            let is_late = match wake_at {
                Some(at) => self.wake.wait_until(&mut state, at).timed_out(),
                None => {
                    self.wake.wait(&mut state);
                    false
                }
            };
            if is_late {
                break;
            }
        }
        state.sleeper = Sleeper::Works;
    }

    /// Tells the log thread that more is on disk.
    pub(super) fn set_synced(&self) {
        let mut state = self.state.lock();
        state.orders.synced = true;
        // A lingering thread takes it along when it wakes; one that works looks before it sleeps.
        let is_worth_waking = state.sleeper == Sleeper::Sleeps;
        self.wake_if(state, is_worth_waking);
    }

    /// Asks for the open segment to be sealed and a new one begun.
    pub(super) fn request_roll(&self) {
        self.order(|orders| orders.roll = true);
    }

    /// Says that there may be room on the disk again.
    pub(super) fn notice_room(&self) {
        self.order(|orders| orders.room = true);
    }

    fn order(&self, change: impl FnOnce(&mut Orders)) {
        let mut state = self.state.lock();
        change(&mut state.orders);
        let is_asleep = state.sleeper != Sleeper::Works;
        self.wake_if(state, is_asleep);
    }

    /// Takes nothing more; what was taken is written.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        self.wake_if(state, true);
    }

    /// Takes nothing more and drops what was taken.
    pub(super) fn fail(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.is_failed = true;
        let dropped = std::mem::take(&mut state.load);
        self.wake_if(state, true);
        drop(dropped);
    }

    /// Looks at what nobody has taken yet.
    pub(super) fn peek(&self, look: impl FnOnce(&Load)) {
        look(&self.state.lock().load);
    }

    /// The last ticket, and how many messages with how many bytes of content were appended.
    pub(super) fn totals(&self) -> (Ticket, u64, u64) {
        let state = self.state.lock();
        (Ticket(state.tickets), state.messages, state.bytes)
    }

    fn wake_if(&self, mut state: MutexGuard<'_, State>, wake: bool) {
        if wake {
            // Whoever comes next need not wake it again.
            state.sleeper = Sleeper::Works;
            drop(state);
            self.wake.notify_one();
        }
    }
}

impl State {
    fn is_due(&self) -> bool {
        let Orders { synced, roll, room, close: _, fail: _ } = self.orders;
        self.is_closed || self.is_urgent || roll || room || synced
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::messages::Settled;

    fn settlement(is_awaited: bool) -> Batch {
        let settled = vec![Settled { queue: 1, first: 1, count: 1 }];
        Batch { settled, awaited: is_awaited, ..Batch::default() }
    }

    #[derive(Debug)]
    struct Rig {
        input: Arc<Input>,
        backlog: Arc<RwLock<Load>>,
        progress: Progress,
    }

    fn rig() -> Rig {
        Rig { input: Arc::default(), backlog: Arc::default(), progress: Progress::new(1 << 20) }
    }

    impl Rig {
        fn push(&self, mut batch: Batch) -> Ticket {
            self.input.push(&mut batch, &self.progress)
        }

        fn tickets(&self) -> Vec<u64> {
            self.backlog.read().entries.iter().map(|entry| entry.ticket.0).collect()
        }
    }

    #[test]
    fn everything_is_taken_at_once_and_tickets_ascend() {
        let rig = rig();
        assert_eq!(rig.push(Batch::default()), Ticket(0));
        assert_eq!(rig.push(settlement(true)), Ticket(1));
        assert_eq!(rig.push(settlement(false)), Ticket(2));
        assert_eq!(rig.push(Batch::default()), Ticket(2));
        rig.input.take(&rig.backlog, None);
        assert_eq!(rig.tickets(), [1, 2]);
        assert_eq!(rig.input.totals(), (Ticket(2), 0, 0));
    }

    #[test]
    fn a_sleeper_is_woken_by_what_comes_and_by_orders() {
        let rig = rig();
        let (input, backlog) = (Arc::clone(&rig.input), Arc::clone(&rig.backlog));
        let sleeper = thread::spawn(move || {
            input.take(&backlog, None);
            let taken = backlog.read().entries.len();
            (taken, input.take(&backlog, None).roll, input.take(&backlog, None).close)
        });
        rig.push(settlement(false));
        while rig.tickets().is_empty() {
            thread::yield_now();
        }
        rig.input.request_roll();
        rig.input.close();
        let (taken, _, _) = sleeper.join().unwrap();
        assert_eq!(taken, 1);
    }

    #[test]
    fn what_nobody_waits_for_gathers_until_somebody_does() {
        let rig = rig();
        rig.push(settlement(false));
        let started = clock::now();
        rig.input.take(&rig.backlog, None);
        assert!(started.elapsed() >= LINGER);
        rig.push(settlement(false));
        rig.push(settlement(true));
        let forever = Some(clock::now() + Duration::from_secs(600));
        rig.input.take(&rig.backlog, forever);
        assert_eq!(rig.tickets(), [1, 2, 3]);
    }

    #[test]
    fn closed_it_drops_what_comes() {
        let rig = rig();
        rig.push(settlement(true));
        rig.input.close();
        let mut late = settlement(true);
        assert_eq!(rig.input.push(&mut late, &rig.progress), Ticket(2));
        assert!(late.is_empty());
        assert!(rig.input.take(&rig.backlog, None).close);
        assert_eq!(rig.tickets(), [1]);
    }
}
