//! The messages of a queue that serves them by groups (`x-message-group`): those of one group go to one
//! consumer at a time and in order, and groups take turns.
//!
//! Owned by `queue::ready`, which keeps what stands behind them in its tails: a message's group is known
//! once its body was in memory, so those of the tails come in from there. Stays true:
//! - what of a group is handed out has one holder; while there is any, nobody else gets the next;
//! - a group stands in one line at most: in `free` with nothing handed out, in its holder's line, or in
//!   `wanted` while its first message is without its body;
//! - a group that somebody holds who is no consumer (`basic.get`, or a message that waits for a second
//!   attempt) stands nowhere until that is over.
//!
//! Within a group higher priorities go first, and equals in order of arrival; among groups that with
//! the higher first message, and equals in turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::group_by::{GroupBy, GroupKey};
use super::held::{Held, QueuedMessage};
use super::paged::{ReadingPlan, Shelf};
use crate::keys::ConsumerKey;
use crate::message::Message;

/// How far a queue looks for a group that can be served. While so many messages wait for their groups'
/// holders, what stands behind them is not seen.
pub(super) const WINDOW_MAX: usize = 128 * 1024;
/// Bodies that are read at once for a group.
const READ_A_GROUP: usize = 64;

/// Where a message stands: highest priority first, then in order of arrival.
type Place = (Reverse<u8>, u64);
/// The priority of a group's first message, and its turn.
type Line = BTreeSet<(Reverse<u8>, u64, GroupKey)>;

#[derive(Clone, Debug)]
struct Member {
    message: QueuedMessage,
    group: GroupKey,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stand {
    #[default]
    Nowhere,
    Free(Reverse<u8>, u64),
    Held(ConsumerKey, Reverse<u8>, u64),
    Wanted(Place),
}

#[derive(Clone, Debug)]
struct Group {
    waiting: BTreeSet<Place>,
    /// How many are handed out,
    out: u32,
    /// of which so many wait for a second attempt.
    kept_out: u32,
    /// To whom.
    holder: ConsumerKey,
    stand: Stand,
}

impl Default for Group {
    fn default() -> Self {
        let (waiting, stand) = Default::default();
        Self { waiting, out: 0, kept_out: 0, holder: ConsumerKey::NONE, stand }
    }
}

#[derive(Clone, Debug, Default)]
struct Holder {
    line: Line,
    /// It is among those who ask.
    asks: bool,
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    by: GroupBy,
    messages: BTreeMap<Place, Member>,
    groups: BTreeMap<GroupKey, Group>,
    /// The groups of the messages that are handed out, and whether they wait for a second attempt.
    out: BTreeMap<u64, (GroupKey, bool)>,
    free: Line,
    holders: BTreeMap<ConsumerKey, Holder>,
    /// Holders in whose lines there may be something for them.
    asking: VecDeque<ConsumerKey>,
    /// First messages that are without their bodies.
    wanted: BTreeSet<Place>,
    /// Groups that stand in `free` or in a holder's line.
    standing: usize,
    turn: u64,
}

fn place(message: &QueuedMessage) -> Place {
    (Reverse(message.level), message.sequence)
}

impl Groups {
    /// No messages.
    pub(super) fn new(by: GroupBy) -> Self {
        Self {
            by,
            messages: BTreeMap::new(),
            groups: BTreeMap::new(),
            out: BTreeMap::new(),
            free: Line::new(),
            holders: BTreeMap::new(),
            asking: VecDeque::new(),
            wanted: BTreeSet::new(),
            standing: 0,
            turn: 0,
        }
    }

    /// How many messages wait here.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The group of a message.
    pub(super) fn group_of(&self, body: &Message, sequence: u64) -> GroupKey {
        self.by.group_of(body, sequence)
    }

    /// Whether nothing of a group is here or handed out: what comes of it is next.
    pub(super) fn is_idle(&self, group: GroupKey) -> bool {
        !self.groups.contains_key(&group)
    }

    /// Adds a message, with its body or without.
    pub(super) fn insert(&mut self, message: QueuedMessage, group: GroupKey) {
        if self.put(message, group) {
            self.line_up(group);
        }
    }

    /// Puts a message into its place. Returns whether it is the first of its group.
    fn put(&mut self, message: QueuedMessage, group: GroupKey) -> bool {
        let place = place(&message);
        self.messages.insert(place, Member { message, group });
        let waiting = &mut self.groups.entry(group).or_default().waiting;
        waiting.insert(place);
        waiting.first() == Some(&place)
    }

    /// A message that was handed out is settled. One that none is known of is no error.
    pub(super) fn settled(&mut self, sequence: u64) {
        if let Some(group) = self.release(sequence) {
            self.line_up(group);
        }
    }

