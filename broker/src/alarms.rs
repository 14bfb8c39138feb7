//! Resource alarms: why publishers wait.
//!
//! Set by `resources`, which samples; asked before every publish; watched by every connection. As on
//! RabbitMQ only publishing connections are held back and told (`connection.blocked`); consumers and
//! acks go on, because they are what makes room. See RabbitMQ's memory, disk alarms and blocked
//! pages.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;

const MEMORY: u8 = 1;
const DISK: u8 = 2;

/// Which alarms are raised.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    raised: AtomicU8,
    changed: watch::Sender<()>,
}

impl Alarms {
    /// Why publishers wait, in RabbitMQ's words; `None` when they need not.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self.raised.load(Ordering::Relaxed) {
            0 => None,
            MEMORY => Some("low on memory"),
            DISK => Some("low on disk"),
            _ => Some("low on disk & memory"),
        }
    }

    /// Whether publishers wait for memory.
    pub(crate) fn is_memory_low(&self) -> bool {
        self.raised.load(Ordering::Relaxed) & MEMORY != 0
    }

    /// Whether publishers wait for disk space.
    pub(crate) fn is_disk_low(&self) -> bool {
        self.raised.load(Ordering::Relaxed) & DISK != 0
    }

    /// Sets which are raised; true when that is news, which is then told to all who watch.
    pub(crate) fn set(&self, memory: bool, disk: bool) -> bool {
        let alarms = u8::from(memory) * MEMORY + u8::from(disk) * DISK;
        let is_news = self.raised.swap(alarms, Ordering::Release) != alarms;
        if is_news {
            self.changed.send_replace(());
        }
        is_news
    }

    /// Says when something changes.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_rabbitmqs() {
        let alarms = Alarms::default();
        assert_eq!(alarms.reason(), None);
        assert!(alarms.set(true, false));
        assert!(!alarms.set(true, false), "nothing changed");
        assert_eq!(alarms.reason(), Some("low on memory"));
        alarms.set(false, true);
        assert_eq!(alarms.reason(), Some("low on disk"));
        alarms.set(true, true);
        assert_eq!(alarms.reason(), Some("low on disk & memory"));
        assert!(alarms.is_disk_low() && alarms.is_memory_low());
        alarms.set(false, true);
        assert!(alarms.is_disk_low() && !alarms.is_memory_low());
    }

    #[test]
    fn whoever_watches_hears_of_changes_alone() {
        let alarms = Alarms::default();
        let watch = alarms.watch();
        alarms.set(false, false);
        assert_eq!(watch.has_changed().ok(), Some(false));
        alarms.set(true, false);
        assert_eq!(watch.has_changed().ok(), Some(true));
    }
}
