//! What a user may do with routing keys of topic exchanges: two regular expressions an exchange.
//!
//! Part of `permissions::UserPermissions`. Stays true: where nothing is said of an exchange every key is
//! allowed; `{username}` and `{vhost}` in an expression stand for the user's name and the vhost's, taken
//! as they are. See RabbitMQ's page on access control ("Topic Authorisation").

use std::collections::HashMap;

use super::explain::{Because, Wish};
use super::rights::{Pattern, PatternError, Permission};
use crate::definitions::parameters::TopicPermissionRecord;

/// The rules of one user in one vhost, by exchange.
#[derive(Debug, Default)]
pub(super) struct Topics {
    rules: HashMap<String, Rules>,
}

#[derive(Debug)]
struct Rules {
    write: Pattern,
    read: Pattern,
}

impl Rules {
    fn pattern(&self, permission: Permission) -> &Pattern {
        match permission {
            Permission::Read => &self.read,
            Permission::Write | Permission::Configure => &self.write,
        }
    }

    fn compile(record: &TopicPermissionRecord) -> Result<Self, PatternError> {
        let expanded = |expression: &str| {
            let expression = expression.replace("{username}", &regex::escape(&record.user));
            let expression = expression.replace("{vhost}", &regex::escape(&record.vhost));
            // Clients of this protocol have none: it stands for itself.
            expression.replace("{client_id}", &regex::escape("{client_id}"))
        };
        Ok(Self {
            write: Pattern::compile(&expanded(&record.write))?,
            read: Pattern::compile(&expanded(&record.read))?,
        })
    }
}

/// Whether these rules can be given.
///
/// # Errors
/// One is no regular expression as this broker knows them.
pub(crate) fn assert_rules(record: &TopicPermissionRecord) -> Result<(), PatternError> {
    Rules::compile(record).map(drop)
}

impl Topics {
    /// From what is kept. Rules that cannot be compiled allow nothing.
    pub(super) fn new<'a>(records: impl Iterator<Item = &'a TopicPermissionRecord>) -> Self {
        let rules = records.map(|record| {
            let rules = Rules::compile(record).unwrap_or_else(|error| {
                let (user, vhost, exchange) = (&record.user, &record.vhost, &record.exchange);
                tracing::warn!(
                    "user '{user}' may use no routing key of exchange '{exchange}' in vhost \
                     '{vhost}': {error}"
                );
                Rules { write: Pattern::Nothing, read: Pattern::Nothing }
            });
            (record.exchange.clone(), rules)
        });
        Self { rules: rules.collect() }
    }

    /// Whether nothing is said of any exchange.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, by exchange: for writing, for reading.
    pub(super) fn told(&self) -> Vec<(String, [String; 2])> {
        let told = self
            .rules
            .iter()
            .map(|(exchange, rules)| (exchange.clone(), [rules.write.told(), rules.read.told()]));
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }

    /// Whether the key may be written to or read from the exchange.
    pub(super) fn allows(&self, permission: Permission, exchange: &str, key: &str) -> bool {
        let rules = self.rules.get(exchange);
        rules.is_none_or(|rules| rules.pattern(permission).matches(key))
    }

    /// Whether it may be, and why.
    pub(super) fn explain(&self, wish: &Wish<'_>, key: &str) -> Because {
        let Some(rules) = self.rules.get(wish.name) else { return Because::of_no_topics(wish) };
        let pattern = rules.pattern(wish.permission);
        Because::of_expression(wish, pattern.expression(), pattern.matches(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(write: &str, read: &str) -> Topics {
        let text = str::to_owned;
        let record = TopicPermissionRecord {
            user: text("a.b"),
            vhost: text("v"),
            exchange: text("x"),
            write: text(write),
            read: text(read),
        };
        Topics::new([record].iter())
    }

    #[test]
    fn each_way_has_its_own_expression_and_other_exchanges_none() {
        let topics = topics("^w\\.", "^r\\.");
        assert!(topics.allows(Permission::Write, "x", "w.1"));
        assert!(!topics.allows(Permission::Write, "x", "r.1"));
        assert!(topics.allows(Permission::Read, "x", "r.1"));
        assert!(!topics.allows(Permission::Read, "x", "w.1"));
        assert!(topics.allows(Permission::Write, "y", "anything"));
    }

    #[test]
    fn the_names_of_user_and_vhost_stand_for_themselves() {
        let topics = topics("^{username}\\.{vhost}$", "{client_id}");
        assert!(topics.allows(Permission::Write, "x", "a.b.v"));
        assert!(!topics.allows(Permission::Write, "x", "aXb.v"), "the dot is one");
    }

    #[test]
    fn what_cannot_be_compiled_allows_nothing() {
        let topics = topics("(", ".*");
        assert!(!topics.allows(Permission::Write, "x", "("));
        assert!(!topics.allows(Permission::Read, "x", "a"));
    }
}
