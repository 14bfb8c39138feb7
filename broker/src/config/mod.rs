//! The broker's configuration: rabbitmq.conf syntax, RabbitMQ's names.
//!
//! `main` loads it once, before anything else, and hands it to the server. It is
//! plain data: whoever needs a part is given that part. Command line over
//! environment over `conf.d` over the file over defaults; see `sources`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

mod options;
mod sources;
mod variables;
mod env_file;
mod syntax;
mod terms;
mod advanced;
pub(crate) mod plugins;
mod auth;
mod changes;
mod check;
mod definitions;
mod error;
mod inapplicable;
mod keys;
mod logging;
mod management;
mod message_storage;
mod oauth2;
mod reference;
mod resources;
pub(crate) mod secrets;
mod seed;
mod settings;
mod sign_in;
#[cfg(test)]
mod tests;
mod tls;
mod told;
mod types;
mod vhost_defaults;
mod types_auth;
mod types_log;
mod types_tls;

pub use auth::{AuthBackends, AuthCache, Backend, HttpAuth, Link};
pub use changes::{Reach, Settled};
pub use check::{Report, main_file};
pub use definitions::LoadDefinitions;
pub use error::{ConfigError, Origin};
pub use logging::{LogFile, LogOutput, Logging};
pub use management::Management;
pub use message_storage::MessageStorage;
pub use oauth2::OAuth2;
pub use options::ServeOptions;
pub use reference::{reference_file, reference_page};
pub use resources::{DiskFreeLimit, MemoryHighWatermark};
pub use seed::{Seed, SeedPermissions, SeedUser};
pub use sign_in::SignIn;
pub use tls::{CertificateLogin, TlsListeners, TlsOptions};
pub use told::ToldKey;
pub use types::Mechanism;
pub(crate) use types::{level, size};
pub use types_auth::{HttpMethod, ScopeSyntax};
pub use types_log::{LogCategory, LogFormat, TimeFormat};
pub use types_tls::{CrlCheck, LoginFrom, SanType, TlsVersion};
pub use vhost_defaults::DefaultVhostLimits;

use settings::Settings;

use crate::names;
use crate::password::HashingAlgorithm;

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where connections are accepted.
    pub listeners: Listeners,
    /// Where connections with TLS are accepted.
    pub tls: TlsListeners,
    /// What is negotiated with each client.
    pub negotiation: Negotiation,
    /// How much of everything there may be.
    pub limits: Limits,
    /// What new vhosts are limited to: the first that matches counts.
    pub vhost_limits: Vec<DefaultVhostLimits>,
    /// Who may log in, and how.
    pub authentication: Authentication,
    /// What an empty data directory is filled with.
    pub seed: Seed,
    /// What is loaded at every start.
    pub load_definitions: LoadDefinitions,
    /// When publishers are blocked for want of memory.
    pub memory: MemoryHighWatermark,
    /// The memory there is, in bytes, if the system is not to be asked.
    pub memory_total: Option<u64>,
    /// When publishers are blocked for want of disk space.
    pub disk_free_limit: DiskFreeLimit,
    /// What clients are told of the broker.
    pub identity: Identity,
    /// Where metrics can be read, if anywhere. `[::]` stands for every address of both families.
    pub prometheus: Option<SocketAddr>,
    /// The path of its metrics, and whether they are of single objects there.
    pub metrics: (String, bool),
    /// Where the management API is.
    pub management: Management,
    /// What is logged.
    pub logging: Logging,
    /// Where definitions and messages are kept.
    pub data_dir: PathBuf,
    /// How messages are stored.
    pub message_storage: MessageStorage,
    /// How long a shutdown may take.
    pub shutdown_timeout: Duration,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    /// What to tell the operator once logging works, a line each.
    pub warnings: Vec<String>,
    /// All that was set, to tell what changed when it is read again.
    pub settled: Settled,
}

/// `listeners.*` and `tcp_listen_options.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listeners {
    /// AMQP without TLS; may be empty. `[::]` stands for every address of both
    /// families, port 0 for one that the system chooses.
    pub addresses: Vec<SocketAddr>,
    /// Connections waiting to be accepted.
    pub backlog: i32,
    /// TCP_NODELAY.
    pub nodelay: bool,
    /// How long a client may take nothing of what it is sent.
    pub send_timeout: Option<Duration>,
    /// Connections that are not open yet, in all and of one address.
    pub half_open: [Option<usize>; 2],
    /// Whether every connection begins with a header of the PROXY protocol, with TLS too.
    pub proxy_protocol: bool,
    /// From accept to connection.open.
    pub handshake_timeout: Duration,
}

