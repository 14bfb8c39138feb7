//! Consumers that take too long: what they have not settled in time goes back to the queue.
//!
//! A room of `queue::state`, and as pure. Whoever holds deliveries under a timeout has a `Holding`:
//! a consumer, also after it was cancelled, and each `basic.get` by itself. When the time of its
//! oldest delivery is up, the holder lapses: a consumer goes, and all that the holder has comes back,
//! redelivered but not failed. Stays true:
//! - the slot of a delivery that was taken back stays taken until its channel has let go of it, so
//!   what a client says too late concerns no other message;
//! - nothing lapses before `next_ms`, and a queue without timeouts has no holdings;
//! - while what comes back takes several steps the queue hands out nothing.
//!
//! See RabbitMQ's page on consumers ("Delivery Acknowledgement Timeout").

use std::collections::{BTreeMap, VecDeque};

use super::super::held::{QueuedMessage, footprint};
use super::super::paged::NEVER;
use super::{QueueState, Slot, Unacked};
use crate::keys::{ConsumerKey, DeliveryKey, Outcome};

/// Deliveries that are taken back in one step: a millisecond or two of work.
const STEP: usize = 4096;
/// Below this many entries those that were settled are left where they are.
const COMPACT_ABOVE: usize = 64;

/// A holder whose time is up, for whoever has to tell its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queue) struct Lapse {
    /// Who: a consumer, or what `basic.get` was given.
    pub holder: ConsumerKey,
    /// Whether it was a consumer until now.
    pub consumed: bool,
    /// How long it had, in milliseconds.
    pub timeout_ms: u64,
}

/// What one holder has, in the order in which it got it. 16 bytes a delivery.
#[derive(Clone, Debug)]
struct Holding {
    timeout_ms: u64,
    /// Each with when its time is up. Some may be settled.
    entries: VecDeque<(u64, DeliveryKey)>,
    /// How many entries of each key are settled: always the first of them.
    settled: BTreeMap<u32, usize>,
    /// Entries that are not settled.
    live: usize,
    /// Nothing more comes: it goes with its last delivery.
    ended: bool,
}

impl Holding {
    fn new(timeout_ms: u64, ended: bool) -> Self {
        let (entries, settled) = (VecDeque::new(), BTreeMap::new());
        Self { timeout_ms, entries, settled, live: 0, ended }
    }

    /// When the time of the oldest delivery is up.
    fn due_ms(&self) -> u64 {
        self.entries.front().map_or(NEVER, |(due_ms, _)| *due_ms)
    }

    fn push(&mut self, now_ms: u64, key: DeliveryKey) -> u64 {
        // A clock that was set back does not make what comes later due sooner.
        let least = self.entries.back().map_or(0, |(due_ms, _)| *due_ms);
        let due_ms = now_ms.saturating_add(self.timeout_ms).max(least);
        self.entries.push_back((due_ms, key));
        self.live += 1;
        due_ms
    }

    fn settle(&mut self, key: DeliveryKey) {
        self.live = self.live.saturating_sub(1);
        *self.settled.entry(key.0).or_default() += 1;
        self.drop_settled();
        if self.live < self.entries.len() / 2 && self.entries.len() > COMPACT_ABOVE {
            let Self { entries, settled, .. } = self;
            entries.retain(|(_, key)| !take_settled(settled, *key));
        }
    }

    fn drop_settled(&mut self) {
        while let Some((_, key)) = self.entries.front()
            && take_settled(&mut self.settled, *key)
        {
            self.entries.pop_front();
        }
    }

    /// Takes the oldest delivery.
    fn pop(&mut self) -> Option<DeliveryKey> {
        let (_, key) = self.entries.pop_front()?;
        self.live = self.live.saturating_sub(1);
        self.drop_settled();
        Some(key)
    }
}

/// Whether the first entry of this key is a settled one, which is then forgotten.
fn take_settled(settled: &mut BTreeMap<u32, usize>, key: DeliveryKey) -> bool {
    let Some(count) = settled.get_mut(&key.0) else { return false };
    *count -= 1;
    if *count == 0 {
        settled.remove(&key.0);
    }
    true
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Timeouts {
    holdings: BTreeMap<ConsumerKey, Holding>,
    /// Nothing is due before, in milliseconds since the epoch; perhaps nothing is then.
    next_ms: u64,
    /// How many holders `basic.get` has made.
    fetched: u32,
    /// Those whose time was up, while they still hold something.
    returning: VecDeque<(ConsumerKey, Holding)>,
    /// They keep the queue suspended.
    suspends: bool,
    /// Those nobody was told of yet.
    lapsed: Vec<Lapse>,
    /// Slots of deliveries that were taken back.
    taken_back: usize,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            holdings: BTreeMap::new(),
            next_ms: NEVER,
            fetched: 0,
            returning: VecDeque::new(),
            suspends: false,
            lapsed: Vec::new(),
            taken_back: 0,
        }
    }
}

impl Timeouts {
    /// A consumer comes that has so long for each delivery; `None` is for ever.
    pub(super) fn begin(&mut self, consumer: ConsumerKey, timeout_ms: Option<u64>) {
        if let Some(timeout_ms) = timeout_ms {
            self.holdings.insert(consumer, Holding::new(timeout_ms, false));
        }
    }

