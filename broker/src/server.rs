//! The server: listeners, accepted sockets, and the orderly end.
//!
//! Called by `main`. Opens the data directory, brings back the topology, listens, says that it is
//! ready, and on SIGTERM or SIGINT tells every client (320), waits for them, bounded, and returns.
//! Stays true: nothing is accepted before everything durable is back.

mod reloading;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use self::reloading::{ReadAgain, Reloading};
use crate::allocator;
use crate::broker::Broker;
use crate::config::{Config, ConfigError, Listeners};
use crate::connection::arrival::{Arrivals, canonical};
use crate::connection::half_open::{HalfOpen, HalfOpenLimits, Place};
use crate::connection::{self, SHUTDOWN_REASON};
use crate::http::{self, Door, Listening, LocalSocket, Management};
use crate::logging::LogControl;
use crate::metrics;
use crate::resources;
use crate::startup::{self, Started};
use crate::stores::end_process;
use crate::systemd::ServiceManager;
use crate::tls::{Tls, TlsError};

/// Why the server did not start, or ended badly.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The data directory cannot be used.
    #[error(transparent)]
    Startup(#[from] startup::Error),
    /// What was not yet durable could not be stored.
    #[error(transparent)]
    Storage(#[from] leveret_storage::StorageError),
    /// A listener's address cannot be had.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// There is to be TLS, and cannot be.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Any other system call at start.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// How long to wait after accept failed: the usual reason is too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the files of TLS are looked at.
const TLS_FILES_EVERY: Duration = Duration::from_secs(5);
/// Descriptors that connections leave to the files of the stores, whose next segment must not fail:
/// one of so many that the system allows, and at least `FILES_MIN`.
const FILES_SHARE: u64 = 20;
/// See `FILES_SHARE`: more than the stores have ever open.
const FILES_MIN: u64 = 64;
/// Connections that are not open yet may have one of so many descriptors.
const HALF_OPEN_SHARE: u64 = 4;

/// Serves until a signal ends it.
///
/// # Errors
/// The data directory or an address cannot be used, or what was not yet durable could not be stored.
pub async fn run(
    config: Config,
    log: LogControl,
    read_again: impl Fn() -> Result<Config, ConfigError> + Send + 'static,
) -> Result<(), impl std::error::Error + 'static> {
    serve(config, log, Box::new(read_again)).await
}

async fn serve(config: Config, log: LogControl, read_again: ReadAgain) -> Result<(), Error> {
    // First: a signal that comes early must not end the process the hard way.
    let mut signals = Signals::new()?;
    introduce(&config);
    let service_manager = ServiceManager::of_this_process();
    let starting = service_manager.starting();
    raise_open_file_limit();
    if let Err(error) = allocator::give_back_in_the_background() {
        warn!("memory that is free is given back late: {error}");
    }
    let tls = match config.tls.addresses.is_empty() {
        true => None,
        false => Some(Arc::new(Tls::new(&config.tls.options)?)),
    };
    let started = startup::start(&config)?;
    let broker = Arc::clone(&started.broker);
    broker.has_log(log.clone());
    tell_of_watermarks(&broker);
    let mut listening = Vec::new();
    if let Some(address) = config.prometheus {
        let listener = listen(address, &config.listeners)?;
        let address = listener.local_addr()?;
        info!("started Prometheus listener on {address}");
        listening.push(Listening { protocol: "http/prometheus", address, with_tls: false });
        let source = metrics::Source::new(Arc::clone(&broker), &config.identity);
        let scraped = move |endpoint, wanted| source.scraped(endpoint, wanted);
        tokio::spawn(metrics::serve(listener, config.metrics.clone(), scraped));
    }
    let connections = TaskTracker::new();
    listening.extend(listen_to_clients(&config, tls.as_ref(), &broker, &connections)?);
    let (management, certificates) = manage(&config, tls.as_ref(), &started, listening)?;
    // Until the end: its file goes with it.
    let _local_socket = manage_locally(&config, &management);
    tokio::spawn(Arc::clone(broker.timer()).run());
    tokio::spawn(Arc::clone(&broker).publish_events());
    if let Some(every) = config.management.sample_every {
        tokio::spawn(Arc::clone(&broker).sample(every));
    }
    let messages = Arc::clone(broker.messages());
    tokio::spawn(async move { end_process(&messages.failed().await) });
    tokio::spawn(resources::watch(
        Arc::clone(broker.alarms()),
        Arc::clone(broker.events()),
        Arc::clone(broker.messages()),
        Arc::clone(broker.watermarks()),
    ));
    management.is_ready_now();
    info!("Server startup complete; 0 plugins started.");
    drop(starting);
    service_manager.ready();
    let broker_too = Arc::clone(&broker);
    let mut reloading =
        Reloading { config, log, read_again, broker: broker_too, tls, certificates };
    signals.wait(&mut reloading).await;
    let patience = reloading.config.shutdown_timeout;
    service_manager.stopping(patience);
    broker.stopping().cancel();
    connections.close();
    drain(&broker, &connections, patience).await;
    started.close()?;
    Ok(())
}

/// Opens the doors of the management API. With what TLS is spoken there, if it is.
fn manage(
    config: &Config,
    amqp_tls: Option<&Arc<Tls>>,
    started: &Started,
    mut listening: Vec<Listening>,
) -> Result<(Arc<Management>, Option<Arc<Tls>>), Error> {
    let (settings, mut doors, mut own_tls) = (&config.management, Vec::new(), None);
    let mut open = |address, with_tls: bool| {
        let listener = listen(address, &config.listeners)?;
        let address = listener.local_addr()?;
        let (protocol, kind) = if with_tls { ("https", "HTTPS") } else { ("http", "HTTP") };
        info!("started management listener ({kind}) on {address}");
        listening.push(Listening { protocol, address, with_tls });
        Ok::<_, Error>(listener)
    };
    if let Some(address) = settings.tcp {
        doors.push(Door::Tcp(open(address, false)?));
    }
    if let Some((address, options)) = &settings.tls {
        let tls = Arc::new(Tls::new(options)?);
        doors.push(Door::Tls(open(*address, true)?, Arc::clone(&tls)));
        own_tls = Some(tls);
    }
    let certificates = amqp_tls.into_iter().chain(&own_tls).map(Arc::clone).collect();
    let management = Management::new(started, config, listening, certificates);
    for door in doors {
        tokio::spawn(http::serve(door, Arc::clone(&management)));
    }
    Ok((management, own_tls))
}

/// Opens the socket of this machine's command line. The broker does without it where it cannot be.
fn manage_locally(config: &Config, management: &Arc<Management>) -> Option<LocalSocket> {
    match LocalSocket::bind(&config.data_dir) {
        Ok((listener, bound)) => {
            info!("started management listener on {}", bound.path().display());
            tokio::spawn(http::serve(Door::Local(listener), Arc::clone(management)));
            Some(bound)
        }
        Err(error) => {
            warn!("there is no socket for the command line in the data directory: {error}");
            None
        }
    }
}

/// Opens every listener of AMQP, and says where they are.
fn listen_to_clients(
    config: &Config,
    tls: Option<&Arc<Tls>>,
    broker: &Arc<Broker>,
    connections: &TaskTracker,
) -> Result<Vec<Listening>, Error> {
    let mut listening = Vec::new();
    let Listeners { nodelay, proxy_protocol, handshake_timeout: patience, .. } = config.listeners;
    let max = config.limits.listener_connections;
    let arrivals = |tls| Arc::new(Arrivals { tls, proxy_protocol, patience });
    let half_open = HalfOpen::new(half_open_limits(&config.listeners));
    let (plain, encrypted) = (arrivals(None), arrivals(tls.cloned()));
    let plain = config.listeners.addresses.iter().map(|address| (address, "TCP", &plain));
    let encrypted = config.tls.addresses.iter().map(|address| (address, "TLS (SSL)", &encrypted));
    for (address, kind, arrivals) in plain.chain(encrypted) {
        let listener = listen(*address, &config.listeners)?;
        let address = listener.local_addr()?;
        info!("started {kind} listener on {address}");
        let with_tls = arrivals.tls.is_some();
        let protocol = if with_tls { "amqp/ssl" } else { "amqp" };
        listening.push(Listening { protocol, address, with_tls });
        let broker = Arc::clone(broker);
        let (arrivals, half_open) = (Arc::clone(arrivals), Arc::clone(&half_open));
        let (connections, options) = (connections.clone(), (nodelay, max));
        tokio::spawn(accept(listener, arrivals, broker, connections, half_open, options));
    }
    Ok(listening)
}

/// The first lines: what runs here, and by which files. Values may be secrets.
fn introduce(config: &Config) {
    let files: Vec<_> = config.files.iter().map(|file| file.display().to_string()).collect();
    let files = if files.is_empty() { "no files".to_owned() } else { files.join(", ") };
    info!("starting Leveret {}, configured by {files}", env!("CARGO_PKG_VERSION"));
    debug!("settings that are made: {}", config.settled.keys().collect::<Vec<_>>().join(", "));
}

fn tell_of_watermarks(broker: &Broker) {
    let watermarks = broker.watermarks();
    let [memory, disk] = [watermarks.memory_limit(), watermarks.disk_free_limit()]
        .map(|bytes| bytes / (1024 * 1024));
    info!("memory high watermark set to {memory} MiB, disk free limit to {disk} MiB");
}

/// Listens on an address. `[::]` is all of both families: one socket serves both, or IPv4 alone
/// where the system has no IPv6.
fn listen(address: SocketAddr, options: &Listeners) -> Result<TcpListener, Error> {
    let everywhere_v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
    let bound = bind(address, options);
    match bound {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => bind(everywhere_v4, options),
        bound => bound,
    }
}

fn bind(address: SocketAddr, options: &Listeners) -> Result<TcpListener, Error> {
    let bind = || -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(options.backlog)?;
        TcpListener::from_std(socket.into())
    };
    bind().map_err(|cause| Error::Listen { address, cause })
}

