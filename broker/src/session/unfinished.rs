//! What is too much for one step: large settlements, and the ends of channels and of the connection.
//!
//! Called by the dispatch before it looks at a frame and at the end of a read, and by the connection
//! when it ends. Stays true: while something is unfinished no later frame of the connection is looked
//! at, so a client sees the effects of its methods in their order; every step is a few milliseconds
//! of work at most, and others run between two.

use super::channel_table::Lookup;
use super::step::Step;
use super::{Dispatch, EndingChannel, PUBLISH, Session};
use crate::error::{AmqpError, Failure};

/// Channels that end in one step.
const CHANNELS_A_STEP: usize = 256;

impl Dispatch {
    /// Whether something the client sent was too much for one step.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.interrupted || !self.ending.is_empty() || self.unpublished.is_some()
    }

    /// Goes on with what was too much for one step. False while there is more to be done.
    pub(super) fn go_on(&mut self) -> Result<bool, Failure> {
        let settled = self.settle_noted();
        Ok(self.close_if_failed(settled)? && self.end_channels() && self.publish_held()?)
    }

    /// Goes on with a message of which it was not known whether the user may publish it. False while
    /// it is not.
    pub(super) fn publish_held(&mut self) -> Result<bool, Failure> {
        if self.is_asking() {
            return Ok(self.unpublished.is_none());
        }
        let Some(number) = self.unpublished.take() else { return Ok(true) };
        let Lookup::Open(channel) = self.channels.get(number) else { return Ok(true) };
        match channel.publish(&mut self.session) {
            Ok(()) => Ok(true),
            Err(error) => self.unpublished(number, error).map(|_| false),
        }
    }

    /// A message was not published: the user may not, or it is to be found out whether it may.
    #[cold]
    pub(super) fn unpublished(&mut self, number: u16, error: AmqpError) -> Result<Step, Failure> {
        if self.is_asking() {
            self.unpublished = Some(number);
            return Ok(Step::Ask);
        }
        self.session.rights().method_done();
        Err(Failure { channel: number, error, method: PUBLISH })
    }

    /// Whether it has to be found out what the user may do.
    pub(super) fn is_asking(&self) -> bool {
        self.session.rights().asked().is_some()
    }

    /// Goes on with the ends of channels. False while there is more to be done.
    pub(super) fn end_channels(&mut self) -> bool {
        let mut ended = 0;
        while let Some(EndingChannel { channel, consumers, frames }) = self.ending.front_mut() {
            if ended == CHANNELS_A_STEP || !channel.end_step(&mut self.session) {
                return false;
            }
            ended += 1;
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
        let open = self.channels.drain();
        self.ending.extend(open.map(|channel| EndingChannel::new(channel, Vec::new())));
        let done = self.end_channels() && self.session.end_changes_of_connection();
        let Session { effects, broker, .. } = &mut self.session;
        effects.carry_out(broker.messages());
        done
    }
}
