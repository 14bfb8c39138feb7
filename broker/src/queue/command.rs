//! What can happen to a queue, as values that can be written down.
//!
//! `QueueState::apply` carries one out; `queue::Queue` gives the rare ones in this form, and the
//! frequent ones (runs of publishes and settlements, and what is handed out after them) straight to
//! the methods behind it. Stays true, and proven by the model test: commands with their facts,
//! written down, read again and applied to a new queue of the same kind, give the same queue.

use serde::{Deserialize, Serialize};

use super::consumers::ConsumerSettings;
use super::cursor::{Place, Which};
use super::deaths::Fate;
use super::paged::Shelf;
use super::ready::Taken;
use super::state::{Facts, Fetched, Full, QueueKind, QueueState, Verdict};
use crate::keys::{ConsumerKey, DeliveryKey, Outcome, WaitingPlace};
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
    /// Consumers are paused, or go on.
    Pause(bool),
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
    /// What became of dead letters that are published at least once.
    Learn(Vec<Fate>),
    /// There may be a way for those that stay.
    TryKeptSoon,
    /// They may be tried again.
    TryKept,
    /// Messages that wait for their time are taken back.
    Withdraw(Vec<WaitingPlace>),
    /// Messages go for good.
    Remove(Which, Vec<Place>),
    /// Messages are to be moved elsewhere.
    Lift(Which, Vec<Place>),
    /// What became of those.
    Land(Vec<(u64, Option<Message>)>),
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
    /// How many.
    Count(usize),
    /// Which are to be moved.
    Lifted(Vec<u64>),
}

impl QueueState {
    /// Carries out a command.
    pub(super) fn apply(&mut self, command: Command, facts: Facts) -> Reply {
        self.begin(facts);
        match command {
            Command::Admit(message) => return Reply::Admitted(self.admit(message)),
            Command::Consume(settings) => return Reply::Consumer(self.add_consumer(settings)),
            Command::Cancel(consumer) => return Reply::Is(self.remove_consumer(consumer)),
            Command::Serve(consumer, limit) => return Reply::Is(self.serve(consumer, limit)),
            Command::Get(no_ack) => return Reply::Fetched(self.get(no_ack)),
            Command::Withdraw(places) => return Reply::Count(self.withdraw(&places)),
            Command::Remove(which, places) => return Reply::Count(self.remove(which, &places)),
            Command::Lift(which, places) => return Reply::Lifted(self.lift(which, &places)),
            Command::Land(fates) => self.land(fates),
            Command::Purge => return Reply::Taken(self.purge()),
            Command::TakeIn(shelf, sequence, message) => {
                return Reply::Is(self.take_in(shelf, sequence, message));
            }
            Command::SetAside(shelf, sequence) => {
                return Reply::Is(self.set_aside(shelf, sequence));
            }
            Command::Publish(messages) => {
                messages.into_iter().for_each(|message| self.publish(message));
            }
            Command::Dispatch(limit) => _ = self.dispatch(limit),
            Command::Conclude(verdicts) => _ = self.conclude(&verdicts),
            Command::Settle(deliveries) => self.settle(deliveries.into_iter()),
            Command::Suspend => self.suspend(),
            Command::Unsuspend => self.unsuspend(),
            Command::Pause(is_paused) => self.pause(is_paused),
            Command::Expire => self.expire(),
            Command::Lapse => self.lapse(),
            Command::Touch => self.touch(),
            Command::Reconfigure(kind) => self.reconfigure(kind),
            Command::Learn(fates) => self.learn(fates),
            Command::TryKeptSoon => self.try_kept_soon(),
            Command::TryKept => self.try_kept(),
            Command::Buried(count) => self.buried(count),
        }
        Reply::Done
    }
}
