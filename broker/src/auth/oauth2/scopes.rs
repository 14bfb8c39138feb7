//! Scopes as RabbitMQ reads them: `<permission>:<vhost>/<name>[/<routing key>]`, where each part is a
//! pattern (<https://www.rabbitmq.com/docs/oauth2#scope-translation>).
//!
//! Pure. A room of `auth::oauth2`. A `*` in a pattern stands for any characters and `%` begins an
//! escape, as in URLs; with the syntax `regex` a pattern is a regular expression for the whole name.
//! Stays true: a pattern that cannot be read matches nothing; of what a variable stands for nothing
//! is a pattern.

use regex::Regex;
use serde_json::{Map, Value};

use crate::auth::explain::Wish;
use crate::auth::rights::Permission;
use crate::config::ScopeSyntax;

/// The longest regular expression, in bytes.
const REGEX_MAX: usize = 2048;

/// What a scope permits.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    permission: Permission,
    vhost: Pattern,
    name: Pattern,
    /// Without one it says nothing of routing keys.
    key: Option<Pattern>,
}

/// A part of a scope.
#[derive(Debug, Clone)]
enum Pattern {
    /// What stands between the asterisks.
    Wildcard(Vec<Vec<u8>>),
    /// All of the name.
    Regex(Box<Regex>),
    /// No name at all.
    Nothing,
}

impl Grant {
    /// Reads a scope, for the vhost that `{vhost}` in it stands for; other variables are claims.
    /// `None` if it permits nothing: other scopes may stand in a token, too.
    pub(crate) fn parse(
        scope: &str,
        syntax: ScopeSyntax,
        claims: &Map<String, Value>,
        vhost: &str,
    ) -> Option<Self> {
        let expanded = expand(scope, syntax, claims, vhost)?;
        let (permission, resource) = expanded.split_once(':')?;
        let permission = match permission {
            "configure" => Permission::Configure,
            "write" => Permission::Write,
            "read" => Permission::Read,
            _ => return None,
        };
        let mut parts = resource.split('/').map(|part| Pattern::parse(part, syntax));
        let (vhost, name, key) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() {
            return None;
        }
        Some(Self { permission, vhost, name, key })
    }

    /// Whether it lets into this vhost.
    pub(crate) fn enters(&self, vhost: &str) -> bool {
        self.vhost.matches(vhost)
    }

    /// Why it does not permit what the user wants.
    ///
    /// # Errors
    /// The end of a sentence that begins with the scope; there is none if it does permit it.
    pub(crate) fn assert_permits(&self, wish: &Wish<'_>) -> Result<(), &'static str> {
        if self.permission != wish.permission {
            return Err(match self.permission {
                Permission::Configure => "is about configure",
                Permission::Write => "is about write",
                Permission::Read => "is about read",
            });
        }
        if !self.enters(wish.vhost) {
            return Err("is about other vhosts");
        }
        if !self.name.matches(wish.name) {
            return Err("is about other names");
        }
        match (wish.key, &self.key) {
            (Some(_), None) => Err("says nothing of routing keys"),
            (Some(key), Some(pattern)) if !pattern.matches(key) => {
                Err("is about other routing keys")
            }
            (Some(_), Some(_)) | (None, _) => Ok(()),
        }
    }

    /// What it says of names, as a regular expression of ECMAScript for the whole name; `None` if it is about
    /// something else.
    pub(crate) fn expression(&self, permission: Permission) -> Option<String> {
        if self.permission != permission {
            return None;
        }
        match &self.name {
            Pattern::Wildcard(parts) => Some(expression_of(parts)),
            Pattern::Regex(whole) => {
                let inner =
                    whole.as_str().strip_prefix("\\A").and_then(|it| it.strip_suffix("\\z"));
                Some(inner.unwrap_or_default().to_owned())
            }
            Pattern::Nothing => None,
        }
    }

    /// Whether it permits this with a queue or an exchange of a vhost that it lets into.
    pub(crate) fn permits(&self, permission: Permission, name: &str) -> bool {
        self.permission == permission && self.name.matches(name)
    }

    /// Whether it permits the use of a routing key with a topic exchange there.
    pub(crate) fn permits_topic(&self, permission: Permission, exchange: &str, key: &str) -> bool {
        let covers = self.key.as_ref().is_some_and(|pattern| pattern.matches(key));
        covers && self.permits(permission, exchange)
    }
}

/// Puts values in the place of `{vhost}` and `{claim}`; a name that is no claim of text stands for
/// itself. `None` if RabbitMQ reads no scope.
fn expand(
    scope: &str,
    syntax: ScopeSyntax,
    claims: &Map<String, Value>,
    vhost: &str,
) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = scope;
    while let Some((before, after)) = rest.split_once('{') {
        let end = after.find(['{', '.', '*', '}']).unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        // RabbitMQ wants the brace closed, but not at the end.
        let behind = match behind.strip_prefix('}') {
            Some(behind) => behind,
            None if behind.is_empty() => behind,
            None => return None,
        };
        let claimed = claims.get(name).and_then(Value::as_str);
        let value = if name == "vhost" { vhost } else { claimed.unwrap_or(name) };
        expanded.push_str(before);
        match syntax {
            ScopeSyntax::Wildcard => expanded.extend(value.chars().map(literal)),
            // A slash would begin the next part.
            ScopeSyntax::Regex => expanded.push_str(&regex::escape(value).replace('/', "\\x2f")),
        }
        rest = behind;
    }
    expanded.push_str(rest);
    Some(expanded)
}

