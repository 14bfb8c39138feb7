//! Exchanges bound to exchanges, auto-delete and internal exchanges, alternate exchanges.

use leveret_tests::raw_client::method::{basic, exchange, queue};
use leveret_tests::raw_client::{Flag, Message};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("96", "a message goes through a chain of exchanges", |scene| {
        let [first, second, third] = exchanges(scene, ["direct", "topic", "fanout"]);
        let queue = scene.queue();
        scene.client.call(exchange::bind(&second, &first, "a.b"));
        scene.client.call(exchange::bind(&third, &second, "a.*"));
        scene.client.call(queue::bind(&queue, &third, ""));
        scene.client.publish(&Message::to(&first, "a.b").body("through"));
        scene.client.publish(&Message::to(&first, "a.c").body("stopped at the first"));
        assert_eq!(scene.client.drain(&queue), ["through"]);
    }),
    Row::new("96", "what is delivered names the first exchange and the first key", |scene| {
        let [first, second] = exchanges(scene, ["direct", "fanout"]);
        let queue = scene.queue();
        scene.client.call(exchange::bind(&second, &first, "key"));
        scene.client.call(queue::bind(&queue, &second, "other"));
        scene.client.publish(&Message::to(&first, "key"));
        let fetched = scene.client.get(&queue);
        assert_eq!((fetched.exchange, fetched.routing_key), (first, "key".to_owned()));
    }),
    Row::new("96", "a circle of exchanges ends", |scene| {
        let [first, second] = exchanges(scene, ["fanout", "fanout"]);
        let queue = scene.queue();
        scene.client.call(exchange::bind(&second, &first, ""));
        scene.client.call(exchange::bind(&first, &second, ""));
        scene.client.call(exchange::bind(&first, &first, ""));
        scene.client.call(queue::bind(&queue, &second, ""));
        scene.client.publish(&Message::to(&first, "").body("once"));
        assert_eq!(scene.client.drain(&queue), ["once"]);
    }),
    Row::new("96 42", "two ways to a queue make one copy", |scene| {
        let [first, second, third] = exchanges(scene, ["fanout", "fanout", "fanout"]);
        let queue = scene.queue();
        for middle in [&second, &third] {
            scene.client.call(exchange::bind(middle, &first, ""));
            scene.client.call(queue::bind(&queue, middle, ""));
        }
        scene.client.publish(&Message::to(&first, "").body("once"));
        assert_eq!(scene.client.drain(&queue), ["once"]);
    }),
    Row::new("96", "an unbound exchange gets nothing more", |scene| {
        let [first, second] = exchanges(scene, ["direct", "fanout"]);
        let queue = scene.queue();
        scene.client.call(exchange::bind(&second, &first, "k"));
        scene.client.call(queue::bind(&queue, &second, ""));
        scene.client.call(exchange::unbind(&second, &first, "k"));
        scene.client.publish(&Message::to(&first, "k").body("lost"));
        assert!(scene.client.drain(&queue).is_empty());
    }),
    Row::new("33", "unbinding exchanges that are not bound, or not there, is no error", |scene| {
        let [first, second] = exchanges(scene, ["direct", "fanout"]);
        scene.client.call(exchange::unbind(&second, &first, "k"));
        let missing = scene.name("missing");
        scene.client.call(exchange::unbind(&missing, &first, "k"));
        scene.client.call(exchange::unbind(&first, &missing, "k"));
    }),
    Row::new("38", "binding to a missing source", |scene| {
        let exchange = scene.exchange("direct");
        let missing = scene.name("missing");
        scene.client.send(exchange::bind(&exchange, &missing, "k"));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{missing}' in vhost '/'", exchange::BIND),
    Row::new("38", "binding a missing destination", |scene| {
        let exchange = scene.exchange("direct");
        let missing = scene.name("missing");
        scene.client.send(exchange::bind(&missing, &exchange, "k"));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{missing}' in vhost '/'", exchange::BIND),
    Row::new("23", "the default exchange is no source", |scene| {
        let exchange = scene.exchange("direct");
        scene.client.send(exchange::bind(&exchange, "", "k"));
    })
    .closes_channel(403, NOT_ON_DEFAULT, exchange::BIND),
    Row::new("23", "the default exchange is no destination", |scene| {
        let exchange = scene.exchange("direct");
        scene.client.send(exchange::unbind("", &exchange, "k"));
    })
    .closes_channel(403, NOT_ON_DEFAULT, exchange::UNBIND),
    Row::new("39", "an exchange with a queue bound to it is not deleted if-unused", |scene| {
        let (exchange, queue) = (scene.exchange("direct"), scene.queue());
        scene.client.call(queue::bind(&queue, &exchange, "k"));
        scene.client.send(exchange::delete(&exchange).with(Flag::IfUnused));
    })
    .closes_channel(
        406,
        "PRECONDITION_FAILED - exchange '{x}' in vhost '/' in use",
        exchange::DELETE,
    ),
    Row::new("39", "an exchange that is only a destination is deleted if-unused", |scene| {
        let [first, second] = exchanges(scene, ["direct", "fanout"]);
        scene.client.call(exchange::bind(&second, &first, "k"));
        scene.client.call(exchange::delete(&second).with(Flag::IfUnused));
        scene.client.call(exchange::delete(&first).with(Flag::IfUnused));
    }),
    Row::new("39", "an auto-delete exchange goes with its last binding", |scene| {
        let (exchange, queue) = (auto_delete(scene, "x"), scene.queue());
        scene.client.call(queue::bind(&queue, &exchange, "1"));
        scene.client.call(queue::bind(&queue, &exchange, "2"));
        scene.client.call(queue::unbind(&queue, &exchange, "1"));
        scene.client.call(exchange::declare(&exchange, "direct").with(Flag::Passive));
        scene.client.call(queue::unbind(&queue, &exchange, "2"));
        scene.client.send(exchange::declare(&exchange, "direct").with(Flag::Passive));
    })
    .closes_channel(404, "NOT_FOUND - no exchange '{x}' in vhost '/'", exchange::DECLARE),
    Row::new("39", "an auto-delete exchange that never had a binding stays", |scene| {
        let (exchange, queue) = (auto_delete(scene, "x"), scene.queue());
        scene.client.call(queue::unbind(&queue, &exchange, "1"));
        scene.client.call(queue::delete(&queue));
        scene.client.call(exchange::declare(&exchange, "direct").with(Flag::Passive));
    }),
    Row::new(
        "39",
        "a deleted queue takes auto-delete exchanges along, one after another",
        |scene| {
            let (first, second) = (auto_delete(scene, "x"), auto_delete(scene, "second"));
            let queue = scene.queue();
            scene.client.call(exchange::bind(&second, &first, "k"));
            scene.client.call(queue::bind(&queue, &second, "k"));
            scene.client.call(queue::delete(&queue));
            scene.client.send(exchange::declare(&second, "direct").with(Flag::Passive));
            let gone = format!("NOT_FOUND - no exchange '{second}' in vhost '/'");
            scene.client.expect_channel_close(1, 404, &gone, exchange::DECLARE);
            scene.client.open_channel(1);
            scene.client.send(exchange::declare(&first, "direct").with(Flag::Passive));
        },
    )
    .closes_channel(404, "NOT_FOUND - no exchange '{x}' in vhost '/'", exchange::DECLARE),
    Row::new("47", "clients may not publish to an internal exchange", |scene| {
        let exchange = scene.x();
        scene.client.call(exchange::declare(&exchange, "fanout").with(Flag::Internal));
        scene.client.publish(&Message::to(&exchange, ""));
    })
    .closes_channel(
        403,
        "ACCESS_REFUSED - cannot publish to internal exchange '{x}' in vhost '/'",
        basic::PUBLISH,
    ),
    Row::new("47 96", "an internal exchange routes what other exchanges give it", |scene| {
        let [first] = exchanges(scene, ["direct"]);
        let (internal, queue) = (scene.x(), scene.queue());
        scene.client.call(exchange::declare(&internal, "fanout").with(Flag::Internal));
        scene.client.call(exchange::bind(&internal, &first, "k"));
        scene.client.call(queue::bind(&queue, &internal, ""));
        scene.client.publish(&Message::to(&first, "k").body("in"));
        assert_eq!(scene.client.drain(&queue), ["in"]);
    }),
    Row::new("92", "the alternate exchange gets what the exchange cannot route", |scene| {
        let [alternate] = exchanges(scene, ["fanout"]);
        let exchange = with_alternate(scene, "x", &alternate);
        let (routed, rest) = (scene.q(), scene.name("rest"));
        scene.client.declare_bound_queue(&routed, &exchange, "k");
        scene.client.declare_bound_queue(&rest, &alternate, "");
        scene.client.publish(&Message::to(&exchange, "k").body("routed"));
        scene.client.publish(&Message::to(&exchange, "other").body("rest"));
        assert_eq!(scene.client.drain(&routed), ["routed"]);
        assert_eq!(scene.client.drain(&rest), ["rest"]);
    }),
    Row::new("92 52", "a message saved by the alternate exchange is not returned", |scene| {
        let [alternate] = exchanges(scene, ["fanout"]);
        let exchange = with_alternate(scene, "x", &alternate);
        let queue = scene.q();
        scene.client.declare_bound_queue(&queue, &alternate, "");
        scene.client.select_confirms();
        scene.client.publish(&Message::to(&exchange, "k").with(Flag::Mandatory));
        assert!(scene.client.expect_confirm().acked);
    }),
    Row::new("92", "alternate exchanges have alternates of their own", |scene| {
        let [last] = exchanges(scene, ["fanout"]);
        let second = with_alternate(scene, "second", &last);
        let first = with_alternate(scene, "x", &second);
        let queue = scene.q();
        scene.client.declare_bound_queue(&queue, &last, "");
        scene.client.publish(&Message::to(&first, "k").body("at last"));
        assert_eq!(scene.client.drain(&queue), ["at last"]);
    }),
    Row::new("92", "a circle of alternate exchanges ends in a return", |scene| {
        let name = scene.x();
        let second = with_alternate(scene, "second", &name);
        let first = with_alternate(scene, "x", &second);
        scene.client.publish(&Message::to(&first, "k").with(Flag::Mandatory));
        assert_eq!(scene.client.expect_return().code, 312);
    }),
    Row::new("92", "with a missing alternate exchange a message is unroutable", |scene| {
        let missing = scene.name("missing");
        let exchange = with_alternate(scene, "x", &missing);
        scene.client.publish(&Message::to(&exchange, "k").with(Flag::Mandatory));
        assert_eq!(scene.client.expect_return().text, "NO_ROUTE");
    }),
];

const NOT_ON_DEFAULT: &str = "ACCESS_REFUSED - operation not permitted on the default exchange";

/// Declares durable exchanges of these types under names of the scene.
fn exchanges<const N: usize>(scene: &mut Scene, kinds: [&str; N]) -> [String; N] {
    std::array::from_fn(|position| {
        let name = scene.name(&format!("exchange-{position}"));
        scene.client.declare_exchange(&name, kinds[position]);
        name
    })
}

fn auto_delete(scene: &mut Scene, word: &str) -> String {
    let name = scene.name(word);
    scene.client.call(exchange::declare(&name, "direct").with(Flag::AutoDelete));
    name
}

fn with_alternate(scene: &mut Scene, word: &str, alternate: &str) -> String {
    let name = scene.name(word);
    scene.client.call(exchange::declare(&name, "direct").arg("alternate-exchange", alternate));
    name
}
