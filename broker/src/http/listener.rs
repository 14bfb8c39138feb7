//! The doors of the API: sockets on which requests come, with TLS or without.
//!
//! Spawned by `server`, one task a door, until the process ends, so that the end can be watched too.
//! Stays true: each door has a bounded number of connections; one on which nothing happens for long,
//! or whose request does not come to its end, is closed; nobody waits for another's handshake.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error};

use super::{Management, Peer, Service};
use crate::idle_limit::IdleLimited;
use crate::tls::Tls;

/// Connections of a door at a time: people with browsers, and servers that look.
const CONNECTIONS_MAX: usize = 2048;
/// A connection on which nothing happens for so long is closed; RabbitMQ's time.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// The head of a request must have come within so long.
const HEAD_MAX: Duration = Duration::from_secs(20);
/// A handshake of TLS must be over within so long.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// How long to wait after accept failed: the usual reason is too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where requests come through.
pub(crate) enum Door {
    /// A port.
    Tcp(TcpListener),
    /// A port with TLS.
    Tls(TcpListener, Arc<Tls>),
    /// The socket of this machine.
    Local(UnixListener),
}

/// Answers requests for ever.
pub(crate) async fn serve(door: Door, management: Arc<Management>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let service = management.service();
    loop {
        // Nobody closes the semaphore; without a permit there would merely be no bound.
        let place = Arc::clone(&places).acquire_owned().await.ok();
        let visit = Visit { management: Arc::clone(&management), service: service.clone(), place };
        if let Err(error) = accept(&door, visit).await {
            error!("cannot accept connections of the management API: {error}");
            sleep(ACCEPT_PAUSE).await;
        }
    }
}

async fn accept(door: &Door, visit: Visit) -> io::Result<()> {
    match door {
        Door::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            tokio::spawn(visit.run(stream, (Peer::Network(peer), false)));
        }
        Door::Tls(listener, tls) => {
            let (stream, peer) = listener.accept().await?;
            let acceptor = TlsAcceptor::from(tls.server_config());
            tokio::spawn(visit.shake_hands(acceptor, stream, Peer::Network(peer)));
        }
        Door::Local(listener) => {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(visit.run(stream, (Peer::Local, false)));
        }
    }
    Ok(())
}

/// A connection, and its place among those of the door.
struct Visit {
    management: Arc<Management>,
    service: Service,
    place: Option<OwnedSemaphorePermit>,
}

impl Visit {
    async fn shake_hands(self, acceptor: TlsAcceptor, stream: TcpStream, peer: Peer) {
        match timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.run(stream, (peer, true)).await,
            Ok(Err(error)) => debug!("TLS with {peer:?} came to nothing: {error}"),
            Err(_) => debug!("{peer:?} did not finish the TLS handshake in time"),
        }
    }

    /// From whom, and whether with TLS.
    async fn run<S>(self, stream: S, from: (Peer, bool))
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { management, service, place } = self;
        let stream = IdleLimited::new(stream, IDLE_MAX, place);
        let answer = service_fn(move |request| {
            let answered = Arc::clone(&management).answer(service.clone(), from, request);
            async { Ok::<_, Infallible>(answered.await) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_MAX)
            .serve_connection(TokioIo::new(stream), answer);
        if let Err(error) = serving.await {
            let (peer, _) = from;
            debug!("the connection of {peer:?} to the management API ended: {error}");
        }
    }
}