/// A character that is no pattern: marks of the private use area stand for those that would be.
fn literal(character: char) -> char {
    match character {
        '*' => '\u{f00a}',
        '%' => '\u{f005}',
        '+' => '\u{f00b}',
        '/' => '\u{f00f}',
        ':' => '\u{f01a}',
        other => other,
    }
}

fn unmarked(part: &str) -> String {
    let character = |marked| match marked {
        '\u{f00a}' => '*',
        '\u{f005}' => '%',
        '\u{f00b}' => '+',
        '\u{f00f}' => '/',
        '\u{f01a}' => ':',
        other => other,
    };
    part.chars().map(character).collect()
}

impl Pattern {
    fn parse(text: &str, syntax: ScopeSyntax) -> Self {
        match syntax {
            ScopeSyntax::Wildcard => {
                let parts: Option<Vec<_>> = text.split('*').map(unescaped).collect();
                parts.map_or(Self::Nothing, Self::Wildcard)
            }
            ScopeSyntax::Regex => {
                // RabbitMQ: flags and comments within are not taken.
                let is_odd = ["(?i", "(?m", "(?s", "(?x", "(?U", "(?-", "(?#", "(*"]
                    .iter()
                    .any(|construct| text.contains(construct));
                if text.len() > REGEX_MAX || is_odd {
                    return Self::Nothing;
                }
                let whole = Regex::new(&format!("\\A(?:{text})\\z"));
                whole.map_or(Self::Nothing, |whole| Self::Regex(Box::new(whole)))
            }
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Wildcard(parts) => matches_wildcard(name.as_bytes(), parts),
            Self::Regex(whole) => whole.is_match(name),
            Self::Nothing => false,
        }
    }
}

/// RabbitMQ's way: each part is looked for behind the one before it, and where it is found first it
/// counts. So `*a` is not every name that ends with an `a`.
fn matches_wildcard(name: &[u8], parts: &[Vec<u8>]) -> bool {
    let Some((first, mut others)) = parts.split_first() else { return false };
    let Some(mut rest) = name.strip_prefix(first.as_slice()) else { return false };
    while let Some((part, behind)) = others.split_first() {
        if part.is_empty() && behind.is_empty() {
            return true;
        }
        if rest.is_empty() {
            return false;
        }
        others = behind;
        if part.is_empty() {
            continue;
        }
        let found = rest.windows(part.len()).position(|window| window == part.as_slice());
        let Some(at) = found else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.is_empty()
}

/// The same as an expression: behind an asterisk everything up to where the next part is found first.
fn expression_of(parts: &[Vec<u8>]) -> String {
    let mut parts = parts.iter().map(|part| regex::escape(&String::from_utf8_lossy(part)));
    let mut expression = parts.next().unwrap_or_default();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        match (part.is_empty(), parts.peek().is_none()) {
            (true, true) => expression.push_str("[\\s\\S]*"),
            (true, false) => {}
            (false, _) => expression.push_str(&format!("(?:(?!{part})[\\s\\S])*{part}")),
        }
    }
    expression
}

