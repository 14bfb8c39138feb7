//! What of a broker may be changed while it runs, limits, watermarks, the levels of its log, and what
//! pressure there is meanwhile.
//!
//! Called when the configuration is read again, and by whoever administrates the broker. What is set
//! by hand holds until then, or until a restart.

use std::sync::Arc;

use tracing::info;

use super::{Broker, Limits};
use crate::clock;
use crate::config::{Config, DiskFreeLimit, LogCategory, Logging, MemoryHighWatermark, Settled};
use crate::logging::{LogControl, LogWatch, LoggingError};
use crate::outgoing::ConnectionHandle;
use crate::outgoing::pressure::Hold;
use crate::resources::Marks;
use crate::stores::MemoryBudget;

impl Marks {
    /// As configured.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            memory: config.memory,
            disk_free: config.disk_free_limit,
            memory_total: config.memory_total,
        }
    }
}

impl MemoryBudget {
    /// As configured.
    pub(crate) fn new(config: &Config) -> Self {
        let storage = &config.message_storage;
        Self { total: storage.memory_total, queue: storage.memory_queue }
    }
}

impl Broker {
    /// Goes by another configuration from now on, as far as that can be: connections that are open
    /// keep the limits they were opened with.
    pub(crate) fn adopt(&self, config: &Config) {
        self.limits.store(Arc::new(Limits::new(config)));
        let limits = &config.limits;
        self.topology_limits.queues_max.set(limits.queues);
        self.topology_limits.exchanges_max.set(limits.exchanges);
        self.vhosts.max().set(limits.vhosts);
        self.messages.set_budget(MemoryBudget::new(config));
        let marks = Marks::new(config);
        if self.watermarks.marks() != marks {
            self.watermarks.set(|old| *old = marks);
        }
    }

    /// What somebody configured, as far as it counts.
    pub(crate) fn settled(&self) -> Arc<Settled> {
        self.settled.load_full()
    }

    /// The configuration was read again, and this counts now.
    pub(crate) fn is_settled(&self, settled: Settled) {
        self.settled.store(Arc::new(settled));
    }

    /// The log whose levels may be set; known once the server runs.
    pub(crate) fn has_log(&self, log: LogControl) {
        // There is one log in a process.
        let _ = self.log.set(log);
    }
}

impl Broker {
    /// Looks at the log: at lines that are as grave as this or more so, of a category or of all. `None`
    /// where there is no log.
    pub(crate) fn watch_log(
        &self,
        level: tracing::Level,
        category: Option<LogCategory>,
    ) -> Option<LogWatch> {
        self.log.get().map(|log| log.watch(level, category))
    }

    /// What is logged, and where. `None` where there is no log.
    pub(crate) fn logging(&self) -> Option<Logging> {
        self.log.get().map(LogControl::settings)
    }

    /// Where the log goes, as RabbitMQ names it.
    pub(crate) fn log_files(&self) -> Vec<String> {
        let Some(log) = self.log.get() else { return Vec::new() };
        let settings = log.settings();
        let console = settings.console_name();
        let file = settings.file.map(|file| file.path.display().to_string());
        file.into_iter().chain(settings.console.map(|_| console.to_owned())).collect()
    }
}

#[cfg_attr(not(test), expect(dead_code, reason = "for management, which is above"))]
impl Broker {
    /// Every open connection by its name, with what holds it back and since when.
    pub(crate) fn connection_holds(&self) -> Vec<(String, Hold)> {
        let now_ms = clock::unix_millis();
        let hold = |connection: &ConnectionHandle| {
            let name = connection.client().map_or("", |client| &*client.name);
            (name.to_owned(), connection.pressure().hold(now_ms))
        };
        self.connections.iter().map(|entry| hold(entry.value())).collect()
    }

    /// Sets the memory above which publishers are blocked (`rabbitmqctl
    /// set_vm_memory_high_watermark`). With none at all they are blocked at once.
    pub(crate) fn set_memory_watermark(&self, memory: MemoryHighWatermark) {
        self.watermarks.set(|marks| marks.memory = memory);
        let limit = self.watermarks.memory_limit();
        info!(
            event = "config.changed",
            key = "vm_memory_high_watermark",
            "memory high watermark set to {} MiB",
            limit / (1024 * 1024)
        );
    }

