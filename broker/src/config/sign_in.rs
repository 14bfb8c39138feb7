//! `management.oauth_*`: signing in at the management page where others know the users
//! (<https://www.rabbitmq.com/docs/oauth2#management-ui-configuration>).
//!
//! `http::oauth` makes it so. Stays true: what is set by halves offers nothing, and says so once.

use std::path::PathBuf;

use super::error::ConfigError;
use super::keys;
use super::settings::Settings;
use crate::url::Url;

/// See the module documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Who knows the users.
    pub provider: Url,
    /// Where it says where its endpoints are.
    pub metadata: Url,
    /// What it calls the page.
    pub client_id: String,
    /// What it is shown when a code is exchanged, if it wants that.
    pub client_secret: Option<String>,
    /// What is asked for, separated by blanks.
    pub scopes: String,
    /// Asked for beside it.
    pub asked_with: Vec<(String, String)>,
    /// The same when a code is exchanged.
    pub exchanged_with: Vec<(String, String)>,
    /// The page asks for no name and password.
    pub is_alone: bool,
    /// Authorities of the provider's certificate; the system's if it is not set.
    pub cacertfile: Option<PathBuf>,
}

/// What is told then.
pub(super) const HALF: &str = "management.oauth_enabled does nothing without \
     management.oauth_client_id, and management.oauth_provider_url or auth_oauth2.issuer";

impl SignIn {
    /// Whether it is wanted and nothing comes of it.
    pub(super) fn is_half(settings: &Settings, built: Option<&Self>) -> Result<bool, ConfigError> {
        Ok(settings.get(&keys::MANAGEMENT_OAUTH)? && built.is_none())
    }

    /// `None` if it is not wanted, or not complete.
    pub(super) fn build(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let provider = settings.find(&keys::MANAGEMENT_OAUTH_PROVIDER)?;
        let provider = provider.or(settings.find(&keys::OAUTH2_ISSUER)?);
        let client_id = settings.find(&keys::MANAGEMENT_OAUTH_CLIENT)?;
        let client_id = client_id.filter(|id| !id.is_empty());
        let is_wanted = settings.get(&keys::MANAGEMENT_OAUTH)?;
        let (Some(provider), Some(client_id), true) = (provider, client_id, is_wanted) else {
            return Ok(None);
        };
        let path = settings.get(&keys::OAUTH2_DISCOVERY_PATH)?;
        let metadata = settings.find(&keys::MANAGEMENT_OAUTH_METADATA)?;
        let Some(metadata) = metadata.or_else(|| provider.join(&path)) else { return Ok(None) };
        let secret = settings.find(&keys::MANAGEMENT_OAUTH_SECRET)?;
        Ok(Some(Self {
            provider,
            metadata,
            client_id,
            client_secret: secret.filter(|secret| !secret.is_empty()),
            scopes: settings.get(&keys::MANAGEMENT_OAUTH_SCOPES)?,
            asked_with: settings.each(&keys::MANAGEMENT_OAUTH_ASKED)?,
            exchanged_with: settings.each(&keys::MANAGEMENT_OAUTH_EXCHANGED)?,
            is_alone: settings.get(&keys::MANAGEMENT_OAUTH_ALONE)?,
            cacertfile: settings.find(&keys::OAUTH2_CACERTFILE)?,
        }))
    }
}
