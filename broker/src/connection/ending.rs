//! The end of a connection: last frames, and the log line an operator looks for.
//!
//! Called by `connection::serve` when the loop is over, for whatever reason. Stays true: channels
//! have ended and exclusive queues are gone before the client reads close-ok or close, and nothing
//! here waits longer than `CLOSE_OK_WAIT`.
//! Specification: AMQP 0-9-1 §2.2.4, connection.close.

use std::io;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use leveret_protocol::decoder::{decode_frame, needed};
use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::connection;
use tokio::time::{Duration, timeout};
use tracing::{error, info, warn};

use super::input::{CLOSE, READ_BUFFER_MIN};
use super::{CLOSE_OK_WAIT, Connection, End, wait_for_end};
use crate::error::ConnectionError;
use crate::session::close;
use crate::transport::Source;

/// How long a writer that was told why the socket failed has to pass it on. A client that merely
/// closed its half of the socket, with something still to be sent to it, takes as long.
const WRITER_WAIT: Duration = Duration::from_secs(1);

impl Connection {
    /// Ends the connection: its channels, its queues, the last frames, the log line.
    pub(super) async fn finish(mut self, mut end: End) {
        while !self.dispatch.end_step() {
            tokio::task::yield_now().await;
        }
        self.finished = true;
        self.dispatch.session.leave();
        if matches!(end, End::SocketClosed)
            && let Some(kind) = self.told_by_writer().await
        {
            end = self.socket_failed(kind);
        }
        match end {
            End::ClientClosed => {
                write_method(self.handle.outbox().frames(), 0, &connection::CloseOk {});
                self.drain().await;
                self.say(&end, "");
                // RabbitMQ leaves the hanging up to the client, and clients tell a close-ok from a
                // lost connection by what they see first.
                self.broker.unregister(&self.handle);
                wait_for_end(&mut self.socket, CLOSE_OK_WAIT).await;
            }
            End::SendTimeout => {
                self.broker.incidents().note_unread();
                self.say(&end, "");
            }
            End::SocketClosed | End::HeartbeatTimeout => self.say(&end, ""),
            End::Error(ref cause, method) => {
                let text = close::close_connection(self.handle.outbox().frames(), cause, method);
                self.say(&end, &text);
                self.drain().await;
                self.await_close_ok().await;
            }
        }
    }

    /// What the writer was told of the socket, if it still had something to write. The system says
    /// once why it gave a socket up, and to whoever asks next that it has ended.
    fn told_by_writer(&self) -> impl Future<Output = Option<io::ErrorKind>> + use<> {
        let handle = Arc::clone(&self.handle);
        let is_at_work = handle.outbox().is_closed() || handle.outbox().unsent() > 0;
        let told = async move {
            loop {
                if let Some(kind) = handle.take_mail().socket_failed {
                    return kind;
                }
                handle.mail().await;
            }
        };
        async move {
            match is_at_work {
                true => timeout(WRITER_WAIT, told).await.ok(),
                false => None,
            }
        }
    }

    /// The line of the log: which connection, whose, and why.
    fn say(&self, end: &End, text: &str) {
        let (connection, session) = (self.label.as_str(), &self.dispatch.session);
        let (user, vhost) = (session.user_name(), session.vhost.name());
        let about = format!("{connection}, vhost: '{vhost}', user: '{user}'");
        match end {
            End::ClientClosed => info!(
                event = "connection.closed",
                connection, user, vhost, "closing AMQP connection ({about})"
            ),
            End::SocketClosed => warn!(
                event = "connection.lost",
                connection,
                user,
                vhost,
                "closing AMQP connection ({about}): client unexpectedly closed TCP connection"
            ),
            End::SendTimeout => error!(
                event = "connection.send_timeout",
                connection,
                user,
                vhost,
                "closing AMQP connection ({about}): the client did not take what it was sent within \
                 send_timeout"
            ),
            End::HeartbeatTimeout => error!(
                event = "connection.heartbeat_missed",
                connection,
                user,
                vhost,
                "closing AMQP connection ({about}): missed heartbeats from client"
            ),
            End::Error(cause, _) => {
                let is_forced = matches!(cause, ConnectionError::Forced(_));
                let event = if is_forced { "connection.forced" } else { "connection.error" };
                error!(
                    event,
                    connection, user, vhost, "error on AMQP connection ({about}): {text}"
                );
            }
        }
    }

    /// Waits, bounded, until everything is written.
    fn drain(&self) -> impl Future<Output = ()> + use<> {
        let handle = Arc::clone(&self.handle);
        handle.flush();
        let all_written = async move {
            while handle.outbox().unsent() > 0 && !handle.outbox().is_closed() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        async move {
            let _ = timeout(CLOSE_OK_WAIT, all_written).await;
        }
    }

    /// Ignores all but the end of the connection: close-ok, a close of the client's own, or the
    /// socket's end.
    async fn await_close_ok(&mut self) {
        let mut input = BytesMut::new();
        let payload_max = self.input.payload_max();
        let handle = Arc::clone(&self.handle);
        let socket = &mut self.socket;
        let wait = async {
            loop {
                input.reserve(READ_BUFFER_MIN.max(needed(&input)));
                match socket.read_buf(&mut input).await {
                    Ok(count) if count > 0 => {}
                    Ok(_) | Err(_) => return,
                }
                while let Ok(Some(frame)) = decode_frame(&input, payload_max) {
                    let closes = frame.payload.starts_with(CLOSE);
                    // connection.close-ok is class 10, method 51.
                    let closed = frame.payload.starts_with(&[0, 10, 0, 51]);
                    let length = frame.encoded_len();
                    input.advance(length);
                    if closes {
                        write_method(handle.outbox().frames(), 0, &connection::CloseOk {});
                        handle.flush();
                    }
                    if closes || closed {
                        return;
                    }
                }
                if decode_frame(&input, payload_max).is_err() {
                    // The stream lost its frames: only its end can be waited for.
                    input.clear();
                }
            }
        };
        let _ = timeout(CLOSE_OK_WAIT, wait).await;
    }
}
