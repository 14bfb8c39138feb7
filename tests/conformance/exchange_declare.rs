//! exchange.declare and exchange.delete.

use leveret_tests::raw_client::method::exchange;
use leveret_tests::raw_client::{Flag, Message, Table, Value};

use crate::row::Row;

pub(crate) const ROWS: &[Row] = &[
    Row::new("19", "passive declare of a missing exchange", |scene| {
        let name = scene.x();
        scene.client.send(exchange::declare(&name, "direct").with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{x}' in vhost '/'", exchange::DECLARE),
    Row::new("27", "passive declare asks for the name only", |scene| {
        let name = scene.exchange("topic");
        scene.client.call(exchange::declare(&name, "direct").with(Flag::Passive));
        scene.client.call(exchange::declare(&name, "").with(Flag::Passive));
        scene.client.call(exchange::declare(&name, "no-such-type").with(Flag::Passive));
    }),
    Row::new("27", "an equal declare is accepted", |scene| {
        let name = scene.x();
        for _ in 0..2 {
            let declare = exchange::declare(&name, "headers").with(Flag::Durable);
            scene.client.call(declare.with(Flag::AutoDelete).with(Flag::Internal));
        }
    }),
    Row::new("27", "another type", |scene| {
        let name = scene.exchange("direct");
        scene.client.send(exchange::declare(&name, "topic").with(Flag::Durable));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '{x}' in vhost '/': received \
         'topic' but current is 'direct'",
        exchange::DECLARE,
    ),
    Row::new("27", "another durability", |scene| {
        let name = scene.exchange("direct");
        scene.client.send(exchange::declare(&name, "direct"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange '{x}' in vhost '/': \
         received 'false' but current is 'true'",
        exchange::DECLARE,
    ),
    Row::new("27", "another auto-delete", |scene| {
        let name = scene.exchange("direct");
        let declare = exchange::declare(&name, "direct").with(Flag::Durable);
        scene.client.send(declare.with(Flag::AutoDelete));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for exchange '{x}' in vhost '/': \
         received 'true' but current is 'false'",
        exchange::DECLARE,
    ),
    Row::new("27", "another internal", |scene| {
        let name = scene.exchange("direct");
        let declare = exchange::declare(&name, "direct").with(Flag::Durable);
        scene.client.send(declare.with(Flag::Internal));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'internal' for exchange '{x}' in vhost '/': \
         received 'true' but current is 'false'",
        exchange::DECLARE,
    ),
    Row::new("27", "the type is compared before the rest", |scene| {
        let name = scene.exchange("direct");
        let declare = exchange::declare(&name, "fanout").with(Flag::Internal);
        scene.client.send(declare.arg("alternate-exchange", "other"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '{x}' in vhost '/': received \
         'fanout' but current is 'direct'",
        exchange::DECLARE,
    ),
    Row::new("27", "an alternate exchange where there was none", |scene| {
        let name = scene.exchange("direct");
        let declare = exchange::declare(&name, "direct").with(Flag::Durable);
        scene.client.send(declare.arg("alternate-exchange", "other"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '{x}' in vhost \
         '/': received the value 'other' of type 'longstr' but current is none",
        exchange::DECLARE,
    ),
    Row::new("27", "another alternate exchange", |scene| {
        let name = scene.x();
        let declare = exchange::declare(&name, "direct");
        scene.client.call(declare.clone().arg("alternate-exchange", "one"));
        scene.client.send(declare.arg("alternate-exchange", "two"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange '{x}' in vhost \
         '/': received 'two' but current is 'one'",
        exchange::DECLARE,
    ),
    Row::new("27", "arguments other than the alternate exchange are not compared", |scene| {
        let name = scene.exchange("direct");
        let declare = exchange::declare(&name, "direct").with(Flag::Durable);
        scene.client.call(declare.arg("anything", Value::Table(Table::new().with("a", 1))));
    }),
    Row::new("29", "an alternate exchange that is not a name", |scene| {
        let name = scene.x();
        scene.client.send(exchange::declare(&name, "direct").arg("alternate-exchange", 1));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' in exchange \
         '{x}' in vhost '/'",
        exchange::DECLARE,
    ),
    Row::new("28", "an unknown type", |scene| {
        let name = scene.x();
        scene.client.send(exchange::declare(&name, "nonsense"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - unknown exchange type 'nonsense'",
        exchange::DECLARE,
    ),
    Row::new("28", "an unknown type for an exchange that exists", |scene| {
        scene.client.send(exchange::declare("amq.direct", "nonsense").with(Flag::Durable));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - unknown exchange type 'nonsense'",
        exchange::DECLARE,
    ),
    Row::new("28", "an empty type", |scene| {
        let name = scene.x();
        scene.client.send(exchange::declare(&name, ""));
    })
    .closes_channel(406, "PRECONDITION_FAILED - invalid exchange type ''", exchange::DECLARE),
    Row::new("28", "the type is looked at before the name", |scene| {
        scene.client.send(exchange::declare("", "nonsense"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - unknown exchange type 'nonsense'",
        exchange::DECLARE,
    ),
    Row::new("22", "a new name with the reserved prefix", |scene| {
        scene.client.send(exchange::declare("amq.conformance", "direct"));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - exchange name 'amq.conformance' contains reserved prefix 'amq.*'",
        exchange::DECLARE,
    ),
    Row::new("22", "the predeclared exchanges may be redeclared", |scene| {
        let predeclared = [
            ("amq.direct", "direct"),
            ("amq.fanout", "fanout"),
            ("amq.topic", "topic"),
            ("amq.headers", "headers"),
            ("amq.match", "headers"),
        ];
        for (name, kind) in predeclared {
            scene.client.call(exchange::declare(name, kind).with(Flag::Durable));
        }
    }),
    Row::new("22", "a predeclared exchange redeclared otherwise", |scene| {
        scene.client.send(exchange::declare("amq.topic", "direct").with(Flag::Durable));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.topic' in vhost '/': \
         received 'direct' but current is 'topic'",
        exchange::DECLARE,
    ),
    Row::new("23", "a predeclared exchange cannot be deleted", |scene| {
        scene.client.send(exchange::delete("amq.direct"));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed",
        exchange::DELETE,
    ),
    Row::new("23", "even a missing name with the reserved prefix cannot be deleted", |scene| {
        scene.client.send(exchange::delete("amq.conformance"));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - deletion of system exchange 'amq.conformance' in vhost '/' not allowed",
        exchange::DELETE,
    ),
    Row::new("23", "the default exchange cannot be declared", |scene| {
        scene.client.send(exchange::declare("", "direct").with(Flag::Durable));
    })
    .closes_channel(403, NOT_ON_DEFAULT, exchange::DECLARE),
    Row::new("23", "the default exchange cannot be declared passively", |scene| {
        scene.client.send(exchange::declare("", "direct").with(Flag::Passive));
    })
    .closes_channel(403, NOT_ON_DEFAULT, exchange::DECLARE),
    Row::new("23", "the default exchange cannot be deleted", |scene| {
        scene.client.send(exchange::delete(""));
    })
    .closes_channel(403, NOT_ON_DEFAULT, exchange::DELETE),
    Row::new("33", "deleting a missing exchange is no error", |scene| {
        let name = scene.x();
        scene.client.call(exchange::delete(&name));
        scene.client.call(exchange::delete(&name).with(Flag::IfUnused));
    }),
    Row::new("33", "a deleted exchange is gone", |scene| {
        let name = scene.exchange("direct");
        scene.client.call(exchange::delete(&name));
        scene.client.publish(&Message::to(&name, "k"));
    })
    .closes_channel(
        404,
        "NOT_FOUND - no exchange '{x}' in vhost '/'",
        leveret_tests::raw_client::method::basic::PUBLISH,
    ),
    Row::new("24", "line ends in an exchange's name are dropped", |scene| {
        let name = scene.x();
        let broken = format!("{name}\r\n");
        scene.client.call(exchange::declare(&broken, "direct"));
        scene.client.call(exchange::declare(&name, "direct").with(Flag::Passive));
    }),
    Row::new("24", "a name may be any UTF-8 of up to 255 bytes", |scene| {
        let long = scene.name(&"é".repeat(110));
        scene.client.call(exchange::declare(&long, "direct"));
        scene.client.call(exchange::declare(&long, "direct").with(Flag::Passive));
    }),
];

const NOT_ON_DEFAULT: &str = "ACCESS_REFUSED - operation not permitted on the default exchange";
