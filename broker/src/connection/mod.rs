//! A connection: the one task that reads a client's frames and acts on them.
//!
//! Spawned by `server` for every accepted socket. Files in the order a connection lives:
//! `arrival` and `handshake`, then this loop, which takes frames from `input` and hands them to the session's
//! dispatch; `waiting` is what it waits for before it goes on, `holding` what holds it back, `heartbeat` when to send a sign of
//! life or miss one, `ending` the last frames and the log line.
//!
//! Stays true: the task waits in one place, the `select!` of `Connection::run`, so that heartbeats,
//! mail, alarms and the end of the broker are heard in every state; and before it waits for its
//! socket everything it read has taken effect.

pub(crate) mod arrival;
mod ending;
mod expiry;
#[cfg(test)]
mod faults_test;
pub(crate) mod half_open;
pub(crate) mod handshake;
mod heartbeat;
mod holding;
mod input;
mod refusing;
mod waiting;

#[cfg(test)]
mod access_test;
#[cfg(test)]
mod authority_test;
#[cfg(test)]
mod token_test;
#[cfg(test)]
pub(crate) mod test_client;
#[cfg(test)]
mod vhosts_test;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use leveret_protocol::encoder::write_heartbeat;
use leveret_storage::StorageError;
use leveret_storage::messages::Ticket;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info};

use self::arrival::{Arrivals, Arrived};
use self::half_open::Place;
use self::handshake::Negotiated;
use self::heartbeat::Heartbeat;
use self::input::{Input, READ_BUFFER_MAX};
use self::refusing::{refuse, wait_for_end};
use self::waiting::Waiting;
use crate::broker::Broker;
use crate::clock;
use crate::error::{AmqpError, ConnectionError, FailingMethod, Failure};
use crate::outgoing::pressure::{Cause, State};
use crate::outgoing::{Client, ConnectionHandle, writer};
use crate::session::Dispatch;
use crate::session::context::Session;
use crate::session::step::Step;
use crate::stores::end_process;
use crate::transport::{ReadHalf, Socket};

/// What clients are told at the end of the broker, in RabbitMQ's words.
pub(crate) const SHUTDOWN_REASON: &str = "broker forced connection closure with reason 'shutdown'";
/// How long the client may take to answer connection.close.
const CLOSE_OK_WAIT: Duration = Duration::from_secs(3);
/// How often an idle connection looks for memory to give back, when it has no heartbeat.
const IDLE_TICK: Duration = Duration::from_secs(10);

/// Serves one client from its first byte to its last.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    arrivals: Arc<Arrivals>,
    broker: Arc<Broker>,
    place: Place,
    seat: Option<OwnedSemaphorePermit>,
) {
    let _watch = Watch { broker: Arc::clone(&broker), peer, _seat: seat };
    // Boxed: the state of what comes before is no part of a living connection.
    let arrival = Box::pin(arrivals.receive(socket, peer));
    let Some(Some(mut arrived)) = place.unless_taken(&broker, arrival).await else { return };
    let label = format!("{} -> {}", arrived.ends.peer, arrived.ends.local);
    info!(event = "connection.accepted", connection = label, "accepting AMQP connection {label}");
    // Boxed: the handshake's state would otherwise stay part of the task for its whole life.
    let limit = broker.limits().handshake_timeout;
    let handshake = Box::pin(async {
        // What it comes to as well.
        handshake::run(&mut arrived, &broker).await.map(Box::new)
    });
    let negotiated = place.unless_taken(&broker, timeout(limit, handshake)).await;
    let Arrived { socket, input, .. } = arrived;
    let negotiated = match negotiated {
        Some(Ok(Ok(negotiated))) => negotiated,
        Some(Ok(Err(refused))) => {
            // Whoever is refused keeps its place until it is gone.
            place.unless_taken(&broker, Box::pin(refuse(socket, &label, refused))).await;
            return;
        }
        Some(Err(_)) => {
            error!(
                event = "connection.refused",
                connection = label,
                "closing AMQP connection {label}: handshake_timeout"
            );
            return;
        }
        None => return,
    };
    drop(place);
    let name = negotiated.name.as_deref().map(|name| format!(" - {name}")).unwrap_or_default();
    let (user, vhost) = (negotiated.login.user.as_str(), negotiated.vhost.name());
    info!(
        event = "connection.opened",
        connection = label,
        user,
        vhost,
        "connection {label}{name}: user '{user}' authenticated and granted access to vhost '{vhost}'"
    );
    let mut connection = Connection::new(socket, *negotiated, &broker, label, input);
    let end = connection.run().await;
    // Boxed, as the handshake: the state of an end is no part of a living connection.
    Box::pin(connection.finish(end)).await;
}

