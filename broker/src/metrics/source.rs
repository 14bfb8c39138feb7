//! Where a snapshot comes from: the broker, the message store, the alarms and `/proc`.
//!
//! Made by `server`, asked by the listener for every scrape. Blocks a little, on locks of queues and
//! on `/proc`: ask it from a thread that may.

use std::sync::Arc;
use std::time::Duration;

use super::objects::{ConnectionObject, Objects, QueueObject, Wanted};
use super::{Endpoint, ProcessState, Resources, Snapshot, StoreState};
use crate::broker::Broker;
use crate::clock;
use crate::config::Identity;
use crate::outgoing::ConnectionHandle;
use crate::resources;

/// See the module documentation.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    broker: Arc<Broker>,
    version: String,
    started: Duration,
}

impl Source {
    /// For a process that starts now.
    pub(crate) fn new(broker: Arc<Broker>, identity: &Identity) -> Self {
        let started = Duration::from_millis(clock::unix_millis());
        Self { broker, version: identity.version.clone(), started }
    }

    /// The broker as it is now, seen by this endpoint; `wanted` is what is asked for of single objects.
    #[must_use]
    pub(crate) fn scraped(&self, endpoint: Endpoint, wanted: Option<Wanted>) -> Snapshot {
        let objects = wanted.map(|wanted| {
            let objects = self.objects(&wanted);
            (wanted, objects)
        });
        let snapshot = match endpoint {
            // Nothing else is told there.
            Endpoint::Detailed => Snapshot {
                cluster_name: self.cluster_name(),
                version: self.version.clone(),
                ..Snapshot::default()
            },
            Endpoint::Aggregated | Endpoint::PerObject | Endpoint::MemoryBreakdown => {
                self.snapshot()
            }
        };
        Snapshot { endpoint, objects, ..snapshot }
    }

    /// It may be given another while the broker runs.
    fn cluster_name(&self) -> String {
        self.broker.introduction().now().cluster_name.clone()
    }

    fn objects(&self, wanted: &Wanted) -> Objects {
        let mut objects = Objects::default();
        let vhosts = self.broker.all_vhosts();
        for vhost in vhosts.iter().filter(|vhost| wanted.takes(vhost.name())) {
            let name = || vhost.name().to_owned();
            objects.vhosts.push(name());
            if wanted.has_queues() {
                objects.queues.extend(vhost.queues().iter().map(|queue| QueueObject {
                    vhost: name(),
                    name: queue.name().to_owned(),
                    kind: if queue.is_quorum() { QUORUM } else { CLASSIC },
                    counts: queue.counts(),
                }));
            }
            if wanted.any_of(&["exchange_metrics", "exchange_names"]) {
                let all = vhost.exchanges().into_iter().chain(vhost.exchange(""));
                objects.exchanges.extend(all.map(|exchange| {
                    let (published, _) = exchange.meter().counts();
                    (name(), exchange.name().to_owned(), published)
                }));
            }
        }
        if wanted.has_clients() {
            let all = self.broker.open_connections();
            objects.connections = all.iter().map(|handle| connection(handle)).collect();
        }
        objects
    }

    /// The broker as it is now.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Snapshot {
        let (alarms, watermarks) = (self.broker.alarms(), self.broker.watermarks());
        Snapshot {
            cluster_name: self.cluster_name(),
            version: self.version.clone(),
            process: ProcessState {
                resident_bytes: resources::resident_bytes(),
                open_fds: resources::open_descriptors(),
                max_fds: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
                cpu: cpu(),
                started: self.started,
            },
            resources: Resources {
                memory_limit: Some(watermarks.memory_limit()),
                disk_free: watermarks.disk_free_now(),
                disk_free_limit: watermarks.disk_free_limit(),
                is_memory_low: alarms.is_memory_low(),
                is_disk_low: alarms.is_disk_low(),
            },
            totals: self.broker.totals(),
            store: StoreState::of(&**self.broker.messages().durable()),
            ..Snapshot::default()
        }
    }
}

const CLASSIC: &str = "rabbit_classic_queue";
const QUORUM: &str = "rabbit_quorum_queue";

fn connection(handle: &ConnectionHandle) -> ConnectionObject {
    let outbox = handle.outbox();
    ConnectionObject {
        name: handle.client().map_or_else(String::new, |client| (*client.name).to_owned()),
        octets: handle.octets().counts(),
        unsent: outbox.unsent() as u64,
        channels: outbox.channels_told(),
    }
}

