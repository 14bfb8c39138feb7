//! What the channels of one connection share, and what they may ask of it.
//!
//! Owned by the connection's task and lent to each channel method. Stays true: everything that was
//! collected here (messages to hand over, settlements, confirms, effects) is carried
//! out before the task waits for its socket again.

use std::borrow::Cow;
use std::sync::Arc;

use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::MethodFrame;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::answers::Answers;
use super::pacing::Pacing;
use super::routes::Routes;
use super::settlements::Settlements;
use super::step::Step;
use crate::auth::authority::{Access, Rights};
use crate::auth::explain::Wish;
use crate::auth::rights::Permission;
use crate::broker::admission::{Admission, Full, Seat};
use crate::broker::{Broker, Limits};
use crate::error::{AmqpError, ChannelError, ConnectionError, ResourceName};
use crate::events::clients::Connection;
use crate::keys::{ChannelSlot, QueueId};
use crate::message::Message;
use crate::meters::channels::ChannelMeter;
use crate::meters::publishing::PublisherPlace;
use crate::names;
use crate::outgoing::ConnectionHandle;
use crate::queue::taps::{Delivered, Tap, is_of_firehose};
use crate::queue::{Effects, Got, Queue};
use crate::vhost::Vhost;
use crate::vhost::topology::{Refusal, Refused};

/// The extensions a client says it understands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientCapabilities {
    /// Wants basic.cancel from the server when a consumer's queue goes.
    pub consumer_cancel_notify: bool,
    /// Wants connection.blocked and connection.unblocked.
    pub connection_blocked: bool,
    /// Wants connection.close, not silence, when its login fails.
    pub authentication_failure_close: bool,
}

/// Who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct LoggedIn {
    /// The user's name.
    pub user: String,
    /// Whether it may set any user-id on messages (tag `impersonator`).
    pub may_impersonate: bool,
    /// What it may do in the vhost.
    pub rights: Rights,
    /// Its place among the connections of its user and vhost.
    pub admission: Arc<Admission>,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Session {
    /// The broker.
    pub broker: Arc<Broker>,
    /// The vhost the connection opened.
    pub vhost: Arc<Vhost>,
    /// This connection, as others see it.
    pub handle: Arc<ConnectionHandle>,
    /// What the client understands.
    pub capabilities: ClientCapabilities,
    /// What the client is told once it is on disk.
    pub(super) answers: Answers,
    /// What commands to queues left to be done.
    pub effects: Effects,
    /// Known routes, and routed messages on their way.
    pub(crate) routes: Routes,
    /// Messages that new bindings brought along, until they are counted as work.
    pub(crate) caught_up: usize,
    /// Memory for settling.
    pub(crate) settlements: Settlements,
    /// Those of the moment when the connection was opened.
    limits: Arc<Limits>,
    login: LoggedIn,
    /// Why the user was refused something, for the log.
    why_refused: Mutex<Option<String>>,
    /// How often the user's rights had changed when routes were remembered.
    rights_seen: u64,
    exclusive_queues: FxHashMap<QueueId, Arc<Queue>>,
    /// Those still to be deleted at the connection's end.
    going_queues: Vec<Arc<Queue>>,
    /// Channels with publishes to confirm.
    unconfirmed: SmallVec<[u16; 4]>,
    published: bool,
    is_traced: bool,
    /// What was published, and where it went, until the firehose is told.
    tapped: Vec<(Tap, Vec<Arc<Queue>>)>,
    /// What is told of the connection, until it was told of its end.
    pub(super) told_as: Option<Arc<Connection>>,
    published_under_alarm: u32,
    /// It published to this queue, which holds more than it may, or whose vhost does.
    pub(super) over_budget: Option<Arc<Queue>>,
    /// How fast it may publish.
    pub(crate) pacing: Pacing,
    /// What it publishes, counted.
    pub(crate) meter: PublisherPlace,
    /// It consumes, and is only slowed down for budgets.
    pub(super) is_spared: bool,
    lets_all_in: bool,
    /// Each of its consumers has one more.
    consumers: Arc<()>,
}

/// Queues deleted in one step of a connection's end.
const EXCLUSIVE_QUEUES_A_STEP: usize = 64;
/// Publishes taken from a connection after an alarm was raised, so that acks behind them are read.
const PUBLISHES_UNDER_ALARM_MAX: u32 = 1000;

