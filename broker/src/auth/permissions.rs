//! What a user may do in a vhost: three regular expressions over resource names.
//!
//! A connection holds its [`UserPermissions`] and asks it before every operation;
//! `Users` exchanges the rules inside it when they change, so a right given or
//! taken counts at once. RabbitMQ: expressions match anywhere in the name unless
//! they are anchored, and an empty one matches the empty name only.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::explain::{Because, Wish};
use super::rights::{Expressions, Pattern, PatternError, Permission};
use super::topics::Topics;
use arc_swap::ArcSwap;

/// What a user may do in one vhost, now.
pub(crate) struct UserPermissions {
    rules: ArcSwap<Rules>,
    topics: ArcSwap<Topics>,
    /// How often any of it was exchanged.
    changes: AtomicU64,
    /// The user was deleted.
    is_over: AtomicBool,
}

/// All three rights, compiled.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    configure: Pattern,
    write: Pattern,
    read: Pattern,
}

impl UserPermissions {
    pub(super) fn new(rules: Rules) -> Self {
        let (rules, topics) = (ArcSwap::from_pointee(rules), ArcSwap::default());
        Self { rules, topics, changes: AtomicU64::new(0), is_over: AtomicBool::new(false) }
    }

    /// The user is deleted: no connection with these rights stays.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    /// Whether the user was deleted since, also if there is one of that name again.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(super) fn replace(&self, rules: Rules) {
        self.rules.store(rules.into());
        self.changes.fetch_add(1, Ordering::Release);
    }

    pub(super) fn replace_topics(&self, topics: Topics) {
        self.topics.store(topics.into());
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Grows with every change: whoever remembers an answer asks again when it is another.
    #[inline]
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether the key may be written to, or read from, a topic exchange.
    #[must_use]
    pub(crate) fn allows_topic(&self, permission: Permission, exchange: &str, key: &str) -> bool {
        let topics = self.topics.load();
        topics.is_empty() || topics.allows(permission, exchange, key)
    }

    /// Whether the right covers the resource. The default exchange goes by the
    /// name `amq.default` here.
    #[must_use]
    pub(crate) fn allows(&self, permission: Permission, resource: &str) -> bool {
        self.rules.load().pattern(permission).matches(resource)
    }

    /// All of it, as expressions.
    pub(crate) fn expressions(&self) -> Expressions {
        let (rules, topics) = (self.rules.load(), self.topics.load());
        Expressions {
            configure: rules.configure.told(),
            write: rules.write.told(),
            read: rules.read.told(),
            topics: topics.told(),
        }
    }

    /// Whether the user may do this, and why.
    pub(crate) fn explain(&self, wish: &Wish<'_>) -> Because {
        if let Some(key) = wish.key {
            return self.topics.load().explain(wish, key);
        }
        let rules = self.rules.load();
        let pattern = rules.pattern(wish.permission);
        Because::of_expression(wish, pattern.expression(), pattern.matches(wish.name))
    }
}

impl fmt::Debug for UserPermissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.load().fmt(f)
    }
}

impl Rules {
    #[inline]
    fn pattern(&self, permission: Permission) -> &Pattern {
        match permission {
            Permission::Configure => &self.configure,
            Permission::Write => &self.write,
            Permission::Read => &self.read,
        }
    }

    /// Compiles the three expressions.
    pub(super) fn compile(configure: &str, write: &str, read: &str) -> Result<Self, PatternError> {
        Ok(Self {
            configure: Pattern::compile(configure)?,
            write: Pattern::compile(write)?,
            read: Pattern::compile(read)?,
        })
    }

    /// Allows nothing.
    pub(super) const fn nothing() -> Self {
        Self { configure: Pattern::Nothing, write: Pattern::Nothing, read: Pattern::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_allowed(expression: &str, resource: &str) -> bool {
        let rules = Rules::compile("", expression, "").unwrap();
        UserPermissions::new(rules).allows(Permission::Write, resource)
    }

    #[test]
    fn expressions_match_as_in_rabbitmq() {
        for (expression, resource, expected) in [
            (".*", "anything", true),
            (".*", "", true),
            ("^.*$", "anything", true),
            ("", "", true),
            ("", "anything", false),
            ("^$", "", true),
            ("^$", "anything", false),
            ("thing", "anything", true),
            ("^thing", "anything", false),
            ("^(a|b)\\.", "b.queue", true),
            ("^(a|b)\\.", "c.queue", false),
            ("A", "a", false),
            ("(?i)A", "a", true),
        ] {
            assert_eq!(write_allowed(expression, resource), expected, "{expression} {resource}");
        }
    }

    #[test]
    fn each_right_has_its_own_expression() {
        let permissions = UserPermissions::new(Rules::compile("^c", "^w", "^r").unwrap());
        for (permission, name) in
            [(Permission::Configure, "c"), (Permission::Write, "w"), (Permission::Read, "r")]
        {
            for resource in ["c", "w", "r"] {
                assert_eq!(permissions.allows(permission, resource), resource == name);
            }
        }
        assert_eq!(Permission::Configure.name(), "configure");
    }

    #[test]
    fn exchanged_rules_count_at_once() {
        let permissions = UserPermissions::new(Rules::compile(".*", ".*", ".*").unwrap());
        permissions.replace(Rules::nothing());
        assert!(!permissions.allows(Permission::Read, ""));
    }

    #[test]
    fn what_is_no_expression_is_refused_in_one_line() {
        for expression in ["(", "a(?=b)", "\\1"] {
            let error = Rules::compile(expression, "", "").unwrap_err().to_string();
            assert!(error.contains(expression) && !error.contains('\n'), "{error}");
        }
    }
}
