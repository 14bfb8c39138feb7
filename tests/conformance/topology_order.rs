//! Changes of the topology that a client sends without waiting: their effects and answers in order.

use leveret_tests::raw_client::method::{Method, basic, exchange, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        "30 33",
        "what is sent without waiting takes effect and is answered in order",
        |scene| {
            let (name, exchange) = (scene.q(), scene.x());
            send_all(
                &mut scene.client,
                [
                    exchange::declare(&exchange, "fanout").with(Flag::Durable),
                    queue::declare(&name).with(Flag::Durable),
                    queue::bind(&name, &exchange, ""),
                ],
            );
            scene.client.publish(&Message::to(&exchange, "").body("routed"));
            send_all(
                &mut scene.client,
                [
                    queue::declare(&name).with(Flag::Passive),
                    queue::unbind(&name, &exchange, ""),
                    basic::consume(&name, "c"),
                    exchange::delete(&exchange),
                ],
            );
            for id in [exchange::DECLARE_OK, queue::DECLARE_OK, queue::BIND_OK] {
                scene.client.expect(id);
            }
            scene.client.expect(queue::DECLARE_OK);
            scene.client.expect(queue::UNBIND_OK);
            scene.client.expect(basic::CONSUME_OK);
            scene.client.skip_to(exchange::DELETE_OK);
        },
    ),
    Row::new("30 33", "a message right behind its binding is routed", |scene| {
        let (name, exchange) = (scene.q(), scene.x());
        send_all(
            &mut scene.client,
            [
                exchange::declare(&exchange, "fanout").with(Flag::Durable).with(Flag::NoWait),
                queue::declare(&name).with(Flag::Durable).with(Flag::NoWait),
                queue::bind(&name, &exchange, "").with(Flag::NoWait),
            ],
        );
        scene.client.publish(&Message::to(&exchange, "").body("routed"));
        assert_eq!(scene.client.queue_state(&name).message_count, 1);
    })
    .on_3_10_instead(|_| {}, "it routes by a copy of its bindings that follows a moment later"),
    Row::new("19", "an error comes after the answers before it, and ends what follows", |scene| {
        let (name, later) = (scene.q(), scene.name("later"));
        let missing = scene.name("missing");
        send_all(
            &mut scene.client,
            [
                queue::declare(&name).with(Flag::Durable),
                queue::declare(&missing).with(Flag::Passive),
                queue::declare(&later).with(Flag::Durable),
            ],
        );
        assert_eq!(scene.client.expect(queue::DECLARE_OK).declared().queue, name);
        let text = format!("NOT_FOUND - no queue '{missing}' in vhost '/'");
        scene.client.expect_channel_close(1, 404, &text, queue::DECLARE);
        scene.client.open_channel(1);
        assert!(scene.client.queue_exists(&name));
        scene.client.expect_no_queue(&later);
    }),
    Row::new("19", "one channel's error does not hold up another", |scene| {
        let (name, missing) = (scene.q(), scene.name("missing"));
        scene.client.open_channel(2);
        send_all(
            &mut scene.client,
            [
                queue::declare(&name).with(Flag::Durable),
                queue::declare(&missing).with(Flag::Passive),
                queue::declare(&name).with(Flag::Durable).on(2),
                queue::delete(&name).on(2),
            ],
        );
        for (channel, id) in [(2, queue::DECLARE_OK), (2, queue::DELETE_OK), (1, queue::DECLARE_OK)]
        {
            assert_eq!(scene.client.expect_on(channel).id, id);
        }
        assert_eq!(scene.client.expect_on(1).close().code, 404);
    }),
    Row::new("30", "a queue deleted and declared anew is not bound", |scene| {
        let name = scene.queue();
        let exchange = scene.exchange("fanout");
        send_all(
            &mut scene.client,
            [
                queue::bind(&name, &exchange, ""),
                queue::delete(&name),
                queue::declare(&name).with(Flag::Durable),
            ],
        );
        scene.client.publish(&Message::to(&exchange, "").body("lost"));
        scene.client.send(queue::bind(&name, &exchange, ""));
        scene.client.publish(&Message::to(&exchange, "").body("routed"));
        scene.client.send(queue::declare(&name).with(Flag::Passive));
        let answers = [
            queue::BIND_OK,
            queue::DELETE_OK,
            queue::DECLARE_OK,
            queue::BIND_OK,
            queue::DECLARE_OK,
        ];
        answers.into_iter().for_each(|id| drop(scene.client.expect(id)));
        assert_eq!(scene.client.drain(&name), ["routed"]);
    }),
    Row::new("", "a thousand declares sent at once are answered in their order", |scene| {
        many_declares(scene, 1000);
    })
    .on_3_10_instead(|scene| many_declares(scene, 20), SLOW),
    // A chain of 2000 ended the process when its queue was deleted: each exchange's removal stood on
    // the stack of the one before it.
    Row::new("91", "a long chain of auto-delete exchanges goes with its queue", |scene| {
        chain(scene, 2000);
    })
    .on_3_10_instead(|scene| chain(scene, 20), SLOW),
];

const SLOW: &str = "its store of definitions takes so long for so many that the row gives up";

fn many_declares(scene: &mut Scene, count: usize) {
    let names: Vec<_> = (0..count).map(|at| scene.name(&format!("many-{at}"))).collect();
    let declares = names.iter().map(|name| queue::declare(name).with(Flag::Durable));
    send_all(&mut scene.client, declares);
    for name in &names {
        assert_eq!(&scene.client.expect(queue::DECLARE_OK).declared().queue, name);
    }
    send_all(&mut scene.client, names.iter().map(|name| queue::delete(name)));
    names.iter().for_each(|_| drop(scene.client.expect(queue::DELETE_OK)));
}

fn chain(scene: &mut Scene, length: usize) {
    let name = scene.queue();
    let link: Vec<_> = (0..length).map(|at| scene.name(&format!("link-{at}"))).collect();
    let declare = |name| {
        let durable = exchange::declare(name, "fanout").with(Flag::Durable);
        durable.with(Flag::AutoDelete).with(Flag::NoWait)
    };
    send_all(&mut scene.client, link.iter().map(|name| declare(name)));
    scene.client.send(queue::bind(&name, &link[length - 1], "").with(Flag::NoWait));
    let binds = link.windows(2).map(|pair| exchange::bind(&pair[1], &pair[0], ""));
    send_all(&mut scene.client, binds.map(|bind| bind.with(Flag::NoWait)));
    scene.client.call(queue::delete(&name));
    for at in [0, length / 2, length - 1] {
        scene.client.send(exchange::declare(&link[at], "fanout").with(Flag::Passive));
        let text = format!("NOT_FOUND - no exchange '{}' in vhost '/'", link[at]);
        scene.client.expect_channel_close(1, 404, &text, exchange::DECLARE);
        scene.client.open_channel(1);
    }
}

fn send_all(client: &mut RawClient, methods: impl IntoIterator<Item = Method>) {
    let frames: Vec<u8> = methods.into_iter().flat_map(|method| method.frame()).collect();
    client.send_bytes(&frames);
}
