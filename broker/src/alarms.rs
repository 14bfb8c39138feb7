//! Resource alarms: when memory or disk runs low, publishers wait.
//!
//! `watch` runs for the life of the server, samples the process's memory and the data directory's
//! free space, and listens to the message stores, which may find the disk full; connections ask `reason` before every publish. As on RabbitMQ only
//! publishing connections are held back and told (`connection.blocked`); consumers and acks go on,
//! because they are what makes room. See RabbitMQ's memory, disk alarms and blocked pages.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use leveret_storage::messages::Health;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::broker::Broker;
use crate::connection::handle::Event;

const MEMORY: u8 = 1;
const DISK: u8 = 2;
/// How often resources are looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Which alarms are raised.
#[derive(Debug, Default)]
pub struct Alarms(AtomicU8);

impl Alarms {
    /// Why publishers wait, in RabbitMQ's words; `None` when they need not.
    pub fn reason(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            MEMORY => Some("low on memory"),
            DISK => Some("low on disk"),
            _ => Some("low on disk & memory"),
        }
    }

    /// Whether publishers wait for memory.
    pub fn is_memory_low(&self) -> bool {
        self.0.load(Ordering::Relaxed) & MEMORY != 0
    }

    /// Whether publishers wait for disk space.
    pub fn is_disk_low(&self) -> bool {
        self.0.load(Ordering::Relaxed) & DISK != 0
    }

    fn set(&self, alarms: u8) -> bool {
        self.0.swap(alarms, Ordering::Relaxed) != alarms
    }
}

/// What the alarms watch.
#[derive(Clone, Debug)]
pub struct Watermarks {
    /// Resident memory in bytes above which publishers wait; `None` for never.
    pub memory: Option<u64>,
    /// Free space in bytes below which publishers wait.
    pub disk_free: u64,
    /// Where the free space is looked at.
    pub data_dir: PathBuf,
}

impl Watermarks {
    /// Bytes free where the data directory is; `None` when the system does not say.
    pub fn disk_free_now(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.data_dir).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Samples the resources for ever.
pub async fn watch(broker: Arc<Broker>, watermarks: Watermarks) {
    let mut every = tokio::time::interval(SAMPLE_EVERY);
    let mut durable = broker.messages().durable().progress().watch_health();
    let mut scratch = broker.messages().scratch().progress().watch_health();
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = changed(&mut durable) => {}
            () = changed(&mut scratch) => {}
        }
        let full = durable.borrow().is_full() || scratch.borrow().is_full();
        let raised = sample(&watermarks) | if full { DISK } else { 0 };
        if !broker.alarms().set(raised) {
            continue;
        }
        match broker.alarms().reason() {
            Some(reason) => warn!("resource alarm: {reason}; publishers are blocked"),
            None => info!("resource alarm cleared; publishers go on"),
        }
        broker.tell_all(|| Event::AlarmsChanged);
    }
}

/// Waits for news; for ever from a store that has ended.
async fn changed(health: &mut watch::Receiver<Health>) {
    if health.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn sample(watermarks: &Watermarks) -> u8 {
    let memory_low =
        watermarks.memory.zip(resident_bytes()).is_some_and(|(limit, resident)| resident > limit);
    let disk_low = watermarks.disk_free_now().is_some_and(|free| free < watermarks.disk_free);
    u8::from(memory_low) * MEMORY + u8::from(disk_low) * DISK
}

/// The process's resident memory in bytes.
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The memory this process may use, in bytes: its control group's limit or the machine's memory.
pub fn memory_total() -> Option<u64> {
    let machine = rustix::system::sysinfo();
    let machine = (machine.totalram as u64).saturating_mul(u64::from(machine.mem_unit));
    let group = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    Some(group.map_or(machine, |group| group.min(machine)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_rabbitmqs() {
        let alarms = Alarms::default();
        assert_eq!(alarms.reason(), None);
        assert!(alarms.set(MEMORY));
        assert!(!alarms.set(MEMORY), "nothing changed");
        assert_eq!(alarms.reason(), Some("low on memory"));
        alarms.set(DISK);
        assert_eq!(alarms.reason(), Some("low on disk"));
        alarms.set(MEMORY | DISK);
        assert_eq!(alarms.reason(), Some("low on disk & memory"));
        assert!(alarms.is_disk_low() && alarms.is_memory_low());
        alarms.set(DISK);
        assert!(alarms.is_disk_low() && !alarms.is_memory_low());
    }

    #[test]
    fn a_watermark_that_is_passed_raises_its_alarm() {
        let data_dir = std::env::temp_dir();
        let calm = Watermarks { memory: None, disk_free: 0, data_dir: data_dir.clone() };
        assert_eq!(sample(&calm), 0);
        let low = Watermarks { memory: Some(1), disk_free: u64::MAX, data_dir };
        assert_eq!(sample(&low), MEMORY | DISK);
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(memory_total() > resident_bytes());
    }
}