async fn accept(
    listener: TcpListener,
    arrivals: Arc<Arrivals>,
    broker: Arc<Broker>,
    connections: TaskTracker,
    half_open: Arc<HalfOpen>,
    (nodelay, max): (bool, Option<usize>),
) {
    let places = Arc::new(Semaphore::new(max.unwrap_or(Semaphore::MAX_PERMITS)));
    let mut refuses = false;
    loop {
        let accept = async {
            // Nobody closes it.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            half_open.room().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = broker.stopping().cancelled() => return,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((socket, _)) if leaves_no_files(&socket) => {
                drop(socket);
                if !std::mem::replace(&mut refuses, true) {
                    error!("connections are refused: the descriptors left are for files");
                }
            }
            Ok((socket, peer)) => {
                if std::mem::take(&mut refuses) {
                    info!("connections are accepted again");
                }
                let send_timeout = broker.limits().send_timeout;
                if let Err(error) = prepare(&socket, nodelay, send_timeout) {
                    warn!("closing TCP connection from {peer}: {error}");
                    continue;
                }
                let (arrivals, broker) = (Arc::clone(&arrivals), Arc::clone(&broker));
                let peer = canonical(peer);
                let entry = a_place(&half_open, &broker, peer, arrivals.proxy_protocol);
                connections.spawn(connection::serve(socket, peer, arrivals, broker, entry, place));
            }
            Err(error) => {
                error!("cannot accept connections: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether a new connection took a descriptor that is kept for files. The system gives out the lowest
/// number that is free, so its number says how many are taken.
fn leaves_no_files(socket: &TcpStream) -> bool {
    use rustix::process::{Resource, getrlimit};
    let Some(limit) = getrlimit(Resource::Nofile).current else { return false };
    let number = u64::try_from(socket.as_raw_fd()).unwrap_or(0);
    number >= limit - kept_for_files(limit)
}

fn kept_for_files(limit: u64) -> u64 {
    (limit / FILES_SHARE).max(FILES_MIN).min(limit / 2)
}

/// A place among those that are not open yet, for which somebody else may have to go.
fn a_place(half_open: &Arc<HalfOpen>, broker: &Broker, peer: SocketAddr, proxied: bool) -> Place {
    let now = Instant::now();
    let (place, made_room) = half_open.enter((!proxied).then_some(peer.ip()), now);
    if made_room {
        broker.incidents().note_made_room();
        if let Some(count) = half_open.news(now) {
            warn!(
                event = "connection.made_room",
                count,
                "too many connections are not open yet: those that took long are closed; {count} \
                 since this was said last, the newest connection is from {peer}"
            );
        }
    }
    place
}

fn half_open_limits(listeners: &Listeners) -> HalfOpenLimits {
    use rustix::process::{Resource, getrlimit};
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / HALF_OPEN_SHARE;
    let most = usize::try_from(descriptors).unwrap_or(usize::MAX).max(1);
    let [all, of_address] = listeners.half_open.map(|limit| limit.unwrap_or(usize::MAX).min(most));
    HalfOpenLimits { all, of_address }
}

fn prepare(
    socket: &TcpStream,
    nodelay: bool,
    send_timeout: Option<Duration>,
) -> std::io::Result<()> {
    if send_timeout.is_some() {
        // The system sees what a client takes: its window, and not how much we could write.
        SockRef::from(socket).set_tcp_user_timeout(send_timeout)?;
    }
    socket.set_nodelay(nodelay)
}

/// The signals that ask the broker to end, and that which asks it to read its configuration again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        let hang_up = signal(SignalKind::hangup())?;
        Ok(Self { terminate, interrupt, hang_up })
    }

    /// Until the broker is to end. Meanwhile the configuration is read again when somebody asks for
    /// it, and the files of TLS are kept an eye on.
    async fn wait(&mut self, reloading: &mut Reloading) {
        let mut look = interval(TLS_FILES_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let name = loop {
            tokio::select! {
                _ = self.terminate.recv() => break "SIGTERM",
                _ = self.interrupt.recv() => break "SIGINT",
                _ = self.hang_up.recv() => reloading.reload(),
                _ = look.tick() => reloading.look_at_certificates(),
            }
        };
        info!("{name} received, shutting down");
    }
}

/// Tells every client that the broker goes, and waits for them to leave.
async fn drain(broker: &Broker, connections: &TaskTracker, limit: Duration) {
    broker.close_all(SHUTDOWN_REASON);
    if tokio::time::timeout(limit, connections.wait()).await.is_err() {
        warn!("{} connections did not close in time", connections.len());
    }
    info!("stopped");
}

/// Connections are files: take as many as the system allows this process.
fn raise_open_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!("cannot raise the limit of open files: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_descriptors_and_connections_are_left_half() {
        assert_eq!(kept_for_files(1_000_000), 50_000);
        assert_eq!(kept_for_files(1024), 64);
        assert_eq!(kept_for_files(100), 50);
    }
}
