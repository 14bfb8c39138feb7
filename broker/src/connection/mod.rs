//! A connection: the one task that reads a client's frames and acts on them.
//!
//! Spawned by `server` for every accepted socket. Files in the order a connection lives:
//! `handshake`, then this loop, which hands frames to `dispatch`; `handle` and `outbox` are what
//! other tasks see of it, `writer` writes what the socket does not take at once, `close` puts
//! errors into frames. Stays true: the task waits only for its socket, its mail, its timer, a
//! change to be on disk, or, bounded, for a queue that is long; and before it waits for its socket
//! everything it read has taken effect.

pub mod batch;
pub mod channel_table;
pub mod close;
pub mod dispatch;
mod ending;
pub mod handle;
pub mod handshake;
pub mod heartbeat;
pub mod outbox;
pub mod routes;
pub mod session;
mod writer;

#[cfg(test)]
mod hand_over_test;
#[cfg(test)]
mod outbox_model;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use leveret_protocol::constants::FRAME_HEADER_SIZE;
use leveret_protocol::decoder::{decode_frame, needed};
use leveret_protocol::encoder::write_heartbeat;
use leveret_protocol::frame::FrameKind;
use leveret_protocol::methods::connection;
use leveret_storage::messages::Ticket;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, interval_at, timeout};
use tracing::{error, info};

use self::close::Failure;
use self::dispatch::{Dispatch, Step};
use self::handle::{ConnectionHandle, Event};
use self::handshake::{Negotiated, Refused};
use self::heartbeat::Heartbeat;
use self::session::Session;
use crate::broker::Broker;
use crate::error::{AmqpError, ConnectionError, FailingMethod};
use crate::message::INLINE_BODY_MAX;
use crate::queue::Gate;
use crate::server::{self, SHUTDOWN_REASON, canonical};

/// Bytes of a frame beside its payload.
const FRAME_OVERHEAD: u32 = 8;
/// The first read buffer; a connection that fills it gets larger ones.
const READ_BUFFER_MIN: usize = 4 * 1024;
/// The largest read buffer. Larger ones make publishers faster and everyone else wait longer.
const READ_BUFFER_MAX: usize = 128 * 1024;
/// After this many bytes the task lets others run.
const READ_BUDGET: usize = 128 * 1024;
/// The longest a client that publishes and consumes waits, per read, for the message stores to
/// write: its acks have to be read even when the disk is full.
const CROWDED_WAIT: Duration = Duration::from_millis(20);
/// A client that does not read its replies is not read from while this much waits for it.
const REPLY_BYTES_MAX: usize = 16 << 20;
/// How long a client whose login failed waits for the end of its connection.
const SILENCE: Duration = Duration::from_secs(3);
/// How long the client may take to answer connection.close.
const CLOSE_OK_WAIT: Duration = Duration::from_secs(3);
/// How often an idle connection looks for memory to give back, when it has no heartbeat.
const IDLE_TICK: Duration = Duration::from_secs(10);

/// Serves one client from its first byte to its last.
pub async fn serve(mut socket: TcpStream, peer: SocketAddr, broker: Arc<Broker>) {
    let local = socket.local_addr().map_or(peer, canonical);
    let label = format!("{peer} -> {local}");
    info!("accepting AMQP connection {label}");
    let mut input = BytesMut::new();
    // Boxed: the handshake's state would otherwise stay part of the task for its whole life.
    let limit = broker.limits().handshake_timeout;
    let handshake = Box::pin(handshake::run(&mut socket, peer, &broker, &mut input));
    let handshake = broker.stopping().run_until_cancelled(timeout(limit, handshake));
    let negotiated = match handshake.await {
        Some(Ok(Ok(negotiated))) => negotiated,
        Some(Ok(Err(refused))) => return Box::pin(refuse(socket, &label, refused)).await,
        Some(Err(_)) => {
            error!("closing AMQP connection {label}: handshake_timeout");
            return;
        }
        None => return,
    };
    let name = negotiated.name.as_deref().map(|name| format!(" - {name}")).unwrap_or_default();
    info!(
        "connection {label}{name}: user '{}' authenticated and granted access to vhost '{}'",
        negotiated.login.user,
        negotiated.vhost.name()
    );
    let mut connection = Connection::new(socket, negotiated, &broker, label);
    let end = connection.run(input).await;
    // Boxed, as the handshake: the state of an end is no part of a living connection.
    Box::pin(connection.finish(end)).await;
}

