//! What is ready in a queue that serves by groups: a window, in which groups are known, before the
//! tails, in which they are not.
//!
//! A room of `queue::ready`; `queue::groups` is the window. Stays true: what comes behind a tail of its
//! priority goes into that tail, so nothing of a group overtakes another of it; nothing goes out while
//! a higher priority has a tail, but for a window that is full.

use super::super::groups::{Groups, WINDOW_MAX};
use super::super::held::{Held, QueuedMessage};
use super::super::level::Level;
use super::super::paged::ReadingPlan;
use super::{Filled, Popped, Ready};
use crate::keys::ConsumerKey;
use crate::message::Message;

impl Ready {
    /// The groups, if it serves by groups.
    pub(in crate::queue) fn groups(&mut self) -> Option<&mut Groups> {
        self.groups.as_deref_mut()
    }

    /// Whether it serves by groups.
    pub(in crate::queue) fn is_grouped(&self) -> bool {
        self.groups.is_some()
    }

    /// A message that was handed out is done with here.
    #[inline]
    pub(in crate::queue) fn settled(&mut self, sequence: u64) {
        if let Some(groups) = &mut self.groups {
            groups.settled(sequence);
        }
    }

    /// Whether there is something for whoever asks first.
    pub(in crate::queue) fn has_free(&self) -> bool {
        let level = self.groups.as_ref().and_then(|groups| groups.free_level());
        level.is_some_and(|level| self.is_open_at(level))
    }

    /// Whether what is next is something that this consumer may have.
    pub(in crate::queue) fn is_for(&self, consumer: ConsumerKey) -> bool {
        self.groups.is_none() || self.has_for(consumer)
    }

    /// Takes what this consumer is to have next, if its body is here.
    pub(in crate::queue) fn pop_for(&mut self, consumer: ConsumerKey) -> Option<QueuedMessage> {
        if self.groups.is_some() {
            return self.take_for(consumer);
        }
        match self.pop() {
            Popped::Message(message) => Some(message),
            Popped::NotResident | Popped::Nothing => None,
        }
    }

    /// Whether there is something for this consumer.
    pub(in crate::queue) fn has_for(&self, consumer: ConsumerKey) -> bool {
        let level = self.groups.as_ref().and_then(|groups| groups.level_for(consumer));
        level.is_some_and(|level| self.is_open_at(level))
    }

    /// Takes the message that this consumer is to have next.
    pub(in crate::queue) fn take_for(&mut self, consumer: ConsumerKey) -> Option<QueuedMessage> {
        let message = self.groups.as_mut()?.take_for(consumer)?;
        self.count_out(&message);
        Some(message)
    }

    /// Whether nothing of a higher priority has to be read first.
    fn is_open_at(&self, level: u8) -> bool {
        let above = self.levels.get(usize::from(level) + 1..).unwrap_or_default();
        self.is_window_full() || !above.iter().any(|level| level.has_tail())
    }

    pub(super) fn is_window_full(&self) -> bool {
        self.groups.as_ref().is_some_and(|groups| groups.len() >= WINDOW_MAX)
    }

    /// Adds a message that is to be in the window.
    pub(super) fn push_grouped(&mut self, message: QueuedMessage) {
        let (Some(groups), Held::Resident(body)) = (&mut self.groups, &message.held) else {
            return;
        };
        let group = groups.group_of(body, message.sequence);
        groups.insert(message, group);
    }

    /// What `basic.get` takes.
    pub(super) fn pop_free(&mut self) -> Popped {
        if self.has_free() {
            return self.take_for(ConsumerKey::NONE).map_or(Popped::Nothing, Popped::Message);
        }
        if self.is_read_ahead(1, usize::MAX) { Popped::Nothing } else { Popped::NotResident }
    }

