//! queue.declare: names, equivalence, exclusivity, arguments.

use leveret_tests::raw_client::method::{basic, channel, connection, queue};
use leveret_tests::raw_client::{Flag, Message, Value};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("19", "passive declare of a missing queue", |scene| {
        let name = scene.q();
        scene.client.send(queue::declare(&name).with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::DECLARE),
    Row::new("19 20", "a passive declare without a name is of no queue", |scene| {
        scene.client.send(queue::declare("").with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no queue '' in vhost '/'", queue::DECLARE),
    Row::new("19 20", "a passive declare without a name is not of the last queue either", |scene| {
        scene.queue();
        scene.client.send(queue::declare("").with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no queue '' in vhost '/'", queue::DECLARE),
    Row::new("25", "the type of a queue that has none is classic", |scene| {
        let name = scene.queue();
        scene.client.send(queue::declare(&name).with(Flag::Durable).arg("x-queue-type", "quorum"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '{q}' in vhost '/': received \
         'quorum' but current is 'classic'",
        queue::DECLARE,
    ),
    Row::new("25", "any queue mode is taken, and compared", |scene| {
        let name = scene.q();
        let declare = |mode: &str| {
            queue::declare(&name).with(Flag::Durable).arg("x-queue-mode", mode)
        };
        scene.client.call(declare("any"));
        scene.client.call(declare("any"));
        scene.client.send(declare("other"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-queue-mode' for queue '{q}' in vhost '/': received \
         'other' but current is 'any'",
        queue::DECLARE,
    ),
    Row::new("25", "what a quorum queue may not be: auto-delete comes first", |scene| {
        let declare = queue::declare(&scene.q()).with(Flag::AutoDelete).with(Flag::Exclusive);
        scene.client.send(declare.arg("x-queue-type", "quorum"));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - invalid property 'auto-delete' for queue '{q}' in vhost '/'",
        queue::DECLARE,
    ),
    Row::new("30", "a new queue has no messages and no consumers", |scene| {
        let name = scene.q();
        let declared = scene.client.declare_queue(&name);
        assert_eq!((declared.message_count, declared.consumer_count), (0, 0));
        assert_eq!(declared.queue, name);
    }),
    Row::new("30", "a redeclare tells ready messages and consumers", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        scene.client.get(&name);
        let declared = scene.client.declare_queue(&name);
        assert_eq!((declared.message_count, declared.consumer_count), (2, 0));
        scene.client.consume(&name);
        scene.client.expect_deliveries(&["2", "3"]);
        let declared = scene.client.declare_queue(&name);
        assert_eq!((declared.message_count, declared.consumer_count), (0, 1));
    }),
    Row::new("21", "the broker names a queue declared without a name", |scene| {
        let mut names = Vec::new();
        for _ in 0..2 {
            let declared = scene.client.call(queue::declare("").with(Flag::Exclusive)).declared();
            let random = declared.queue.strip_prefix("amq.gen-").expect("the prefix amq.gen-");
            assert_eq!(random.len(), 22, "{}", declared.queue);
            let base64url = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
            assert!(random.chars().all(base64url), "{}", declared.queue);
            names.push(declared.queue);
        }
        assert_ne!(names[0], names[1]);
    }),
    Row::new("22", "a reserved name", |scene| {
        scene.client.send(queue::declare("amq.conformance").with(Flag::Exclusive));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - queue name 'amq.conformance' contains reserved prefix 'amq.*'",
        queue::DECLARE,
    ),
    Row::new("22", "a reserved name may be declared passively", |scene| {
        let declared = scene.client.call(queue::declare("").with(Flag::Exclusive)).declared();
        scene.client.queue_state(&declared.queue);
        scene.client.send(queue::declare("amq.conformance").with(Flag::Passive));
    })
    .closes_channel(
        404,
        "NOT_FOUND - no queue 'amq.conformance' in vhost '/'",
        queue::DECLARE,
    ),
    Row::new("20", "no name means the queue this channel declared last", |scene| {
        let (first, last) = (scene.name("first"), scene.q());
        scene.client.declare_queue(&first);
        scene.client.declare_queue(&last);
        scene.client.fill(&last, &["1", "2", "3", "4"]);
        assert_eq!(scene.client.get("").text(), "1");
        assert_eq!(scene.client.call(queue::purge("")).message_count(), 3);
        scene.client.call(queue::bind("", "amq.direct", "bound"));
        scene.client.publish(&Message::to("amq.direct", "bound").body("5"));
        scene.client.call(basic::consume("", "c"));
        scene.client.expect_deliveries(&["5"]);
        scene.client.call(queue::unbind("", "amq.direct", "bound"));
        scene.client.call(queue::delete(""));
        scene.client.send(queue::declare(&last).with(Flag::Passive));
        let cancel = scene.client.expect(basic::CANCEL);
        assert_eq!(cancel.consumer_tag(), "c");
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::DECLARE),
    Row::new("20", "no name and no queue declared yet", |scene| {
        scene.client.send(basic::consume("", ""));
    })
    .closes_channel(404, NONE_DECLARED, basic::CONSUME),
    Row::new("20", "another channel's declare does not count", |scene| {
        let name = scene.q();
        scene.client.open_channel(2);
        scene.client.call(queue::declare(&name).with(Flag::Durable).on(2));
        scene.client.send(queue::purge(""));
    })
    .closes_channel(404, NONE_DECLARED, queue::PURGE),
    Row::new("20", "a closed channel forgets what it declared", |scene| {
        scene.queue();
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        scene.client.send(queue::delete(""));
    })
    .closes_channel(404, NONE_DECLARED, queue::DELETE),
    Row::new("20", "neither queue nor key binds the last queue by its name", |scene| {
        let name = scene.queue();
        scene.client.call(queue::bind("", "amq.direct", ""));
        scene.client.publish(&Message::to("amq.direct", &name).body("by name"));
        assert_eq!(scene.client.drain(&name), ["by name"]);
        scene.client.call(queue::unbind("", "amq.direct", ""));
        scene.client.publish(&Message::to("amq.direct", &name).body("unbound"));
        assert!(scene.client.drain(&name).is_empty());
    }),
    Row::new("24", "line ends in a queue's name are dropped", |scene| {
        let name = scene.q();
        let broken = format!("\r{name}\n");
        let declare = queue::declare(&broken).with(Flag::Durable);
        assert_eq!(scene.client.call(declare).declared().queue, name);
        scene.client.queue_state(&name);
    }),
    Row::new("24", "a name may be any UTF-8 of up to 255 bytes", |scene| {
        let long = scene.name(&"ü".repeat(110));
        assert_eq!(scene.client.declare_queue(&long).queue, long);
    }),
    Row::new("25", "another durability", |scene| {
        let name = scene.queue();
        scene.client.send(queue::declare(&name));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{q}' in vhost '/': received \
         'false' but current is 'true'",
        queue::DECLARE,
    ),
    Row::new("25", "another auto-delete", |scene| {
        let name = scene.queue();
        scene.client.send(queue::declare(&name).with(Flag::Durable).with(Flag::AutoDelete));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue '{q}' in vhost '/': \
         received 'true' but current is 'false'",
        queue::DECLARE,
    ),
    Row::new("25", "exclusivity is compared first, then durability", |scene| {
        let name = scene.queue();
        let declare = queue::declare(&name).with(Flag::AutoDelete).with(Flag::Exclusive);
        scene.client.send(declare.arg("x-max-length", 1));
    })
    .closes_channel(405, LOCKED, queue::DECLARE),
    Row::new("25", "durability is compared before the arguments", |scene| {
        let name = scene.queue();
        scene.client.send(queue::declare(&name).arg("x-max-length", 1));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{q}' in vhost '/': received \
         'false' but current is 'true'",
        queue::DECLARE,
    ),
    Row::new("25", "an argument where there was none", |scene| {
        let name = scene.queue();
        redeclare(scene, &name, "x-message-ttl", Value::Int(1000));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue '{q}' in vhost '/': \
         received the value '1000' of type 'signedint' but current is none",
        queue::DECLARE,
    ),
    Row::new("25", "no argument where there was one", |scene| {
        let name = declare_with(scene, "x-message-ttl", Value::Short(1000));
        scene.client.send(queue::declare(&name).with(Flag::Durable));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue '{q}' in vhost '/': \
         received none but current is the value '1000' of type 'short'",
        queue::DECLARE,
    ),
    Row::new("25", "another number", |scene| {
        let name = declare_with(scene, "x-max-length", Value::Int(2));
        redeclare(scene, &name, "x-max-length", Value::Int(1));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue '{q}' in vhost '/': \
         received '1' but current is '2'",
        queue::DECLARE,
    ),
    Row::new("25", "another text", |scene| {
        let name = declare_with(scene, "x-dead-letter-exchange", "one".into());
        redeclare(scene, &name, "x-dead-letter-exchange", "two".into());
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue '{q}' in vhost \
         '/': received 'two' but current is 'one'",
        queue::DECLARE,
    ),
    Row::new("25", "integers of all widths are equal", |scene| {
        let name = declare_with(scene, "x-max-length", Value::Byte(7));
        for same in [
            Value::UnsignedByte(7),
            Value::Short(7),
            Value::UnsignedShort(7),
            Value::Int(7),
            Value::UnsignedInt(7),
            Value::Long(7),
        ] {
            redeclare(scene, &name, "x-max-length", same);
            scene.client.expect(queue::DECLARE_OK);
        }
    }),
    Row::new("25", "an absent type is the type classic", |scene| {
        let name = scene.queue();
        redeclare(scene, &name, "x-queue-type", "classic".into());
        scene.client.expect(queue::DECLARE_OK);
    }),
    Row::new("25", "unknown arguments are not compared", |scene| {
        let name = declare_with(scene, "x-unheard-of", Value::Int(1));
        redeclare(scene, &name, "x-unheard-of", Value::Int(2));
        scene.client.expect(queue::DECLARE_OK);
        redeclare(scene, &name, "something", "else".into());
        scene.client.expect(queue::DECLARE_OK);
    }),
    Row::new("26", "an exclusive queue equals one declared with the other durability", |scene| {
        let name = scene.q();
        scene.client.call(queue::declare(&name).with(Flag::Exclusive));
        scene.client.call(queue::declare(&name).with(Flag::Exclusive).with(Flag::Durable));
        scene.client.call(queue::declare(&name).with(Flag::Exclusive));
    }),
    Row::new("25", "a transient queue that is not exclusive works", |scene| {
        let name = scene.q();
        scene.client.call(queue::declare(&name));
        scene.client.fill(&name, &["transient"]);
        assert_eq!(scene.client.drain(&name), ["transient"]);
    }),
    Row::new("31", "the owner may not redeclare its exclusive queue as shared", |scene| {
        let name = scene.q();
        scene.client.call(queue::declare(&name).with(Flag::Exclusive));
        scene.client.send(queue::declare(&name));
    })
    .closes_channel(405, LOCKED, queue::DECLARE),
    Row::new("31", "another connection may publish into an exclusive queue", |scene| {
        let name = scene.q();
        scene.client.call(queue::declare(&name).with(Flag::Exclusive));
        let mut other = scene.connect();
        other.fill(&name, &["from outside"]);
        assert_eq!(scene.client.drain(&name), ["from outside"]);
    }),
    Row::new("31", "another channel of the connection may use an exclusive queue", |scene| {
        let name = scene.q();
        scene.client.call(queue::declare(&name).with(Flag::Exclusive));
        scene.client.open_channel(2);
        scene.client.call(basic::consume(&name, "").on(2));
        scene.client.call(queue::delete(&name).on(2));
    }),
    Row::new("41", "an exclusive queue outlives its channel", |scene| {
        let name = scene.q();
        scene.client.call(queue::declare(&name).with(Flag::Exclusive));
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        scene.client.queue_state(&name);
    }),
    Row::new("41 18", "an exclusive queue is gone when close-ok comes", |scene| {
        let name = scene.q();
        let mut owner = scene.connect();
        owner.call(queue::declare(&name).with(Flag::Exclusive));
        owner.call(connection::close(200, "done", (0, 0)));
        scene.client.send(queue::declare(&name).with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no queue '{q}' in vhost '/'", queue::DECLARE),
];

const NONE_DECLARED: &str = "NOT_FOUND - no previously declared queue";
/// Cut to 255 bytes by [`Scene::check`].
pub(crate) const LOCKED: &str = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{q}' in vhost '/'. It \
     could be originally declared on another connection or the exclusive property value does not \
     match that of the original declaration.";

/// Declares the scene's queue with one argument; its name.
fn declare_with(scene: &mut Scene, argument: &str, value: Value) -> String {
    let name = scene.q();
    scene.client.call(queue::declare(&name).with(Flag::Durable).arg(argument, value));
    name
}

/// Sends another declare with one argument.
fn redeclare(scene: &mut Scene, name: &str, argument: &str, value: Value) {
    scene.client.send(queue::declare(name).with(Flag::Durable).arg(argument, value));
}