/// User and system time of this process.
fn cpu() -> Option<Duration> {
    parse_cpu(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// The second field may hold anything between parentheses. See proc_pid_stat(5).
fn parse_cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_nanos((user + system) * (1_000_000_000 / ticks)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Totals;
    use crate::clock;
    use crate::config::Config;
    use crate::config::ServeOptions;
    use crate::keys::ConnectionId;
    use crate::message::tests::message;
    use crate::queue::truth::Ages;
    use crate::queue::{Effects, QueueSettings};
    use crate::startup;

    #[test]
    fn a_fresh_broker_is_empty_and_has_its_limits() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("leveret.conf");
        std::fs::write(&file, "cluster_name = here\nvm_memory_high_watermark.absolute = 7\ndisk_free_limit.absolute = 8")
            .unwrap();
        let data_dir = Some(directory.path().join("data"));
        let options = ServeOptions { config: Some(file), data_dir, ..ServeOptions::default() };
        let config = Config::load(&options, |_| None).unwrap();
        let started = startup::start(&config).unwrap();
        let broker = Arc::clone(&started.broker);
        let source = Source::new(broker, &config.identity);
        let snapshot = source.snapshot();
        assert_eq!(snapshot.cluster_name, "here");
        assert_eq!(snapshot.store.statistics.live_messages, 0);
        assert_eq!(snapshot.totals, Totals::default());
        let Resources { memory_limit, disk_free, disk_free_limit, .. } = snapshot.resources;
        assert_eq!((memory_limit, disk_free_limit), (Some(7), 8));
        assert!(disk_free.is_some_and(|free| free > 0));
        assert!(!snapshot.resources.is_memory_low && !snapshot.resources.is_disk_low);
        assert!(snapshot.process.resident_bytes.is_some_and(|bytes| bytes > 0));
        drop(source);
        started.close().unwrap();
    }

    #[test]
    fn ages_are_of_the_oldest_in_any_queue_and_who_was_late_is_counted_when_its_queue_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("leveret.conf");
        std::fs::write(&file, "consumer_timeout = 1").unwrap();
        let data_dir = Some(directory.path().join("data"));
        let options = ServeOptions { config: Some(file), data_dir, ..ServeOptions::default() };
        let started = startup::start(&Config::load(&options, |_| None).unwrap()).unwrap();
        let vhost = started.broker.vhost("/").unwrap();
        let declare = |name| {
            let declared = vhost.declare_queue(name, QueueSettings::plain(false), ConnectionId(1));
            declared.unwrap_or_else(|refusal| panic!("{refusal:?}")).0
        };
        let (queue, _other) = (declare("q"), declare("other"));
        let mut effects = Effects::default();
        queue.publish((0..2).map(|_| message("q", b"")), &mut effects);
        queue.get(false, |_| None, &mut effects);
        effects.carry_out(queue.messages());
        let deadline_ms = clock::unix_millis() + 30_000;
        let wait_until = |expected: &dyn Fn(Totals) -> bool| {
            while !expected(started.broker.totals()) {
                assert!(clock::unix_millis() < deadline_ms, "{:?}", started.broker.totals());
                std::thread::yield_now();
            }
        };
        wait_until(&|totals| totals.ages.ready_ms > 0 && totals.ages.unacked_ms > 0);
        wait_until(&|totals| {
            queue.wake(&mut Effects::default());
            totals.consumed.timeouts == 1 && totals.unacked == 0
        });
        drop(vhost.delete_queue("q", (false, false), ConnectionId(1)).map(|_| ()));
        let totals = started.broker.totals();
        assert_eq!((totals.queues, totals.consumed.timeouts), (1, 1), "it is counted still");
        assert_eq!(totals.ages, Ages::default());
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(resources::open_descriptors().is_some_and(|count| count > 2));
        assert!(cpu().is_some());
    }

    #[test]
    fn cpu_time_is_read_whatever_the_name_is() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 10 0 0 0 150 50 0 0 20 0 4 0 99 1000000 7";
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(parse_cpu(stat), Some(Duration::from_nanos(200 * 1_000_000_000 / ticks)));
        assert_eq!(parse_cpu("42 (x) S 1"), None);
    }
}