impl Session {
    /// For a connection that has just been opened.
    pub(crate) fn new(
        broker: Arc<Broker>,
        vhost: Arc<Vhost>,
        handle: Arc<ConnectionHandle>,
        capabilities: ClientCapabilities,
        login: LoggedIn,
    ) -> Self {
        let limits = broker.limits();
        let of_user = broker.users().publish_rates(&login.user);
        let pacing = Pacing::new(of_user, Arc::clone(vhost.publish_rates()));
        Self {
            pacing,
            meter: vhost.publishers().enter(handle.octets()),
            broker,
            limits,
            vhost,
            handle,
            capabilities,
            answers: Answers::default(),
            effects: Effects::default(),
            routes: Routes::default(),
            caught_up: 0,
            settlements: Settlements::default(),
            rights_seen: login.rights.changes(),
            login,
            why_refused: Mutex::default(),
            exclusive_queues: FxHashMap::default(),
            going_queues: Vec::new(),
            unconfirmed: SmallVec::new(),
            published: false,
            is_traced: false,
            tapped: Vec::new(),
            told_as: None,
            published_under_alarm: 0,
            consumers: Arc::default(),
            over_budget: None,
            is_spared: false,
            lets_all_in: false,
        }
    }

    /// The user's name.
    pub(crate) fn user_name(&self) -> &str {
        &self.login.user
    }

    /// What the user may do.
    pub(crate) fn rights(&self) -> &Rights {
        &self.login.rights
    }

    /// Whether the user may publish in others' names.
    pub(crate) fn may_impersonate(&self) -> bool {
        let token = self.login.rights.token();
        token.map_or(self.login.may_impersonate, |token| token.may_impersonate())
    }

    /// The connection ends, and counts no more for the limits of its user and vhost.
    pub(crate) fn leave(&self) {
        self.login.admission.leave();
    }

    /// A place for another channel of the user.
    pub(super) fn open_channel(&self) -> Result<Seat, ConnectionError> {
        let user = &self.login.user;
        let limits = (self.broker.users().limits(user).max_channels, self.limits().channels);
        self.login.admission.open_channel(limits).map_err(|full| {
            ConnectionError::NotAllowed(match full {
                Full::User(limit) => format!(
                    "number of channels opened for user '{user}' has reached the maximum allowed \
                     user limit of {limit}"
                ),
                Full::Node(limit) => format!(
                    "number of channels opened on node '{}' has reached the maximum allowed limit \
                     of {limit}",
                    names::node()
                ),
            })
        })
    }

    /// Makes room for the deliveries of a channel. With what counts for it.
    pub(super) fn open_slot(&self, number: u16) -> (ChannelSlot, Arc<ChannelMeter>) {
        let mut outbox = self.handle.outbox();
        let slot = outbox.open_channel(number);
        let Some(ledger) = outbox.channel(slot) else { return (slot, Arc::default()) };
        if let Some(most) = self.limits.unacked_per_channel {
            ledger.set_most(most);
        }
        (slot, Arc::clone(ledger.meter()))
    }

    /// The configured limits.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Encodes a reply.
    pub(crate) fn reply<M: MethodFrame>(&self, channel: u16, method: &M) {
        write_method(self.handle.outbox().frames(), channel, method);
    }

    /// Adds whole frames that were encoded elsewhere. None are no activity: heartbeats go on.
    pub(crate) fn send(&self, frames: &[u8]) {
        if !frames.is_empty() {
            self.handle.outbox().frames().extend_from_slice(frames);
        }
    }

    /// 403 unless the user has this permission on the name. An error as well while that is not known
    /// yet, which is no answer to the client: see `Session::rights`.
    pub(crate) fn check(
        &self,
        permission: Permission,
        resource: &ResourceName,
        name: &str,
    ) -> Result<(), ChannelError> {
        let more = match self.login.rights.access(permission, resource.kind(), name) {
            Access::Granted => return Ok(()),
            Access::Refused(more) => {
                self.note_why(Wish { permission, vhost: self.vhost.name(), name, key: None });
                more
            }
            Access::Unknown => String::new(),
        };
        let refused = ChannelError::AccessRefused {
            permission: permission.name(),
            resource: resource.clone(),
            user: self.login.user.clone(),
        };
        Err(if more.is_empty() {
            refused
        } else {
            ChannelError::Refused(format!("{refused}{more}"))
        })
    }

