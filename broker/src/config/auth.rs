//! `auth_backends.*`, `auth_http.*` and `auth_cache.*`: who is asked about users
//! (<https://www.rabbitmq.com/docs/access-control>).
//!
//! `auth::backends` makes it so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use super::keys;
use super::oauth2::OAuth2;
use super::settings::Settings;
use super::types_auth::{HttpMethod, NamedBackend};
use crate::url::Url;

/// Who says who a client is, or what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// The broker's own users and permissions.
    Internal,
    /// A service that is asked over HTTP.
    Http,
    /// A token, by which a user logs in.
    OAuth2,
}

/// One place in the order of backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Who says who a client is.
    pub authn: Backend,
    /// Who says what it may do.
    pub authz: Backend,
}

/// All that is known of other authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthBackends {
    /// In the order in which they are asked, never empty.
    pub links: Vec<Link>,
    /// `auth_http.*`.
    pub http: HttpAuth,
    /// `auth_oauth2.*`.
    pub oauth2: OAuth2,
    /// `auth_cache.*`.
    pub cache: AuthCache,
}

/// `auth_http.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAuth {
    /// How questions are put.
    pub method: HttpMethod,
    /// Who may log in.
    pub user: Url,
    /// Who may enter a vhost.
    pub vhost: Url,
    /// Who may do what with exchanges and queues.
    pub resource: Url,
    /// Who may use which routing keys.
    pub topic: Url,
    /// Until the service is reached.
    pub connection_timeout: Duration,
    /// Until the answer is here.
    pub request_timeout: Duration,
    /// Whether clients are told why the service refuses.
    pub discloses: bool,
    /// Authorities of the service's certificate; the system's if it is not set.
    pub cacertfile: Option<PathBuf>,
}

/// `auth_cache.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthCache {
    /// Whether connections share what they were told.
    pub is_used: bool,
    /// How long an answer is good.
    pub lifetime: Duration,
    /// Whether refusals are remembered, too.
    pub refusals: bool,
}

impl Backend {
    /// The name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Http => "http",
            Self::OAuth2 => "oauth2",
        }
    }
}

impl Link {
    const fn both(backend: Backend) -> Self {
        Self { authn: backend, authz: backend }
    }

    /// Whether the backend has a part in it.
    #[must_use]
    pub fn names(self, backend: Backend) -> bool {
        self.authn == backend || self.authz == backend
    }
}

impl AuthBackends {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let cached = cached(settings)?;
        let mut places = Places::default();
        for (place, backend) in settings.each(&keys::AUTH_BACKEND)? {
            let place = places.at(&place);
            (place.authn, place.authz) = (Some(backend), Some(backend));
        }
        for (place, backend) in settings.each(&keys::AUTH_BACKEND_AUTHN)? {
            places.at(&place).authn = Some(backend);
        }
        for (place, backend) in settings.each(&keys::AUTH_BACKEND_AUTHZ)? {
            places.at(&place).authz = Some(backend);
        }
        let named: Vec<_> = places.0.into_values().filter_map(Place::named).collect();
        let is_cache = |(authn, authz): &(NamedBackend, NamedBackend)| {
            [authn, authz].contains(&&NamedBackend::Cache)
        };
        let is_used = named.iter().any(is_cache);
        let mut links: Vec<_> = named.into_iter().map(|named| resolved(named, cached)).collect();
        if links.is_empty() {
            links.push(Link::both(Backend::Internal));
        }
        Ok(Self {
            links,
            http: HttpAuth::build(settings)?,
            oauth2: OAuth2::build(settings)?,
            cache: AuthCache {
                is_used,
                lifetime: settings.get(&keys::AUTH_CACHE_TTL)?,
                refusals: settings.get(&keys::AUTH_CACHE_REFUSALS)?,
            },
        })
    }
}

impl HttpAuth {
    fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let request_timeout = settings.get(&keys::AUTH_HTTP_REQUEST_TIMEOUT)?;
        Ok(Self {
            method: settings.get(&keys::AUTH_HTTP_METHOD)?,
            user: settings.get(&keys::AUTH_HTTP_USER)?,
            vhost: settings.get(&keys::AUTH_HTTP_VHOST)?,
            resource: settings.get(&keys::AUTH_HTTP_RESOURCE)?,
            topic: settings.get(&keys::AUTH_HTTP_TOPIC)?,
            connection_timeout: settings.get(&keys::AUTH_HTTP_CONNECTION_TIMEOUT)?,
            request_timeout,
            discloses: settings.get(&keys::AUTH_HTTP_DISCLOSURE)?,
            cacertfile: settings.find(&keys::AUTH_HTTP_CACERTFILE)?,
        })
    }
}

/// What stands at a place of the order.
#[derive(Default)]
struct Place {
    authn: Option<NamedBackend>,
    authz: Option<NamedBackend>,
}

impl Place {
    /// RabbitMQ: who is named for one of both does the other, too.
    fn named(self) -> Option<(NamedBackend, NamedBackend)> {
        let authn = self.authn.or(self.authz)?;
        Some((authn, self.authz.unwrap_or(authn)))
    }
}

/// By their numbers.
#[derive(Default)]
struct Places(BTreeMap<u64, Place>);

impl Places {
    fn at(&mut self, number: &str) -> &mut Place {
        self.0.entry(number.parse().unwrap_or(u64::MAX)).or_default()
    }
}

/// What the cache stands in front of: the internal backend, unless it is set.
fn cached(settings: &Settings) -> Result<Link, ConfigError> {
    let both = settings.find(&keys::AUTH_CACHED_BACKEND)?;
    let place = Place {
        authn: settings.find(&keys::AUTH_CACHED_AUTHN)?.or(both),
        authz: settings.find(&keys::AUTH_CACHED_AUTHZ)?.or(both),
    };
    let internal = Link::both(Backend::Internal);
    Ok(place.named().map_or(internal, |named| resolved(named, internal)))
}

fn resolved((authn, authz): (NamedBackend, NamedBackend), cached: Link) -> Link {
    let backend = |named, cached| match named {
        NamedBackend::Internal => Backend::Internal,
        NamedBackend::Http => Backend::Http,
        NamedBackend::OAuth2 => Backend::OAuth2,
        NamedBackend::Cache => cached,
    };
    Link { authn: backend(authn, cached.authn), authz: backend(authz, cached.authz) }
}
