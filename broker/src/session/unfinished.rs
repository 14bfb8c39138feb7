//! What is too much for one step: large settlements, and the ends of channels and of the connection.
//!
//! Called by the dispatch before it looks at a frame and at the end of a read, and by the connection
//! when it ends. Stays true: while something is unfinished no later frame of the connection is looked
//! at, so a client sees the effects of its methods in their order; every step is a few milliseconds
//! of work at most, and others run between two.

use super::{Dispatch, EndingChannel, Session};
use crate::error::Failure;

impl Dispatch {
    /// Whether something the client sent was too much for one step.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.interrupted || !self.ending.is_empty()
    }

    /// Goes on with what was too much for one step. False while there is more to be done.
    pub(super) fn go_on(&mut self) -> Result<bool, Failure> {
        let settled = self.settle_noted();
        Ok(self.close_if_failed(settled)? && self.end_channels())
    }

    /// Goes on with the ends of channels. False while there is more to be done.
    pub(super) fn end_channels(&mut self) -> bool {
        while let Some(EndingChannel { channel, consumers, frames }) = self.ending.front_mut() {
            if !channel.end_step(&mut self.session) {
                return false;
            }
            self.session.send(frames);
            self.session.tell_of_channels_end(channel.number(), *consumers);
            self.ending.pop_front();
        }
        true
    }

    /// Ends everything the connection has, at once: its task is no more.
    pub(crate) fn end(&mut self) {
        while !self.end_step() {}
    }

    /// A step of the end of everything the connection has: what it published is handed over, what it
    /// has not settled goes back, its consumers and its exclusive queues go. False while there is
    /// more to be done.
    pub(crate) fn end_step(&mut self) -> bool {
        self.hand_over();
        let open = self.channels.drain().into_iter();
        self.ending.extend(open.map(|channel| EndingChannel::new(channel, Vec::new())));
        let done = self.end_channels() && self.session.end_changes_of_connection();
        let Session { effects, broker, .. } = &mut self.session;
        effects.carry_out(broker.messages());
        done
    }
}
