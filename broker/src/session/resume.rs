//! Whose turn it is when a channel or a connection has room for deliveries again.
//!
//! A consumer that was refused a delivery stands in a line in the outgoing buffer: its channel's, at
//! the channel-wide limit, or the connection's, when the buffer was full. Called by settlements and
//! by the dispatch when there is room. Stays true: whoever is served and may want more goes to the
//! end of its line, so consumers take strict turns; what it costs is what is served, however many
//! consumers there are.

use super::Dispatch;
use super::channel::Channel;
use super::context::Session;
use crate::outgoing::ledger::Ledger;

/// What a consumer gets at a time when the outgoing buffer has room again.
const MESSAGES_A_TURN: usize = 16;

impl Session {
    /// Lets the consumers of a channel go on that wait for room on it: one message each.
    pub(super) fn serve_held_back(&mut self, channel: &Channel) {
        let slot = channel.slot();
        while let Some(source) = self.next_held_back(channel) {
            let Some((queue, consumer)) = channel.sources().consumer(source) else { continue };
            if queue.serve(consumer, 1, &mut self.effects)
                && let Some(ledger) = self.handle.outbox().channel(slot)
            {
                ledger.wait_for_room(source);
            }
        }
    }

    fn next_held_back(&self, channel: &Channel) -> Option<crate::keys::SourceKey> {
        self.handle.outbox().channel(channel.slot()).and_then(Ledger::next_held_back)
    }
}

impl Dispatch {
    /// There is room in the outgoing buffer again: whoever waits for it goes on, until it is full.
    pub(crate) fn resume_consumers(&mut self) {
        let Self { session, channels, .. } = self;
        let mut waiting = session.handle.outbox().take_held_back();
        while let Some((slot, source)) = waiting.pop_front() {
            let number = session.handle.outbox().channel(slot).map(|ledger| {
                ledger.let_go(source);
                ledger.number()
            });
            let channel = number.and_then(|number| channels.open(number));
            let Some(channel) = channel.filter(|channel| channel.slot() == slot) else { continue };
            let Some((queue, consumer)) = channel.sources().consumer(source) else { continue };
            let more = queue.serve(consumer, MESSAGES_A_TURN, &mut session.effects);
            let mut outbox = session.handle.outbox();
            let is_new = |ledger: &mut Ledger| ledger.hold_back(source);
            if more && outbox.channel(slot).is_some_and(is_new) {
                waiting.push_back((slot, source));
            }
            if outbox.is_congested() {
                outbox.not_served(waiting);
                return;
            }
        }
    }
}
