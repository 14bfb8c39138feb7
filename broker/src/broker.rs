//! The broker: what all connections share.
//!
//! Built once by `server::run`. Owns the vhosts, the users, the registry of connections, the
//! alarms and the negotiable limits. Stays true: everything here can be reached from any task;
//! registries are read by cloning the `Arc` out.

#[cfg_attr(not(test), expect(dead_code, reason = "some commands are for the command line"))]
pub(crate) mod access;
pub(crate) mod admission;
mod defaults;
pub(crate) mod incidents;
pub(crate) mod sampling;
mod tuning;
mod vhosts;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use rustc_hash::FxBuildHasher;
use tokio_util::sync::CancellationToken;

use self::admission::Admissions;
use self::defaults::VhostDefaults;
use self::incidents::{IncidentCounts, Incidents};
use self::sampling::Sampling;
use self::vhosts::Vhosts;
use crate::alarms::Alarms;
use crate::auth::{Attempts, Logins, Users};
use crate::clock;
use crate::config::{Config, Mechanism, Settled};
use crate::definitions::records::VhostRecord;
use crate::definitions::store::DefinitionStore;
use crate::events::Events;
use crate::events::churn::ChurnCounts;
use crate::events::definitions::vhost_created;
use crate::identity::Introduction;
use crate::keys::ConnectionId;
use crate::logging::LogControl;
use crate::meters::publishing::Published;
use crate::outgoing::pressure::Holds;
use crate::outgoing::{Client, ConnectionHandle};
use crate::queue::death_counts::DeathsByType;
use crate::queue::timer::Timer;
use crate::queue::traffic::TrafficByType;
use crate::queue::truth::{Ages, Consumed};
use crate::resources::{Marks, Watermarks};
use crate::stores::Messages;
use crate::vhost::{TopologyLimits, Vhost};

/// Limits that clients meet.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Most channels per connection; 0 is no limit.
    pub channel_max: u16,
    /// Largest frame in bytes; 0 is no limit.
    pub frame_max: u32,
    /// Largest frame before the connection is tuned, in bytes.
    pub initial_frame_max: u32,
    /// The heartbeat interval the server suggests, in seconds.
    pub heartbeat_seconds: u16,
    /// Largest message body, in bytes.
    pub message_size: usize,
    /// Most connections.
    pub connections: Option<usize>,
    /// Most channels of all connections together.
    pub channels: Option<usize>,
    /// Most consumers on a channel.
    pub consumers_per_channel: Option<usize>,
    /// Most deliveries of a channel that are not settled.
    pub unacked_per_channel: Option<usize>,
    /// How long a client may take nothing of what it is sent.
    pub send_timeout: Option<Duration>,
    /// How long a client may take to open its connection.
    pub handshake_timeout: Duration,
}

impl Limits {
    /// As configured.
    pub(crate) fn new(config: &Config) -> Self {
        let negotiation = config.negotiation;
        Self {
            channel_max: negotiation.channel_max,
            frame_max: negotiation.frame_max,
            initial_frame_max: negotiation.initial_frame_max,
            heartbeat_seconds: negotiation.heartbeat,
            message_size: config.limits.message_size,
            connections: config.limits.connections,
            channels: config.limits.channels,
            consumers_per_channel: config.limits.consumers_per_channel,
            unacked_per_channel: config.limits.unacked_per_channel,
            send_timeout: config.listeners.send_timeout,
            handshake_timeout: config.listeners.handshake_timeout,
        }
    }
}

/// What there is in all vhosts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Open connections.
    pub connections: u64,
    /// Consumers.
    pub consumers: u64,
    /// Queues.
    pub queues: u64,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages handed out and not settled.
    pub unacked: u64,
    /// Content of all messages, in bytes.
    pub bytes: u64,
    /// Of it: content of what is handed out and not settled.
    pub unacked_bytes: u64,
    /// Of it: what is in memory.
    pub resident_bytes: u64,
    /// Messages that wait for the time when they are routed.
    pub delayed: u64,
    /// Messages that died since the broker started.
    pub deaths: DeathsByType,
    /// Dead letters that nobody took yet.
    pub kept: u64,
    /// How old the oldest message and delivery is.
    pub ages: Ages,
    /// What consumers did since the broker started.
    pub consumed: Consumed,
    /// What went through queues since then.
    pub traffic: TrafficByType,
    /// What was published since then, and who publishes.
    pub published: Published,
    /// Channels.
    pub channels: u64,
    /// What came and went since then.
    pub churn: ChurnCounts,
    /// How connections are held back.
    pub holds: Holds,
    /// Logins since then.
    pub logins: Attempts,
    /// What should not happen.
    pub incidents: IncidentCounts,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Broker {
    limits: ArcSwap<Limits>,
    topology_limits: Arc<TopologyLimits>,
    users: Users,
    logins: Logins,
    mechanisms: Mechanisms,
    introduction: Introduction,
    vhosts: Vhosts,
    vhost_defaults: VhostDefaults,
    connections: DashMap<ConnectionId, Arc<ConnectionHandle>, FxBuildHasher>,
    definitions: Arc<DefinitionStore>,
    messages: Arc<Messages>,
    timer: Arc<Timer>,
    alarms: Arc<Alarms>,
    watermarks: Arc<Watermarks>,
    log: OnceLock<LogControl>,
    settled: ArcSwap<Settled>,
    events: Arc<Events>,
    admissions: Arc<Admissions>,
    incidents: Incidents,
    sampling: Sampling,
    stopping: CancellationToken,
}

