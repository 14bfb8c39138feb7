//! What clients meet while vhosts are made, limited and deleted beside them.

use std::sync::Arc;

use leveret_storage::metadata::Collection;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::test_client::{TestClient, start};
use crate::broker::Broker;
use crate::broker::access::{By, VhostDraft};
use crate::events::Events;
use crate::events::churn::Turn;
use crate::policy::Definition;
use crate::vhost::Vhost;

const ADMIN: By<'_> = By::User("guest");
const GUEST: (&str, &str) = ("guest", "guest");

async fn make(broker: &Broker, name: &str) {
    let (is_new, durable) = broker.put_vhost(ADMIN, name, &VhostDraft::default()).unwrap();
    durable.wait().await.unwrap();
    assert!(is_new);
}

async fn open(broker: &Arc<Broker>, vhost: &str) -> TestClient {
    let mut client = TestClient::open(broker, GUEST, vhost).await.unwrap();
    client.open_channel(1).await.unwrap();
    client
}

fn limits(value: serde_json::Value) -> Definition {
    value.as_object().cloned().unwrap()
}

#[tokio::test]
async fn a_deleted_vhosts_connections_end_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    make(&broker, "v").await;
    make(&broker, "w").await;
    let mut clients = [open(&broker, "v").await, open(&broker, "v").await];
    clients[0].declare("q").await.unwrap();
    let mut others = [open(&broker, "/").await, open(&broker, "w").await];
    let deleted = broker.delete_vhost(ADMIN, "v").unwrap();
    let late = TestClient::open(&broker, GUEST, "v").await.unwrap_err();
    assert_eq!(late, (530, "NOT_ALLOWED - vhost v not found".to_owned()));
    for client in &mut clients {
        let (code, text) = client.closed().await;
        assert_eq!((code, &*text), (320, "CONNECTION_FORCED - vhost 'v' is deleted"));
    }
    deleted.wait().await.unwrap();
    for other in &mut others {
        other.declare("q").await.unwrap();
    }
    others[0].declare("q").await.unwrap();
    let churn = broker.events().churn().counts();
    let happened = Turn::ALL.map(|(turn, ..)| churn.of(turn));
    // Channels and connections closed and opened; queues created, declared and deleted.
    assert_eq!(happened, [2, 4, 2, 4, 3, 4, 1]);
    let none = broker.delete_vhost(ADMIN, "v").map(drop).unwrap_err();
    assert_eq!(none.to_string(), "vhost 'v' does not exist");
    make(&broker, "v").await;
    let vhost = broker.vhost("v").unwrap();
    assert!(vhost.queues().is_empty());
    open(&broker, "v").await.declare("q").await.unwrap();
    assert_eq!(broker.vhost("w").unwrap().queues().len(), 1);
}

#[tokio::test]
async fn a_vhost_that_is_being_deleted_is_not_made_again_yet() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "vhost_max = 2\n");
    let broker = Arc::clone(&started.broker);
    make(&broker, "v").await;
    // On one thread the deletion goes on only when this test waits.
    let deleted = broker.delete_vhost(ADMIN, "v").unwrap();
    let refused = |name| {
        let made = broker.put_vhost(ADMIN, name, &VhostDraft::default());
        made.map(drop).unwrap_err().to_string()
    };
    assert_eq!(refused("v"), "vhost 'v' is being deleted");
    let told = "cannot create vhost 'w': vhost limit of 2 is reached";
    assert_eq!(refused("w"), told, "what is not gone yet counts");
    deleted.wait().await.unwrap();
    make(&broker, "w").await;
    assert_eq!(refused("v"), told.replace("'w'", "'v'"));
}

