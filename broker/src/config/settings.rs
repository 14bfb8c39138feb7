//! What has been set, by whom, layer over layer; the last layer wins.
//!
//! Every setting is checked against the table of keys when it is made, so a
//! mistake is reported with its place even if a later layer would hide it.

use std::collections::BTreeMap;

use super::changes::{Setting, Settled};
use super::error::{ConfigError, Origin};
use super::inapplicable::why_inapplicable;
use super::keys::{ALIASES, Key, Preset, Row, TABLE, is_wildcard};
use super::syntax::split_key;
use crate::secret::Secret;

#[derive(Debug, Default)]
pub(super) struct Settings {
    assigned: BTreeMap<Vec<String>, Assigned>,
    pub(super) warnings: Vec<String>,
}

#[derive(Debug)]
struct Assigned {
    value: String,
    origin: Origin,
}

impl Settings {
    /// Makes one setting. A key that only RabbitMQ has leaves a warning.
    pub(super) fn set(
        &mut self,
        path: Vec<String>,
        value: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let path = without_alias(path);
        let key = path.join(".");
        let Some(row) = Row::of(&path) else {
            let Some(why) = why_inapplicable(&path) else {
                let nearest = nearest(&key);
                return Err(ConfigError::UnknownKey { origin, key, nearest });
            };
            self.warnings.push(format!("{origin}: '{key}' has no effect in this broker: {why}"));
            return Ok(());
        };
        if !(row.is_valid)(&value) {
            return Err(ConfigError::Value { origin, key, detail: expected(row.kind) });
        }
        self.assigned.insert(path, Assigned { value, origin });
        Ok(())
    }

    /// Whether the table has a key with those segments.
    pub(super) fn knows(path: &[String]) -> bool {
        let path = without_alias(path.to_vec());
        TABLE.iter().any(|row| row.matches(&path))
    }

    /// Whether somebody set this key, which has no free part.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.assigned.keys().any(|path| name.split('.').eq(path.iter().map(String::as_str)))
    }

    /// Makes one setting of a key that is in the table.
    pub(super) fn set_key(
        &mut self,
        name: &str,
        value: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let path = split_key(name)
            .map_err(|detail| ConfigError::Syntax { origin: origin.clone(), detail })?;
        self.set(path, value, origin)
    }

    /// Forgets every setting whose key starts with those segments.
    pub(super) fn forget(&mut self, prefix: &[&str]) {
        self.assigned.retain(|path, _| {
            !path.iter().map(String::as_str).take(prefix.len()).eq(prefix.iter().copied())
        });
    }

    /// The value, or the key's default.
    pub(super) fn get<T>(&self, key: &Key<T>) -> Result<T, ConfigError> {
        if let Some(value) = self.find(key)? {
            return Ok(value);
        }
        match key.preset {
            Preset::Default(text) => parse(key, key.name, text, &Origin::Default),
            Preset::Example(_) => Err(ConfigError::Value {
                origin: Origin::Default,
                key: key.name.to_owned(),
                detail: "has no default".to_owned(),
            }),
        }
    }

    /// The value, if somebody set it.
    pub(super) fn find<T>(&self, key: &Key<T>) -> Result<Option<T>, ConfigError> {
        let path: Vec<String> = key.name.split('.').map(str::to_owned).collect();
        self.assigned
            .get(&path)
            .map(|assigned| parse(key, key.name, &assigned.value, &assigned.origin))
            .transpose()
    }

    /// All that was set, for comparison.
    pub(super) fn settled(&self) -> Settled {
        let pair = |(path, assigned): (&Vec<String>, &Assigned)| {
            let value = Secret::new(assigned.value.clone());
            (path.join("."), Setting { value, origin: assigned.origin.clone() })
        };
        Settled(self.assigned.iter().map(pair).collect())
    }

    /// Every value set under a key with a free segment, with that segment, numbers
    /// in their order. What has a row of its own is not among them.
    pub(super) fn each<T>(&self, key: &Key<T>) -> Result<Vec<(String, T)>, ConfigError> {
        let free = key.name.split('.').take_while(|pattern| !is_wildcard(pattern)).count();
        let mut found = Vec::new();
        for (path, assigned) in &self.assigned {
            let row = |row: &&Row| row.matches(path);
            let own = TABLE.iter().filter(row).any(Row::is_literal);
            if own || !TABLE.iter().filter(row).any(|row| row.name == key.name) {
                continue;
            }
            let value = parse(key, &path.join("."), &assigned.value, &assigned.origin)?;
            found.extend(path.get(free).map(|segment| (segment.clone(), value)));
        }
        found.sort_by_key(|(segment, _)| segment.parse::<u64>().unwrap_or(u64::MAX));
        Ok(found)
    }
}

fn parse<T>(key: &Key<T>, name: &str, text: &str, origin: &Origin) -> Result<T, ConfigError> {
    (key.kind.parse)(text).ok_or_else(|| ConfigError::Value {
        origin: origin.clone(),
        key: name.to_owned(),
        detail: expected(key.kind.name),
    })
}

fn expected(kind: &str) -> String {
    format!("expected {kind}")
}

fn without_alias(path: Vec<String>) -> Vec<String> {
    match ALIASES.iter().find(|(alias, _)| alias.split('.').eq(path.iter().map(String::as_str))) {
        Some((_, name)) => name.split('.').map(str::to_owned).collect(),
        None => path,
    }
}

/// The known key that is spelled most like `key`, if any is similar at all.
fn nearest(key: &str) -> Option<String> {
    TABLE
        .iter()
        .map(|row| (edit_distance(key, row.name), row.name))
        .min()
        .filter(|(distance, _)| *distance <= 2.max(key.len() / 3))
        .map(|(_, name)| name.to_owned())
}

/// How many characters have to be inserted, removed or replaced (Levenshtein).
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, character) in left.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut beside = index + 1;
        next.push(beside);
        for ((above_left, above), other) in row.iter().zip(row.iter().skip(1)).zip(&right) {
            let replaced = above_left + usize::from(character != *other);
            beside = replaced.min(above + 1).min(beside + 1);
            next.push(beside);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshteins() {
        for (left, right, distance) in
            [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }

    #[test]
    fn a_misspelt_key_has_a_nearest_one() {
        for (key, expected) in [
            ("hearbeat", Some("heartbeat")),
            ("listeners.tpc.default", Some("listeners.tcp.default")),
            ("frame-max", Some("frame_max")),
            ("something.else.entirely", None),
        ] {
            assert_eq!(nearest(key).as_deref(), expected, "{key}");
        }
    }
}