/// What connection.tune offers (AMQP 0-9-1 §1.4.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiation {
    /// In seconds; 0 is none.
    pub heartbeat: u16,
    /// In bytes; 0 is no limit.
    pub frame_max: u32,
    /// In bytes, until frame_max is negotiated.
    pub initial_frame_max: u32,
    /// 0 is no limit.
    pub channel_max: u16,
}

/// `cluster_name` and `server_properties.*`: what connection.start tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name.
    pub cluster_name: String,
    /// Whether the configuration says so: then no name that was given before counts at a start.
    pub is_named: bool,
    /// The broker whose behaviour clients meet.
    pub product: String,
    /// Its version.
    pub version: String,
}

/// Limits on numbers and sizes; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of the whole broker.
    pub connections: Option<usize>,
    /// Connections of one listener.
    pub listener_connections: Option<usize>,
    /// Channels of the whole broker.
    pub channels: Option<usize>,
    /// Consumers of one channel.
    pub consumers_per_channel: Option<usize>,
    /// Deliveries of one channel that are not settled.
    pub unacked_per_channel: Option<usize>,
    /// How long a consumer may take for a delivery.
    pub consumer_timeout: Option<Duration>,
    /// Bytes of one message's body.
    pub message_size: usize,
    /// Vhosts.
    pub vhosts: Option<usize>,
    /// Queues of all vhosts.
    pub queues: Option<usize>,
    /// Exchanges of all vhosts.
    pub exchanges: Option<usize>,
}

/// `auth_mechanisms.*`, `loopback_users.*` and `password_hashing_module`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// In order of preference, never empty.
    pub mechanisms: Vec<Mechanism>,
    /// Users who may log in from this machine only.
    pub loopback_users: Vec<String>,
    /// How new passwords are hashed.
    pub password_hashing: HashingAlgorithm,
    /// Who is asked about users.
    pub backends: AuthBackends,
}

impl Config {
    /// Puts the configuration together. `environment` looks up one variable.
    ///
    /// # Errors
    /// A file cannot be read, or a setting is unknown or makes no sense. The
    /// error is one line that names the place.
    pub fn load(
        options: &ServeOptions,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let declared = env_file::read(options, &environment)?;
        let environment = |name: &str| environment(name).or_else(|| declared.get(name).cloned());
        let mut settings = Settings::default();
        let files = sources::files(&mut settings, options, &environment)?;
        variables::apply(&mut settings, &environment)?;
        sources::command_line(&mut settings, options)?;
        Self::build(settings, files)
    }

    /// What a key is set to, or its default. It may be a secret.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<String> {
        let set = self.settled.value(key).map(|value| value.expose().to_owned());
        set.or_else(|| keys::default_of(key).map(str::to_owned))
    }

    fn build(mut settings: Settings, files: Vec<PathBuf>) -> Result<Self, ConfigError> {
        let management = Management::build(&settings)?;
        let half = SignIn::is_half(&settings, management.sign_in.as_ref())?;
        settings.warnings.extend(half.then(|| sign_in::HALF.to_owned()));
        Ok(Self {
            listeners: Listeners::build(&settings)?,
            tls: TlsListeners::build(&settings)?,
            negotiation: Negotiation::build(&settings)?,
            limits: Limits::build(&settings)?,
            vhost_limits: vhost_defaults::build(&settings)?,
            authentication: Authentication::build(&settings)?,
            seed: Seed::build(&settings)?,
            load_definitions: LoadDefinitions::build(&settings)?,
            memory: MemoryHighWatermark::build(&settings)?,
            memory_total: settings.find(&keys::MEMORY_TOTAL)?,
            disk_free_limit: DiskFreeLimit::build(&settings)?,
            identity: Identity::build(&settings)?,
            prometheus: prometheus(&settings)?,
            metrics: metrics(&settings)?,
            management,
            logging: Logging::build(&settings)?,
            data_dir: settings.get(&keys::DATA_DIR)?,
            message_storage: MessageStorage::build(&settings)?,
            shutdown_timeout: settings.get(&keys::SHUTDOWN_TIMEOUT)?,
            files,
            settled: settings.settled(),
            warnings: settings.warnings,
        })
    }
}

