//! What differs between two configurations of one broker, and whether it needs a restart.
//!
//! `server` asks when the configuration is read again. Values are compared and never shown: some are
//! secrets.

use std::collections::BTreeMap;

use super::error::Origin;
use crate::secret::Secret;

/// Every setting that somebody made, by its key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settled(pub(super) BTreeMap<String, Setting>);

/// What somebody set a key to, and where.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) value: Secret,
    pub(super) origin: Origin,
}

/// The same is the same wherever it was set.
impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// When a setting that was changed counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// At once.
    Now,
    /// For connections that are opened from now on.
    NewConnections,
    /// After a restart.
    Restart,
}

/// Keys, and all below them, that count without a restart.
const REACHES: &[(&str, Reach)] = &[
    ("channel_max", Reach::NewConnections),
    ("channel_max_per_node", Reach::NewConnections),
    ("cluster_exchange_limit", Reach::Now),
    ("cluster_queue_limit", Reach::Now),
    ("consumer_max_per_channel", Reach::NewConnections),
    ("disk_free_limit", Reach::Now),
    ("frame_max", Reach::NewConnections),
    ("handshake_timeout", Reach::NewConnections),
    ("heartbeat", Reach::NewConnections),
    ("initial_frame_max", Reach::NewConnections),
    ("log", Reach::Now),
    ("log.console.stdio", Reach::Restart),
    ("management.ssl", Reach::NewConnections),
    ("management.ssl.ip", Reach::Restart),
    ("management.ssl.port", Reach::Restart),
    ("max_connections", Reach::NewConnections),
    ("max_message_size", Reach::NewConnections),
    ("message_memory", Reach::Now),
    ("shutdown_timeout", Reach::Now),
    ("total_memory_available_override_value", Reach::Now),
    ("ssl_cert_login_from", Reach::NewConnections),
    ("ssl_cert_login_san_index", Reach::NewConnections),
    ("ssl_cert_login_san_type", Reach::NewConnections),
    ("ssl_handshake_timeout", Reach::NewConnections),
    ("ssl_options", Reach::NewConnections),
    ("tcp_listen_options.send_timeout", Reach::NewConnections),
    ("unacked_max_per_channel", Reach::NewConnections),
    ("vhost_max", Reach::Now),
    ("vm_memory_high_watermark", Reach::Now),
];

impl Reach {
    /// The reach of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let below = |prefix: &&(&str, Self)| {
            key.strip_prefix(prefix.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let nearest = REACHES.iter().filter(below).max_by_key(|(prefix, _)| prefix.len());
        nearest.map_or(Self::Restart, |(_, reach)| *reach)
    }
}

impl Settled {
    /// The keys that are set, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What somebody set a key to. It may be a secret.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Secret> {
        self.0.get(key).map(|setting| &setting.value)
    }

    /// Where somebody set it.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.0.get(key).map(|setting| &setting.origin)
    }

    /// The keys that are set otherwise than in `running`, in their order.
    #[must_use]
    pub fn changed_since(&self, running: &Self) -> Vec<String> {
        let keys: std::collections::BTreeSet<&String> =
            self.0.keys().chain(running.0.keys()).collect();
        let differs = |key: &&String| self.0.get(*key) != running.0.get(*key);
        keys.into_iter().filter(differs).cloned().collect()
    }

    /// A change of this key counts now; what needs a restart goes on to differ.
    pub fn take(&mut self, key: &str, from: &Self) {
        match from.0.get(key) {
            Some(value) => drop(self.0.insert(key.to_owned(), value.clone())),
            None => drop(self.0.remove(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::TABLE;
    use super::*;

    fn settled(pairs: &[(&str, &str)]) -> Settled {
        let pair = |(key, value): &(&str, &str)| {
            let value = Secret::new((*value).to_owned());
            ((*key).to_owned(), Setting { value, origin: Origin::Default })
        };
        Settled(pairs.iter().map(pair).collect())
    }

    #[test]
    fn what_was_set_unset_or_set_otherwise_has_changed() {
        let mut running = settled(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let read = settled(&[("b", "2"), ("c", "4"), ("d", "5")]);
        assert_eq!(read.changed_since(&running), ["a", "c", "d"]);
        running.take("a", &read);
        running.take("c", &read);
        assert_eq!(read.changed_since(&running), ["d"]);
        assert!(!format!("{read:?}").contains('4'), "a value is nobody's business");
    }

    #[test]
    fn the_nearest_key_says_when_a_change_counts() {
        for (key, reach) in [
            ("log.console.level", Reach::Now),
            ("log.console.stdio", Reach::Restart),
            ("vm_memory_high_watermark.relative", Reach::Now),
            ("heartbeat", Reach::NewConnections),
            ("listeners.tcp.default", Reach::Restart),
            ("frame_max_of_others", Reach::Restart),
        ] {
            assert_eq!(Reach::of(key), reach, "{key}");
        }
        for (prefix, _) in REACHES {
            let below = |name: &str| name == *prefix || name.starts_with(&format!("{prefix}."));
            assert!(TABLE.iter().any(|row| below(row.name)), "{prefix} is no key");
        }
    }
}