/// Takes out what URLs escape. `None` if an escape is none.
fn unescaped(part: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(unmarked(&before.replace('+', " ")).into_bytes());
        let digits =
            after.get(..2).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..).unwrap_or_default();
    }
    bytes.extend(unmarked(&rest.replace('+', " ")).into_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims() -> Map<String, Value> {
        let claims = json!({"sub": "bob", "star": "a*", "slash": "a/b", "number": 7});
        claims.as_object().cloned().unwrap()
    }

    fn grant(scope: &str, vhost: &str) -> Option<Grant> {
        Grant::parse(scope, ScopeSyntax::Wildcard, &claims(), vhost)
            .filter(|grant| grant.enters(vhost))
    }

    fn reads(scope: &str, vhost: &str, name: &str) -> bool {
        grant(scope, vhost).is_some_and(|grant| grant.permits(Permission::Read, name))
    }

    #[test]
    fn scopes_are_permissions_for_names_in_vhosts() {
        for (scope, vhost, name, expected) in [
            ("read:*/*", "/", "q", true),
            ("read:*/*", "v", "", true),
            ("read:v/q", "v", "q", true),
            ("read:v/q", "v", "qq", false),
            ("read:v/q", "w", "q", false),
            ("read:v/q*", "v", "qq", true),
            ("read:v/*q", "v", "aq", true),
            ("read:v/a*b", "v", "axxb", true),
            ("read:v/a*b", "v", "ab", true),
            ("read:v/a*b", "v", "abc", false),
            // The first that is found counts.
            ("read:v/*a", "v", "aba", false),
            ("read:v/a**", "v", "a", false),
            ("read:v/a**", "v", "ab", true),
            ("read:v/a*b*", "v", "ab", true),
            ("read:%2F/q", "/", "q", true),
            ("read:v/a%2Ab", "v", "a*b", true),
            ("read:v/a%2Ab", "v", "axb", false),
            ("read:v/a+b", "v", "a b", true),
            ("read:v/a%zz", "v", "a%zz", false),
            ("read:v/q/key", "v", "q", true),
            ("write:v/q", "v", "q", false),
            ("read:v", "v", "q", false),
            ("read:v/a/b/c", "v", "a", false),
            ("read", "v", "q", false),
            ("rabbitmq.read:*/*", "v", "q", false),
            ("tag:administrator", "v", "q", false),
        ] {
            assert_eq!(reads(scope, vhost, name), expected, "{scope} {vhost} {name}");
        }
    }

    #[test]
    fn a_scope_says_why_it_does_not_permit_something() {
        let why_not = |scope: &str, key| {
            let wish = Wish { permission: Permission::Write, vhost: "v", name: "x", key };
            let grant = Grant::parse(scope, ScopeSyntax::Wildcard, &claims(), "v").unwrap();
            let permits = match key {
                None => grant.enters("v") && grant.permits(Permission::Write, "x"),
                Some(key) => grant.enters("v") && grant.permits_topic(Permission::Write, "x", key),
            };
            let answer = grant.assert_permits(&wish);
            assert_eq!(answer.is_ok(), permits, "{scope}");
            answer.err().unwrap_or("nothing")
        };
        for (scope, key, expected) in [
            ("read:*/*", None, "is about read"),
            ("write:w/*", None, "is about other vhosts"),
            ("write:v/y", None, "is about other names"),
            ("write:v/x", None, "nothing"),
            ("write:v/x", Some("a"), "says nothing of routing keys"),
            ("write:v/x/b", Some("a"), "is about other routing keys"),
            ("write:v/x/*", Some("a"), "nothing"),
        ] {
            assert_eq!(why_not(scope, key), expected, "{scope}");
        }
    }

    #[test]
    fn topics_need_a_pattern_for_keys() {
        let may = |scope: &str, key: &str| {
            grant(scope, "v").is_some_and(|grant| grant.permits_topic(Permission::Write, "x", key))
        };
        assert!(may("write:v/x/*", "a.b") && may("write:*/*/*", "a.b"));
        assert!(may("write:v/x/a.*", "a.b") && !may("write:v/x/a.*", "b.a"));
        assert!(!may("write:v/x", "a.b"), "it says nothing of keys");
        assert!(!may("read:v/x/*", "a.b"));
    }

    #[test]
    fn variables_stand_for_what_they_are_and_for_no_pattern() {
        for (scope, vhost, name, expected) in [
            ("read:{vhost}/*", "v", "q", true),
            ("read:{vhost}/*", "/", "q", true),
            ("read:{vhost}/*", "*", "q", true),
            ("read:v/{sub}-*", "v", "bob-1", true),
            ("read:v/{sub}-*", "v", "eve-1", false),
            ("read:v/{star}", "v", "ab", false),
            ("read:v/{star}", "v", "a*", true),
            ("read:v/{slash}", "v", "a/b", true),
            ("read:v/{other}", "v", "other", true),
            ("read:v/{number}", "v", "number", true),
            ("read:v/{sub", "v", "bob", true),
            ("read:v/{sub*", "v", "bob", false),
            ("read:v/{s.b}", "v", "s.b", false),
        ] {
            assert_eq!(reads(scope, vhost, name), expected, "{scope} {vhost} {name}");
        }
    }

    #[test]
    fn regular_expressions_are_of_the_whole_name() {
        let reads = |scope: &str, name: &str| {
            let parsed = Grant::parse(scope, ScopeSyntax::Regex, &claims(), "v");
            parsed.is_some_and(|grant| grant.enters("v") && grant.permits(Permission::Read, name))
        };
        assert!(reads("read:v/q[0-9]+", "q12") && !reads("read:v/q[0-9]+", "q12x"));
        assert!(reads("read:v/a|b", "b") && !reads("read:v/a|b", "ab"));
        assert!(reads("read:.*/{sub}", "bob") && !reads("read:.*/{star}", "aaa"));
        assert!(reads("read:.*/{slash}", "a/b"));
        assert!(!reads("read:v/(?i)q", "q") && !reads("read:v/(", "("));
        assert!(!reads(&format!("read:v/{}", "a".repeat(3000)), &"a".repeat(3000)));
    }

    proptest! {
        #[test]
        fn any_text_is_a_scope_or_none(scope in "(read:)?.{0,30}", vhost in ".{0,5}", name in ".{0,9}") {
            for syntax in [ScopeSyntax::Wildcard, ScopeSyntax::Regex] {
                if let Some(grant) = Grant::parse(&scope, syntax, &claims(), &vhost) {
                    grant.enters(&vhost);
                    grant.permits(Permission::Read, &name);
                    grant.permits_topic(Permission::Read, &name, &vhost);
                }
            }
        }

        #[test]
        fn what_a_variable_stands_for_matches_itself_alone(vhost in ".{1,8}", other in ".{1,8}") {
            let plain = |text: &str| !text.contains(|c| ('\u{f000}'..='\u{f0ff}').contains(&c));
            prop_assume!(plain(&vhost) && plain(&other));
            let grant = Grant::parse("read:{vhost}/*", ScopeSyntax::Wildcard, &Map::new(), &vhost);
            let grant = grant.unwrap();
            prop_assert!(grant.enters(&vhost));
            prop_assert_eq!(grant.enters(&other), vhost == other);
        }
    }
}