impl Listeners {
    fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let named = settings.each(&keys::TCP_NAMED)?;
        // RabbitMQ: naming any listener replaces the default one.
        let default = if named.is_empty() {
            settings.get(&keys::TCP_DEFAULT)?
        } else {
            settings.find(&keys::TCP_DEFAULT)?.flatten()
        };
        let named = named.into_iter().filter_map(|(_, listener)| listener);
        let mut addresses: Vec<SocketAddr> = default.into_iter().chain(named).collect();
        if settings.find(&keys::TCP_NONE)?.is_some() {
            addresses.clear();
        }
        Ok(Self {
            addresses,
            backlog: settings.get(&keys::TCP_BACKLOG)?.into(),
            nodelay: settings.get(&keys::TCP_NODELAY)?,
            send_timeout: settings.find(&keys::TCP_SEND_TIMEOUT)?,
            half_open: [
                settings.get(&keys::HANDSHAKE_MAX)?,
                settings.get(&keys::HANDSHAKE_MAX_PER_ADDRESS)?,
            ],
            proxy_protocol: settings.get(&keys::PROXY_PROTOCOL)?,
            handshake_timeout: settings.get(&keys::HANDSHAKE_TIMEOUT)?,
        })
    }
}

impl Negotiation {
    fn build(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            heartbeat: settings.get(&keys::HEARTBEAT)?,
            frame_max: settings.get(&keys::FRAME_MAX_SIZE)?,
            initial_frame_max: settings.get(&keys::INITIAL_FRAME_SIZE)?,
            channel_max: settings.get(&keys::CHANNEL_MAX)?,
        })
    }
}

impl Identity {
    fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let named = settings.find(&keys::CLUSTER_NAME)?;
        Ok(Self {
            is_named: named.is_some(),
            cluster_name: named.unwrap_or_else(|| names::node().to_owned()),
            product: settings.get(&keys::PRODUCT)?,
            version: settings.get(&keys::PRODUCT_VERSION)?,
        })
    }
}

impl Limits {
    fn build(settings: &Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            connections: settings.get(&keys::MAX_CONNECTIONS)?,
            listener_connections: settings.get(&keys::LISTENER_CONNECTIONS)?,
            channels: settings.get(&keys::CHANNEL_MAX_PER_NODE)?,
            consumers_per_channel: settings.get(&keys::CONSUMER_MAX_PER_CHANNEL)?,
            unacked_per_channel: settings.get(&keys::UNACKED_MAX_PER_CHANNEL)?,
            consumer_timeout: settings.find(&keys::CONSUMER_TIMEOUT)?,
            message_size: settings.get(&keys::MAX_MESSAGE_SIZE)?,
            vhosts: settings.get(&keys::VHOST_MAX)?,
            queues: settings.get(&keys::CLUSTER_QUEUE_LIMIT)?,
            exchanges: settings.get(&keys::CLUSTER_EXCHANGE_LIMIT)?,
        })
    }
}

impl Authentication {
    fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let mut mechanisms = Vec::new();
        for (_, mechanism) in settings.each(&keys::AUTH_MECHANISM)? {
            if !mechanisms.contains(&mechanism) {
                mechanisms.push(mechanism);
            }
        }
        if mechanisms.is_empty() {
            mechanisms = vec![Mechanism::Plain, Mechanism::AmqPlain];
        }
        Ok(Self {
            mechanisms,
            loopback_users: loopback_users(settings)?,
            password_hashing: settings.get(&keys::PASSWORD_HASHING)?,
            backends: AuthBackends::build(settings)?,
        })
    }
}

/// With one slash before the path, whatever was given.
fn metrics(settings: &Settings) -> Result<(String, bool), ConfigError> {
    let path = settings.get(&keys::PROMETHEUS_PATH)?;
    // What routers take for places of anything is no part of a path.
    let path = format!("/{}", path.replace(['{', '}', ':', '*'], "").trim_matches('/'));
    Ok((path, settings.get(&keys::PROMETHEUS_PER_OBJECT)?))
}

fn prometheus(settings: &Settings) -> Result<Option<SocketAddr>, ConfigError> {
    let everywhere = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let address = settings.find(&keys::PROMETHEUS_IP)?.unwrap_or(everywhere);
    Ok(settings.find(&keys::PROMETHEUS_PORT)?.map(|port| SocketAddr::new(address, port)))
}

fn loopback_users(settings: &Settings) -> Result<Vec<String>, ConfigError> {
    if settings.find(&keys::LOOPBACK_NONE)?.is_some() {
        return Ok(Vec::new());
    }
    // RabbitMQ forgets guest when another user is listed; guest's password is
    // known to everybody, so here it is only forgotten when told so.
    let guest = settings.get(&keys::LOOPBACK_GUEST)?.then(|| "guest".to_owned());
    let others = settings.each(&keys::LOOPBACK_USER)?;
    let others = others.into_iter().filter_map(|(user, only_here)| only_here.then_some(user));
    Ok(guest.into_iter().chain(others).collect())
}
