//! From an accepted socket to one that AMQP is spoken on: the header of a proxy, the TLS handshake.
//!
//! Called once per connection by `connection::serve`. What goes wrong is told in one line here, and
//! the socket closed: nobody can be told anything before there is a protocol.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{error, info};

use crate::encryption::Encryption;
use crate::proxy_protocol::{self, Ends, ProxyError};
use crate::tls::{Refusal, Tls};
use crate::transport::Socket;

/// How a listener's connections begin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrivals {
    /// With TLS, and with what.
    pub tls: Option<Arc<Tls>>,
    /// Whether a header of the PROXY protocol comes first.
    pub proxy_protocol: bool,
    /// How long that may take.
    pub patience: Duration,
}

/// A connection before the first byte of AMQP.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub socket: Socket,
    pub ends: Ends,
    /// With TLS.
    pub encryption: Option<Encryption>,
    /// What came with the end of the TLS handshake.
    pub input: BytesMut,
}

impl Arrivals {
    /// Takes a socket as far as the first byte of AMQP; `None` if it does not come so far.
    pub(super) async fn receive(&self, mut socket: TcpStream, peer: SocketAddr) -> Option<Arrived> {
        let local = socket.local_addr().map_or(peer, canonical);
        let direct = Ends { peer, local };
        let ends = match self.proxy_protocol {
            true => self.proxied(&mut socket, direct).await?,
            false => direct,
        };
        let mut input = BytesMut::new();
        let Some(tls) = &self.tls else {
            return Some(Arrived { socket: Socket::Plain(socket), ends, encryption: None, input });
        };
        let Ends { peer, local } = ends;
        match tls.accept(socket, &mut input).await {
            Ok((session, encryption)) => {
                let (socket, encryption) = (Socket::Tls(Arc::new(session)), Some(encryption));
                Some(Arrived { socket, ends, encryption, input })
            }
            Err(Refusal::Gone) => {
                info!("closing TLS connection {peer} -> {local}: client closed the socket");
                None
            }
            Err(Refusal::Said(sentence)) => {
                error!("closing TLS connection {peer} -> {local}: {sentence}");
                None
            }
        }
    }

    async fn proxied(&self, socket: &mut TcpStream, direct: Ends) -> Option<Ends> {
        let Ends { peer, local } = direct;
        match timeout(self.patience, proxy_protocol::read(socket)).await {
            Ok(Ok(Some(ends))) => Some(ends),
            Ok(Ok(None)) => Some(direct),
            Ok(Err(ProxyError::Io(_))) => {
                info!("closing connection {peer} -> {local}: client closed the socket");
                None
            }
            Ok(Err(error @ ProxyError::NoHeader)) => {
                error!("closing connection {peer} -> {local}: {error}");
                None
            }
            Err(_) => {
                error!(
                    "closing connection {peer} -> {local}: no header of the PROXY protocol within \
                     handshake_timeout"
                );
                None
            }
        }
    }
}

/// An IPv4 address on a dual-stack listener, as the IPv4 address it is.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