    /// A consumer gets nothing more.
    pub(super) fn end(&mut self, consumer: ConsumerKey) {
        if let Some(holding) = self.holdings.get_mut(&consumer) {
            holding.ended = true;
            if holding.live == 0 {
                self.holdings.remove(&consumer);
            }
        }
    }

    /// A delivery that its holder has to settle. Asked for every message: mostly nobody has a
    /// timeout.
    #[inline]
    pub(super) fn delivered(&mut self, holder: ConsumerKey, key: DeliveryKey, now_ms: u64) {
        if !self.holdings.is_empty()
            && let Some(holding) = self.holdings.get_mut(&holder)
        {
            self.next_ms = self.next_ms.min(holding.push(now_ms, key));
        }
    }

    /// It is settled.
    #[inline]
    pub(super) fn settled(&mut self, holder: ConsumerKey, key: DeliveryKey) {
        if !self.holdings.is_empty() || !self.returning.is_empty() {
            self.settle(holder, key);
        }
    }

    fn settle(&mut self, holder: ConsumerKey, key: DeliveryKey) {
        if let Some(holding) = self.holdings.get_mut(&holder) {
            holding.settle(key);
            if holding.ended && holding.live == 0 {
                self.holdings.remove(&holder);
            }
        } else if let Some((_, holding)) = self.returning.iter_mut().find(|(of, _)| *of == holder) {
            holding.settle(key);
        }
    }

    /// When a holder's time may be up.
    #[inline]
    pub(super) fn next_ms(&self) -> u64 {
        if self.returning.is_empty() { self.next_ms } else { 0 }
    }

    /// Slots that hold no message.
    pub(super) fn taken_back(&self) -> usize {
        self.taken_back
    }

    /// A channel let go of a delivery that was taken back.
    #[inline]
    pub(super) fn let_go(&mut self) {
        self.taken_back = self.taken_back.saturating_sub(1);
    }

    /// Takes out those whose time is up.
    fn take_due(&mut self, now_ms: u64) -> Vec<(ConsumerKey, Holding)> {
        if self.next_ms > now_ms {
            return Vec::new();
        }
        let is_due = |holding: &Holding| holding.due_ms() <= now_ms;
        let due = self.holdings.extract_if(.., |_, holding| is_due(holding)).collect();
        self.next_ms = self.holdings.values().map(Holding::due_ms).min().unwrap_or(NEVER);
        due
    }

    /// The next delivery to be taken back.
    fn next_returning(&mut self) -> Option<DeliveryKey> {
        loop {
            let (_, holding) = self.returning.front_mut()?;
            if let Some(key) = holding.pop() {
                return Some(key);
            }
            self.returning.pop_front();
        }
    }
}

impl QueueState {
    /// Holds a message that `basic.get` fetched. Returns what settles it, and who holds it.
    pub(super) fn hold_fetched(&mut self, message: QueuedMessage) -> (DeliveryKey, ConsumerKey) {
        let Some(timeout_ms) = self.kind.consumer_timeout_ms else {
            return (self.hold(message, ConsumerKey::NONE), ConsumerKey::NONE);
        };
        let timeouts = &mut self.timeouts;
        // The last of all stands for none.
        timeouts.fetched = if timeouts.fetched >= u32::MAX - 1 { 0 } else { timeouts.fetched + 1 };
        let holder = ConsumerKey { slot: u32::MAX, generation: timeouts.fetched };
        let key = self.hold(message, holder);
        self.timeouts.holdings.insert(holder, Holding::new(timeout_ms, true));
        self.timeouts.delivered(holder, key, self.facts.now_ms);
        (key, holder)
    }

    /// Whether a holder has deliveries under a timeout.
    pub(in crate::queue) fn holds(&self, holder: ConsumerKey) -> bool {
        self.timeouts.holdings.get(&holder).is_some_and(|holding| holding.live > 0)
    }

    /// Whether some holder's time may be up.
    pub(in crate::queue) fn may_lapse(&self) -> bool {
        self.timeouts.next_ms() <= self.facts.now_ms
    }

    /// Takes back what was not settled in time, a step of it.
    pub(in crate::queue) fn lapse(&mut self) {
        for (holder, holding) in self.timeouts.take_due(self.facts.now_ms) {
            let timeout_ms = holding.timeout_ms;
            let consumed = self.remove_consumer(holder);
            self.watching.consumed.timeouts += 1;
            self.timeouts.lapsed.push(Lapse { holder, consumed, timeout_ms });
            self.timeouts.returning.push_back((holder, holding));
        }
        for _ in 0..STEP {
            let Some(key) = self.timeouts.next_returning() else { break };
            self.take_back(key);
        }
        let is_over = self.timeouts.returning.iter().all(|(_, holding)| holding.live == 0);
        if is_over {
            self.timeouts.returning.clear();
        }
        match (is_over, std::mem::replace(&mut self.timeouts.suspends, !is_over)) {
            (false, false) => self.suspend(),
            (true, true) => self.unsuspend(),
            (true, false) | (false, true) => self.enforce_limit(),
        }
    }

