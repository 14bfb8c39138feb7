//! What open connections meet when whoever administrates the broker changes users and their rights.

use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::test_client::{TestClient, start};
use crate::broker::Broker;
use crate::broker::access::{By, Credential, Refused, UserDraft};
use crate::definitions::parameters::TopicPermissionRecord;
use crate::definitions::records::{PermissionRecord, UserLimits};
use crate::password::{self, HashingAlgorithm};
use crate::policy::Definition;
use crate::secret::Secret;

const ADMIN: By<'_> = By::User("guest");

fn with_password(password: &str, tags: &[&str]) -> UserDraft {
    UserDraft {
        credential: Some(Credential::Password(Secret::new(password.to_owned()))),
        tags: Some(tags.iter().copied().map(str::to_owned).collect()),
        limits: None,
    }
}

fn rights(user: &str, vhost: &str, all: &str) -> PermissionRecord {
    let [user, vhost, configure, write, read] = [user, vhost, all, all, all].map(str::to_owned);
    PermissionRecord { user, vhost, configure, write, read }
}

fn limits(value: serde_json::Value) -> Definition {
    value.as_object().cloned().unwrap()
}

async fn add_bob(broker: &Arc<Broker>) {
    broker.put_user(ADMIN, "bob", with_password("secret", &[])).unwrap().wait().await.unwrap();
    broker.set_permissions(ADMIN, rights("bob", "/", ".*")).unwrap().wait().await.unwrap();
}

async fn bob(broker: &Arc<Broker>) -> TestClient {
    let mut bob = TestClient::open(broker, ("bob", "secret"), "/").await.unwrap();
    bob.open_channel(1).await.unwrap();
    bob
}

fn text(result: Result<(), (u16, String)>) -> String {
    result.map_or_else(|(code, text)| format!("{code} {text}"), |()| "fine".to_owned())
}

#[tokio::test]
async fn a_deleted_users_connections_end_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    add_bob(&broker).await;
    let mut guest = TestClient::open(&broker, ("guest", "guest"), "/").await.unwrap();
    guest.open_channel(1).await.unwrap();
    let mut clients = [bob(&broker).await, bob(&broker).await];
    broker.delete_user(ADMIN, "bob").unwrap().wait().await.unwrap();
    for client in &mut clients {
        let (code, text) = client.closed().await;
        assert_eq!((code, &*text), (320, "CONNECTION_FORCED - user 'bob' is deleted"));
    }
    guest.declare("q").await.unwrap();
    let refused = TestClient::open(&broker, ("bob", "secret"), "/").await.unwrap_err();
    assert_eq!(refused.0, 403);
    let unknown = broker.delete_user(ADMIN, "bob").unwrap_err();
    assert_eq!(unknown.to_string(), "user 'bob' does not exist");
    // Who comes by that name has nothing of what was there.
    broker.put_user(ADMIN, "bob", with_password("secret", &[])).unwrap().wait().await.unwrap();
    let refused = TestClient::open(&broker, ("bob", "secret"), "/").await.unwrap_err();
    assert_eq!(refused.1, "NOT_ALLOWED - access to vhost '/' refused for user 'bob'");
}

#[tokio::test]
async fn rights_that_change_count_for_the_next_method() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    add_bob(&broker).await;
    let mut client = bob(&broker).await;
    client.declare("a").await.unwrap();
    drop(broker.set_permissions(ADMIN, rights("bob", "/", "^b")).unwrap());
    let refused = "403 ACCESS_REFUSED - configure access to queue 'a' in vhost '/' refused for user \
                   'bob'";
    assert_eq!(text(client.declare("a").await), refused);
    client.declare("b").await.unwrap();
    drop(broker.clear_permissions(ADMIN, "bob", "/").unwrap());
    let refused = refused.replace("'a'", "'b'");
    assert_eq!(text(client.declare("b").await), refused);
    drop(broker.clear_permissions(ADMIN, "bob", "/").unwrap());
    drop(broker.set_permissions(ADMIN, rights("bob", "/", ".*")).unwrap());
    client.declare("a").await.unwrap();
    // Another password and other tags are for the next login.
    drop(broker.put_user(ADMIN, "bob", with_password("other", &["management"])).unwrap());
    client.declare("c").await.unwrap();
    let refused = TestClient::open(&broker, ("bob", "secret"), "/").await.unwrap_err();
    assert_eq!(refused.0, 403);
    TestClient::open(&broker, ("bob", "other"), "/").await.unwrap();
}

