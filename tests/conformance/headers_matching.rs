//! Which bindings of a headers exchange match which headers.

use leveret_tests::raw_client::method::queue;
use leveret_tests::raw_client::{Message, Table, Value};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("93", "all is the default and wants every header", |scene| {
        let binding = || Table::new().with("a", 1).with("b", "two");
        for arguments in [binding(), binding().with("x-match", "all")] {
            matches(scene, &arguments, &binding(), true);
            matches(scene, &arguments, &binding().with("c", true), true);
            matches(scene, &arguments, &Table::new().with("a", 1), false);
            matches(scene, &arguments, &Table::new().with("a", 1).with("b", "three"), false);
            matches(scene, &arguments, &Table::new(), false);
        }
    }),
    Row::new("93", "any wants one header", |scene| {
        let arguments = Table::new().with("x-match", "any").with("a", 1).with("b", "two");
        matches(scene, &arguments, &Table::new().with("a", 1), true);
        matches(scene, &arguments, &Table::new().with("b", "two").with("a", 9), true);
        matches(scene, &arguments, &Table::new().with("a", 2).with("b", "three"), false);
        matches(scene, &arguments, &Table::new(), false);
    }),
    Row::new("93", "with nothing to match, all matches everything and any nothing", |scene| {
        matches(scene, &Table::new(), &Table::new(), true);
        matches(scene, &Table::new(), &Table::new().with("a", 1), true);
        let any = Table::new().with("x-match", "any");
        matches(scene, &any, &Table::new(), false);
        matches(scene, &any, &Table::new().with("a", 1), false);
    }),
    Row::new("93", "an argument without a value matches any value", |scene| {
        let arguments = Table::new().with("a", Value::Void);
        matches(scene, &arguments, &Table::new().with("a", 1), true);
        matches(scene, &arguments, &Table::new().with("a", "text"), true);
        matches(scene, &arguments, &Table::new().with("b", 1), false);
    }),
    Row::new("93", "arguments that begin with x- do not count", |scene| {
        let arguments = Table::new().with("x-kind", "special").with("a", 1);
        matches(scene, &arguments, &Table::new().with("a", 1), true);
        let any = Table::new().with("x-match", "any").with("x-kind", "special").with("a", 1);
        matches(scene, &any, &Table::new().with("x-kind", "special"), false);
    }),
    Row::new("93", "with all-with-x they do", |scene| {
        let arguments = Table::new().with("x-match", "all-with-x").with("x-kind", "special");
        matches(scene, &arguments, &Table::new().with("x-kind", "special"), true);
        matches(scene, &arguments, &Table::new().with("x-kind", "plain"), false);
        matches(scene, &arguments, &Table::new(), false);
    }),
    Row::new("93", "with any-with-x they do", |scene| {
        let arguments = Table::new().with("x-match", "any-with-x").with("x-kind", "special");
        let arguments = arguments.with("a", 1);
        matches(scene, &arguments, &Table::new().with("x-kind", "special"), true);
        matches(scene, &arguments, &Table::new().with("a", 1), true);
        matches(scene, &arguments, &Table::new().with("x-kind", "plain"), false);
    }),
    Row::new("93", "integers match whatever their width", |scene| {
        let arguments = Table::new().with("a", Value::Byte(7));
        for same in [Value::Long(7), Value::Int(7), Value::Short(7), Value::UnsignedInt(7)] {
            matches(scene, &arguments, &Table::new().with("a", same), true);
        }
        matches(scene, &arguments, &Table::new().with("a", "7"), false);
        matches(scene, &arguments, &Table::new().with("a", true), false);
    }),
    Row::new("93", "texts, truths, tables and lists are compared by value", |scene| {
        let values = [
            Value::from("text"),
            Value::Bool(true),
            Value::Table(Table::new().with("in", 1)),
            Value::texts(&["one", "two"]),
            Value::Timestamp(1_700_000_000),
            Value::Double(1.5),
        ];
        for value in &values {
            let arguments = Table::new().with("a", value.clone());
            for other in &values {
                let headers = Table::new().with("a", other.clone());
                matches(scene, &arguments, &headers, value == other);
            }
        }
    }),
    Row::new("93", "the routing key does not count", |scene| {
        let (exchange, queue) = (scene.exchange("headers"), scene.queue());
        scene.client.call(queue::bind(&queue, &exchange, "key").arg("a", 1));
        scene.client.publish(&Message::to(&exchange, "other").header("a", 1).body("in"));
        assert_eq!(scene.client.drain(&queue), ["in"]);
    }),
    Row::new("93", "a message without headers matches a binding without arguments", |scene| {
        let (exchange, queue) = (scene.exchange("headers"), scene.queue());
        scene.client.call(queue::bind(&queue, &exchange, ""));
        scene.client.publish(&Message::to(&exchange, "").body("bare"));
        assert_eq!(scene.client.drain(&queue), ["bare"]);
    }),
    Row::new("93", "an unknown x-match", |scene| {
        let (exchange, queue) = (scene.exchange("headers"), scene.queue());
        scene.client.send(queue::bind(&queue, &exchange, "").arg("x-match", "some"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - Invalid x-match field value <<\"some\">>; expected all, any, \
         all-with-x, or any-with-x",
        queue::BIND,
    ),
    Row::new("93", "an x-match that is no text", |scene| {
        let (exchange, queue) = (scene.exchange("headers"), scene.queue());
        scene.client.send(queue::bind(&queue, &exchange, "").arg("x-match", 1));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - Invalid x-match field type signedint (value 1); expected longstr",
        queue::BIND,
    ),
];

/// Asserts whether a binding with these arguments matches a message with these headers.
fn matches(scene: &mut Scene, arguments: &Table, headers: &Table, wanted: bool) {
    let (exchange, queue) = (scene.x(), scene.q());
    scene.client.declare_exchange(&exchange, "headers");
    scene.client.declare_queue(&queue);
    let entries = || arguments.0.iter();
    let bind = entries().fold(queue::bind(&queue, &exchange, ""), |bind, (name, value)| {
        bind.arg(name, value.clone())
    });
    scene.client.call(bind);
    let message = Message::to(&exchange, "");
    let message = headers
        .0
        .iter()
        .fold(message, |message, (name, value)| message.header(name, value.clone()));
    scene.client.publish(&message);
    let matched = !scene.client.drain(&queue).is_empty();
    assert_eq!(matched, wanted, "binding {arguments:?}, headers {headers:?}");
    let unbind = entries().fold(queue::unbind(&queue, &exchange, ""), |unbind, (name, value)| {
        unbind.arg(name, value.clone())
    });
    scene.client.call(unbind);
}