    /// `is_read_ahead`, by groups: so many of them could be served, and nothing has to be read first.
    pub(super) fn is_window_read(&self, groups_wanted: usize) -> bool {
        let Some(groups) = &self.groups else { return true };
        if groups.wants_bodies() {
            return false;
        }
        let Some(tail) = self.levels.iter().rposition(|level| level.has_tail()) else {
            return true;
        };
        let serves_first = groups.free_level().is_some_and(|level| usize::from(level) >= tail);
        self.is_window_full() || (serves_first && groups.standing() >= groups_wanted)
    }

    /// `plan_reading`, by groups: first what groups wait for, then what fills the window.
    pub(super) fn plan_window(&self, messages: usize, bytes: usize) -> ReadingPlan {
        let mut plan = ReadingPlan::default();
        let Some(groups) = &self.groups else { return plan };
        let planned = groups.plan(&mut plan, messages, bytes);
        let room = WINDOW_MAX.saturating_sub(groups.len()).min(messages);
        let mut planned_bytes = 0;
        let tails = self.levels.iter().rev().flat_map(|level| level.tail());
        for message in tails.take(room.saturating_sub(planned)) {
            if planned_bytes >= bytes {
                break;
            }
            planned_bytes += message.stub.size as usize;
            plan.add(message.sequence, message.stub.shelf);
        }
        plan
    }

    /// `fill`, by groups. A body that is not needed soon is left where it is when there is no room.
    pub(super) fn fill_window(
        &mut self,
        level: u8,
        sequence: u64,
        body: Message,
        room: usize,
    ) -> Filled {
        let Some(groups) = &self.groups else { return Filled::Unwanted };
        if let Some(before) = groups.paged(level, sequence).cloned() {
            let after = with_body(&before, body.clone());
            self.recount(&before, &after);
            if let Some(groups) = &mut self.groups {
                groups.fill(after);
            }
            return Filled::Kept;
        }
        let group = groups.group_of(&body, sequence);
        let is_kept = self.resident_bytes < room || groups.is_idle(group);
        let at = usize::from(level);
        let is_next = self.levels.get(at).and_then(Level::tail_front) == Some(sequence);
        let from_tail = if is_next { self.pop_paged(at) } else { None };
        let Some(mut message) = from_tail else { return Filled::Unwanted };
        if is_kept {
            let after = with_body(&message, body);
            self.recount(&message, &after);
            message = after;
        }
        if let Some(groups) = &mut self.groups {
            groups.insert(message, group);
        }
        if is_kept { Filled::Kept } else { Filled::Left }
    }

    fn recount(&mut self, before: &QueuedMessage, after: &QueuedMessage) {
        self.count_out(before);
        self.count_in(after);
    }

    /// Takes a message out of the window that waits without its body.
    pub(super) fn take_paged_grouped(&mut self, level: u8, sequence: u64) -> Option<QueuedMessage> {
        let groups = self.groups.as_mut()?;
        groups.paged(level, sequence)?;
        groups.take(level, sequence)
    }

    /// What would be dropped first, if it is in the window: priority and sequence number.
    pub(super) fn first_grouped(&self, of_lowest: bool) -> Option<(u8, u64)> {
        let (level, sequence) = self.groups.as_ref()?.first(of_lowest)?;
        let (level_at, has_tail) = (usize::from(level), |level: &Level| level.has_tail());
        let (below, above) = self.levels.split_at_checked(level_at).unwrap_or_default();
        let above = above.get(1..).unwrap_or_default();
        let is_first = match of_lowest {
            true => !below.iter().any(has_tail),
            false => !above.iter().any(has_tail),
        };
        is_first.then_some((level, sequence))
    }
}

fn with_body(message: &QueuedMessage, body: Message) -> QueuedMessage {
    let arrived_ms = match &message.held {
        Held::Paged(stub) => stub.arrived_ms,
        Held::Resident(body) => body.arrived_ms(),
    };
    QueuedMessage { held: Held::Resident(body.arrived_at(arrived_ms)), ..message.clone() }
}