async fn refuse(mut socket: TcpStream, label: &str, refused: Refused) {
    match refused {
        Refused::Gone => info!("closing AMQP connection {label}: client closed the socket"),
        Refused::BadHeader(header) => {
            error!("closing AMQP connection {label}: bad_header {header:02x?}");
        }
        Refused::Told(error, method) => {
            let text = handshake::tell(&mut socket, &error, method).await;
            error!("error on AMQP connection {label}: {text}");
            wait_for_end(&mut socket, CLOSE_OK_WAIT).await;
        }
        Refused::Silent(error) => {
            error!("error on AMQP connection {label}: {error}");
            // No frame: clients without the capability take silence and the end for a refusal.
            wait_for_end(&mut socket, SILENCE).await;
        }
    }
}

/// Reads and drops until the client closes or the time is over, so that the close frame is not lost
/// to a reset.
async fn wait_for_end(socket: &mut (impl AsyncReadExt + Unpin), limit: Duration) {
    let mut scratch = [0; 512];
    let drain =
        async { while matches!(socket.read(&mut scratch).await, Ok(count) if count > 0) {} };
    let _ = timeout(limit, drain).await;
}

/// Why a connection's loop ended.
enum End {
    /// The socket closed or failed.
    SocketClosed,
    /// The client sent connection.close.
    ClientClosed,
    /// Too long without a sign of life.
    HeartbeatTimeout,
    /// An error that the client is told.
    Error(ConnectionError, FailingMethod),
}

struct Connection {
    dispatch: Dispatch,
    socket: OwnedReadHalf,
    handle: Arc<ConnectionHandle>,
    writer: tokio::task::JoinHandle<()>,
    broker: Arc<Broker>,
    label: String,
    payload_max: u32,
    heartbeat: Heartbeat,
    heartbeats: bool,
    ticker: Interval,
    /// How far the messages that were stored are durable.
    durable: watch::Receiver<Ticket>,
    received: u64,
    received_before: u64,
    buffer_size: usize,
    /// A publish waits for a resource alarm to end: nothing is read.
    parked: bool,
    told_blocked: bool,
}

impl Connection {
    fn new(socket: TcpStream, negotiated: Negotiated, broker: &Arc<Broker>, label: String) -> Self {
        let (read_half, write_half) = socket.into_split();
        let handle = ConnectionHandle::new(write_half, negotiated.frame_max);
        broker.register(&handle);
        if broker.stopping().is_cancelled() {
            // All others were told before this one was registered.
            handle.post(Event::ForceClose(SHUTDOWN_REASON.to_owned()));
        }
        let writer = tokio::spawn(writer::run(Arc::clone(&handle)));
        let Negotiated { vhost, login, capabilities, channel_max, frame_max, .. } = negotiated;
        let session =
            Session::new(Arc::clone(broker), vhost, Arc::clone(&handle), capabilities, login);
        let tick = Heartbeat::tick_interval(negotiated.heartbeat_seconds);
        let every = tick.unwrap_or(IDLE_TICK);
        Self {
            dispatch: Dispatch::new(session, channel_max),
            socket: read_half,
            handle,
            writer,
            broker: Arc::clone(broker),
            label,
            payload_max: frame_max.saturating_sub(FRAME_OVERHEAD),
            heartbeat: Heartbeat::default(),
            heartbeats: tick.is_some(),
            ticker: interval_at(Instant::now() + every, every),
            durable: broker.messages().progress().watch_durable(),
            received: 0,
            received_before: 0,
            buffer_size: READ_BUFFER_MIN,
            parked: false,
            told_blocked: false,
        }
    }

    async fn run(&mut self, mut input: BytesMut) -> End {
        // The client may have sent more along with its last handshake frame.
        let mut end = self.on_input(&mut input).await;
        while end.is_none() {
            if input.is_empty() && input.capacity() > 0 && self.is_idle() {
                input = BytesMut::new();
            }
            let owes = self.owes_too_much();
            let crowded = self.is_crowded();
            let reads = !self.parked && !owes && !crowded;
            tokio::select! {
                biased;
                () = self.handle.mail() => end = self.on_mail(&mut input).await,
                _ = self.durable.changed(), if self.dispatch.awaits_durability() => {
                    let ticket = *self.durable.borrow_and_update();
                    self.dispatch.durable(ticket);
                }
                () = self.broker.messages().room(), if crowded => {}
                count = read(&mut self.socket, &mut input, self.buffer_size), if reads => {
                    end = self.on_read(count, &mut input).await;
                }
                _ = self.ticker.tick() => end = self.on_tick(),
                () = pause(), if owes => {}
            }
        }
        end.unwrap_or(End::SocketClosed)
    }