impl Broker {
    /// A broker with no vhosts.
    pub(crate) fn new(
        config: &Config,
        users: Users,
        logins: Logins,
        definitions: Arc<DefinitionStore>,
        messages: Arc<Messages>,
    ) -> Self {
        let events = Events::new(&config.seed.vhost);
        Self {
            limits: ArcSwap::from_pointee(Limits::new(config)),
            topology_limits: Arc::new(TopologyLimits::new(
                config.limits.queues,
                config.limits.exchanges,
            )),
            users: users.telling(Arc::clone(&events)),
            logins,
            events,
            mechanisms: Mechanisms::new(config),
            introduction: Introduction::new(&config.identity),
            vhosts: Vhosts::new(config.limits.vhosts),
            vhost_defaults: VhostDefaults::new(config),
            connections: DashMap::default(),
            definitions,
            messages,
            timer: Timer::new(config.limits.consumer_timeout),
            alarms: Arc::default(),
            watermarks: Arc::new(Watermarks::new(&config.data_dir, Marks::new(config))),
            log: OnceLock::new(),
            settled: ArcSwap::from_pointee(config.settled.clone()),
            admissions: Arc::default(),
            incidents: Incidents::default(),
            sampling: Sampling::default(),
            stopping: CancellationToken::new(),
        }
    }