    /// Why the user may not, for the log.
    #[cold]
    fn note_why(&self, wish: Wish<'_>) {
        let because = self.login.rights.explain(&wish);
        *self.why_refused.lock() = because.map(|because| because.sentence);
    }

    /// Why the last check refused, if it did; told once.
    pub(super) fn take_why(&self) -> Option<String> {
        self.why_refused.lock().take()
    }

    /// 403 unless the user may use this routing key with a topic exchange.
    pub(crate) fn check_topic(
        &self,
        permission: Permission,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), ChannelError> {
        let more = match self.login.rights.topic_access(permission, exchange, routing_key) {
            Access::Granted => return Ok(()),
            Access::Refused(more) => {
                let (vhost, name, key) = (self.vhost.name(), exchange, Some(routing_key));
                self.note_why(Wish { permission, vhost, name, key });
                more
            }
            Access::Unknown => String::new(),
        };
        Err(ChannelError::Refused(format!(
            "{} access to topic '{routing_key}' in {} refused for user '{}'{more}",
            permission.name(),
            self.vhost.exchange_name(exchange),
            self.login.user,
        )))
    }

    /// Forgets the routes that were found with rights that have changed since.
    #[inline]
    pub(crate) fn heed_rights(&mut self) {
        let changes = self.login.rights.changes();
        if changes != self.rights_seen {
            self.rights_seen = changes;
            self.routes.forget_all(&mut self.effects);
        }
    }

    /// 403 unless the user has some permission on the name: what a passive declare asks for.
    pub(crate) fn check_any(
        &self,
        resource: &ResourceName,
        name: &str,
    ) -> Result<(), ChannelError> {
        for permission in [Permission::Read, Permission::Write] {
            match self.login.rights.access(permission, resource.kind(), name) {
                Access::Granted => return Ok(()),
                Access::Refused(_) => {}
                Access::Unknown => return self.check(permission, resource, name),
            }
        }
        self.check(Permission::Configure, resource, name)
    }

    /// The queue, if this connection may use it.
    pub(crate) fn open_queue(&self, name: &str) -> Result<Arc<Queue>, ChannelError> {
        self.vhost.open_queue(name, self.handle.id())
    }

    /// Nothing is confirmed before the definitions of these queues are on disk.
    pub(crate) fn await_definitions(&mut self, queues: &[Arc<Queue>]) {
        let durable = self.vhost.defined(queues);
        if !durable.is_now() {
            self.answers.push(durable, Vec::new());
        }
    }

    /// What is left to be done after a change of the topology. One that was refused because of
    /// something that is not on disk yet is told so only once that is.
    pub(crate) fn after_change(&mut self, step: Result<Step, Refusal>) -> Result<Step, AmqpError> {
        match step {
            Ok(step) => Ok(step),
            Err(Refusal::Later) => Ok(Step::Again),
            Err(Refusal::Error(refused)) => {
                let Refused { error, durable } = *refused;
                if !durable.is_now() {
                    self.answers.push(durable, Vec::new());
                }
                Err(error)
            }
        }
    }

    /// Remembers an exclusive queue of this connection.
    pub(crate) fn owns(&mut self, queue: &Arc<Queue>) {
        let queues = &mut self.exclusive_queues;
        if queues.len() == queues.capacity() {
            // Those that were deleted meanwhile make room; doubled, so that it is rarely done.
            queues.retain(|_, known| !known.is_deleted());
            queues.reserve(queues.len() + 1);
        }
        queues.insert(queue.id(), Arc::clone(queue));
    }

    /// Deletes this connection's exclusive queues, some at a time, and ends the changes it began: it
    /// ends. False while there is more to be done.
    pub(crate) fn end_changes(&mut self) -> bool {
        self.going_queues.extend(self.exclusive_queues.drain().map(|(_, queue)| queue));
        let rest = self.going_queues.len().saturating_sub(EXCLUSIVE_QUEUES_A_STEP);
        for queue in self.going_queues.drain(rest..) {
            self.vhost.delete_with_connection(&queue);
        }
        if rest == 0 && self.answers.are_waiting() {
            self.vhost.settle();
        }
        rest == 0
    }

    /// A channel has a publish to confirm.
    pub(crate) fn note_confirms(&mut self, channel: u16) {
        if self.unconfirmed.last() != Some(&channel) && !self.unconfirmed.contains(&channel) {
            self.unconfirmed.push(channel);
        }
    }

