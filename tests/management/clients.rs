//! Connections, channels and consumers of clients, seen over HTTP.

use leveret_tests::deadline::wait_for;
use leveret_tests::raw_client::method::basic;
use leveret_tests::raw_client::{Message, RawClient};
use serde_json::{Value, json};

use crate::scene::Needs::Leveret;
use crate::scene::{Api, Row, refused};

pub(crate) const ROWS: &[Row] = &[
    ("a connection is shown with its channels and consumers", Leveret, shown),
    ("users see their own, and end them with a reason", Leveret, own),
];

/// A client, and its connection's name.
fn connected(api: &Api) -> (RawClient, String) {
    let client = api.amqp().connect();
    let port = client.local_port();
    let name = wait_for("the connection is listed", || {
        let all = api.json("connections");
        let mut all = all.as_array().expect("a list").iter();
        let ours = all.find(|one| one["peer_port"] == port)?;
        ours["name"].as_str().map(str::to_owned)
    });
    (client, name.replace(' ', "%20").replace('>', "%3E"))
}

fn shown(api: &Api) {
    let (mut client, name) = connected(api);
    client.declare_queue("clients-q");
    let tag = client.consume("clients-q");
    let connection = api.json(&format!("connections/{name}"));
    for (field, expected) in [
        ("user", json!("guest")),
        ("vhost", json!("/")),
        ("protocol", json!("AMQP 0-9-1")),
        ("state", json!("running")),
        ("channels", json!(1)),
        ("ssl", json!(false)),
        ("held_by", json!("none")),
        ("held_since_ms", Value::Null),
    ] {
        assert_eq!(connection[field], expected, "{field}");
    }
    assert!(connection["connected_at"].is_u64() && connection["client_properties"].is_object());
    let channels = api.json(&format!("connections/{name}/channels"));
    let channel = &channels[0];
    assert_eq!((&channel["number"], &channel["consumer_count"]), (&json!(1), &json!(1)));
    assert_eq!(channel["connection_details"]["name"], connection["name"]);
    let path = format!("channels/{name}%20%281%29");
    let one = api.json(&path);
    assert_eq!(one["consumer_details"][0]["queue"]["name"], "clients-q");
    let of_queue = api.json("queues/%2F/clients-q");
    let consumer = &of_queue["consumer_details"][0];
    let expected: Value = tag.into();
    assert_eq!(consumer["consumer_tag"], expected);
    assert_eq!((&consumer["active"], &consumer["ack_required"]), (&json!(true), &json!(true)));
    assert_eq!(consumer["channel_details"]["number"], 1);
    let all = api.json("consumers/%2F");
    let is_ours = |one: &&Value| one["queue"]["name"] == "clients-q";
    let ours = |all: &Value| all.as_array().and_then(|all| all.iter().find(is_ours).cloned());
    let before = ours(&all).expect("it is listed")["ack_times"].clone();
    assert_eq!(
        before,
        json!({"count": 0, "mean_ms": null, "half_below_ms": null, "most_below_ms": null})
    );
    client.publish(&Message::to("", "clients-q"));
    let delivery = client.expect_delivery();
    client.send(basic::ack(delivery.delivery_tag));
    wait_for("it is told how long it takes to acknowledge", || {
        let times = ours(&api.json("consumers/%2F"))?["ack_times"].clone();
        (times["count"] == 1 && times["half_below_ms"].is_f64()).then_some(())
    });
    api.delete("queues/%2F/clients-q").expect(204);
}

fn own(api: &Api) {
    let (mut client, name) = connected(api);
    let user = api.user("clients-o", "management");
    let path = format!("connections/{name}");
    let text = "User not authorised to access object";
    refused(user.get(&path), 401, "not_authorised", text);
    refused(user.delete(&path), 401, "not_authorised", text);
    assert_eq!(user.json("connections"), json!([]));
    refused(api.get("connections/no"), 404, "Object Not Found", "Not Found");
    let path = format!("/api/{path}");
    api.raw("DELETE", &path, &[("X-Reason", "because of tests")]).expect(204);
    let text = "CONNECTION_FORCED - because of tests";
    client.expect_connection_close(320, text, (0, 0));
    api.forget(&["users/clients-o"]);
}
