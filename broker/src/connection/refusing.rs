//! Connections that do not come to be: what the client is told, and what the log says.
//!
//! Called by the task of the connection when its handshake came to nothing. Stays true: who is told
//! something has a moment to read it before the socket is closed, so that it is not lost to a reset.

use std::time::Duration;

use bytes::BytesMut;
use tokio::time::timeout;
use tracing::{error, info};

use super::CLOSE_OK_WAIT;
use super::handshake::{self, Refused};
use crate::error::ConnectionError;
use crate::transport::{Socket, Source};

/// How long a client whose login failed waits for the end of its connection.
const SILENCE: Duration = Duration::from_secs(3);

/// Tells the client why, if it is told at all, writes the line of the log, and waits for the end of
/// the socket.
pub(super) async fn refuse(mut socket: Socket, label: &str, refused: Refused) {
    // Whoever goes without a word may have looked whether somebody listens.
    if matches!(refused, Refused::Gone) {
        info!(
            event = "connection.refused",
            connection = label,
            "closing AMQP connection {label}: client closed the socket"
        );
        return;
    }
    let told = match &refused {
        Refused::Told(error, method) => handshake::tell(&mut socket, error, *method).await,
        Refused::Silent(error) => error.logged(),
        Refused::BadHeader([0x16, 0x03, ..]) => {
            "the client speaks TLS to a port without: let it connect without TLS (amqp://), or to a \
             port of listeners.ssl"
                .to_owned()
        }
        Refused::BadHeader(header) => format!("bad_header {header:02x?}"),
        Refused::Gone => String::new(),
    };
    let what = match refused {
        Refused::BadHeader(_) => "closing",
        Refused::Told(..) | Refused::Silent(_) | Refused::Gone => "error on",
    };
    // Of a login that failed the log has a line already, if it is to have one.
    let is_login = matches!(
        refused,
        Refused::Told(ConnectionError::AccessRefused(_), _)
            | Refused::Silent(ConnectionError::AccessRefused(_))
    );
    if !is_login {
        error!(
            event = "connection.refused",
            connection = label,
            "{what} AMQP connection {label}: {told}"
        );
    }
    match refused {
        Refused::Told(..) => wait_for_end(&mut socket, CLOSE_OK_WAIT).await,
        // No frame: clients without the capability take silence and the end for a refusal.
        Refused::Silent(_) => wait_for_end(&mut socket, SILENCE).await,
        Refused::BadHeader(_) | Refused::Gone => {}
    }
}

/// Reads and drops until the client closes or the time is over, so that the close frame is not lost
/// to a reset.
pub(super) async fn wait_for_end(socket: &mut impl Source, limit: Duration) {
    let mut scratch = BytesMut::with_capacity(512);
    let drain = async {
        while matches!(socket.read_buf(&mut scratch).await, Ok(count) if count > 0) {
            scratch.clear();
        }
    };
    let _ = timeout(limit, drain).await;
}
