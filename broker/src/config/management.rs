//! `management.*`: where the management API is, and how it answers
//! (<https://www.rabbitmq.com/docs/management#configuration>).
//!
//! `http` is given it by the server. Stays true: without any setting the API is at RabbitMQ's port.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::error::ConfigError;
use super::keys::{self, Key};
use super::settings::Settings;
use super::sign_in::SignIn;
use super::tls::TlsOptions;

/// See the module documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Management {
    /// Where it is, if anywhere. `[::]` stands for every address of both families.
    pub tcp: Option<SocketAddr>,
    /// Where it is with TLS, if anywhere, and how that is spoken.
    pub tls: Option<(SocketAddr, TlsOptions)>,
    /// What stands before `/api`: nothing, or a path without a slash at its end.
    pub path_prefix: String,
    /// How long a session of the page lasts without being used.
    pub session_timeout: Duration,
    /// Where else the page signs in.
    pub sign_in: Option<SignIn>,
    /// The largest body of a request, in bytes.
    pub body_max: usize,
    /// Only what there is is told, and not how much is going on.
    pub disable_stats: bool,
    /// How often what goes on is sampled, if it is told.
    pub sample_every: Option<Duration>,
    /// Then too it is told how many messages queues have.
    pub enable_queue_totals: bool,
    /// From which sites browsers may ask; `*` is any.
    pub allowed_origins: Vec<String>,
    /// How long browsers may remember that, in seconds.
    pub origins_max_age_seconds: u16,
    /// The header `content-security-policy`; empty for none.
    pub content_security_policy: String,
    /// The header `strict-transport-security`.
    pub strict_transport_security: Option<String>,
}

impl Management {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let everywhere = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let ip = |key: &Key<IpAddr>| Ok(settings.find(key)?.unwrap_or(everywhere));
        let at = |ip| move |port| SocketAddr::new(ip, port);
        let tcp = settings.get(&keys::MANAGEMENT_PORT)?.map(at(ip(&keys::MANAGEMENT_IP)?));
        let tls = settings.find(&keys::MANAGEMENT_SSL_PORT)?.flatten();
        let tls = tls.map(at(ip(&keys::MANAGEMENT_SSL_IP)?));
        let origins = settings.each(&keys::MANAGEMENT_CORS_ORIGIN)?.into_iter();
        let prefix = settings.find(&keys::MANAGEMENT_PATH_PREFIX)?.unwrap_or_default();
        let disable_stats = settings.get(&keys::MANAGEMENT_DISABLE_STATS)?
            || settings.get(&keys::DISABLE_METRICS_COLLECTOR)?;
        let every = settings.get(&keys::STATISTICS_INTERVAL)?;
        Ok(Self {
            tcp,
            tls: tls.map(|at| Ok((at, TlsOptions::of_management(settings)?))).transpose()?,
            path_prefix: slashed(&prefix),
            session_timeout: settings.get(&keys::MANAGEMENT_SESSION_TIMEOUT)?,
            sign_in: SignIn::build(settings)?,
            body_max: settings.get(&keys::MANAGEMENT_BODY_MAX)?,
            disable_stats,
            sample_every: (!disable_stats).then_some(every),
            enable_queue_totals: settings.get(&keys::MANAGEMENT_QUEUE_TOTALS)?,
            allowed_origins: origins.map(|(_, origin)| origin).collect(),
            origins_max_age_seconds: settings.get(&keys::MANAGEMENT_CORS_MAX_AGE)?,
            content_security_policy: settings.get(&keys::MANAGEMENT_CSP)?,
            strict_transport_security: settings.find(&keys::MANAGEMENT_HSTS)?,
        })
    }
}

/// With a slash before it and none behind it, unless it is nothing.
fn slashed(prefix: &str) -> String {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() { String::new() } else { format!("/{prefix}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_may_have_slashes_or_not() {
        for (given, expected) in [("", ""), ("/", ""), ("a", "/a"), ("/a/b/", "/a/b")] {
            assert_eq!(slashed(given), expected, "{given}");
        }
    }
}
