//! What can happen to a queue, as values that can be written down.
//!
//! `QueueState::apply` carries one out; `queue::Queue` gives the rare ones in this form, and the
//! frequent ones (runs of publishes and settlements, and what is handed out after them) straight to
//! the methods behind it. Stays true, and proven by the model test: commands with their facts,
//! written down, read again and applied to a new queue of the same kind, give the same queue.

use serde::{Deserialize, Serialize};

use super::consumers::ConsumerSettings;
use super::paged::Shelf;
use super::ready::Taken;
use super::state::{Facts, Fetched, Full, QueueKind, QueueState, Verdict};
use crate::keys::{ConsumerKey, DeliveryKey, Outcome};
use crate::message::Message;

/// See the module documentation. What each does, the method of `QueueState` with its name says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Command {
    /// A message arrives; it may be refused.
    Admit(Message),
    /// Messages of a run arrive.
    Publish(Vec<Message>),
    /// A consumer comes.
    Consume(ConsumerSettings),
    /// A consumer goes.
    Cancel(ConsumerKey),
    /// So many messages at most are to be handed out.
    Dispatch(usize),
    /// A consumer that was held back gets so many at most.
    Serve(ConsumerKey, usize),
    /// What became of the deliveries on their way.
    Conclude(Vec<Verdict>),
    /// `basic.get`; with `true` the message needs no settling.
    Get(bool),
    /// Deliveries are settled.
    Settle(Vec<(DeliveryKey, Outcome)>),
    /// Several steps of giving back begin.
    Suspend,
    /// They are over.
    Unsuspend,
    /// All ready messages go.
    Purge,
    /// A body was read.
    TakeIn(Shelf, u64, Message),
    /// A body cannot be read.
    SetAside(Shelf, u64),
    /// The time has come for something.
    Expire,
    /// A consumer's time may be up.
    Lapse,
    /// Somebody asked for the queue.
    Touch,
    /// The bodies of so many dead messages were read.
    Buried(usize),
    /// Other limits and times count from now on.
    Reconfigure(QueueKind),
}

/// What a command is answered with.
#[derive(Debug)]
pub(super) enum Reply {
    /// Nothing.
    Done,
    /// Whether a message was taken, and where.
    Admitted(Result<u64, Full>),
    /// The new consumer.
    Consumer(ConsumerKey),
    /// Whether what was named is, or was, there.
    Is(bool),
    /// A message, perhaps.
    Fetched(Fetched),
    /// What was purged.
    Taken(Taken),
}

impl QueueState {
    /// Carries out a command.
    pub(super) fn apply(&mut self, command: Command, facts: Facts) -> Reply {
        self.begin(facts);
        match command {
            Command::Admit(message) => Reply::Admitted(self.admit(message)),
            Command::Publish(messages) => {
                messages.into_iter().for_each(|message| self.publish(message));
                Reply::Done
            }
            Command::Consume(settings) => Reply::Consumer(self.add_consumer(settings)),
            Command::Cancel(consumer) => Reply::Is(self.remove_consumer(consumer)),
            Command::Dispatch(limit) => {
                self.dispatch(limit);
                Reply::Done
            }
            Command::Serve(consumer, limit) => Reply::Is(self.serve(consumer, limit)),
            Command::Conclude(verdicts) => {
                self.conclude(&verdicts);
                Reply::Done
            }
            Command::Get(no_ack) => Reply::Fetched(self.get(no_ack)),
            Command::Settle(deliveries) => {
                self.settle(deliveries.into_iter());
                Reply::Done
            }
            Command::Suspend => {
                self.suspend();
                Reply::Done
            }
            Command::Unsuspend => {
                self.unsuspend();
                Reply::Done
            }
            Command::Purge => Reply::Taken(self.purge()),
            Command::TakeIn(shelf, sequence, message) => {
                Reply::Is(self.take_in(shelf, sequence, message))
            }
            Command::SetAside(shelf, sequence) => Reply::Is(self.set_aside(shelf, sequence)),
            Command::Expire => {
                self.expire();
                Reply::Done
            }
            Command::Lapse => {
                self.lapse();
                Reply::Done
            }
            Command::Touch => {
                self.touch();
                Reply::Done
            }
            Command::Reconfigure(kind) => {
                self.reconfigure(kind);
                Reply::Done
            }
            Command::Buried(count) => {
                self.buried(count);
                Reply::Done
            }
        }
    }
}
