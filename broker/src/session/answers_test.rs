//! What waits for the disk on a connection, and what does not, with a disk that answers when told.

use std::path::PathBuf;

use leveret_protocol::decoder::decode_frame;
use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::{MethodFrame, basic, confirm, queue};
use leveret_protocol::types::RawTable;
use leveret_storage::metadata::MemoryMetadata;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::auth::{Users, seed_if_empty};
use crate::broker::Broker;
use crate::config::{Config, ServeOptions};
use crate::definitions::command::Access;
use crate::definitions::held::HeldMetadata;
use crate::definitions::parameters::TopicPermissionRecord;
use crate::definitions::records::{Definitions, PermissionRecord, VhostRecord};
use crate::definitions::store::DefinitionStore;
use crate::outgoing::ConnectionHandle;
use crate::session::context::{ClientCapabilities, LoggedIn};
use crate::stores::tests::in_memory;
use crate::transport::Socket;

const FRAME_MAX: u32 = 128 * 1024;

struct Rig {
    store: Arc<HeldMetadata>,
    broker: Arc<Broker>,
}

/// A connection and the far end of its socket, which nobody reads.
struct Client {
    dispatch: Dispatch,
    _peer: TcpStream,
}

fn rig() -> Rig {
    let options =
        ServeOptions { config: Some(PathBuf::from("/dev/null")), ..ServeOptions::default() };
    let config = Config::load(&options, |_| None).unwrap();
    let definitions = |store| Arc::new(DefinitionStore::new(store, 1));
    let none = Definitions::default();
    let users = Users::new(definitions(Arc::new(MemoryMetadata::new()) as _), &none, &[], &[]);
    seed_if_empty(&users, &none, &config.seed).unwrap();
    let store = HeldMetadata::new();
    let broker = Broker::new(
        &config,
        users,
        crate::auth::Logins::new(&config.authentication).unwrap(),
        definitions(Arc::clone(&store) as _),
        in_memory(),
    );
    broker.add_vhost(&VhostRecord::plain("/"));
    Rig { store, broker: Arc::new(broker) }
}

impl Rig {
    /// A connection with channel 1 open.
    async fn connect(&self) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, socket) = Socket::Plain(listener.accept().await.unwrap().0).into_split();
        let login = LoggedIn {
            user: "guest".to_owned(),
            may_impersonate: false,
            rights: crate::auth::authority::Rights::Internal(
                self.broker.users().permissions("guest", "/").unwrap(),
            ),
            admission: Arc::new(
                self.broker.admissions().enter(("/", None), ("guest", None)).unwrap(),
            ),
        };
        let session = Session::new(
            Arc::clone(&self.broker),
            self.broker.vhost("/").unwrap(),
            ConnectionHandle::new(socket, FRAME_MAX),
            ClientCapabilities::default(),
            login,
        );
        let mut client = Client { dispatch: Dispatch::new(session, 10), _peer: peer };
        client.send(&channel_class::Open {});
        assert_eq!(client.told(), [(20, 11)]);
        client
    }
}

impl Client {
    fn step<M: MethodFrame>(&mut self, method: &M) -> Option<Result<Step, Failure>> {
        let mut bytes = Vec::new();
        write_method(&mut bytes, 1, method);
        let frame = decode_frame(&bytes, FRAME_MAX).unwrap().unwrap();
        (!self.dispatch.is_behind(&frame)).then(|| self.dispatch.frame(frame))
    }

    fn send<M: MethodFrame>(&mut self, method: &M) {
        let step = self.step(method);
        assert!(matches!(step, Some(Ok(Step::Next))), "{step:?}");
    }

    /// Publishes a message without a body, which need not be stored.
    fn publish(&mut self, routing_key: &str) {
        self.try_publish("", routing_key).unwrap();
    }

    fn try_publish(&mut self, exchange: &str, routing_key: &str) -> Result<(), Failure> {
        let publish = basic::Publish { exchange, routing_key, mandatory: false, immediate: false };
        self.send(&publish);
        let header = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let frame = Frame { kind: FrameKind::Header, channel: 1, payload: &header };
        self.dispatch.frame(frame)?;
        // The end of the read, without its write to the socket.
        self.dispatch.finish_batch().map(drop)
    }

    /// Class and method ids of what the client was told since it was last asked.
    fn told(&self) -> Vec<(u16, u16)> {
        let mut outbox = self.dispatch.session.handle.outbox();
        let bytes = std::mem::take(outbox.frames());
        let mut rest = bytes.as_slice();
        let mut told = Vec::new();
        while let Some(frame) = decode_frame(rest, FRAME_MAX).unwrap() {
            let method = Method::decode(frame.payload).unwrap();
            told.push((method.class_id(), method.method_id()));
            rest = &rest[frame.encoded_len()..];
        }
        told
    }

    async fn answers(&mut self) {
        let frames = self.dispatch.next_answers().await.unwrap();
        self.dispatch.answer(&frames);
    }
}