#[tokio::test]
async fn what_is_made_at_run_time_is_whole_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let text = str::to_owned;
    let draft = VhostDraft {
        description: Some(text("of tests")),
        tags: Some(vec![text("a"), text("b")]),
        default_queue_type: Some(text("quorum")),
        protected_from_deletion: Some(true),
        tracing: Some(true),
    };
    let broker = Arc::clone(&started.broker);
    broker.put_vhost(ADMIN, "v", &draft).unwrap().1.wait().await.unwrap();
    let mut client = open(&broker, "v").await;
    client.declare("q").await.unwrap();
    let refused = broker.delete_vhost(By::CommandLine, "v").map(drop).unwrap_err().to_string();
    let protected =
        "Refusing to delete virtual host 'v' because it is protected from deletion".to_owned();
    assert_eq!(refused, protected);
    client.declare("still-open").await.unwrap();
    let bogus = VhostDraft { default_queue_type: Some(text("bogus")), ..draft.clone() };
    let refused = broker.put_vhost(ADMIN, "w", &bogus).map(drop).unwrap_err().to_string();
    assert_eq!(refused, "bogus is not a valid queue type");
    assert!(broker.update_vhost(ADMIN, "v", &bogus).is_err() && broker.vhost("w").is_none());
    assert!(broker.put_vhost(ADMIN, "", &draft).is_err());
    drop((client, broker));
    started.close().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    let vhost = broker.vhost("v").unwrap();
    let about = vhost.about();
    assert_eq!((&*about.description, &*about.tags.concat()), ("of tests", "ab"));
    assert!(vhost.is_traced() && about.protected_from_deletion && !about.is_leaving);
    assert_eq!((vhost.queues().len(), about.queue_type()), (2, Some("quorum")));
    let mut client = open(&broker, "v").await;
    client.declare("q").await.unwrap();
    let open_again = VhostDraft {
        protected_from_deletion: Some(false),
        tracing: Some(false),
        ..VhostDraft::default()
    };
    let (is_new, durable) = broker.put_vhost(ADMIN, "v", &open_again).unwrap();
    durable.wait().await.unwrap();
    assert!(!is_new && !vhost.is_traced() && vhost.about().description == "of tests");
    assert_eq!(broker.all_vhosts().len(), 2);
    broker.delete_vhost(ADMIN, "v").unwrap().wait().await.unwrap();
    assert_eq!(broker.all_vhosts()[0].name(), "/");
}

#[tokio::test]
async fn limits_of_vhosts_count_for_what_is_made_next() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    make(&broker, "v").await;
    let mut client = open(&broker, "v").await;
    client.declare("q").await.unwrap();
    let both = limits(json!({"max-connections": 1, "max-queues": 1}));
    drop(broker.set_vhost_limits(ADMIN, "v", &both).unwrap());
    client.declare("q").await.unwrap();
    let told =
        "PRECONDITION_FAILED - cannot declare queue 'r': queue limit in vhost 'v' (1) is reached";
    assert_eq!(client.declare("r").await, Err((406, told.to_owned())));
    let told = "NOT_ALLOWED - access to vhost 'v' refused for user 'guest': connection limit (1) is reached";
    let refused = TestClient::open(&broker, GUEST, "v").await.map(drop);
    assert_eq!(refused, Err((530, told.to_owned())));
    let more = limits(json!({"max-queues": 2}));
    drop(broker.add_vhost_limits(ADMIN, "v", &more).unwrap());
    client.declare("r").await.unwrap();
    drop(broker.clear_vhost_limit(ADMIN, "v", "max-connections").unwrap());
    let mut second = open(&broker, "v").await;
    assert!(second.declare("s").await.is_err());
    drop(broker.clear_vhost_limit(ADMIN, "v", "nonsense").unwrap());
    broker.clear_vhost_limits(ADMIN, "v").unwrap().wait().await.unwrap();
    second.declare("s").await.unwrap();
    let refused = |value| {
        let set = broker.set_vhost_limits(ADMIN, "v", &limits(value));
        set.map(drop).unwrap_err().to_string()
    };
    let told = "Validation failed\n\nmax-connections should be a number, actually was <<\"x\">>\n";
    assert_eq!(refused(json!({"max-connections": "x"})), told);
    let told = "Validation failed\n\nUnrecognised terms [{<<\"nonsense\">>,1}] in limits\n";
    assert_eq!(refused(json!({"nonsense": 1})), told);
    let none = broker.set_vhost_limits(ADMIN, "none", &both).map(drop).unwrap_err();
    assert_eq!(none.to_string(), "vhost 'none' does not exist");
    let held = 5_000_000_000_u64;
    let more = limits(json!({"max-queues": 2, "max-held-bytes": held}));
    broker.add_vhost_limits(ADMIN, "v", &more).unwrap().wait().await.unwrap();
    drop((client, second, broker));
    started.close().unwrap();
    let started = start(directory.path(), "");
    let kept = started.broker.vhost("v").unwrap().own_limits();
    assert_eq!((kept.max_connections, kept.max_queues), (None, Some(2)));
    assert_eq!(kept.max_held_bytes, Some(held));
}

