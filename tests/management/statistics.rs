//! How much is going on: what is counted for channels, connections and exchanges.

use leveret_tests::deadline::wait_for;
use leveret_tests::raw_client::method::basic;
use leveret_tests::raw_client::{Flag, Message, RawClient};
use serde_json::{Value, json};

use crate::scene::Needs::{Any, Leveret};
use crate::scene::{Api, Row, names, refused};

pub(crate) const ROWS: &[Row] = &[
    ("what a channel publishes and gets is counted", Leveret, channel),
    ("a transaction counts when it is committed", Leveret, transaction),
    ("what goes on has rates and samples", Leveret, rates),
    ("what stays has no rate, and levels have samples", Leveret, levels),
    ("lists are sorted by rates", Leveret, sorted),
    ("what was sampled is forgotten by a reset, and counts go on", Leveret, reset),
    ("messages that die are counted by what they died of", Leveret, deaths),
    ("ranges are checked", Any, ranges),
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

/// Over all vhosts: what others do meanwhile adds to it.
fn deaths(api: &Api) {
    let vhost = "statistics-deaths";
    let (mut client, _) = client(api, vhost);
    let counted = |how: &str, cause: &str| {
        let told = api.json("overview?columns=deaths");
        told["deaths"][how][cause].as_u64().unwrap_or_else(|| panic!("no {how} {cause} in {told}"))
    };
    let causes = ["expired", "rejected", "maxlen", "delivery_limit"];
    let all = || {
        let of = |how: &str| causes.map(|cause| counted(how, cause));
        (of("dead_lettered"), of("dropped"))
    };
    let before = all();
    let queue = |name: &str, arguments: Value| {
        let body = json!({"durable": true, "arguments": arguments}).to_string();
        api.put(&format!("queues/{vhost}/{name}"), &body).expect(201);
    };
    queue("short", json!({"x-max-length": 1}));
    queue("buried", json!({"x-dead-letter-exchange": "amq.fanout"}));
    for name in ["short", "short", "short", "buried"] {
        client.publish(&Message::to("", name));
    }
    let rejected = client.get("buried");
    client.send(basic::reject(rejected.delivery_tag));
    let risen = |now: [u64; 4], then: [u64; 4], at: usize, by: u64| now[at] >= then[at] + by;
    wait_for("two are dropped, and one is a dead letter", || {
        let now = all();
        (risen(now.0, before.0, 1, 1) && risen(now.1, before.1, 2, 2)).then_some(())
    });
    api.delete(&format!("vhosts/{vhost}")).expect(204);
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

const AGES: &str = "msg_rates_age=20&msg_rates_incr=1&lengths_age=20&lengths_incr=1\
                    &data_rates_age=20&data_rates_incr=1";

fn rate(of: &Value, name: &str) -> f64 {
    of[format!("{name}_details")]["rate"].as_f64().unwrap_or_else(|| panic!("{name} in {of}"))
}

/// Publishes until a look shows something; rates are of the last moment alone.
fn publishing<T>(client: &mut RawClient, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    wait_for(what, || {
        client.publish(&Message::to("amq.direct", "k").body("123"));
        look()
    })
}

fn rates(api: &Api) {
    let (mut client, name) = client(api, "statistics-r");
    client.declare_bound_queue("q", "amq.direct", "k");
    for (path, stat) in [
        ("queues/statistics-r/q", "publish"),
        ("exchanges/statistics-r/amq.direct", "publish_in"),
        ("exchanges/statistics-r/amq.direct", "publish_out"),
        ("vhosts/statistics-r", "publish"),
        (&format!("channels/{name}%20%281%29"), "publish"),
        ("overview", "publish"),
    ] {
        publishing(&mut client, "a rate and samples", || {
            let shown = api.json(&format!("{path}?{AGES}"))["message_stats"].clone();
            let details = &shown[format!("{stat}_details")];
            let samples = details["samples"].as_array().expect("samples");
            let newest = samples.first()?;
            let times: Vec<_> =
                samples.iter().map(|one| one["timestamp"].as_u64().expect("a time")).collect();
            assert!(times.windows(2).all(|pair| pair[0] == pair[1] + 1000), "{times:?}");
            assert!(details["avg"].is_f64() && details["avg_rate"].is_f64(), "{details}");
            let was = newest["sample"].as_u64().expect("a number");
            (rate(&shown, stat) > 0.0 && was > 0).then_some(())
        });
    }
    publishing(&mut client, "octets have a rate", || {
        let shown = api.json(&format!("connections/{name}?{AGES}"));
        (rate(&shown, "recv_oct") > 0.0).then_some(())
    });
    publishing(&mut client, "so have those of the vhost", || {
        (rate(&api.json("vhosts/statistics-r"), "recv_oct") > 0.0).then_some(())
    });
    api.forget(&["vhosts/statistics-r"]);
}

fn levels(api: &Api) {
    let (mut client, _) = client(api, "statistics-l");
    client.declare_queue("q");
    client.fill("q", &["1", "2", "3"]);
    let path = format!("queues/statistics-l/q?{AGES}");
    wait_for("a sample has what is there, and nothing changes", || {
        let queue = api.json(&path);
        let details = &queue["messages_ready_details"];
        let samples = details["samples"].as_array().expect("samples");
        let first = samples.last().map(|oldest| oldest["sample"] == 0);
        assert_eq!(first, Some(true), "there was nothing before it was made: {details}");
        let newest = samples.first().is_some_and(|newest| newest["sample"] == 3);
        (newest && rate(&queue, "messages_ready") == 0.0).then_some(())
    });
    assert_eq!(api.json(&path)["message_stats"]["publish"], 3);
    client.send(leveret_tests::raw_client::method::queue::delete("q"));
    wait_for("the vhost has it no more", || {
        let vhost = api.json(&format!("vhosts/statistics-l?{AGES}"));
        let newest = &vhost["messages_details"]["samples"][0]["sample"];
        (vhost["messages"] == 0 && *newest == json!(0)).then_some(())
    });
    let vhost = api.json("vhosts/statistics-l");
    assert_counts(&vhost["message_stats"], &[("publish", 3), ("deliver_get", 0), ("ack", 0)]);
    api.forget(&["vhosts/statistics-l"]);
}

fn sorted(api: &Api) {
    let (mut client, _) = client(api, "statistics-s");
    for name in ["a", "b", "c"] {
        client.declare_queue(name);
    }
    wait_for("the busy one is first", || {
        client.publish(&Message::to_queue("b").body("1"));
        let sort = "sort=message_stats.publish_details.rate&sort_reverse=true&page=1&page_size=1";
        let page = api.json(&format!("queues/statistics-s?{sort}"));
        (names(&page) == ["b"]).then_some(())
    });
    let columns = "columns=name,message_stats.publish_details.rate";
    let all = api.json(&format!("queues/statistics-s?{columns}"));
    assert_eq!(all[0], json!({"name": "a", "message_stats": {"publish_details": {"rate": 0.0}}}));
    api.forget(&["vhosts/statistics-s"]);
}

fn reset(api: &Api) {
    let (mut client, _) = client(api, "statistics-f");
    client.declare_bound_queue("q", "amq.direct", "k");
    let path = format!("queues/statistics-f/q?{AGES}");
    let samples = |count: &mut u64| {
        let stats = api.json(&path)["message_stats"].clone();
        *count = stats["publish"].as_u64().expect("a count");
        let samples = stats["publish_details"]["samples"].as_array().expect("samples").clone();
        let number = |one: &Value, name: &str| one[name].as_u64().expect("a number");
        let both = |one: &Value| (number(one, "timestamp"), number(one, "sample"));
        samples.iter().map(both).collect::<Vec<_>>()
    };
    let mut count = 0;
    let last = publishing(&mut client, "samples before", || {
        samples(&mut count).first().filter(|(_, sample)| *sample > 0).copied()
    });
    let counted = count;
    api.delete("reset").expect(204);
    let after = publishing(&mut client, "samples after", || {
        let all = samples(&mut count);
        let newest = *all.first().expect("a sample");
        (newest.0 > last.0 && newest.1 > 0).then_some(all)
    });
    assert!(count > counted, "{counted}, then {count}");
    let earlier: Vec<_> = after.iter().filter(|(time, _)| *time <= last.0).collect();
    assert!(!earlier.is_empty() && earlier.iter().all(|(_, sample)| *sample == 0), "{after:?}");
    api.forget(&["vhosts/statistics-f"]);
}

fn ranges(api: &Api) {
    for (path, error) in [("overview", "bad_request"), ("queues", "invalid_range_parameters")] {
        for (age, step) in [(0, 5), (60, 0), (6000, 5)] {
            let reply = api.get(&format!("{path}?lengths_age={age}&lengths_incr={step}"));
            let text = format!("Invalid range parameters: age {age}, incr {step}");
            refused(reply, 400, error, text);
        }
        assert!(api.get(&format!("{path}?lengths_age=x&lengths_incr=5")).status == 200);
    }
}