/// Tells and counts it when the task of a connection panics: it ends that connection, and nothing
/// else.
struct Watch {
    broker: Arc<Broker>,
    peer: SocketAddr,
    /// Its place among the connections of its listener.
    _seat: Option<OwnedSemaphorePermit>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.broker.incidents().note_panic();
            let peer = self.peer;
            error!(
                event = "connection.panicked",
                %peer,
                "the connection from {peer} met a fault of the broker and is closed"
            );
        }
    }
}

/// Why a connection's loop ended.
enum End {
    /// The socket closed or failed.
    SocketClosed,
    /// The client took nothing of what it was sent for too long.
    SendTimeout,
    /// The client sent connection.close.
    ClientClosed,
    /// Too long without a sign of life.
    HeartbeatTimeout,
    /// An error that the client is told.
    Error(ConnectionError, FailingMethod),
}

struct Connection {
    dispatch: Dispatch,
    input: Input,
    socket: ReadHalf,
    handle: Arc<ConnectionHandle>,
    writer: tokio::task::JoinHandle<()>,
    broker: Arc<Broker>,
    label: String,
    heartbeat: Heartbeat,
    heartbeats: bool,
    ticker: Interval,
    /// How far the messages that were stored are durable.
    durable: watch::Receiver<Ticket>,
    alarms: watch::Receiver<()>,
    waiting: Waiting,
    /// Ends the connection with the token of its user.
    _expiry: Option<AbortOnDropHandle<()>>,
    /// There may be whole frames in the input that were not looked at, so that others could run.
    has_more: bool,
    /// The next frame waits until all answers are out.
    behind: bool,
    /// What went wrong behind answers that are not out yet, in its order.
    failures: Vec<Failure>,
    /// It just handled a large read.
    has_worked: bool,
    /// A publish waits for a resource alarm to end: nothing is handled.
    parked: bool,
    told_blocked: bool,
    /// How it is held back, as others know it.
    hold: (State, Cause),
    /// Its channels and queues have ended.
    finished: bool,
}

