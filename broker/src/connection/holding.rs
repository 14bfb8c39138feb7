//! What holds a connection back: alarms, the disk, queues whose consumers are to catch up, and a
//! client that does not read.
//!
//! Part of the connection's loop, which asks before it reads or handles anything. Others see it as
//! `outgoing::pressure`. Stays true: only who publishes is held back for want of resources, and a
//! client that wants to know is told of alarms (`connection.blocked`). See RabbitMQ's page on blocked
//! connections.

use leveret_protocol::methods::connection;
use tokio::time::Instant;

use super::Connection;
use crate::clock;
use crate::outgoing::pressure::{Cause, State};
use crate::queue::Queue;
use crate::session::REPLY_BYTES_MAX;
use crate::stores::Messages;

/// Waits until a queue that holds too much has room again; for ever if there is none.
pub(super) async fn relief(queue: Option<&Queue>) {
    match queue {
        // Boxed: rarely there, and no part of every connection.
        Some(queue) => Box::pin(queue.relieved()).await,
        None => std::future::pending().await,
    }
}

/// Waits until the message stores have room.
pub(super) async fn room(messages: &Messages) {
    // Boxed, as above.
    Box::pin(messages.room()).await;
}

/// Waits until then; for ever if it is never.
pub(super) async fn resumption(at: Option<Instant>) {
    match at {
        // Boxed: hardly ever there, it would be a part of every connection.
        Some(at) => Box::pin(tokio::time::sleep_until(at)).await,
        None => std::future::pending().await,
    }
}

impl Connection {
    /// Whether the client has to read before it is read from; its connection has mail once it did.
    /// Never when the socket failed: what is owed then stays owed.
    pub(super) fn owes_too_much(&self) -> bool {
        !self.writer.is_finished() && self.handle.outbox().owes_more_than(REPLY_BYTES_MAX)
    }

    /// Whether the message stores have to write before more is published. A client that consumes
    /// is read on: its acks make room.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowds() && !self.dispatch.consumes()
    }

    /// Whether the message stores have more to write than they should, of this client's too: who
    /// publishes what never reaches a disk does not wait for those who fill it.
    pub(super) fn crowds(&self) -> bool {
        self.dispatch.session.effects.has_filled() && self.broker.messages().is_crowded()
    }

    /// What it filled counts until the stores have room.
    pub(super) fn forget_filling(&mut self) {
        if self.dispatch.session.effects.has_filled() && !self.broker.messages().is_crowded() {
            self.dispatch.session.effects.forget_filling();
        }
    }

    /// Lets others know how it is held back, if that changed.
    pub(super) fn note_hold(&mut self, owes: bool, crowded: bool) {
        let hold = self.held_by(owes, crowded);
        if hold != self.hold {
            self.hold = hold;
            let over_budget = self.dispatch.session.waits_for().filter(|_| hold.1 == Cause::Budget);
            let gated_by = self.waiting.gated_by().filter(|_| hold.1 == Cause::Queue);
            let paced_by = self.dispatch.session.pacing.pause();
            let paced_by = paced_by.filter(|pause| hold.1 == pause.cause);
            let paced_by = paced_by.and_then(|pause| pause.queue.as_deref());
            let queue = over_budget.map(|queue| &**queue).or(gated_by).or(paced_by);
            let queue = queue.map(Queue::name);
            self.handle.pressure().note(hold.0, hold.1, queue, clock::unix_millis());
        }
    }

    fn held_by(&self, owes: bool, crowded: bool) -> (State, Cause) {
        let alarm = self.alarm();
        let budget = self.dispatch.session.waits_for().map(|_| Cause::Budget);
        let pause = self.dispatch.session.pacing.pause();
        match alarm {
            _ if self.parked => match (alarm.or(budget), pause) {
                (Some(cause), _) => (State::Blocked, cause),
                (None, Some(pause)) => (State::Flow, pause.cause),
                (None, None) => (State::Blocked, Cause::Store),
            },
            Some(cause) if self.told_blocked => (State::Blocked, cause),
            Some(cause) => (State::Blocking, cause),
            None if budget.is_some() => (State::Blocked, Cause::Budget),
            None if crowded || self.waiting.is_for_room() => (State::Flow, Cause::Backlog),
            None if self.waiting.gated_by().is_some() => (State::Flow, Cause::Queue),
            None if owes => (State::Flow, Cause::Unread),
            None => (State::Running, Cause::None),
        }
    }

    fn alarm(&self) -> Option<Cause> {
        let alarms = self.broker.alarms();
        match (alarms.is_memory_low(), alarms.is_disk_low()) {
            (false, false) => None,
            (true, false) => Some(Cause::Memory),
            (false, true) => Some(Cause::Disk),
            (true, true) => Some(Cause::DiskAndMemory),
        }
    }

    /// Tells a publishing client that it is blocked or no longer blocked.
    pub(super) fn on_alarms(&mut self) {
        let session = &self.dispatch.session;
        let reason = session.blocked_reason();
        let is_told = session.capabilities.connection_blocked;
        match reason {
            Some(reason) if session.has_published() && !self.told_blocked => {
                self.told_blocked = true;
                if is_told {
                    session.reply(0, &connection::Blocked { reason: &reason });
                }
            }
            None if self.told_blocked => {
                self.told_blocked = false;
                if is_told {
                    session.reply(0, &connection::Unblocked {});
                }
            }
            Some(_) | None => {}
        }
        self.dispatch.flush();
    }

    /// A client that publishes while an alarm is raised is told at its first publish.
    pub(super) fn tell_if_blocked(&mut self) {
        if !self.told_blocked && self.dispatch.session.blocked_reason().is_some() {
            self.on_alarms();
        }
    }

    /// Nothing forbids any more what a publish waits for: it is looked at again.
    pub(super) fn unpark(&mut self) {
        if self.parked {
            let Self { broker, dispatch, .. } = self;
            self.parked = broker.alarms().reason().is_some()
                || dispatch.session.is_over_budget()
                || dispatch.session.pacing.is_paused()
                || broker.messages().refuses();
        }
    }
}