    async fn on_read(
        &mut self,
        count: std::io::Result<usize>,
        input: &mut BytesMut,
    ) -> Option<End> {
        let count = match count {
            Ok(0) | Err(_) => return Some(End::SocketClosed),
            Ok(count) => count,
        };
        self.received += count as u64;
        if count >= self.buffer_size {
            self.buffer_size = (self.buffer_size * 2).min(READ_BUFFER_MAX);
        }
        let end = self.on_input(input).await;
        if end.is_none() {
            self.pause_if_needed(count).await;
        }
        end
    }

    /// Handles all whole frames of the input.
    async fn on_input(&mut self, input: &mut BytesMut) -> Option<End> {
        loop {
            let progress = self.frames(input);
            let finished = self.dispatch.finish_read();
            let failures = match (finished, progress) {
                (Ok(()), Ok(step)) => Ok(step),
                (Err(first), Err(second)) if first.channel != second.channel => {
                    Err([Some(first), Some(second)])
                }
                // What fails on a channel that failed before is no longer heard.
                (Err(failure), _) | (Ok(()), Err(failure)) => Err([Some(failure), None]),
            };
            let step = match failures {
                Ok(step) => step,
                Err(failures) => {
                    match failures.into_iter().flatten().find_map(|failure| self.fail(failure)) {
                        Some(end) => return Some(end),
                        None => continue,
                    }
                }
            };
            match step {
                Step::Next => {
                    self.tell_if_blocked();
                    return None;
                }
                Step::ClientClosed => return Some(End::ClientClosed),
                Step::Park => {
                    self.park();
                    return None;
                }
                Step::AfterRead(queue) => queue.read().await,
                Step::Once(durable, frames) => {
                    if let Err(error) = durable.wait().await {
                        error!("error on AMQP connection {}: {error}", self.label);
                        if error.is_fatal() {
                            server::end_process(&error);
                        }
                        let text = "the broker could not store the change".to_owned();
                        return Some(End::Error(
                            ConnectionError::Internal(text),
                            FailingMethod::default(),
                        ));
                    }
                    self.dispatch.session.send(&frames);
                }
            }
        }
    }

    /// Handles whole frames until there are no more, or one asks for something.
    fn frames(&mut self, input: &mut BytesMut) -> Result<Step, Failure> {
        let mut at = 0;
        let result = loop {
            let rest = input.get(at..).unwrap_or_default();
            let frame = match decode_frame(rest, self.payload_max) {
                Ok(Some(frame)) => frame,
                Ok(None) => break Ok(Step::Next),
                Err(error) => break Err(Failure::of_frame(0, ConnectionError::from(error))),
            };
            let length = frame.encoded_len();
            let step = if frame.kind == FrameKind::Body && frame.payload.len() >= INLINE_BODY_MAX {
                let channel = frame.channel;
                let bytes = input.split_to(at + length).freeze();
                let part = bytes.slice(at + FRAME_HEADER_SIZE..at + length - 1);
                at = 0;
                self.dispatch.large_body(channel, part)
            } else {
                let step = self.dispatch.frame(frame);
                if !matches!(step, Ok(Step::Park | Step::AfterRead(_))) {
                    at += length;
                }
                step
            };
            match step {
                Ok(Step::Next) => {}
                other => break other,
            }
        };
        input.advance(at);
        result
    }

    /// A failure closes its channel and the connection lives, or it ends the connection.
    fn fail(&mut self, failure: Failure) -> Option<End> {
        match &failure.error {
            AmqpError::Channel(error) if failure.channel != 0 => {
                self.dispatch.close_channel(&failure, error);
                None
            }
            AmqpError::Channel(error) => {
                let error = ConnectionError::Internal(error.to_string());
                Some(End::Error(error, failure.method))
            }
            AmqpError::Connection(error) => Some(End::Error(error.clone(), failure.method)),
        }
    }

