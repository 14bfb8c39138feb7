//! `leveret healthcheck`: does a broker on this machine accept AMQP connections?
//! For container health checks, so it needs no shell and no credentials.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the broker may take from connect to connection.start.
const PATIENCE: Duration = Duration::from_secs(2);

const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Why the broker is not healthy. `Display` is one line.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Nothing accepts connections, or the connection broke.
    #[error("127.0.0.1:{port}: {source}")]
    Connection {
        /// The port asked.
        port: u16,
        /// The system's reason.
        source: io::Error,
    },
    /// Something accepts connections and stays silent.
    #[error("127.0.0.1:{port}: no connection.start within {patience:?}")]
    Silent {
        /// The port asked.
        port: u16,
        /// How long it was waited for.
        patience: Duration,
    },
    /// Something answers that is no AMQP 0-9-1 broker.
    #[error("127.0.0.1:{port}: answered with something else than connection.start")]
    NotAmqp {
        /// The port asked.
        port: u16,
    },
}

/// Connects to the port on the loopback address, sends the protocol header and
/// waits up to 2 s for connection.start (AMQP 0-9-1 §2.2.4).
///
/// # Errors
/// The broker is not healthy.
pub async fn check(port: u16) -> Result<(), HealthError> {
    check_within(port, PATIENCE).await
}

async fn check_within(port: u16, patience: Duration) -> Result<(), HealthError> {
    match timeout(patience, first_answer(port)).await {
        Ok(Ok(answer)) if is_connection_start(answer) => Ok(()),
        Ok(Ok(_)) => Err(HealthError::NotAmqp { port }),
        Ok(Err(source)) => Err(HealthError::Connection { port, source }),
        Err(_) => Err(HealthError::Silent { port, patience }),
    }
}

/// A frame header and the two ids of its method.
type Answer = [u8; 11];

async fn first_answer(port: u16) -> io::Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
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
        check(port).await.unwrap();
    }

    #[tokio::test]
    async fn another_protocol_is_not() {
        let port = answering(b"HTTP/1.1 400 Bad Request\r\n").await;
        assert!(matches!(check(port).await, Err(HealthError::NotAmqp { .. })));
    }

    #[tokio::test]
    async fn nobody_there_is_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = check(port).await.unwrap_err();
        assert!(matches!(error, HealthError::Connection { .. }));
        assert!(error.to_string().starts_with(&format!("127.0.0.1:{port}: ")));
    }

    #[tokio::test]
    async fn silence_is_not() {
        let port = answering(b"").await;
        let error = check_within(port, Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("127.0.0.1:{port}: no connection.start within 20ms"));
    }
}
