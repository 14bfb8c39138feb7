//! Every key with what it is set to, where that was done, and when a change of it counts.
//!
//! Asked by management. Stays true: each key of the table is told, one with a free part for each name that
//! was set, and a key that has none is told as it is written.

use super::changes::{Reach, Settled};
use super::keys::{Row, TABLE};
use crate::secret::Secret;

/// A key as somebody who looks at the configuration wants it.
#[derive(Debug)]
pub struct ToldKey {
    /// Its name.
    pub key: String,
    /// What somebody set it to. It may be a secret.
    pub value: Option<Secret>,
    /// Where that was done, in words: a file and its line, a variable, an option.
    pub origin: Option<String>,
    /// What applies where nobody sets it, if something does.
    pub default: Option<&'static str>,
    /// What values it takes, as in "expected ...".
    pub kind: &'static str,
    /// What it means.
    pub meaning: String,
    /// When a change of it counts.
    pub reach: Reach,
}

impl Settled {
    /// Every key, those of one row together, in the order of the documentation.
    #[must_use]
    pub fn told(&self) -> Vec<ToldKey> {
        let row = |key: &str| {
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            Row::of(&path).map(|row| row.name)
        };
        let set: Vec<_> = self.keys().map(|key| (row(key), key)).collect();
        let of_row = |row: &'static Row| {
            let own = set.iter().filter(|(of, _)| *of == Some(row.name)).map(|(_, key)| *key);
            let own: Vec<&str> = own.collect();
            let names = if own.is_empty() { vec![row.name] } else { own };
            names.into_iter().map(|key| self.one(key, row)).collect::<Vec<_>>()
        };
        TABLE.iter().flat_map(of_row).collect()
    }

    fn one(&self, key: &str, row: &'static Row) -> ToldKey {
        ToldKey {
            key: key.to_owned(),
            value: self.value(key).cloned(),
            origin: self.origin(key).map(ToString::to_string),
            default: row.default(),
            kind: row.kind,
            meaning: row.meaning(),
            reach: Reach::of(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Origin;
    use super::super::settings::Settings;
    use super::*;

    #[test]
    fn every_key_is_told_once_with_where_it_was_set() {
        let mut settings = Settings::default();
        let file = || Origin::File { path: "/etc/x.conf".into(), line: 7 };
        for (key, value) in [
            ("heartbeat", "30"),
            ("listeners.tcp.one", "5673"),
            ("listeners.tcp.two", "5674"),
            ("default_pass", "hunter2"),
        ] {
            settings.set_key(key, value.to_owned(), file()).unwrap();
        }
        let told = settings.settled().told();
        let of = |key: &str| told.iter().filter(|one| one.key == key).collect::<Vec<_>>();
        let [heartbeat] = of("heartbeat")[..] else { panic!("{told:?}") };
        assert_eq!(heartbeat.value.as_ref().map(Secret::expose), Some("30"));
        assert_eq!(heartbeat.origin.as_deref(), Some("/etc/x.conf:7"));
        assert_eq!((heartbeat.default, heartbeat.reach), (Some("60"), Reach::NewConnections));
        assert_eq!([of("listeners.tcp.one").len(), of("listeners.tcp.two").len()], [1, 1]);
        assert!(of("listeners.tcp.<name>").is_empty());
        // What nobody set is there with its default.
        let [frame_max] = of("frame_max")[..] else { panic!("{told:?}") };
        assert!(frame_max.value.is_none() && frame_max.origin.is_none());
        let rows = TABLE.iter().filter(|row| row.name != "listeners.tcp.<name>");
        for row in rows {
            assert_eq!(of(row.name).len(), 1, "{}", row.name);
        }
        assert!(!format!("{told:?}").contains("hunter2"));
    }
}