fn told(events: &Events) -> String {
    let told = events.told();
    let told = told.iter().filter(|key| !key.starts_with("exchange."));
    told.copied().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn what_becomes_of_vhosts_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    assert!(broker.events().told().is_empty(), "from now on somebody listens");
    make(&broker, "v").await;
    assert_eq!(told(broker.events()), "permission.created vhost.created");
    let described = VhostDraft { description: Some("d".to_owned()), ..VhostDraft::default() };
    drop(broker.put_vhost(ADMIN, "v", &described).unwrap());
    drop(broker.put_vhost(ADMIN, "v", &described).unwrap());
    assert_eq!(told(broker.events()), "vhost.updated");
    let queues = limits(json!({"max-queues": 5}));
    drop(broker.set_vhost_limits(ADMIN, "v", &queues).unwrap());
    drop(broker.clear_vhost_limit(ADMIN, "v", "max-queues").unwrap());
    let set = "parameter.set vhost.limits.set";
    assert_eq!(told(broker.events()), format!("{set} {set}"));
    let mut client = open(&broker, "v").await;
    client.declare("q").await.unwrap();
    drop(told(broker.events()));
    broker.delete_vhost(ADMIN, "v").unwrap().wait().await.unwrap();
    let told = told(broker.events());
    let ends = "permission.deleted queue.deleted parameter.cleared vhost.limits.cleared vhost.deleted \
                vhost.down";
    assert!(told.contains("connection.closed") && told.ends_with(ends), "{told}");
    // The exchanges of a vhost whose name is made again are told of again.
    make(&broker, "v").await;
    let again = broker.events().told();
    assert_eq!(again.iter().filter(|key| **key == "exchange.created").count(), 7, "{again:?}");
}

#[tokio::test]
async fn the_default_vhost_may_go_and_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    drop(open(&broker, "/").await);
    broker.delete_vhost(ADMIN, "/").unwrap().wait().await.unwrap();
    let refused = TestClient::open(&broker, GUEST, "/").await.map(drop);
    assert_eq!(refused, Err((530, "NOT_ALLOWED - vhost / not found".to_owned())));
    make(&broker, "/").await;
    assert!(broker.vhost("/").unwrap().exchange("amq.rabbitmq.event").is_some());
    open(&broker, "/").await.declare("q").await.unwrap();
    drop(broker);
    started.close().unwrap();
    let started = start(directory.path(), "");
    assert_eq!(started.broker.vhost("/").unwrap().queues().len(), 1);
}

