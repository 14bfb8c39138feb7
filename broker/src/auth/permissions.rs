//! What a user may do in a vhost: three regular expressions over resource names.
//!
//! A connection holds its [`UserPermissions`] and asks it before every operation;
//! `Users` exchanges the rules inside it when they change, so a right given or
//! taken counts at once. RabbitMQ: expressions match anywhere in the name unless
//! they are anchored, and an empty one matches the empty name only.

use std::fmt;

use arc_swap::ArcSwap;
use regex::Regex;

/// The three rights. Which operation needs which: RabbitMQ's access control page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Permission {
    /// Declare and delete.
    Configure,
    /// Publish to, bind to.
    Write,
    /// Consume from, get from, purge, bind from.
    Read,
}

impl Permission {
    /// The word in error texts.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::Write => "write",
            Self::Read => "read",
        }
    }
}

/// A text that is not a regular expression as this broker knows them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{expression}' is not a regular expression: {reason}")]
pub(crate) struct PatternError {
    expression: String,
    reason: String,
}

/// What a user may do in one vhost, now.
pub(crate) struct UserPermissions {
    rules: ArcSwap<Rules>,
}

/// A right's extent, compiled.
#[derive(Debug, Clone)]
enum Pattern {
    /// `.*`, so common that names are not even looked at.
    Everything,
    /// The empty expression.
    OnlyTheEmptyName,
    /// Anything else.
    Matching(Regex),
    /// No name at all: rights that were taken away.
    Nothing,
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
        Self { rules: ArcSwap::from_pointee(rules) }
    }

    pub(super) fn replace(&self, rules: Rules) {
        self.rules.store(rules.into());
    }

    /// Whether the right covers the resource. The default exchange goes by the
    /// name `amq.default` here.
    #[must_use]
    pub(crate) fn allows(&self, permission: Permission, resource: &str) -> bool {
        let rules = self.rules.load();
        match permission {
            Permission::Configure => rules.configure.matches(resource),
            Permission::Write => rules.write.matches(resource),
            Permission::Read => rules.read.matches(resource),
        }
    }
}

impl fmt::Debug for UserPermissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.load().fmt(f)
    }
}

impl Rules {
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

/// Whether a right may be given in these words.
///
/// # Errors
/// It is not a regular expression as this broker knows them.
pub(crate) fn assert_pattern(expression: &str) -> Result<(), PatternError> {
    Pattern::compile(expression).map(drop)
}

impl Pattern {
    fn compile(expression: &str) -> Result<Self, PatternError> {
        match expression {
            "" => Ok(Self::OnlyTheEmptyName),
            // Names have no line breaks, so these match every name.
            ".*" | "^.*$" | "^.*" | ".*$" => Ok(Self::Everything),
            _ => Regex::new(expression).map(Self::Matching).map_err(|error| PatternError {
                expression: expression.to_owned(),
                // The regex crate draws the expression over several lines first.
                reason: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
            }),
        }
    }

    fn matches(&self, resource: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::OnlyTheEmptyName => resource.is_empty(),
            Self::Matching(regex) => regex.is_match(resource),
            Self::Nothing => false,
        }
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