    fn release(&mut self, sequence: u64) -> Option<GroupKey> {
        let (key, is_kept_out) = self.out.remove(&sequence)?;
        let group = self.groups.get_mut(&key)?;
        group.out = group.out.saturating_sub(1);
        group.kept_out = group.kept_out.saturating_sub(u32::from(is_kept_out));
        if group.out == 0 {
            group.holder = ConsumerKey::NONE;
        }
        Some(key)
    }

    /// A message that was handed out comes back to its place.
    pub(super) fn give_back(&mut self, message: QueuedMessage) {
        let group = self.release(message.sequence);
        // One that was taken out of its place, and was not handed out, has its body.
        let group = group.unwrap_or_else(|| match &message.held {
            Held::Resident(body) => self.by.group_of(body, message.sequence),
            Held::Paged(_) => GroupKey::alone(message.sequence),
        });
        self.put(message, group);
        self.line_up(group);
    }

    /// A message that was handed out waits elsewhere: nobody gets the next of its group until it is
    /// back, and then who has others of the group does.
    pub(super) fn keep_out(&mut self, sequence: u64) {
        let Some((key, is_kept_out)) = self.out.get_mut(&sequence) else { return };
        let (key, was_kept_out) = (*key, std::mem::replace(is_kept_out, true));
        if let Some(group) = self.groups.get_mut(&key) {
            group.kept_out += u32::from(!was_kept_out);
        }
        self.line_up(key);
    }

    /// Puts a group where it belongs now: with the turn it had if it stood in a line, else at the end.
    fn line_up(&mut self, key: GroupKey) {
        let turn = self.step_out(key);
        let Some(group) = self.groups.get_mut(&key) else { return };
        let Some(front) = group.waiting.first().copied() else {
            if group.out == 0 {
                self.groups.remove(&key);
            }
            return;
        };
        let is_held = group.out > 0;
        if is_held && (group.kept_out > 0 || group.holder == ConsumerKey::NONE) {
            return;
        }
        let first = self.messages.get(&front);
        if first.is_none_or(|member| !member.message.held.is_resident()) {
            group.stand = Stand::Wanted(front);
            self.wanted.insert(front);
            return;
        }
        self.standing += 1;
        let entry = (front.0, turn.unwrap_or(self.turn), key);
        self.turn += 1;
        if is_held {
            let holder = group.holder;
            group.stand = Stand::Held(holder, entry.0, entry.1);
            self.holders.entry(holder).or_default().line.insert(entry);
            self.ask(holder);
        } else {
            group.stand = Stand::Free(entry.0, entry.1);
            self.free.insert(entry);
        }
    }

    /// Takes a group out of its line; returns the turn it had.
    fn step_out(&mut self, key: GroupKey) -> Option<u64> {
        let group = self.groups.get_mut(&key)?;
        match std::mem::take(&mut group.stand) {
            Stand::Nowhere => None,
            Stand::Wanted(place) => {
                self.wanted.remove(&place);
                None
            }
            Stand::Free(level, turn) => {
                self.free.remove(&(level, turn, key));
                self.standing -= 1;
                Some(turn)
            }
            Stand::Held(holder, level, turn) => {
                self.standing -= 1;
                self.leave(holder, (level, turn, key));
                Some(turn)
            }
        }
    }

    fn leave(&mut self, holder: ConsumerKey, entry: (Reverse<u8>, u64, GroupKey)) {
        if let Some(of) = self.holders.get_mut(&holder) {
            of.line.remove(&entry);
            if of.line.is_empty() && !of.asks {
                self.holders.remove(&holder);
            }
        }
    }

    /// A consumer has room, or there is something new in its line.
    pub(super) fn ask(&mut self, consumer: ConsumerKey) {
        if let Some(holder) = self.holders.get_mut(&consumer)
            && !holder.asks
            && !holder.line.is_empty()
        {
            holder.asks = true;
            self.asking.push_back(consumer);
        }
    }

    /// How many ask.
    pub(super) fn asking(&self) -> usize {
        self.asking.len()
    }

    /// A holder that may have something in its line, which it asks for no more.
    pub(super) fn next_asking(&mut self) -> Option<ConsumerKey> {
        let consumer = self.asking.pop_front()?;
        if let Some(holder) = self.holders.get_mut(&consumer) {
            holder.asks = false;
            if holder.line.is_empty() {
                self.holders.remove(&consumer);
            }
        }
        Some(consumer)
    }

    /// The priority of what anyone may have next.
    pub(super) fn free_level(&self) -> Option<u8> {
        self.free.first().map(|(level, ..)| level.0)
    }

    /// The priority of what this consumer may have next.
    pub(super) fn level_for(&self, consumer: ConsumerKey) -> Option<u8> {
        self.next_for(consumer).map(|(level, ..)| level.0)
    }

