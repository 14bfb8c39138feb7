//! The OAuth 2 backend: tokens in the place of passwords, whose scopes say what their bearers may do.
//!
//! Used by `auth::backends`. In the order of a login: `jwt` takes the token apart, `keyring` has the
//! key (`keys`) of its signature, `claims` understands it, `scopes` says what is permitted, and
//! `rights` is what a connection asks. Semantics are RabbitMQ's (<https://www.rabbitmq.com/docs/oauth2>).
//! Stays true: nothing of a token lets anybody in before its signature was verified.

mod claims;
mod jwt;
mod keyring;
mod keys;
mod rights;
mod scopes;

use std::fmt;

pub(crate) use claims::Token;
pub(crate) use keyring::KeyringError;
pub(crate) use rights::{NoScope, TokenRights};

use self::claims::assert_audience;
use self::jwt::Jwt;
use self::keyring::Keyring;
use self::keys::shown;
use self::scopes::Grant;
use crate::auth::explain::{Because, Wish};
use crate::clock;
use crate::config;

/// See the module documentation.
pub(crate) struct OAuth2 {
    settings: config::OAuth2,
    keyring: Keyring,
}

/// Whether these bytes are a token, whoever made it.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    Jwt::parse(bytes).is_ok()
}

/// A token does not let its bearer in. A sentence that repeats no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejected {
    /// It is none, or for others.
    #[error("the token is refused: {0}")]
    Unread(String),
    /// Its signature, or what it says, is not good.
    #[error("the token is refused: {0}")]
    Refused(String),
    /// Its time is up.
    #[error("the token is refused: {why}")]
    Over {
        /// Why.
        why: String,
        /// RabbitMQ's words for it.
        told: String,
    },
}

impl OAuth2 {
    /// A backend with the keys of files.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn new(settings: &config::OAuth2) -> Result<Self, KeyringError> {
        Ok(Self { settings: settings.clone(), keyring: Keyring::new(settings)? })
    }

    /// The token, if it is good.
    ///
    /// # Errors
    /// It is not.
    pub(crate) async fn verify(&self, token: &[u8]) -> Result<Token, Rejected> {
        let of_others = |why: &dyn fmt::Display| Rejected::Unread(why.to_string());
        let refused = |why: &dyn fmt::Display| Rejected::Refused(why.to_string());
        let jwt = Jwt::parse(token).map_err(|why| of_others(&why))?;
        // Of a token for others no key is looked for.
        assert_audience(&jwt.claims, &self.settings).map_err(|why| of_others(&why))?;
        let accepted = &self.settings.algorithms;
        if !accepted.is_empty() && !accepted.contains(&jwt.algorithm) {
            let why = format!("its algorithm {} is not accepted", shown(&jwt.algorithm));
            return Err(refused(&why));
        }
        let id = jwt.key.as_deref().or(self.settings.default_key.as_deref());
        let key = self.keyring.key(id).await.map_err(|why| refused(&why))?;
        let verified = key.verify(&jwt.algorithm, &jwt.signed, &jwt.signature);
        verified.map_err(|why| refused(&why))?;
        let now = clock::unix_millis() / 1000;
        Token::of(jwt.claims, &self.settings, now).map_err(|why| match why.over() {
            Some(told) => Rejected::Over { why: why.to_string(), told },
            None => refused(&why),
        })
    }

    /// What a token permits in a vhost.
    ///
    /// # Errors
    /// It does not let in there.
    fn grants(&self, token: &Token, vhost: &str) -> Result<Vec<Grant>, NoScope> {
        let syntax = self.settings.scope_syntax;
        let grants: Vec<Grant> = token
            .scopes
            .iter()
            .filter_map(|scope| Grant::parse(scope, syntax, &token.claims, vhost))
            .filter(|grant| grant.enters(vhost))
            .collect();
        if grants.is_empty() { Err(NoScope) } else { Ok(grants) }
    }
}

impl OAuth2 {
    /// Whether a token permits something in a vhost, and why.
    pub(crate) fn explain(&self, token: &Token, wish: &Wish<'_>) -> Because {
        let of = |grant: &Grant| grant.assert_permits(wish);
        Because::of_scopes(wish, self.each(token, wish.vhost, of).into_iter())
    }

    /// Whether it lets into the vhost, and why.
    pub(crate) fn explain_entry(&self, token: &Token, vhost: &str) -> Because {
        let of = |grant: &Grant| grant.enters(vhost).then_some(()).ok_or("is about other vhosts");
        let what = format!("to enter vhost '{vhost}'");
        Because::of_scopes(&what, self.each(token, vhost, of).into_iter())
    }

    fn each<'a>(
        &self,
        token: &'a Token,
        vhost: &str,
        of: impl Fn(&Grant) -> Result<(), &'static str>,
    ) -> Vec<(&'a str, Result<(), &'static str>)> {
        let syntax = self.settings.scope_syntax;
        let judged = |scope: &'a String| {
            let grant = Grant::parse(scope, syntax, &token.claims, vhost);
            (scope.as_str(), grant.map_or(Err("is no permission"), |grant| of(&grant)))
        };
        token.scopes.iter().map(judged).collect()
    }
}

impl Token {
    /// Whether the user may publish in others' names.
    pub(crate) fn may_impersonate(&self) -> bool {
        self.tags.iter().any(|tag| tag == "impersonator")
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// For the fuzzer: a token, and three lines that are a scope, a vhost and a name in it.
#[cfg(fuzzing)]
pub(crate) fn fuzzed(octets: &[u8]) {
    use self::{jwt::Jwt, scopes::Grant};
    use crate::config::ScopeSyntax;

    let parsed = Jwt::parse(octets);
    assert!(parsed.is_ok() || parsed.is_err_and(|error| !error.to_string().is_empty()));
    let text = String::from_utf8_lossy(octets);
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (scope, vhost, name) = (line(), line(), line());
    for syntax in [ScopeSyntax::Wildcard, ScopeSyntax::Regex] {
        let grant = Grant::parse(scope, syntax, &serde_json::Map::new(), vhost);
        if let Some(grant) = grant {
            let permits = grant.permits(crate::auth::rights::Permission::Read, name);
            let topic = grant.permits_topic(crate::auth::rights::Permission::Read, name, name);
            assert!(permits || !topic, "a routing key alone permits nothing");
        }
    }
}
