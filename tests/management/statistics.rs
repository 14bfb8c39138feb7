//! How much is going on: what is counted for channels, connections and exchanges.

use leveret_tests::deadline::wait_for;
use leveret_tests::raw_client::method::basic;
use leveret_tests::raw_client::{Flag, Message, RawClient};
use serde_json::{Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row};

pub(crate) const ROWS: &[Row] = &[
    ("what a channel publishes and gets is counted", Leveret, channel),
    ("a transaction counts when it is committed", Leveret, transaction),
    ("what is published over HTTP counts for its exchange", Leveret, injected),
];

/// A client in a vhost, and how its connection is asked for.
fn client(api: &Api, vhost: &str) -> (RawClient, String) {
    api.vhost(vhost);
    let rights = r#"{"configure":".*","write":".*","read":".*"}"#;
    api.put(&format!("permissions/{vhost}/guest"), rights);
    let broker = api.amqp();
    let mut handshake = broker.handshake();
    handshake.vhost = vhost.to_owned();
    let client = broker.connect_as(&handshake);
    let name = wait_for("the connection is listed", || {
        let all = api.json(&format!("vhosts/{vhost}/connections"));
        all[0]["name"].as_str().map(str::to_owned)
    });
    (client, name.replace(' ', "%20").replace('>', "%3E"))
}

/// Asserts counts of `message_stats`.
fn assert_counts(stats: &Value, expected: &[(&str, u64)]) {
    for (name, count) in expected {
        assert_eq!(stats[*name], json!(count), "{name} in {stats}");
        assert!(stats[format!("{name}_details")]["rate"].is_number(), "{name} in {stats}");
    }
}

fn channel(api: &Api) {
    let (mut client, name) = client(api, "statistics-c");
    client.declare_bound_queue("q", "amq.direct", "k");
    client.select_confirms();
    for key in ["k", "k", "k", "nowhere"] {
        client.publish(&Message::to("amq.direct", key).body("123"));
    }
    client.expect_confirmed_up_to(1, 4);
    client.publish(&Message::to("amq.direct", "nowhere").with(Flag::Mandatory));
    client.expect_return();
    client.expect_confirm();
    let first = client.get("q");
    client.send(basic::ack(first.delivery_tag));
    client.consume("q");
    client.expect_deliveries(&["123", "123"]);
    let stats = &api.json(&format!("channels/{name}%20%281%29"))["message_stats"];
    assert_counts(
        stats,
        &[
            ("publish", 5),
            ("confirm", 5),
            ("drop_unroutable", 1),
            ("return_unroutable", 1),
            ("get", 1),
            ("get_no_ack", 0),
            ("get_empty", 0),
            ("deliver", 2),
            ("deliver_no_ack", 0),
            ("deliver_get", 3),
            ("redeliver", 0),
            ("ack", 1),
        ],
    );
    let exchange = api.json("exchanges/statistics-c/amq.direct");
    assert_counts(&exchange["message_stats"], &[("publish_in", 5), ("publish_out", 3)]);
    let connection = api.json(&format!("connections/{name}"));
    for field in ["recv_oct", "recv_cnt", "send_oct", "send_cnt"] {
        assert!(connection[field].as_u64().is_some_and(|count| count > 0), "{field}");
    }
    api.forget(&["vhosts/statistics-c"]);
}

fn transaction(api: &Api) {
    let (mut client, name) = client(api, "statistics-t");
    client.declare_queue("q");
    client.fill("q", &["1"]);
    let got = client.get("q");
    client.call(leveret_tests::raw_client::method::tx::select());
    client.publish(&Message::to_queue("q"));
    client.publish(&Message::to_queue("none"));
    client.send(basic::ack(got.delivery_tag));
    let stats = || api.json(&format!("channels/{name}%20%281%29"))["message_stats"].clone();
    client.expect_nothing_on(1);
    assert_counts(&stats(), &[("publish", 0), ("ack", 0), ("drop_unroutable", 0)]);
    client.call(leveret_tests::raw_client::method::tx::commit());
    assert_counts(&stats(), &[("publish", 2), ("ack", 1), ("drop_unroutable", 1)]);
    let default = api.json("exchanges/statistics-t/amq.default");
    assert_counts(&default["message_stats"], &[("publish_in", 3), ("publish_out", 2)]);
    api.forget(&["vhosts/statistics-t"]);
}

fn injected(api: &Api) {
    api.vhost("statistics-i");
    let rights = r#"{"configure":".*","write":".*","read":".*"}"#;
    api.put("permissions/statistics-i/guest", rights);
    let body = r#"{"routing_key":"k","properties":{},"payload":"x","payload_encoding":"string"}"#;
    let publish = || api.post("exchanges/statistics-i/amq.fanout/publish", body).expect(200).json();
    assert_eq!(publish()["routed"], false);
    api.put("queues/statistics-i/q", "{}").expect(201);
    api.post("bindings/statistics-i/e/amq.fanout/q/q", "{}").expect(201);
    assert_eq!(publish()["routed"], true);
    let exchange = api.json("exchanges/statistics-i/amq.fanout");
    assert_counts(&exchange["message_stats"], &[("publish_in", 2), ("publish_out", 1)]);
    api.forget(&["vhosts/statistics-i"]);
}