#[tokio::test]
async fn limits_of_users_count_for_what_is_opened_next() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    add_bob(&broker).await;
    let mut client = bob(&broker).await;
    let both = limits(json!({"max-connections": 1, "max-channels": 1}));
    drop(broker.set_user_limits(ADMIN, "bob", &both).unwrap());
    client.declare("q").await.unwrap();
    let refused = TestClient::open(&broker, ("bob", "secret"), "/").await.unwrap_err();
    let told =
        "NOT_ALLOWED - connection refused for user 'bob': user connection limit (1) is reached";
    assert_eq!(refused, (530, told.to_owned()));
    drop(broker.clear_user_limits(ADMIN, "bob", "max-channels").unwrap());
    client.open_channel(2).await.unwrap();
    drop(broker.set_user_limits(ADMIN, "bob", &limits(json!({"max-channels": 2}))).unwrap());
    let told = "530 NOT_ALLOWED - number of channels opened for user 'bob' has reached the maximum \
                allowed user limit of 2";
    assert_eq!(text(client.open_channel(3).await), told);
    let there = broker.users().user("bob").unwrap().limits;
    let others = UserLimits::default();
    assert_eq!(there, UserLimits { max_connections: Some(1), max_channels: Some(2), ..others });
    drop(broker.clear_user_limits(ADMIN, "bob", "all").unwrap());
    assert!(broker.users().limits("bob").is_none());
    let refused = |value| broker.set_user_limits(ADMIN, "bob", &limits(value)).unwrap_err();
    let told = refused(json!({"max-channels": "x"})).to_string();
    assert_eq!(told, "max-channels should be a number, actually was <<\"x\">>");
    let told = refused(json!({"nonsense": 1})).to_string();
    assert_eq!(told, "Unrecognised terms [{<<\"nonsense\">>,1}] in user-limits");
    let none = broker.set_user_limits(ADMIN, "eve", &limits(json!({}))).unwrap_err();
    assert_eq!(none.to_string(), "user 'eve' does not exist");
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    let refused = |draft| broker.put_user(ADMIN, "bob", draft).map(drop).unwrap_err().to_string();
    let told = refused(with_password("x", &["t"; 33]));
    assert_eq!(told, "A user can have at most 32 tags (received 33)");
    let hash = Credential::Hash("no hash!".to_owned(), HashingAlgorithm::Sha256);
    let told = refused(UserDraft { credential: Some(hash), ..UserDraft::default() });
    assert_eq!(told, "the password hash is not base64");
    let update = broker.update_user(ADMIN, "bob", UserDraft::default()).map(drop).unwrap_err();
    assert_eq!(update.to_string(), "user 'bob' does not exist");
    for name in ["", &"n".repeat(256)] {
        let named = broker.put_user(ADMIN, name, with_password("x", &[])).map(drop);
        assert_eq!(named, Err(Refused::Name("user")));
    }
    let given = |given| broker.set_permissions(ADMIN, given).map(drop).unwrap_err().to_string();
    assert_eq!(given(rights("bob", "/", ".*")), "user 'bob' does not exist");
    assert_eq!(given(rights("guest", "none", ".*")), "vhost 'none' does not exist");
    assert!(given(rights("bob", "none", "(")).contains("is not a regular expression"));
    let topics = |user: &str, vhost: &str, exchange: &str, write: &str| {
        let [user, vhost, exchange] = [user, vhost, exchange].map(str::to_owned);
        let (write, read) = (write.to_owned(), ".*".to_owned());
        let given = TopicPermissionRecord { user, vhost, exchange, write, read };
        broker.set_topic_permissions(ADMIN, given).map(drop).map_err(|error| error.to_string())
    };
    let error = |text: &str| Err(text.to_owned());
    assert_eq!(topics("bob", "/", "amq.topic", ".*"), error("user 'bob' does not exist"));
    assert_eq!(topics("guest", "v", "amq.topic", ".*"), error("vhost 'v' does not exist"));
    assert_eq!(topics("guest", "/", "none", ".*"), error("exchange 'none' does not exist"));
    assert!(topics("guest", "/", "amq.topic", "(").is_err());
    assert_eq!(topics("guest", "/", "amq.topic", "^a"), Ok(()));
    assert_eq!(topics("guest", "/", "amq.direct", "^a"), Ok(()));
    assert_eq!(broker.users().all_topic_permissions().len(), 2);
    let of_guest = ("guest", "/");
    drop(broker.clear_topic_permissions(ADMIN, of_guest, Some("amq.topic")).unwrap());
    assert_eq!(broker.users().all_topic_permissions()[0].exchange, "amq.direct");
    drop(broker.clear_topic_permissions(ADMIN, of_guest, None).unwrap());
    assert_eq!(broker.users().all_topic_permissions(), []);
    assert_eq!(broker.users().all_permissions(), [rights("guest", "/", ".*")]);
    assert_eq!(broker.users().all().len(), 1);
}