impl Connection {
    fn new(
        socket: Socket,
        negotiated: Negotiated,
        broker: &Arc<Broker>,
        label: String,
        input: BytesMut,
    ) -> Self {
        let (read_half, write_half) = socket.into_split();
        let handle = ConnectionHandle::new(write_half, negotiated.frame_max);
        let Negotiated { channel_max, frame_max, heartbeat_seconds, .. } = negotiated;
        let (tuned, connected_at_ms) =
            ((channel_max, frame_max, heartbeat_seconds), clock::unix_millis());
        let about = Arc::new(negotiated.about.clone());
        handle.introduce(Client {
            name: label.as_str().into(),
            user: negotiated.login.user.as_str().into(),
            vhost: negotiated.vhost.name().into(),
            about: Arc::clone(&about),
            tuned,
            connected_at_ms,
        });
        broker.register(&handle);
        // All others were told before this one was registered.
        if broker.stopping().is_cancelled() {
            handle.force_close(SHUTDOWN_REASON);
        }
        if let Some(reason) = negotiated.reason_to_leave() {
            handle.force_close(&reason);
        }
        let writer = tokio::spawn(writer::run(Arc::clone(&handle)));
        let Negotiated { vhost, login, capabilities, .. } = negotiated;
        let mut session =
            Session::new(Arc::clone(broker), vhost, Arc::clone(&handle), capabilities, login);
        session.tell_of_opening(about, tuned, connected_at_ms);
        let token = session.rights().token();
        let expiry = token.map(|token| expiry::watch(token, Arc::downgrade(&handle)));
        let tick = Heartbeat::tick_interval(heartbeat_seconds);
        let every = tick.unwrap_or(IDLE_TICK);
        let mut ticker = interval_at(Instant::now() + every, every);
        // A tick that was missed proves nothing of the client.
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            dispatch: Dispatch::new(session, channel_max),
            input: Input::new(input, frame_max),
            socket: read_half,
            handle,
            writer,
            broker: Arc::clone(broker),
            label,
            heartbeat: Heartbeat::default(),
            heartbeats: tick.is_some(),
            ticker,
            durable: broker.messages().progress().watch_durable(),
            alarms: broker.alarms().watch(),
            waiting: Waiting::default(),
            _expiry: expiry,
            // The client may have sent more along with its last handshake frame.
            has_more: true,
            behind: false,
            failures: Vec::new(),
            has_worked: false,
            parked: false,
            told_blocked: false,
            hold: (State::Running, Cause::None),
            finished: false,
        }
    }

    async fn run(&mut self) -> End {
        loop {
            self.unpark();
            self.forget_filling();
            let owes = self.owes_too_much();
            let crowded = self.is_crowded();
            self.note_hold(owes, crowded);
            let answering = self.dispatch.is_answering();
            let held = self.parked || self.waiting.is_on() || self.behind;
            let goes_on = self.has_more && !held && !owes;
            // A parked client is listened to: it may close, or vanish.
            let reads = match self.parked {
                false => !self.has_more && !held && !owes && !crowded,
                true => !owes && self.input.has_room(),
            };
            // Only while there is none: what is there at once would be there again and again.
            let over_budget = self.dispatch.session.over_budget().cloned();
            let paced = self.dispatch.session.pacing.pause().filter(|_| self.parked);
            let resumes_at = paced.map(|pause| pause.until);
            let makes_room = crowded || self.parked && self.broker.messages().is_crowded();
            let end = tokio::select! {
                // Time and mail first: a client that keeps its socket full must not keep its
                // connection from them.
                biased;
                _ = self.ticker.tick() => self.on_tick(),
                () = self.handle.mail() => self.on_mail(),
                Ok(()) = self.alarms.changed() => {
                    self.on_alarms();
                    None
                }
                Ok(()) = self.durable.changed(), if self.dispatch.awaits_durability() => {
                    let ticket = *self.durable.borrow_and_update();
                    self.dispatch.durable(ticket);
                    None
                }
                () = self.waiting.over(), if self.waiting.is_on() => None,
                answers = self.dispatch.next_answers(), if answering => self.on_answers(answers),
                () = holding::room(self.broker.messages()), if makes_room => None,
                () = holding::relief(over_budget.as_deref()), if over_budget.is_some() => {
                    self.dispatch.session.note_relief();
                    self.on_alarms();
                    None
                }
                () = holding::resumption(resumes_at), if resumes_at.is_some() => None,
                () = tokio::task::yield_now(), if goes_on => self.on_input(),
                count = self.input.read(&mut self.socket), if reads => self.on_read(count),
            };
            if let Some(end) = end {
                return end;
            }
            self.input.release();
            if std::mem::take(&mut self.has_worked) {
                // No wait, but the chance of all others, of timers too: the runtime looks at them
                // when its tasks let it.
                tokio::task::yield_now().await;
            }
        }
    }

    fn on_read(&mut self, count: std::io::Result<usize>) -> Option<End> {
        let count = match count {
            Ok(0) => return Some(End::SocketClosed),
            Ok(count) => count,
            Err(error) => return Some(self.socket_failed(error.kind())),
        };
        self.handle.octets().note_read(count);
        if self.parked {
            self.on_listened();
            return None;
        }
        self.has_worked = count >= READ_BUFFER_MAX / 2;
        let end = self.on_input();
        if end.is_none() && !self.waiting.is_on() && !self.parked {
            self.let_others_catch_up(count);
        }
        end
    }

    /// A publish waits for an alarm to end, and there may be something behind it. A client that
    /// closes is not kept waiting: it publishes nothing more, so the little that it has sent is
    /// taken.
    fn on_listened(&mut self) {
        if self.input.closes() {
            self.dispatch.session.let_all_in();
            self.parked = false;
        }
    }

    /// Handles whole frames of the input, as far as it goes without waiting.
    fn on_input(&mut self) -> Option<End> {
        self.dispatch.session.note_whether_traced();
        self.dispatch.spare_consumers();
        loop {
            let progress = self.input.frames(&mut self.dispatch);
            let finished = self.dispatch.finish_read();
            let failures = match (finished, progress) {
                (Ok(()), Ok(step)) => {
                    self.has_more = self.dispatch.is_unfinished();
                    if let Some(inquiry) = self.dispatch.session.rights().asked() {
                        self.waiting.ask(inquiry);
                    }
                    return self.on_step(step);
                }
                (Err(first), Err(second)) if first.channel != second.channel => {
                    [Some(first), Some(second)]
                }
                // What fails on a channel that failed before is no longer heard.
                (Err(failure), _) | (Ok(()), Err(failure)) => [Some(failure), None],
            };
            let failures = failures.into_iter().flatten();
            if self.dispatch.is_answering() {
                self.failures.extend(failures);
                self.has_more = true;
                self.behind = true;
                return None;
            }
            let end = failures.into_iter().find_map(|failure| self.fail(failure));
            if end.is_some() {
                return end;
            }
        }
    }

    fn on_step(&mut self, step: Step) -> Option<End> {
        match step {
            Step::Next => self.tell_if_blocked(),
            Step::Yield | Step::Again | Step::Ask | Step::AskFirst => self.has_more = true,
            Step::Behind => {
                self.has_more = true;
                self.behind = true;
            }
            Step::ClientClosed => return Some(End::ClientClosed),
            Step::Park => {
                self.has_more = true;
                self.parked = true;
                self.on_alarms();
                self.on_listened();
            }
            Step::AfterRead(queue) => {
                self.has_more = true;
                self.waiting.read(queue);
            }
            Step::Once(durable, frames) => {
                self.has_more = true;
                self.dispatch.answer_once(durable, frames);
            }
        }
        None
    }

    fn on_answers(&mut self, answers: Result<Vec<u8>, StorageError>) -> Option<End> {
        match answers {
            Ok(frames) => self.dispatch.answer(&frames),
            Err(error) => return Some(self.not_stored(&error)),
        }
        if !self.dispatch.is_answering() {
            self.behind = false;
            let failures = std::mem::take(&mut self.failures);
            if let Some(end) = failures.into_iter().find_map(|failure| self.fail(failure)) {
                return Some(end);
            }
        }
        if !self.has_more {
            self.dispatch.flush();
        }
        None
    }

    fn not_stored(&self, error: &StorageError) -> End {
        error!("error on AMQP connection {}: {error}", self.label);
        if error.is_fatal() {
            end_process(error);
        }
        let text = "the broker could not store the change".to_owned();
        End::Error(ConnectionError::Internal(text), FailingMethod::default())
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

    /// After a read of `count` bytes: consumers of the queues published to and the message stores
    /// may need a moment.
    fn let_others_catch_up(&mut self, count: usize) {
        let gated = self.dispatch.take_gated();
        if self.dispatch.consumes() {
            // Whoever does not consume waits in the loop, until there is room.
            if self.crowds() {
                self.waiting.room(Arc::clone(self.broker.messages()));
            } else if let Some(queue) = self.dispatch.session.waits_for() {
                self.waiting.slowed_by(Arc::clone(queue));
            }
        } else if !gated.is_empty() && Input::is_burst(count) {
            self.waiting.gated(gated);
        }
    }

    /// The system gave the connection up: if it was told how long to wait, for that reason.
    fn socket_failed(&self, kind: std::io::ErrorKind) -> End {
        let is_late = kind == std::io::ErrorKind::TimedOut;
        match is_late && self.dispatch.session.limits().send_timeout.is_some() {
            true => End::SendTimeout,
            false => End::SocketClosed,
        }
    }

    fn on_mail(&mut self) -> Option<End> {
        let mail = self.handle.take_mail();
        if mail.relieved {
            self.dispatch.resume_consumers();
        }
        for cancelled in mail.cancelled {
            self.dispatch.consumer_cancelled(&cancelled);
        }
        mail.lapsed.iter().for_each(|lapsed| self.dispatch.deliveries_lapsed(lapsed));
        self.dispatch.flush();
        for asked in mail.asked.into_iter().flat_map(|asked| *asked) {
            // Who asked may be gone.
            let _ = asked.0.send(self.dispatch.channels_truth());
        }
        if let Some(kind) = mail.socket_failed {
            return Some(self.socket_failed(kind));
        }
        let reason = mail.force_close?;
        Some(End::Error(ConnectionError::Forced(reason), FailingMethod::default()))
    }

    fn on_tick(&mut self) -> Option<End> {
        if self.input.tick() {
            self.dispatch.release_memory();
        }
        if !self.heartbeats {
            return None;
        }
        let sent = self.handle.outbox().activity();
        let unread = self.parked
            || self.waiting.is_on()
            || self.behind
            || self.has_more
            || self.owes_too_much()
            || self.is_crowded();
        let beat = self.heartbeat.tick(sent, self.input.received(), unread);
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

impl Drop for Connection {
    /// The connection is no longer there for anyone. A task that panicked leaves nothing behind
    /// either: what it was in the middle of may be lost, what others wait for is not.
    fn drop(&mut self) {
        if !self.finished {
            let dispatch = &mut self.dispatch;
            // A second panic would end the process.
            if catch_unwind(AssertUnwindSafe(|| dispatch.end())).is_err() {
                error!("connection {} could not be cleaned up", self.label);
            }
        }
        self.handle.outbox().close();
        self.writer.abort();
        self.broker.unregister(&self.handle);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{Config, ServeOptions};
    use crate::events::clients::Connection as About;
    use crate::queue::QueueSettings;
    use crate::session::context::{ClientCapabilities, LoggedIn};
    use crate::startup;

    /// A broker in a directory of its own.
    fn broker(directory: &std::path::Path) -> Arc<Broker> {
        let data_dir = Some(directory.join("data"));
        let options = ServeOptions { data_dir, ..ServeOptions::default() };
        let config = Config::load(&options, |_| None).expect("the defaults");
        startup::start(&config).expect("a new directory").broker
    }

    /// An open connection of guest's, and the client's socket.
    async fn connection(broker: &Arc<Broker>) -> (Connection, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).await.expect("somebody listens");
        let (socket, _) = listener.accept().await.expect("somebody connects");
        let permissions = broker.users().permissions("guest", "/").expect("guest may");
        let negotiated = Negotiated {
            vhost: broker.vhost("/").expect("the default vhost"),
            login: LoggedIn {
                user: "guest".to_owned(),
                may_impersonate: false,
                rights: crate::auth::authority::Rights::Internal(permissions),
                admission: Arc::new(
                    broker.admissions().enter(("/", None), ("guest", None)).unwrap(),
                ),
            },
            capabilities: ClientCapabilities::default(),
            channel_max: 0,
            frame_max: 4096,
            heartbeat_seconds: 0,
            name: None,
            about: About {
                name: "a test".into(),
                peer: address,
                local: address,
                mechanism: "PLAIN".into(),
                properties: Box::default(),
                encryption: None,
            },
        };
        let label = "a test".to_owned();
        (Connection::new(Socket::Plain(socket), negotiated, broker, label, BytesMut::new()), client)
    }

    fn declare_exclusive(connection: &mut Connection) {
        let session = &mut connection.dispatch.session;
        let settings =
            QueueSettings { owner: Some(session.handle.id()), ..QueueSettings::plain(false) };
        let declared = session.vhost.declare_queue("own", settings, session.handle.id());
        session.owns(&declared.expect("a new queue").0);
    }

    #[tokio::test]
    async fn a_task_that_panics_cleans_up_as_if_the_socket_had_closed() {
        let directory = tempfile::tempdir().expect("a directory");
        let broker = broker(directory.path());
        let (mut connection, mut client) = connection(&broker).await;
        declare_exclusive(&mut connection);
        assert_eq!(broker.connection_count(), 1);
        let task = tokio::spawn(async move {
            let _connection = connection;
            panic!("a fault in the middle of a method");
        });
        assert!(task.await.is_err_and(|error| error.is_panic()));
        assert_eq!(broker.connection_count(), 0);
        assert!(broker.vhost("/").is_some_and(|vhost| vhost.queue("own").is_none()));
        let read = timeout(Duration::from_secs(10), client.read(&mut [0; 16])).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    }

    #[tokio::test]
    async fn others_see_what_holds_a_connection_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let broker = broker(directory.path());
        let (mut connection, _client) = connection(&broker).await;
        declare_exclusive(&mut connection);
        let queue = broker.vhost("/").and_then(|vhost| vhost.queue("own")).expect("its queue");
        let handle = Arc::clone(&connection.handle);
        let hold = || {
            let hold = handle.pressure().hold(clock::unix_millis());
            assert!(hold.since_ms.abs_diff(clock::unix_millis()) < 30_000);
            (hold.state, hold.cause, hold.queue.map(String::from))
        };
        assert_eq!(hold(), (State::Running, Cause::None, None));
        let all = broker.connection_holds();
        assert!(matches!(&*all, [(name, one)] if name == "a test" && one.cause == Cause::None));
        connection.waiting.gated([queue]);
        connection.note_hold(false, false);
        assert_eq!(hold(), (State::Flow, Cause::Queue, Some("own".to_owned())));
        connection.waiting.over().await;
        connection.note_hold(false, true);
        assert_eq!(hold(), (State::Flow, Cause::Backlog, None));
        connection.note_hold(true, false);
        assert_eq!(hold(), (State::Flow, Cause::Unread, None));
        broker.alarms().set(true, false);
        connection.note_hold(false, false);
        assert_eq!(hold(), (State::Blocking, Cause::Memory, None), "it published nothing");
        connection.dispatch.session.note_published();
        connection.on_alarms();
        connection.note_hold(false, false);
        assert_eq!(hold(), (State::Blocked, Cause::Memory, None));
        broker.alarms().set(true, true);
        connection.note_hold(false, false);
        assert_eq!(hold(), (State::Blocked, Cause::DiskAndMemory, None));
        broker.alarms().set(false, false);
        connection.on_alarms();
        connection.note_hold(false, false);
        assert_eq!(hold().0, State::Flow, "it was a moment ago");
    }

    #[tokio::test]
    async fn a_writer_that_is_gone_ends_its_connection() {
        let directory = tempfile::tempdir().expect("a directory");
        let broker = broker(directory.path());
        let (mut connection, _client) = connection(&broker).await;
        connection.handle.fail(std::io::ErrorKind::BrokenPipe);
        let end = timeout(Duration::from_secs(10), connection.run()).await;
        assert!(matches!(end, Ok(End::SocketClosed)));
    }

    #[tokio::test]
    async fn a_client_that_was_given_up_is_told_from_one_that_left_by_whoever_was_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let lines = "tcp_listen_options.send_timeout = 60000\n";
        let broker = test_client::start(directory.path(), lines).broker;
        let (mut connection, client) = connection(&broker).await;
        // A writer at work has been told, and the reader sees an end before it can say so.
        connection.handle.outbox().close();
        drop(client);
        let end = timeout(Duration::from_secs(10), connection.run()).await.expect("an end");
        assert!(matches!(end, End::SocketClosed));
        let handle = Arc::clone(&connection.handle);
        let finished = tokio::spawn(connection.finish(end));
        tokio::task::yield_now().await;
        handle.fail(std::io::ErrorKind::TimedOut);
        assert!(timeout(Duration::from_secs(10), finished).await.is_ok_and(|done| done.is_ok()));
        assert_eq!(broker.incidents().counts().unread, 1);
    }
}