    /// Lets others catch up: consumers of the queues published to, other tasks of this worker.
    async fn pause_if_needed(&mut self, count: usize) {
        let gated = self.dispatch.take_gated();
        if !gated.is_empty() && !self.dispatch.consumes() {
            Gate::wait(gated.iter().map(|queue| queue.gate())).await;
        }
        if self.broker.messages().is_crowded() && self.dispatch.consumes() {
            // Whoever does not consume waits in the loop, until there is room.
            let _ = timeout(CROWDED_WAIT, self.broker.messages().room()).await;
        }
        if count >= READ_BUDGET / 2 {
            tokio::task::yield_now().await;
        }
    }

    /// Whether the client has to read before it is read from. Never when the socket failed: what
    /// is owed then stays owed.
    fn owes_too_much(&self) -> bool {
        let outbox = self.handle.outbox();
        let writes = !outbox.is_closed() && !self.writer.is_finished();
        writes && outbox.unsent() > REPLY_BYTES_MAX
    }

    /// Whether the message stores have to write before more is published. A client that consumes
    /// is read on: its acks make room.
    fn is_crowded(&self) -> bool {
        self.dispatch.session.has_published()
            && self.broker.messages().is_crowded()
            && !self.dispatch.consumes()
    }

    async fn on_mail(&mut self, input: &mut BytesMut) -> Option<End> {
        let mut end = None;
        for event in self.handle.take_mail() {
            match event {
                Event::Relieved => self.dispatch.resume_consumers(),
                Event::ConsumerCancelled { channel, consumer_tag } => {
                    self.dispatch.consumer_cancelled(channel, &consumer_tag);
                }
                Event::SocketFailed(_) => end = Some(End::SocketClosed),
                Event::ForceClose(reason) => {
                    let error = ConnectionError::Forced(reason);
                    end = Some(End::Error(error, FailingMethod::default()));
                }
                Event::AlarmsChanged => self.on_alarms(),
            }
        }
        self.dispatch.flush();
        if end.is_none() && !self.parked && !input.is_empty() {
            // What waited behind a parked publish.
            end = self.on_input(input).await;
        }
        end
    }

    /// Tells a publishing client that it is blocked or no longer blocked.
    fn on_alarms(&mut self) {
        let session = &self.dispatch.session;
        let reason = session.broker.alarms().reason();
        match reason {
            Some(reason) if session.has_published() && !self.told_blocked => {
                self.told_blocked = true;
                if session.capabilities.connection_blocked {
                    session.reply(0, &connection::Blocked { reason });
                }
            }
            Some(_) => {}
            None => {
                self.parked = false;
                if std::mem::take(&mut self.told_blocked) && session.capabilities.connection_blocked
                {
                    session.reply(0, &connection::Unblocked {});
                }
            }
        }
    }

    /// A client that publishes while an alarm is raised is told at its first publish.
    fn tell_if_blocked(&mut self) {
        if !self.told_blocked && self.broker.alarms().reason().is_some() {
            self.on_alarms();
            self.dispatch.flush();
        }
    }

    fn park(&mut self) {
        self.parked = true;
        self.on_alarms();
        self.dispatch.flush();
        if self.broker.alarms().reason().is_none() {
            // The alarm ended between the look at it and now.
            self.handle.post(Event::AlarmsChanged);
        }
    }

    fn is_idle(&self) -> bool {
        self.buffer_size == READ_BUFFER_MIN
    }

    fn on_tick(&mut self) -> Option<End> {
        if self.received == self.received_before {
            self.buffer_size = READ_BUFFER_MIN;
            self.dispatch.release_memory();
        }
        self.received_before = self.received;
        if !self.heartbeats {
            return None;
        }
        let sent = self.handle.outbox().activity();
        let unread = self.parked || self.owes_too_much() || self.is_crowded();
        let beat = self.heartbeat.tick(sent, self.received, unread);
        if beat.lost {
            return Some(End::HeartbeatTimeout);
        }
        if beat.send {
            let mut outbox = self.handle.outbox();
            write_heartbeat(outbox.frames());
            let sent = outbox.activity();
            drop(outbox);
            self.heartbeat.note_sent(sent);
            self.handle.flush();
        }
        None
    }
}

/// Until it is worth looking again whether a client has read what it is owed.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Reads what is there into the buffer, with room for at least the frame that is due.
async fn read(
    socket: &mut OwnedReadHalf,
    input: &mut BytesMut,
    buffer_size: usize,
) -> std::io::Result<usize> {
    let wanted = if input.is_empty() { 0 } else { needed(input) };
    input.reserve(buffer_size.max(wanted));
    socket.read_buf(input).await
}