#[tokio::test]
async fn users_are_made_changed_and_protected_and_stay_so() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    let hash = Credential::Hash(
        password::hash(HashingAlgorithm::Sha512, b"known"),
        HashingAlgorithm::Sha512,
    );
    let draft = UserDraft { credential: Some(hash), ..UserDraft::default() };
    drop(broker.add_user(By::CommandLine, "ann", draft.clone()).unwrap());
    let twice = broker.add_user(By::CommandLine, "ann", draft).map(drop).unwrap_err();
    assert_eq!(twice.to_string(), "user 'ann' already exists");
    let tags = Some(vec!["protected".to_owned(), "monitoring".to_owned()]);
    let tagged = UserDraft { tags, ..UserDraft::default() };
    drop(broker.update_user(ADMIN, "ann", tagged).unwrap());
    let protected = "Protected users cannot be modified via the HTTP API";
    let put = broker.put_user(ADMIN, "ann", with_password("x", &[])).map(drop).unwrap_err();
    assert_eq!(put.to_string(), protected);
    let deleted = broker.delete_user(ADMIN, "ann").map(drop).unwrap_err();
    assert_eq!(deleted.to_string(), protected);
    let channels = limits(json!({"max-channels": 7}));
    broker.set_user_limits(ADMIN, "ann", &channels).unwrap().wait().await.unwrap();
    drop(broker);
    started.close().unwrap();
    let started = start(directory.path(), "");
    let broker = &started.broker;
    let ann = broker.users().user("ann").unwrap();
    assert!(
        password::verify(HashingAlgorithm::Sha512, &ann.password_hash, b"known")
            && ann.has_tag("monitoring")
    );
    assert_eq!(ann.limits.max_channels, Some(7));
    let nothing = UserDraft { credential: Some(Credential::Nothing), ..UserDraft::default() };
    drop(broker.update_user(By::CommandLine, "ann", nothing).unwrap());
    assert_eq!(broker.users().user("ann").unwrap().password_hash, "");
    drop(broker.delete_user(By::CommandLine, "ann").unwrap());
    assert!(broker.users().user("ann").is_none());
}

/// Whoever logs in while its user goes is turned away, or sent away: nobody stays of a user that is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_user_goes_and_comes_under_those_who_log_in() {
    let directory = tempfile::tempdir().unwrap();
    let started = start(directory.path(), "");
    let broker = Arc::clone(&started.broker);
    let stop = CancellationToken::new();
    let log_in = |broker: Arc<Broker>, stop: CancellationToken| async move {
        let mut times = 0;
        while !stop.is_cancelled() {
            // Who guesses is slowed down: only who there is logs in, as far as that can be known.
            let opened = match broker.users().user("bob") {
                Some(_) => TestClient::open(&broker, ("bob", "secret"), "/").await.ok(),
                None => None,
            };
            let Some(mut client) = opened else {
                tokio::task::yield_now().await;
                continue;
            };
            times += 1;
            let (_, text) = client.closed().await;
            let reasons = ["CONNECTION_FORCED - user 'bob' is deleted", "closed without a word"];
            assert!(reasons.contains(&&*text), "{text}");
        }
        times
    };
    let clients: Vec<_> =
        (0..4).map(|_| tokio::spawn(log_in(Arc::clone(&broker), stop.clone()))).collect();
    for _ in 0..20 {
        add_bob(&broker).await;
        while broker.connection_count() == 0 {
            tokio::task::yield_now().await;
        }
        broker.delete_user(ADMIN, "bob").unwrap().wait().await.unwrap();
        while broker.connection_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
    stop.cancel();
    let mut times = 0;
    for client in clients {
        // It waits for its end, which comes.
        times += client.await.unwrap();
    }
    assert!(times >= 20, "{times}");
}