/// Opens the vhost and declares queues there until it is told to stop, whatever it is told meanwhile.
/// How often it came in.
async fn come_and_go(broker: Arc<Broker>, number: usize, stop: CancellationToken) -> usize {
    let mut times = 0;
    while !stop.is_cancelled() {
        let Ok(mut client) = TestClient::open(&broker, GUEST, "v").await else { continue };
        if client.open_channel(1).await.is_err() {
            continue;
        }
        times += 1;
        for queue in 0..20 {
            match client.declare(&format!("q{number}-{times}-{queue}")).await {
                Ok(()) => {}
                Err((code, text)) => {
                    let reasons =
                        ["CONNECTION_FORCED - vhost 'v' is deleted", "closed without a word"];
                    assert!(reasons.contains(&&*text), "{code} {text}");
                    break;
                }
            }
        }
    }
    times
}

/// Whoever comes while a vhost goes is in the old one or in the new one, and told so; what is there in
/// the end is there after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_vhost_goes_and_comes_under_those_who_use_it() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    make(&broker, "v").await;
    let stop = CancellationToken::new();
    let clients: Vec<_> = (0..4)
        .map(|number| tokio::spawn(come_and_go(Arc::clone(&broker), number, stop.clone())))
        .collect();
    for _ in 0..12 {
        let full = || broker.vhost("v").is_some_and(|vhost| vhost.queues().len() > 10);
        while !full() {
            tokio::task::yield_now().await;
        }
        broker.delete_vhost(ADMIN, "v").unwrap().wait().await.unwrap();
        make(&broker, "v").await;
    }
    stop.cancel();
    let mut times = 0;
    for client in clients {
        times += client.await.unwrap();
    }
    assert!(times >= 12, "{times}");
    let vhost = broker.vhost("v").unwrap();
    let names = |vhost: &Vhost| {
        let mut names: Vec<_> =
            vhost.queues().iter().map(|queue| queue.name().to_owned()).collect();
        names.sort();
        names
    };
    let there = names(&vhost);
    broker.definitions().settled().await.unwrap();
    let snapshot = broker.definitions().read().unwrap();
    assert_eq!(snapshot.collection(Collection::Queue).count(), there.len());
    drop((vhost, broker));
    started.close().unwrap();
    let started = start(directory.path(), "");
    assert_eq!(names(&started.broker.vhost("v").unwrap()), there);
}

#[tokio::test]
async fn new_vhosts_get_what_the_configuration_says() {
    let lines = "default_limits.vhosts.b.max_queues = 3\n\
                 default_limits.vhosts.a.pattern = ^tenant-\n\
                 default_limits.vhosts.a.max_connections = 1\n\
                 default_users.ann.password = secret\n\
                 default_users.ann.vhost_pattern = ^tenant-\n\
                 default_users.ann.configure = ^own-\n";
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), lines);
    let broker = Arc::clone(&started.broker);
    make(&broker, "tenant-1").await;
    make(&broker, "other").await;
    let limits = |broker: &Broker, vhost: &str| {
        let limits = broker.vhost(vhost).unwrap().own_limits();
        (limits.max_connections, limits.max_queues)
    };
    assert_eq!(limits(&broker, "tenant-1"), (Some(1), None));
    assert_eq!(
        (limits(&broker, "other"), limits(&broker, "/")),
        ((None, Some(3)), (None, Some(3)))
    );
    let mut ann = TestClient::open(&broker, ("ann", "secret"), "tenant-1").await.unwrap();
    ann.open_channel(1).await.unwrap();
    ann.declare("own-q").await.unwrap();
    assert_eq!(ann.declare("q").await.unwrap_err().0, 403);
    for vhost in ["other", "/"] {
        let refused = TestClient::open(&broker, ("ann", "secret"), vhost).await.map(drop);
        assert_eq!(refused.unwrap_err().0, 530, "{vhost}");
    }
    broker.clear_vhost_limits(ADMIN, "other").unwrap().wait().await.unwrap();
    drop((ann, broker));
    started.close().unwrap();
    let started = start(directory.path(), lines);
    assert_eq!(limits(&started.broker, "other"), (None, None), "it is not new");
    assert_eq!(limits(&started.broker, "tenant-1"), (Some(1), None));
}