    /// Sets the free disk space below which publishers are blocked (`rabbitmqctl
    /// set_disk_free_limit`).
    pub(crate) fn set_disk_free_limit(&self, disk_free: DiskFreeLimit) {
        self.watermarks.set(|marks| marks.disk_free = disk_free);
        let limit = self.watermarks.disk_free_limit();
        info!(
            event = "config.changed",
            key = "disk_free_limit",
            "disk free limit set to {} MiB",
            limit / (1024 * 1024)
        );
    }

    /// Sets the level of a category of log lines, or of all that are logged anywhere, by RabbitMQ's
    /// name (`rabbitmqctl set_log_level`).
    ///
    /// # Errors
    /// There is no such level. Without a log there is nothing to set, and no error.
    pub(crate) fn set_log_level(
        &self,
        category: Option<LogCategory>,
        level: &str,
    ) -> Result<(), LoggingError> {
        let Some(log) = self.log.get() else { return Ok(()) };
        log.set_level(category, level)?;
        let of = category.map_or("everything", LogCategory::name);
        info!(event = "config.changed", key = "log", "log level of {of} set to {level}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::ServeOptions;
    use crate::keys::ConnectionId;
    use crate::queue::QueueSettings;
    use crate::{resources, startup};

    fn config(directory: &std::path::Path, text: &str) -> Config {
        let file = directory.join("x.conf");
        std::fs::write(&file, text).unwrap();
        let options = ServeOptions {
            config: Some(file),
            data_dir: Some(directory.join("data")),
            ..ServeOptions::default()
        };
        Config::load(&options, |_| None).unwrap()
    }

    #[tokio::test]
    async fn watermarks_that_are_set_raise_and_end_alarms() {
        let directory = tempfile::tempdir().unwrap();
        let broker = startup::start(&config(directory.path(), "")).unwrap().broker;
        let parts = (Arc::clone(broker.alarms()), Arc::clone(broker.events()));
        let messages = Arc::clone(broker.messages());
        let watermarks = Arc::clone(broker.watermarks());
        let watching = tokio::spawn(resources::watch(parts.0, parts.1, messages, watermarks));
        let mut news = broker.alarms().watch();
        let mut next = async || {
            tokio::time::timeout(Duration::from_secs(10), news.changed()).await.unwrap().unwrap();
            broker.alarms().reason()
        };
        broker.set_memory_watermark(MemoryHighWatermark::Absolute(0));
        assert_eq!(next().await, Some("low on memory"));
        broker.set_disk_free_limit(DiskFreeLimit::Absolute(u64::MAX));
        assert_eq!(next().await, Some("low on disk & memory"));
        broker.set_memory_watermark(MemoryHighWatermark::Relative(1.0));
        assert_eq!(next().await, Some("low on disk"));
        broker.adopt(&config(directory.path(), "disk_free_limit.absolute = 0"));
        assert_eq!(next().await, None);
        watching.abort();
    }

    #[test]
    fn limits_are_those_of_the_newest_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let broker = startup::start(&config(directory.path(), "heartbeat = 7")).unwrap().broker;
        let before = broker.limits();
        assert_eq!(broker.messages().queue_room(), 48 << 20);
        let lines =
            "heartbeat = 9\ncluster_queue_limit = 0\nvhost_max = 5\nmessage_memory.queue = 1MiB";
        broker.adopt(&config(directory.path(), lines));
        assert_eq!((before.heartbeat_seconds, broker.limits().heartbeat_seconds), (7, 9));
        assert_eq!((broker.vhost_max(), broker.messages().queue_room()), (Some(5), 1 << 20));
        let vhost = broker.vhost("/").unwrap();
        let declare = || vhost.declare_queue("q", QueueSettings::plain(false), ConnectionId(1));
        assert!(declare().is_err(), "there may be none");
        broker.adopt(&config(directory.path(), ""));
        assert!(declare().is_ok());
    }

    #[test]
    fn a_level_must_be_one() {
        let directory = tempfile::tempdir().unwrap();
        let broker = startup::start(&config(directory.path(), "")).unwrap().broker;
        assert!(broker.set_log_level(None, "debug").is_ok(), "without a log it means nothing");
    }
}
