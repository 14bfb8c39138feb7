//! Why a user may or may not do something: one sentence, the same in the log and from
//! `leveret auth explain`.
//!
//! Pure. Stays true: a sentence names what was compared with what, so that whoever reads it knows
//! which line of a configuration, permission or token to change.

use std::fmt;

use super::rights::Permission;

/// Scopes that a sentence names.
const SCOPES_SHOWN: usize = 12;

/// What a user wants to do in a vhost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish<'a> {
    /// The right that it takes.
    pub permission: Permission,
    /// The vhost.
    pub vhost: &'a str,
    /// The queue or the exchange; the default exchange is `amq.default`.
    pub name: &'a str,
    /// The routing key, if the exchange is a topic exchange.
    pub key: Option<&'a str>,
}

/// Whether it may, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Because {
    /// Whether it may.
    pub granted: bool,
    /// The sentence.
    pub sentence: String,
}

impl Because {
    /// Because of a permission of the broker's: a regular expression.
    pub(crate) fn of_expression(wish: &Wish<'_>, expression: &str, granted: bool) -> Self {
        let (of, word) = match wish.key {
            Some(_) => ("topic permission", "routing key"),
            None => ("permission", "name"),
        };
        let matched = wish.key.unwrap_or(wish.name);
        let does = if granted { "matches" } else { "does not match" };
        let permission = wish.permission.name();
        let sentence =
            format!("the {permission} {of} '{expression}' {does} the {word} '{matched}'");
        Self { granted, sentence }
    }

    /// Because nobody said anything of this exchange's routing keys.
    pub(crate) fn of_no_topics(wish: &Wish<'_>) -> Self {
        let name = wish.name;
        let sentence = format!("no topic permissions are set for exchange '{name}'");
        Self { granted: true, sentence }
    }

    /// Because of the scopes of a token: each, and why it does not permit the wish, if it does not.
    pub(crate) fn of_scopes<'a>(
        what: &dyn fmt::Display,
        scopes: impl Iterator<Item = (&'a str, Result<(), &'static str>)>,
    ) -> Self {
        let mut refusals = Vec::new();
        for (scope, permits) in scopes {
            match permits {
                Ok(()) => {
                    let sentence = format!("the scope '{scope}' permits {what}");
                    return Self { granted: true, sentence };
                }
                Err(why_not) => refusals.push(format!("'{scope}' {why_not}")),
            }
        }
        let more = refusals.len().saturating_sub(SCOPES_SHOWN);
        refusals.truncate(SCOPES_SHOWN);
        let told = match (refusals.is_empty(), more) {
            (true, _) => "the token has none for this broker".to_owned(),
            (false, 0) => refusals.join(", "),
            (false, more) => format!("{}, and {more} more", refusals.join(", ")),
        };
        Self { granted: false, sentence: format!("no scope permits {what}: {told}") }
    }
}

impl fmt::Display for Wish<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { permission, vhost, name, key } = self;
        write!(f, "{} on '{name}'", permission.name())?;
        if let Some(key) = key {
            write!(f, " with the routing key '{key}'")?;
        }
        write!(f, " in vhost '{vhost}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISH: Wish<'_> = Wish { permission: Permission::Write, vhost: "/", name: "x", key: None };

    #[test]
    fn expressions_are_named_with_what_they_are_held_against() {
        let because = Because::of_expression(&WISH, "^own-", false);
        let sentence = "the write permission '^own-' does not match the name 'x'";
        assert_eq!(because, Because { granted: false, sentence: sentence.to_owned() });
        let topic = Wish { key: Some("a.b"), ..WISH };
        let because = Because::of_expression(&topic, "^a", true);
        let sentence = "the write topic permission '^a' matches the routing key 'a.b'";
        assert_eq!(because, Because { granted: true, sentence: sentence.to_owned() });
        assert!(Because::of_no_topics(&topic).granted);
    }

    #[test]
    fn scopes_are_named_each_with_its_reason() {
        let scopes =
            [("read:*/*", Err("is about read")), ("write:*/y", Err("is about other names"))];
        let because = Because::of_scopes(&WISH, scopes.into_iter());
        let sentence = "no scope permits write on 'x' in vhost '/': 'read:*/*' is about read, \
                        'write:*/y' is about other names";
        assert_eq!(because, Because { granted: false, sentence: sentence.to_owned() });
        let with_one = scopes.into_iter().chain([("write:*/*", Ok(()))]);
        let because = Because::of_scopes(&WISH, with_one);
        let sentence = "the scope 'write:*/*' permits write on 'x' in vhost '/'";
        assert_eq!(because, Because { granted: true, sentence: sentence.to_owned() });
        let many = std::iter::repeat_n(scopes[0], 100);
        assert!(Because::of_scopes(&WISH, many).sentence.ends_with("and 88 more"));
        let none = Because::of_scopes(&WISH, std::iter::empty());
        assert!(none.sentence.ends_with("the token has none for this broker"), "{none:?}");
    }
}