    fn next_for(&self, consumer: ConsumerKey) -> Option<(Reverse<u8>, u64, GroupKey)> {
        let own = self.holders.get(&consumer).and_then(|holder| holder.line.first());
        [own, self.free.first()].into_iter().flatten().min().copied()
    }

    /// Takes the message that this consumer is to have next; `ConsumerKey::NONE` is `basic.get`.
    pub(super) fn take_for(&mut self, consumer: ConsumerKey) -> Option<QueuedMessage> {
        let (_, _, key) = self.next_for(consumer)?;
        self.step_out(key);
        let group = self.groups.get_mut(&key)?;
        let place = group.waiting.pop_first()?;
        group.out += 1;
        group.holder = consumer;
        let Member { message, .. } = self.messages.remove(&place)?;
        self.out.insert(message.sequence, (key, false));
        self.line_up(key);
        Some(message)
    }

    /// The first message of the highest priority, or of the lowest.
    pub(super) fn first(&self, of_lowest: bool) -> Option<(u8, u64)> {
        let highest = self.messages.first_key_value();
        let first = match of_lowest {
            false => highest,
            true => {
                let (&(lowest, _), _) = self.messages.last_key_value()?;
                self.messages.range((lowest, 0)..).next()
            }
        };
        first.map(|(&(level, sequence), _)| (level.0, sequence))
    }

    /// Takes any message that waits.
    pub(super) fn take(&mut self, level: u8, sequence: u64) -> Option<QueuedMessage> {
        let place = (Reverse(level), sequence);
        let Member { message, group: key } = self.messages.remove(&place)?;
        let group = self.groups.get_mut(&key)?;
        let was_first = group.waiting.first() == Some(&place);
        group.waiting.remove(&place);
        if was_first {
            self.line_up(key);
        }
        Some(message)
    }

    /// A message that waits without its body.
    pub(super) fn paged(&self, level: u8, sequence: u64) -> Option<&QueuedMessage> {
        let member = self.messages.get(&(Reverse(level), sequence))?;
        Some(&member.message).filter(|message| !message.held.is_resident())
    }

    /// How many groups could be served at once, if there are consumers for them.
    pub(super) fn standing(&self) -> usize {
        self.standing
    }

    /// Whether groups wait for the bodies of their first messages.
    pub(super) fn wants_bodies(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Adds what is to be read of them: at most this much. Returns how many messages.
    pub(super) fn plan(&self, plan: &mut ReadingPlan, messages: usize, bytes: usize) -> usize {
        let fronts = self.wanted.iter().filter_map(|place| self.messages.get(place));
        let groups = fronts.filter_map(|member| self.groups.get(&member.group));
        let places = groups.flat_map(|group| group.waiting.iter().take(READ_A_GROUP));
        let members = places.filter_map(|place| self.messages.get(place));
        let mut all: Vec<(u64, Shelf)> = Vec::new();
        let mut planned = 0;
        for Member { message, .. } in members {
            let Held::Paged(stub) = &message.held else { continue };
            if all.len() >= messages || planned >= bytes {
                break;
            }
            planned += stub.size as usize;
            all.push((message.sequence, stub.shelf));
        }
        all.sort_unstable_by_key(|(sequence, _)| *sequence);
        all.iter().for_each(|(sequence, shelf)| plan.add(*sequence, *shelf));
        all.len()
    }

    /// A message that waits has its body again.
    pub(super) fn fill(&mut self, filled: QueuedMessage) {
        let place = place(&filled);
        let Some(Member { message, group }) = self.messages.get_mut(&place) else { return };
        *message = filled;
        let group = *group;
        let stand = self.groups.get(&group).map(|group| group.stand);
        if stand == Some(Stand::Wanted(place)) {
            self.line_up(group);
        }
    }

    /// Those of a priority, from this number on.
    pub(super) fn range(&self, level: u8, from: u64) -> impl Iterator<Item = &QueuedMessage> {
        let level = Reverse(level);
        let members = self.messages.range((level, from)..=(level, u64::MAX));
        members.map(|(_, member)| &member.message)
    }

    /// All messages that wait here.
    pub(super) fn iter(&self) -> impl Iterator<Item = &QueuedMessage> {
        self.messages.values().map(|member| &member.message)
    }

    /// The same without those that wait here: what is handed out stays known.
    pub(super) fn leave_behind(&self) -> Self {
        let mut left = Self::new(self.by.clone());
        left.turn = self.turn;
        left.out.clone_from(&self.out);
        for (key, group) in self.groups.iter().filter(|(_, group)| group.out > 0) {
            let Group { out, kept_out, holder, .. } = *group;
            left.groups.insert(*key, Group { out, kept_out, holder, ..Group::default() });
        }
        left
    }

    /// The messages that wait here, one by one.
    pub(super) fn into_messages(self) -> impl Iterator<Item = QueuedMessage> {
        self.messages.into_values().map(|member| member.message)
    }
}