fn declare(queue: &str, passive: bool) -> queue::Declare<'_> {
    queue::Declare {
        queue,
        passive,
        durable: true,
        exclusive: false,
        auto_delete: false,
        no_wait: false,
        arguments: RawTable::EMPTY,
    }
}

const DECLARE_OK: (u16, u16) = (50, 11);

/// A thousand durable declares sent at once took a thousand syncs.
#[tokio::test]
async fn pipelined_declares_share_a_sync() {
    let rig = rig();
    let mut client = rig.connect().await;
    for at in 0..1000 {
        client.send(&declare(&at.to_string(), false));
    }
    assert_eq!(rig.store.waiting().len(), 1000);
    assert_eq!(client.told(), [], "nothing is on disk");
    rig.store.sync();
    client.answers().await;
    assert_eq!(client.told(), [DECLARE_OK; 1000]);
    assert!(!client.dispatch.is_answering());
}

#[tokio::test]
async fn declares_of_many_connections_share_a_sync() {
    let rig = rig();
    let mut clients = Vec::new();
    for at in 0..50 {
        let mut client = rig.connect().await;
        client.send(&declare(&at.to_string(), false));
        clients.push(client);
    }
    assert_eq!(rig.store.sync(), 50);
    for client in &mut clients {
        client.answers().await;
        assert_eq!(client.told(), [DECLARE_OK]);
    }
}

#[tokio::test]
async fn what_is_no_change_of_the_topology_waits_for_the_answers_before_it() {
    let rig = rig();
    let mut client = rig.connect().await;
    client.send(&declare("q", false));
    let get = basic::Get { queue: "q", no_ack: true };
    assert!(client.step(&get).is_none(), "it would be answered before the declare");
    // A passive declare speaks of the same queue, a transient queue of nothing on disk: both in turn.
    client.send(&declare("q", true));
    client.send(&queue::Declare { durable: false, ..declare("t", false) });
    rig.store.sync();
    client.answers().await;
    assert_eq!(client.told(), [DECLARE_OK; 3]);
    assert!(client.step(&get).is_some());
    assert_eq!(client.told(), [(60, 72)]);
}

/// Another client's declare was answered at once, because the queue was there; it could publish, be
/// confirmed, and find neither queue nor message after a power failure.
#[tokio::test]
async fn nothing_is_confirmed_in_a_queue_that_is_not_on_disk() {
    let rig = rig();
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    second.send(&confirm::Select { no_wait: true });
    second.publish("elsewhere");
    assert_eq!(second.told(), [(60, 80)], "what is dropped is confirmed");
    first.send(&declare("q", false));
    second.publish("q");
    assert_eq!(second.told(), []);
    assert!(second.dispatch.is_answering());
    rig.store.sync();
    second.answers().await;
    assert_eq!(second.told(), [(60, 80)]);
    second.publish("q");
    assert_eq!(second.told(), [(60, 80)]);
}

#[tokio::test]
async fn a_refusal_waits_for_the_deletion_it_speaks_of() {
    let rig = rig();
    let (mut first, mut second) = (rig.connect().await, rig.connect().await);
    first.send(&declare("q", false));
    rig.store.sync();
    first.answers().await;
    let delete = queue::Delete { queue: "q", if_unused: false, if_empty: false, no_wait: false };
    first.send(&delete);
    let refused = second.step(&declare("q", true)).unwrap();
    assert!(refused.is_err() && second.dispatch.is_answering(), "404, but not yet");
    rig.store.sync();
    second.answers().await;
    assert!(!second.dispatch.is_answering());
}

/// A route that was found stayed known, and with it the answer whether it may be used.
#[tokio::test]
async fn a_right_that_is_taken_counts_for_the_next_publish() {
    let rig = rig();
    let rights = |write: &str| {
        let text = str::to_owned;
        vec![Access::SetPermissions(PermissionRecord {
            user: text("guest"),
            vhost: text("/"),
            configure: text(".*"),
            write: text(write),
            read: text(".*"),
        })]
    };
    let topics = |write: &str| {
        let text = str::to_owned;
        vec![Access::SetTopicPermission(TopicPermissionRecord {
            user: text("guest"),
            vhost: text("/"),
            exchange: text("amq.topic"),
            write: text(write),
            read: text(".*"),
        })]
    };
    let refusal = |failure: Failure| failure.error.to_string();
    for (taken, given, text) in [
        (
            rights("^mine"),
            rights(".*"),
            "write access to exchange 'amq.topic' in vhost '/' refused for user 'guest'",
        ),
        (
            topics("^mine"),
            topics(""),
            "write access to topic 'key' in exchange 'amq.topic' in vhost '/' refused for user \
             'guest'",
        ),
    ] {
        let mut client = rig.connect().await;
        for _ in 0..2 {
            client.try_publish("amq.topic", "key").unwrap();
        }
        drop(rig.broker.users().change(taken).unwrap());
        assert_eq!(client.try_publish("amq.topic", "key").map_err(refusal), Err(text.to_owned()));
        drop(rig.broker.users().change(given).unwrap());
    }
}