    /// The limits that clients meet: those of now.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.limits.load_full()
    }

    /// The users.
    pub(crate) fn users(&self) -> &Users {
        &self.users
    }

    /// Who gets in.
    pub(crate) fn logins(&self) -> &Logins {
        &self.logins
    }

    /// Where definitions are stored.
    pub(crate) fn definitions(&self) -> &Arc<DefinitionStore> {
        &self.definitions
    }

    /// Where messages are stored.
    pub(crate) fn messages(&self) -> &Arc<Messages> {
        &self.messages
    }

    /// The clock of all queues.
    pub(crate) fn timer(&self) -> &Arc<Timer> {
        &self.timer
    }

    /// What is told of what happens.
    pub(crate) fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// Who has how many connections and channels.
    pub(crate) fn admissions(&self) -> &Arc<Admissions> {
        &self.admissions
    }

    /// The resource alarms.
    pub(crate) fn alarms(&self) -> &Arc<Alarms> {
        &self.alarms
    }

    /// What should not happen, counted.
    pub(crate) fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// When alarms are raised.
    pub(crate) fn watermarks(&self) -> &Arc<Watermarks> {
        &self.watermarks
    }

    /// Cancelled when the broker ends.
    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// The SASL mechanisms, separated by spaces. RabbitMQ: EXTERNAL is offered with TLS alone.
    pub(crate) fn mechanisms(&self, with_tls: bool) -> &str {
        if with_tls { &self.mechanisms.with_tls } else { &self.mechanisms.plain }
    }

    /// Who it says it is.
    pub(crate) fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// The vhost with this name.
    pub(crate) fn vhost(&self, name: &str) -> Option<Arc<Vhost>> {
        self.vhosts.get(name)
    }

    /// All vhosts, in no order.
    pub(crate) fn all_vhosts(&self) -> Vec<Arc<Vhost>> {
        self.vhosts.all()
    }

    /// How many vhosts there may be, if there is a limit.
    pub(crate) fn vhost_max(&self) -> Option<usize> {
        self.vhosts.max().get()
    }

    /// How many there are, those that are being deleted among them.
    pub(crate) fn vhost_count(&self) -> usize {
        self.vhosts.count()
    }

    /// Adds a vhost, which is defined already.
    pub(crate) fn add_vhost(&self, about: &VhostRecord) -> Arc<Vhost> {
        let vhost = Vhost::new(
            about.clone(),
            Arc::clone(&self.definitions),
            Arc::clone(&self.messages),
            Arc::clone(&self.timer),
            Arc::clone(&self.topology_limits),
            Arc::clone(&self.events),
        );
        self.vhosts.insert(&vhost);
        vhost.tell_of_exchanges();
        self.events.tell(|| vhost_created(about));
        vhost
    }

    /// Notes an open connection.
    pub(crate) fn register(&self, connection: &Arc<ConnectionHandle>) {
        self.connections.insert(connection.id(), Arc::clone(connection));
    }

    /// Forgets a connection.
    pub(crate) fn unregister(&self, connection: &ConnectionHandle) {
        self.connections.remove(&connection.id());
    }

    /// The open connections, in no order.
    pub(crate) fn open_connections(&self) -> Vec<Arc<ConnectionHandle>> {
        self.connections.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// The open connection with this number.
    pub(crate) fn open_connection(&self, id: ConnectionId) -> Option<Arc<ConnectionHandle>> {
        self.connections.get(&id).map(|entry| Arc::clone(entry.value()))
    }

    /// How many connections are open.
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Counts everything. Locks one queue after the other.
    pub(crate) fn totals(&self) -> Totals {
        let (vhosts, gone) = self.vhosts.all_and_gone();
        let mut totals = Totals { connections: self.connections.len() as u64, ..gone };
        totals.logins = self.logins.attempts();
        totals.incidents = self.incidents.counts();
        totals.churn = self.events.churn().counts();
        totals.channels = self.admissions.channels() as u64;
        vhosts.iter().for_each(|vhost| totals.published.add_all(&vhost.publishers().counts()));
        totals.delayed = vhosts.iter().map(|vhost| vhost.delayed_count() as u64).sum();
        vhosts.iter().for_each(|vhost| totals.deaths.add_all(vhost.deaths()));
        for (consumed, traffic) in vhosts.iter().map(|vhost| vhost.consumed_before()) {
            totals.consumed.add_all(&consumed);
            totals.traffic.add_all(&traffic);
        }
        let now_ms = clock::unix_millis();
        let holds = self.connections.iter().map(|entry| entry.value().pressure().hold(now_ms));
        holds.for_each(|hold| totals.holds.add(&hold));
        for queue in vhosts.iter().flat_map(|vhost| vhost.queues()) {
            let counts = queue.counts();
            totals.queues += 1;
            totals.consumers += counts.consumers as u64;
            totals.ready += counts.ready as u64;
            totals.unacked += counts.unacked as u64;
            totals.kept += counts.kept as u64;
            totals.bytes += counts.bytes as u64;
            totals.unacked_bytes += counts.unacked_bytes as u64;
            totals.resident_bytes += counts.resident_bytes as u64;
            let truth = queue.truth();
            totals.ages.see(&truth, now_ms);
            totals.consumed.add_all(&truth.consumed);
            totals.traffic.add(queue.is_quorum(), &truth.traffic);
        }
        totals
    }

    /// Ends every connection (320).
    pub(crate) fn close_all(&self, reason: &str) {
        self.close_those(reason, |_| true);
    }

    /// Ends connections of some clients (320).
    fn close_those(&self, reason: &str, is_one: impl Fn(&Client) -> bool) {
        let all = self.connections.iter().map(|connection| Arc::clone(connection.value()));
        let those: Vec<_> = all.filter(|handle| handle.client().is_some_and(&is_one)).collect();
        those.iter().for_each(|connection| connection.force_close(reason));
    }

    /// Publishes what is told of what happens, for ever: in the default vhost, while there is one.
    pub(crate) async fn publish_events(self: Arc<Self>) {
        loop {
            let some = self.events.next().await;
            if let Some(vhost) = self.vhost(self.events.vhost()) {
                vhost.publish_events(&some);
            }
            tokio::task::yield_now().await;
        }
    }
}

/// What connection.start offers, made once.
#[derive(Debug)]
struct Mechanisms {
    plain: String,
    with_tls: String,
}

impl Mechanisms {
    fn new(config: &Config) -> Self {
        let all = config.authentication.mechanisms.iter();
        let names = |mechanisms: &mut dyn Iterator<Item = &Mechanism>| {
            mechanisms.map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(" ")
        };
        let is_plain = |mechanism: &&Mechanism| **mechanism != Mechanism::External;
        Self { plain: names(&mut all.clone().filter(is_plain)), with_tls: names(&mut all.clone()) }
    }
}
