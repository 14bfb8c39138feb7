//! The clock of statistics: once a tick, what changed is sampled, so that management can tell rates and
//! what was before.
//!
//! A room of `broker`; run by the server unless statistics are off. Stays true: a tick takes locks of what
//! changed alone, one after the other, and costs what is idle nothing but a look at each connection; it runs
//! where blocking is allowed.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::{debug, error};

use super::Broker;
use crate::clock;
use crate::events::churn::{ChurnCounts, Turn};
use crate::meters::history::{GLOBAL, History, Range, Sampled, Ticks};
use crate::resources;

/// Numbers that are sampled of the node: what it uses, what comes and goes, and what is written.
pub(crate) const NODE: usize = WRITTEN + 2;
/// Where bytes written to files, and fsyncs, are among them.
pub(crate) const WRITTEN: usize = USED + Turn::ALL.len();
/// Resident memory, free disk, descriptors, connections and tasks, in this order.
pub(crate) const USED: usize = 5;
/// RabbitMQ's `collect_statistics_interval` if nobody says otherwise, in milliseconds.
const INTERVAL_MS: u64 = 5000;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Sampling {
    ticks: Mutex<Ticks>,
    node: Mutex<Option<Box<History<NODE>>>>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { ticks: Mutex::new(first_tick(INTERVAL_MS)), node: Mutex::default() }
    }
}

/// The tick before there are any.
fn first_tick(interval_ms: u64) -> Ticks {
    let epoch_ms = clock::unix_millis() / interval_ms * interval_ms;
    Ticks { epoch_ms, interval_ms, now: 0, since: 0 }
}

impl Broker {
    /// Samples for ever, so often.
    pub(crate) async fn sample(self: Arc<Self>, interval: Duration) {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(INTERVAL_MS).max(1);
        *self.sampling.ticks.lock() = first_tick(interval_ms);
        loop {
            let to_next = interval_ms - clock::unix_millis() % interval_ms;
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(to_next)) => {}
            }
            let broker = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || broker.tick()).await {
                error!("nothing was sampled: {error}");
            }
        }
    }

    fn tick(&self) {
        let ticks = self.next_tick();
        let begun = clock::steady_nanos();
        let changed: usize = self.vhosts.all().iter().map(|vhost| vhost.sample(&ticks)).sum();
        self.connections.iter().for_each(|connection| connection.sample(&ticks));
        let node = self.node_now();
        let mut history = self.sampling.node.lock();
        let history = history.get_or_insert_with(|| {
            let mut history = History::new(GLOBAL, &ticks);
            history.begins_with(node);
            Box::new(history)
        });
        history.note(ticks.now, node);
        // From now on rates are those of this tick.
        self.sampling.ticks.lock().now = ticks.now;
        let micros = clock::steady_nanos().saturating_sub(begun) / 1000;
        debug!("sampled {changed} queues that changed in {micros} us");
    }

    /// A clock that was set back makes no tick come twice.
    fn next_tick(&self) -> Ticks {
        let last = *self.sampling.ticks.lock();
        let since_ms = clock::unix_millis().saturating_sub(last.epoch_ms);
        let now = u32::try_from(since_ms / last.interval_ms).unwrap_or(u32::MAX);
        Ticks { now: now.max(last.now.saturating_add(1)), ..last }
    }

    fn node_now(&self) -> [u64; NODE] {
        let used = [
            resources::resident_bytes().unwrap_or_default(),
            self.watermarks.disk_free_now().unwrap_or_default(),
            resources::open_descriptors().unwrap_or_default(),
            self.connections.len() as u64,
            Handle::current().metrics().num_alive_tasks() as u64,
        ];
        let churn = self.events.churn().counts();
        let mut values = [0; NODE];
        let turns = Turn::ALL.iter().map(|(turn, ..)| ChurnCounts::of(&churn, *turn));
        let all = used.into_iter().chain(turns).chain(self.written());
        values.iter_mut().zip(all).for_each(|(to, of)| *to = of);
        values
    }

    /// Bytes that the store of messages has written to its files, and its fsyncs.
    pub(crate) fn written(&self) -> [u64; 2] {
        let statistics = self.messages.durable().statistics();
        [statistics.written_bytes, statistics.fsyncs()]
    }

    /// Forgets what was sampled up to now: rates and charts begin anew, counts go on.
    pub(crate) fn forget_samples(&self) {
        let mut ticks = self.sampling.ticks.lock();
        ticks.since = ticks.now.saturating_add(1);
    }

    /// When was sampled last.
    pub(crate) fn ticks(&self) -> Ticks {
        *self.sampling.ticks.lock()
    }

    /// How what the node uses changes, what comes and goes, and what that was.
    pub(crate) fn node_sampled(&self, range: Option<&Range>) -> Sampled<NODE> {
        let history = self.sampling.node.lock();
        match &*history {
            Some(history) => history.sampled(range, &self.ticks()),
            None => Sampled::nothing(range),
        }
    }
}
