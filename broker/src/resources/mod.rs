//! The resources that alarms are about: the process's memory and the data directory's free space.
//!
//! The broker has the `Watermarks`, which may be set while it runs. `watch` runs for the life of the
//! server, samples both, listens to the message stores, which may find the disk full, and sets the
//! `Alarms`. Files: `memory` says how much there is. See RabbitMQ's memory and disk alarms pages.

mod memory;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use leveret_storage::messages::Health;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use self::memory::System;
use crate::alarms::Alarms;
use crate::allocator;
use crate::config::{DiskFreeLimit, MemoryHighWatermark};
use crate::events::Events;
use crate::events::clients::alarm;
use crate::stores::Messages;

/// How often resources are looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
const MIB: u64 = 1024 * 1024;

/// What the alarms watch.
#[derive(Debug)]
pub(crate) struct Watermarks {
    data_dir: PathBuf,
    system: System,
    marks: Mutex<Marks>,
    changed: Notify,
}

/// How the watermarks are set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Marks {
    /// Memory above which publishers wait.
    pub memory: MemoryHighWatermark,
    /// Free space below which publishers wait.
    pub disk_free: DiskFreeLimit,
    /// The memory there is, in bytes, in place of what the system says.
    pub memory_total: Option<u64>,
}

impl Watermarks {
    /// These marks, the disk's for the file system of `data_dir`.
    pub(crate) fn new(data_dir: &Path, marks: Marks) -> Self {
        let (data_dir, system) = (data_dir.to_owned(), System::default());
        Self { data_dir, system, marks: Mutex::new(marks), changed: Notify::new() }
    }

    /// How they are set.
    pub(crate) fn marks(&self) -> Marks {
        *self.marks.lock()
    }

    /// Sets them otherwise; the alarms follow at once.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Marks)) {
        change(&mut self.marks.lock());
        self.changed.notify_one();
    }

    /// The memory that the machine has, in bytes.
    pub(crate) fn machine_bytes(&self) -> u64 {
        memory::machine_bytes()
    }

    /// What of it control groups leave this process, in bytes.
    pub(crate) fn usable_bytes(&self) -> u64 {
        self.system.usable(memory::machine_bytes())
    }

    /// The memory there is for this process, in bytes. It may be changed from outside.
    pub(crate) fn memory_total(&self) -> u64 {
        let set = self.marks.lock().memory_total;
        set.unwrap_or_else(|| self.system.usable(memory::machine_bytes()))
    }

    /// Memory in use, in bytes, above which publishers wait.
    pub(crate) fn memory_limit(&self) -> u64 {
        self.marks().memory.bytes(self.memory_total())
    }

    /// Free space in bytes below which publishers wait.
    pub(crate) fn disk_free_limit(&self) -> u64 {
        self.marks().disk_free.bytes(self.memory_total())
    }

    /// Bytes free where the data directory is; `None` when the system does not say.
    pub(crate) fn disk_free_now(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.data_dir).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// What is low, and how low it is; `full` if the stores found no room.
    fn look(&self, full: bool) -> [Option<String>; 2] {
        let (total, marks) = (self.memory_total(), self.marks());
        let (used, limit) = (used_bytes(), marks.memory.bytes(total));
        let memory = used.filter(|used| *used > limit).map(|used| {
            format!("{} MiB are in use, the watermark is {} MiB", used / MIB, limit / MIB)
        });
        let (free, least) = (self.disk_free_now(), marks.disk_free.bytes(total));
        let place = self.data_dir.display();
        let disk = free.filter(|free| *free < least).map(|free| {
            format!("{} MiB are free for {place}, the limit is {} MiB", free / MIB, least / MIB)
        });
        let disk =
            disk.or_else(|| full.then(|| format!("there is no room for messages in {place}")));
        [memory, disk]
    }
}

/// Samples the resources for ever.
pub(crate) async fn watch(
    alarms: Arc<Alarms>,
    events: Arc<Events>,
    messages: Arc<Messages>,
    watermarks: Arc<Watermarks>,
) {
    let mut every = tokio::time::interval(SAMPLE_EVERY);
    let mut durable = messages.durable().progress().watch_health();
    let mut scratch = messages.scratch().progress().watch_health();
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = changed(&mut durable) => {}
            () = changed(&mut scratch) => {}
            () = watermarks.changed.notified() => {}
        }
        let full = durable.borrow().is_full() || scratch.borrow().is_full();
        let before = [alarms.is_memory_low(), alarms.is_disk_low()];
        let now = watermarks.look(full);
        let [memory, disk] = now.each_ref().map(Option::is_some);
        if alarms.set(memory, disk) {
            tell(&events, before, &now);
        }
    }
}

/// Tells what has changed.
fn tell(events: &Events, before: [bool; 2], now: &[Option<String>; 2]) {
    for ((resource, was), is) in ["memory", "disk"].into_iter().zip(before).zip(now) {
        match is {
            Some(why) if !was => warn!(
                event = "alarm.set",
                resource, "resource alarm: low on {resource}: {why}; publishers are blocked"
            ),
            None if was => info!(
                event = "alarm.cleared",
                resource,
                "resource alarm: no longer low on {resource}{}",
                if now.iter().all(Option::is_none) { "; publishers go on" } else { "" }
            ),
            Some(_) | None => continue,
        }
        events.tell(|| alarm(resource, is.is_some()));
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

/// Open file descriptors of the process, sockets among them.
pub(crate) fn open_descriptors() -> Option<u64> {
    // Since Linux 6.2 their number is the size of the directory, and need not be counted.
    let told = std::fs::metadata("/proc/self/fd").ok()?.len();
    if told > 0 {
        return Some(told);
    }
    let listed = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // The list itself was open.
    Some(listed.saturating_sub(1))
}

/// The process's resident memory in bytes, without pages that hold nothing any more.
fn used_bytes() -> Option<u64> {
    resident_bytes().map(|resident| resident.saturating_sub(allocator::purgeable_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermarks(memory: MemoryHighWatermark, disk_free: DiskFreeLimit) -> Watermarks {
        let marks = Marks { memory, disk_free, memory_total: None };
        Watermarks::new(&std::env::temp_dir(), marks)
    }

    #[test]
    fn a_watermark_that_is_passed_says_by_how_much() {
        let absolute = |memory, disk| {
            watermarks(MemoryHighWatermark::Absolute(memory), DiskFreeLimit::Absolute(disk))
        };
        assert_eq!(absolute(u64::MAX, 0).look(false), [None, None]);
        let [memory, disk] = absolute(1, u64::MAX).look(false);
        assert!(memory.is_some_and(|why| why.ends_with("the watermark is 0 MiB")));
        assert!(disk.is_some_and(|why| why.contains("are free for")));
        let [memory, disk] = absolute(u64::MAX, 0).look(true);
        assert!(memory.is_none() && disk.is_some_and(|why| why.contains("no room for messages")));
    }

    #[test]
    fn shares_are_of_the_memory_there_is() {
        let watermarks =
            watermarks(MemoryHighWatermark::Relative(0.5), DiskFreeLimit::Relative(2.0));
        assert!(Some(watermarks.memory_total()) > resident_bytes());
        watermarks.set(|marks| marks.memory_total = Some(1000));
        assert_eq!((watermarks.memory_limit(), watermarks.disk_free_limit()), (500, 2000));
        watermarks.set(|marks| marks.memory = MemoryHighWatermark::Absolute(7));
        assert_eq!((watermarks.memory_limit(), watermarks.disk_free_limit()), (7, 2000));
    }
}
