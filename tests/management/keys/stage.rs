//! What there is at a broker while it is asked: the same at each.

use leveret_tests::broker_under_test::Broker;
use leveret_tests::deadline::{wait_for, wait_until};
use leveret_tests::raw_client::method::{basic, confirm};
use leveret_tests::raw_client::{Flag, Message, RawClient};
use serde_json::Value;

use super::asked::{Names, USER, VHOST};
use crate::scene::Api;

/// Path and body of what is put there, after the vhost.
const PUT: &[(&str, &str)] = &[
    ("permissions/keys/guest", r#"{"configure":".*","write":".*","read":".*"}"#),
    ("users/keys-u1", r#"{"password":"pw","tags":"management,monitoring"}"#),
    ("users/keys-u2", r#"{"password":"pw","tags":""}"#),
    ("permissions/keys/keys-u1", r#"{"configure":".*","write":".*","read":".*"}"#),
    ("topic-permissions/keys/keys-u1", r#"{"exchange":"amq.topic","write":"^a","read":".*"}"#),
    (
        "policies/keys/p1",
        r#"{"pattern":"^q","definition":{"max-length":1000},"priority":1,"apply-to":"queues"}"#,
    ),
    (
        "operator-policies/keys/op1",
        r#"{"pattern":"^q","definition":{"expires":3600000},"priority":0,"apply-to":"queues"}"#,
    ),
    ("vhost-limits/keys/max-queues", r#"{"value":1000}"#),
    ("user-limits/keys-u1/max-connections", r#"{"value":50}"#),
    ("global-parameters/gp1", r#"{"value":{"a":1}}"#),
    ("queues/keys/q1", r#"{"durable":true,"arguments":{}}"#),
    ("queues/keys/qq1", r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#),
    ("exchanges/keys/x1", r#"{"type":"topic","durable":true}"#),
    ("exchanges/keys/x2", r#"{"type":"fanout","durable":true}"#),
];

/// See the module documentation.
pub(super) struct Stage {
    broker: Broker,
    client: RawClient,
    connection: String,
}

impl Stage {
    /// Makes it all, and waits until the broker has counted it.
    pub(super) fn set(api: &Api) -> Self {
        let _ = api.delete(&format!("vhosts/{VHOST}"));
        api.put(&format!("vhosts/{VHOST}"), r#"{"description":"d","tags":"a,b"}"#).expect(201);
        for (path, body) in PUT {
            let status = api.put(path, body).status;
            assert!(status == 201 || status == 204, "{path}: {status}");
        }
        // Not every broker has streams.
        api.put("queues/keys/s1", r#"{"durable":true,"arguments":{"x-queue-type":"stream"}}"#);
        let bound = r#"{"routing_key":"a.b","arguments":{"k":"v"}}"#;
        api.post("bindings/keys/e/x1/q/q1", bound).expect(201);
        api.post("bindings/keys/e/x1/q/q1", "{}").expect(201);
        api.post("bindings/keys/e/x2/e/x1", "{}").expect(201);
        let _ = api.by(USER, "wrong").get("whoami");
        let (client, connection) = connect(api);
        let mut stage = Self { broker: api.amqp(), client, connection };
        stage.use_it(api);
        stage
    }

    /// Publishes and consumes until the broker tells of all of it.
    fn use_it(&mut self, api: &Api) {
        let client = &mut self.client;
        client.open_channel(2);
        client.call(confirm::select());
        client.call(basic::qos(10).on(2));
        client.call(basic::consume("q1", "ct1").on(2));
        let mut published = 0;
        let connection = self.connection.clone();
        wait_until("everything is counted", || {
            for _ in 0..4 {
                client.publish(&Message::to("x1", "a.b").persistent().header("h", 1).body("xx"));
                client.publish(&Message::to_queue("qq1").body("hello"));
                published += 2;
            }
            client.publish(&Message::to("x1", "nowhere"));
            client.publish(&Message::to("x1", "nowhere").with(Flag::Mandatory));
            published += 2;
            let fetched = client.call(basic::get("qq1"));
            if fetched.id == basic::GET_OK {
                client.send(basic::ack(fetched.fetched().delivery_tag));
            }
            is_counted(api, &connection)
        });
        client.skip_to(basic::ACK);
        assert!(published > 0);
    }

    /// What stands for the names in paths.
    pub(super) fn names(&self, api: &Api) -> Names {
        let node = api.json("overview")["node"].as_str().expect("a node").to_owned();
        let connection = self.connection.clone();
        Names {
            vhost: VHOST.to_owned(),
            user: USER.to_owned(),
            node,
            channels: [format!("{connection} (1)"), format!("{connection} (2)")],
            connection,
            port: self.broker.address.port(),
        }
    }

    /// Takes it away again.
    pub(super) fn strike(mut self, api: &Api) {
        self.client.hang_up();
        let forgotten = ["vhosts/keys", "users/keys-u1", "users/keys-u2", "global-parameters/gp1"];
        api.forget(&forgotten);
    }
}

/// A client that is known by a name, and the name of its connection.
fn connect(api: &Api) -> (RawClient, String) {
    let broker = api.amqp();
    let mut handshake = broker.handshake();
    handshake.vhost = VHOST.to_owned();
    handshake.connection_name = Some("cap".to_owned());
    let client = broker.connect_as(&handshake);
    let name = wait_for("the connection is listed", || {
        let all = api.json(&format!("vhosts/{VHOST}/connections"));
        all[0]["name"].as_str().map(str::to_owned)
    });
    (client, name)
}

/// Whether rates are told of everything that the stage does.
fn is_counted(api: &Api, connection: &str) -> bool {
    let has = |value: &Value, counts: &[&str]| {
        counts.iter().all(|count| value["message_stats"][format!("{count}_details")].is_object())
    };
    let queue = api.get("queues/keys/q1");
    let exchange = api.get("exchanges/keys/x1");
    let channels = api.get(&format!(
        "connections/{}/channels",
        connection.replace(' ', "%20").replace('>', "%3E")
    ));
    if [&queue, &exchange, &channels].iter().any(|reply| reply.status != 200) {
        return false;
    }
    let (queue, channels) = (queue.json(), channels.json());
    has(&queue, &["publish", "deliver"])
        && queue["messages_details"].is_object()
        && has(&exchange.json(), &["publish_in", "publish_out"])
        && has(&channels[0], &["publish", "confirm", "return_unroutable", "get"])
        && has(&channels[1], &["deliver"])
        && queue["consumer_details"][0].is_object()
}