    /// Looks whether the firehose is told of what the client does: once a read.
    pub(crate) fn note_whether_traced(&mut self) {
        self.is_traced = self.vhost.is_traced();
    }

    /// Whether the firehose is told of what the client does.
    #[inline]
    pub(crate) fn is_traced(&self) -> bool {
        self.is_traced
    }

    /// The firehose is told of a message that goes to these queues.
    #[cold]
    pub(crate) fn tap_published(&mut self, channel: u16, message: &Message, to: Vec<Arc<Queue>>) {
        let tap = self.tap(channel, message);
        self.tapped.push((tap, to));
    }

    /// The firehose is told of a message that the client got without consuming.
    #[cold]
    pub(crate) fn tap_got(&mut self, channel: u16, queue: &Arc<Queue>, got: &Got) {
        if !is_of_firehose(&got.message) {
            let taps = vec![(self.tap(channel, &got.message), got.redelivered)];
            self.effects.tap(Delivered { queue: Arc::clone(queue), taps });
        }
    }

    fn tap(&self, channel: u16, message: &Message) -> Tap {
        Tap { connection: Arc::clone(&self.handle), channel, message: message.clone() }
    }

    /// Tells the firehose what was published. Called before effects are carried out, so that it comes
    /// before what was delivered of it.
    pub(super) fn tell_firehose(&mut self) {
        if !self.tapped.is_empty() {
            let published = std::mem::take(&mut self.tapped);
            self.vhost.tell_of_published(&published, &mut self.effects);
        }
    }

    /// The client published something: resource alarms concern it.
    pub(crate) fn note_published(&mut self) {
        self.published = true;
    }

    /// Whether a publish has to wait for a resource alarm to end. A client that was only just told
    /// may have a little more under way, unless it could neither be stored nor be refused.
    pub(crate) fn must_park(&mut self, may_refuse: bool) -> bool {
        if self.lets_all_in {
            return false;
        }
        if self.pacing.is_paused() {
            return true;
        }
        if !may_refuse && self.broker.messages().refuses() {
            return true;
        }
        if !self.is_over_budget() && self.broker.alarms().reason().is_none() {
            self.published_under_alarm = 0;
            return false;
        }
        self.published_under_alarm += 1;
        self.published_under_alarm > PUBLISHES_UNDER_ALARM_MAX
    }

    /// The same, and perhaps there is room again.
    pub(crate) fn over_budget(&self) -> Option<&Arc<Queue>> {
        self.over_budget.as_ref()
    }

    /// The queue that it published to and that holds too much, or whose vhost does.
    pub(crate) fn waits_for(&self) -> Option<&Arc<Queue>> {
        self.over_budget.as_ref().filter(|queue| queue.keeps_publishers_waiting())
    }

    /// Whether its publishes have to wait until that has room again.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.over_budget.is_some() && !self.is_spared && self.waits_for().is_some()
    }

    /// What it waited for has room again.
    pub(crate) fn note_relief(&mut self) {
        if self.waits_for().is_none() {
            self.over_budget = None;
        }
    }

    /// Why it is blocked, if it publishes; alarms first.
    pub(crate) fn blocked_reason(&self) -> Option<Cow<'static, str>> {
        let alarm = self.broker.alarms().reason().map(Cow::Borrowed);
        alarm.or_else(|| Some(self.waits_for()?.says_it_holds_too_much().into()))
    }

    /// The client closes: what it sent before is taken, alarms or not.
    pub(crate) fn let_all_in(&mut self) {
        self.lets_all_in = true;
    }

    /// Whether the connection holds unsettled deliveries.
    pub(crate) fn has_unacked(&self) -> bool {
        self.handle.outbox().has_unacked()
    }

    /// What a consumer keeps for as long as it is there.
    pub(super) fn counted(&self) -> Arc<()> {
        Arc::clone(&self.consumers)
    }

    /// Whether the connection has consumers, on any channel.
    pub(crate) fn has_consumers(&self) -> bool {
        Arc::strong_count(&self.consumers) > 1
    }

    /// Whether the client ever published.
    pub(crate) fn has_published(&self) -> bool {
        self.published
    }

    /// The channels with publishes to confirm; forgets them.
    pub(crate) fn take_unconfirmed(&mut self) -> SmallVec<[u16; 4]> {
        std::mem::take(&mut self.unconfirmed)
    }
}
