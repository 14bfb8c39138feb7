//! `leveret healthcheck`: does a broker on this machine accept AMQP connections?
//! For container health checks, so it needs no shell and no credentials.
//!
//! Called by `main`. Where every AMQP listener has TLS, which may want a certificate, or has a proxy
//! before it, the broker is asked at its socket in the data directory whether it is ready. Stays true:
//! an answer takes two seconds at most, and leaves no line of a failed handshake in the broker's log.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::config::Config;
use crate::http::SOCKET;

/// How long the broker may take from connect to its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks whether the start is complete, and the end has not begun.
const READY: &[u8] = b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// How the answer to it begins.
const IS_READY: &[u8] = b"HTTP/1.1 200";

const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Why the broker is not healthy. `Display` is one line.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nothing accepts connections, or the connection broke.
    #[error("{place}: {source}")]
    Connection {
        /// Where it was asked.
        place: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Something accepts connections and stays silent.
    #[error("{place}: no answer within {patience:?}")]
    Silent {
        /// Where it was asked.
        place: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// Something answers that is no AMQP 0-9-1 broker.
    #[error("{place}: answered with something else than connection.start")]
    NotAmqp {
        /// Where it was asked.
        place: String,
    },
    /// The broker starts, or ends.
    #[error("{place}: the broker is not ready")]
    NotReady {
        /// Where it was asked.
        place: String,
    },
}

/// Asks the broker that has this configuration: at its first AMQP listener as [`check_port`] does, or,
/// where that has TLS or a proxy before it, at its own socket.
///
/// # Errors
/// The broker is not healthy.
pub async fn check(config: &Config) -> Result<(), HealthError> {
    let listeners = &config.listeners;
    match listeners.addresses.first().filter(|_| !listeners.proxy_protocol) {
        Some(address) => check_amqp(on_this_machine(*address), PATIENCE).await,
        None => check_socket(config.data_dir.join(SOCKET), PATIENCE).await,
    }
}

/// Connects to the port on the loopback address, sends the protocol header and
/// waits up to 2 s for connection.start (AMQP 0-9-1 §2.2.4).
///
/// # Errors
/// The broker is not healthy.
pub async fn check_port(port: u16) -> Result<(), HealthError> {
    check_at((Ipv4Addr::LOCALHOST, port).into()).await
}

/// The same at an address.
///
/// # Errors
/// The broker is not healthy.
pub async fn check_at(address: SocketAddr) -> Result<(), HealthError> {
    check_amqp(address, PATIENCE).await
}

/// Where a listener can be reached that listens on every address.
fn on_this_machine(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        // `[::]` serves IPv4 too, and alone where the system has no IPv6.
        true => (Ipv4Addr::LOCALHOST, address.port()).into(),
        false => address,
    }
}

async fn check_amqp(address: SocketAddr, patience: Duration) -> Result<(), HealthError> {
    let place = address.to_string();
    match timeout(patience, first_answer(address)).await {
        Ok(Ok(answer)) if is_connection_start(answer) => Ok(()),
        Ok(Ok(_)) => Err(HealthError::NotAmqp { place }),
        Ok(Err(source)) => Err(HealthError::Connection { place, source }),
        Err(_) => Err(HealthError::Silent { place, patience }),
    }
}

async fn check_socket(path: PathBuf, patience: Duration) -> Result<(), HealthError> {
    let place = path.display().to_string();
    let asked = async {
        let mut stream = UnixStream::connect(&path).await?;
        stream.write_all(READY).await?;
        let mut answer = vec![0; IS_READY.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    match timeout(patience, asked).await {
        Ok(Ok(answer)) if answer == IS_READY => Ok(()),
        Ok(Ok(_)) => Err(HealthError::NotReady { place }),
        Ok(Err(source)) => Err(HealthError::Connection { place, source }),
        Err(_) => Err(HealthError::Silent { place, patience }),
    }
}

/// A frame header and the two ids of its method.
type Answer = [u8; 11];

async fn first_answer(address: SocketAddr) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(PROTOCOL_HEADER).await?;
    let mut answer = Answer::default();
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

const fn is_connection_start(answer: Answer) -> bool {
    // Method frame, channel 0, any length, class connection, method start.
    matches!(answer, [1, 0, 0, _, _, _, _, 0, 10, 0, 10])
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one client with those bytes, then waits for it to leave.
    async fn answering(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut header = [0; 8];
            client.read_exact(&mut header).await.unwrap();
            assert_eq!(header, PROTOCOL_HEADER);
            client.write_all(answer).await.unwrap();
            drop(client.read(&mut header).await);
        });
        port
    }

    #[tokio::test]
    async fn connection_start_is_healthy() {
        let port = answering(&[1, 0, 0, 0, 0, 1, 0, 0, 10, 0, 10, 0, 9]).await;
        check_port(port).await.unwrap();
    }

    #[tokio::test]
    async fn another_protocol_is_not() {
        let port = answering(b"HTTP/1.1 400 Bad Request\r\n").await;
        assert!(matches!(check_port(port).await, Err(HealthError::NotAmqp { .. })));
    }

    #[tokio::test]
    async fn nobody_there_is_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = check_port(port).await.unwrap_err();
        assert!(matches!(error, HealthError::Connection { .. }));
        assert!(error.to_string().starts_with(&format!("127.0.0.1:{port}: ")));
    }

    #[tokio::test]
    async fn silence_is_not() {
        let port = answering(b"").await;
        let patience = Duration::from_millis(20);
        let error = check_amqp((Ipv4Addr::LOCALHOST, port).into(), patience).await.unwrap_err();
        assert_eq!(error.to_string(), format!("127.0.0.1:{port}: no answer within 20ms"));
    }

    #[tokio::test]
    async fn where_there_is_tls_alone_the_socket_is_asked() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(())),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Err("the broker is not ready")),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(SOCKET);
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            tokio::spawn(async move {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut asked = vec![0; READY.len()];
                client.read_exact(&mut asked).await.unwrap();
                assert_eq!(asked, READY);
                client.write_all(answer.as_bytes()).await.unwrap();
                drop(client.read(&mut asked).await);
            });
            let found = check_socket(path.clone(), PATIENCE).await.map_err(|it| it.to_string());
            let expected = expected.map_err(|it| format!("{}: {it}", path.display()));
            assert_eq!(found, expected);
        }
        let gone = check_socket("/nowhere/leveret.sock".into(), PATIENCE).await;
        assert!(matches!(gone, Err(HealthError::Connection { .. })));
    }

    #[test]
    fn every_address_is_asked_at_this_machines_own() {
        for (address, expected) in [
            ("[::]:5672", "127.0.0.1:5672"),
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("10.0.0.1:5672", "10.0.0.1:5672"),
            ("[::1]:5672", "[::1]:5672"),
        ] {
            assert_eq!(on_this_machine(address.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
