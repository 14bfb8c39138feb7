//! `auth_oauth2.*`: whose tokens let a user in, and how they are read
//! (<https://www.rabbitmq.com/docs/oauth2>).
//!
//! `auth::oauth2` makes it so.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::ConfigError;
use super::keys;
use super::settings::Settings;
use super::types_auth::ScopeSyntax;
use crate::url::Url;

/// `auth_oauth2.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2 {
    /// What tokens call this broker; empty if it is not set.
    pub resource_server_id: String,
    /// What scopes for this broker begin with; the id and a dot if it is not set.
    pub scope_prefix: Option<String>,
    /// Further claims with scopes, separated by spaces.
    pub additional_scopes_key: String,
    /// Scopes that mean others.
    pub scope_aliases: Vec<(String, String)>,
    /// How patterns in scopes are read.
    pub scope_syntax: ScopeSyntax,
    /// Whether a token has to be for this broker.
    pub verify_audience: bool,
    /// Whether a token has to have an end.
    pub require_expiry: bool,
    /// The claims that name the user, in order; RabbitMQ's if there is none.
    pub username_claims: Vec<String>,
    /// The key of tokens that name none.
    pub default_key: Option<String>,
    /// Keys in files, by their ids.
    pub signing_keys: Vec<(String, PathBuf)>,
    /// Where there are more.
    pub jwks: Option<Url>,
    /// Who says where there are more.
    pub issuer: Option<Url>,
    /// Where the issuer says so.
    pub discovery_path: String,
    /// What the issuer is asked with.
    pub discovery_parameters: Vec<(String, String)>,
    /// The algorithms that are accepted; all that are known if there is none.
    pub algorithms: Vec<String>,
    /// Authorities of the certificates of issuers; the system's if it is not set.
    pub cacertfile: Option<PathBuf>,
}

impl OAuth2 {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let second = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(_, value)| value);
        let jwks = settings.find(&keys::OAUTH2_JWKS_URI)?;
        Ok(Self {
            resource_server_id: settings.find(&keys::OAUTH2_ID)?.unwrap_or_default(),
            scope_prefix: settings.find(&keys::OAUTH2_PREFIX)?,
            additional_scopes_key: settings.find(&keys::OAUTH2_ADDITIONAL)?.unwrap_or_default(),
            scope_aliases: scope_aliases(settings)?,
            scope_syntax: settings.get(&keys::OAUTH2_SYNTAX)?,
            verify_audience: settings.get(&keys::OAUTH2_VERIFY_AUD)?,
            require_expiry: settings.get(&keys::OAUTH2_REQUIRE_EXP)?,
            username_claims: second(settings.each(&keys::OAUTH2_USERNAME)?).collect(),
            default_key: settings.find(&keys::OAUTH2_DEFAULT_KEY)?,
            signing_keys: settings.each(&keys::OAUTH2_SIGNING_KEY)?,
            jwks: jwks.or(settings.find(&keys::OAUTH2_JWKS_URL)?),
            issuer: settings.find(&keys::OAUTH2_ISSUER)?,
            discovery_path: settings.get(&keys::OAUTH2_DISCOVERY_PATH)?,
            discovery_parameters: settings.each(&keys::OAUTH2_DISCOVERY_PARAMETER)?,
            algorithms: second(settings.each(&keys::OAUTH2_ALGORITHM)?).collect(),
            cacertfile: settings.find(&keys::OAUTH2_CACERTFILE)?,
        })
    }
}

/// By their names, or numbered, since names may have dots.
fn scope_aliases(settings: &Settings) -> Result<Vec<(String, String)>, ConfigError> {
    let mut aliases = settings.each(&keys::OAUTH2_ALIAS)?;
    let meanings: BTreeMap<String, String> =
        settings.each(&keys::OAUTH2_ALIAS_SCOPE)?.into_iter().collect();
    for (number, alias) in settings.each(&keys::OAUTH2_ALIAS_NAME)? {
        if let Some(meaning) = meanings.get(&number) {
            aliases.push((alias, meaning.clone()));
        }
    }
    Ok(aliases)
}