    /// Those whose time was up since this was asked last.
    pub(in crate::queue) fn take_lapsed(&mut self) -> Vec<Lapse> {
        std::mem::take(&mut self.timeouts.lapsed)
    }

    fn take_back(&mut self, key: DeliveryKey) {
        let Some(slot) = self.unacked.get_mut(key.0 as usize) else { return };
        let Slot::Held(Unacked { message, .. }) = std::mem::replace(slot, Slot::TakenBack) else {
            return;
        };
        self.timeouts.taken_back += 1;
        self.unacked_bytes -= message.held.size();
        self.unacked_resident_bytes -= footprint(&message.held);
        self.give_back(message, Outcome::Requeue);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::ConsumerSettings;
    use super::super::super::command::Command;
    use super::super::{Facts, QueueKind, Verdict};
    use super::*;
    use crate::message::tests::message;

    fn at(now_ms: u64) -> Facts {
        Facts { now_ms, room: usize::MAX }
    }

    fn queue_of(count: usize) -> QueueState {
        let kind = QueueKind { consumer_timeout_ms: Some(100), ..QueueKind::default() };
        let mut queue = QueueState::new(kind);
        queue.begin(at(1000));
        (0..count).for_each(|_| queue.publish(message("k", b"")));
        queue
    }

    /// Everything is handed out.
    fn deliver(queue: &mut QueueState) -> Vec<DeliveryKey> {
        queue.dispatch(usize::MAX);
        let keys: Vec<_> = queue.under_way().iter().map(|delivery| delivery.key()).collect();
        queue.conclude(&vec![Verdict::Accepted; keys.len()]);
        keys
    }

    #[test]
    fn a_queue_in_which_nobody_is_late_has_no_time() {
        let mut queue = queue_of(2);
        let consumer = queue.add_consumer(ConsumerSettings::default());
        assert_eq!(queue.next_due_ms(), NEVER);
        let keys = deliver(&mut queue);
        assert_eq!(queue.next_due_ms(), 1100);
        queue.settle(keys.into_iter().map(|key| (key, Outcome::Ack)));
        queue.apply(Command::Lapse, at(1100));
        assert_eq!((queue.take_lapsed(), queue.next_due_ms()), (Vec::new(), NEVER));
        assert!(queue.remove_consumer(consumer));
        assert!(queue.timeouts.holdings.is_empty());
    }

    #[test]
    fn a_key_that_is_used_again_does_not_inherit_its_time() {
        let mut queue = queue_of(1);
        queue.add_consumer(ConsumerSettings::default());
        let first = deliver(&mut queue);
        queue.begin(at(1050));
        queue.settle([(first[0], Outcome::Requeue)].into_iter());
        assert_eq!(deliver(&mut queue), first);
        queue.apply(Command::Lapse, at(1149));
        assert_eq!(queue.unacked_count(), 1);
        queue.apply(Command::Lapse, at(1150));
        assert_eq!((queue.unacked_count(), queue.ready_count()), (0, 1));
        let consumer = queue.add_consumer(ConsumerSettings::default());
        assert_ne!(deliver(&mut queue), first, "nobody has let go of it");
        assert!(queue.holds(consumer));
    }

    #[test]
    fn one_forgotten_delivery_does_not_keep_the_rest_in_memory() {
        let mut queue = queue_of(1000);
        let consumer = queue.add_consumer(ConsumerSettings::default());
        let keys = deliver(&mut queue);
        queue.settle(keys.into_iter().skip(1).map(|key| (key, Outcome::Ack)));
        let holding = &queue.timeouts.holdings[&consumer];
        assert!(holding.entries.len() <= COMPACT_ABOVE, "{}", holding.entries.len());
        assert!(holding.settled.len() <= COMPACT_ABOVE, "{}", holding.settled.len());
        assert_eq!(queue.next_due_ms(), 1100);
    }

    #[test]
    fn nothing_is_handed_out_while_it_takes_several_steps() {
        let mut queue = queue_of(STEP + 1);
        let late = queue.add_consumer(ConsumerSettings::default());
        let keys = deliver(&mut queue);
        queue.add_consumer(ConsumerSettings::default());
        queue.apply(Command::Lapse, at(1100));
        let lapse = Lapse { holder: late, consumed: true, timeout_ms: 100 };
        assert_eq!(queue.take_lapsed(), [lapse]);
        assert_eq!((queue.ready_count(), queue.dispatch(1), queue.next_due_ms()), (STEP, 0, 0));
        queue.settle([(keys[STEP], Outcome::Ack)].into_iter());
        queue.apply(Command::Lapse, at(1100));
        assert_eq!((queue.ready_count(), queue.next_due_ms()), (STEP, NEVER));
        assert_eq!(deliver(&mut queue).len(), STEP);
        queue.settle(keys.into_iter().take(STEP).map(|key| (key, Outcome::Discard)));
        assert_eq!((queue.unacked_count(), queue.timeouts.taken_back()), (STEP, 0));
    }
}
