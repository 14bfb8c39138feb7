//! The resources that alarms are about: the process's memory and the data directory's free space.
//!
//! `watch` runs for the life of the server, samples both, listens to the message stores, which may
//! find the disk full, and sets the `Alarms`. See RabbitMQ's memory and disk alarms pages.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use leveret_storage::messages::Health;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::alarms::Alarms;
use crate::allocator;
use crate::events::Events;
use crate::events::clients::alarm;
use crate::stores::Messages;

/// How often resources are looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// What the alarms watch.
#[derive(Clone, Debug)]
pub(crate) struct Watermarks {
    /// Memory in use, in bytes, above which publishers wait; `None` for never.
    pub memory: Option<u64>,
    /// Free space in bytes below which publishers wait.
    pub disk_free: u64,
    /// Where the free space is looked at.
    pub data_dir: PathBuf,
}

impl Watermarks {
    /// Bytes free where the data directory is; `None` when the system does not say.
    pub(crate) fn disk_free_now(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.data_dir).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn is_memory_low(&self) -> bool {
        self.memory.zip(used_bytes()).is_some_and(|(limit, used)| used > limit)
    }

    fn is_disk_low(&self) -> bool {
        self.disk_free_now().is_some_and(|free| free < self.disk_free)
    }
}

/// Samples the resources for ever.
pub(crate) async fn watch(
    alarms: Arc<Alarms>,
    events: Arc<Events>,
    messages: Arc<Messages>,
    watermarks: Watermarks,
) {
    let mut every = tokio::time::interval(SAMPLE_EVERY);
    let mut durable = messages.durable().progress().watch_health();
    let mut scratch = messages.scratch().progress().watch_health();
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = changed(&mut durable) => {}
            () = changed(&mut scratch) => {}
        }
        let full = durable.borrow().is_full() || scratch.borrow().is_full();
        let before = [alarms.is_memory_low(), alarms.is_disk_low()];
        let now = [watermarks.is_memory_low(), full || watermarks.is_disk_low()];
        let [memory, disk] = now;
        if !alarms.set(memory, disk) {
            continue;
        }
        for ((source, was), is) in ["memory", "disk"].into_iter().zip(before).zip(now) {
            if was != is {
                events.tell(|| alarm(source, is));
            }
        }
        match alarms.reason() {
            Some(reason) => warn!("resource alarm: {reason}; publishers are blocked"),
            None => info!("resource alarm cleared; publishers go on"),
        }
    }
}

/// Waits for news; for ever from a store that has ended.
async fn changed(health: &mut watch::Receiver<Health>) {
    if health.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The process's resident memory in bytes.
pub(crate) fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// The process's resident memory in bytes, without pages that hold nothing any more.
fn used_bytes() -> Option<u64> {
    resident_bytes().map(|resident| resident.saturating_sub(allocator::purgeable_bytes()))
}

/// The memory this process may use, in bytes: its control group's limit or the machine's memory.
pub(crate) fn memory_total() -> Option<u64> {
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
    fn a_watermark_that_is_passed_raises_its_alarm() {
        let data_dir = std::env::temp_dir();
        let calm = Watermarks { memory: None, disk_free: 0, data_dir: data_dir.clone() };
        assert!(!calm.is_memory_low() && !calm.is_disk_low());
        let low = Watermarks { memory: Some(1), disk_free: u64::MAX, data_dir };
        assert!(low.is_memory_low() && low.is_disk_low());
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(memory_total() > resident_bytes());
    }
}
