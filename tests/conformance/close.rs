//! The end of a connection, from either side.

use leveret_tests::deadline::PATIENCE;
use leveret_tests::raw_client::content::{Properties, content_header};
use leveret_tests::raw_client::method::{Method, basic, channel, connection, queue};
use leveret_tests::raw_client::wire::ArgumentWriter;
use leveret_tests::raw_client::{Flag, Message};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("18", "close is answered once everything held is back in its queue", |scene| {
        let name = scene.queue();
        scene.client.fill(&name, &["1", "2", "3"]);
        let mut other = scene.connect();
        other.open_channel(2);
        other.call(basic::get(&name));
        other.call(basic::get(&name).on(2));
        other.close();
        assert_eq!(scene.client.drain(&name), ["1", "2", "3"]);
    }),
    Row::new("18", "what was sent before close is done", |scene| {
        let name = scene.queue();
        let mut other = scene.connect();
        for body in ["1", "2", "3"] {
            other.publish(&Message::to_queue(&name).body(body));
        }
        other.close();
        scene.client.expect_count(&name, 3);
    }),
    Row::new("18", "close may come in the middle of a content", |scene| {
        let name = scene.queue();
        let mut other = scene.connect();
        other.send(basic::publish("", &name));
        other.send_bytes(&content_header(1, 10, &Properties::default()));
        other.close();
        assert!(scene.client.drain(&name).is_empty());
    }),
    Row::new("18", "close without any channel", |scene| {
        scene.client.call(channel::close());
        scene.client.call(connection::close(200, "", (0, 0)));
    }),
    Row::new("18", "after an error the broker ignores all but close and close-ok", |scene| {
        let name = scene.q();
        fail(scene);
        scene.client.expect(connection::CLOSE);
        scene.client.send(queue::declare(&name).with(Flag::Durable));
        scene.client.send(channel::open(2));
        scene.client.publish(&Message::to("no such exchange", ""));
        scene.client.call(connection::close(200, "crossing", (0, 0)));
        scene.client.send(connection::close_ok());
        scene.client.expect_socket_closed(PATIENCE);
        scene.client = scene.connect();
        assert!(!scene.client.queue_exists(&name));
    }),
    Row::new("18", "a client may hang up instead of answering close", |scene| {
        fail(scene);
        scene.client.expect(connection::CLOSE);
        scene.client.hang_up();
        scene.client.expect_socket_closed(PATIENCE);
    }),
    Row::new("18 41", "an error deletes exclusive queues before it is told", |scene| {
        let name = scene.q();
        scene.client.call(queue::declare(&name).with(Flag::Exclusive));
        fail(scene);
        scene.client.expect(connection::CLOSE);
        assert!(!scene.connect().queue_exists(&name));
    }),
    Row::new("41 40", "a lost connection deletes exclusive and auto-delete queues", |scene| {
        let (exclusive, temporary) = (scene.q(), scene.name("temporary"));
        let mut owner = scene.connect();
        owner.call(queue::declare(&exclusive).with(Flag::Exclusive));
        owner.call(queue::declare(&temporary).with(Flag::Durable).with(Flag::AutoDelete));
        owner.consume(&temporary);
        drop(owner);
        for name in [exclusive, temporary] {
            scene.client.expect_no_queue(&name);
        }
    }),
    Row::new("18", "an error on one connection leaves the others alone", |scene| {
        let mut other = scene.connect();
        fail(scene);
        scene.client.expect(connection::CLOSE);
        other.expect_nothing_on(1);
    }),
    Row::new("70", "a secret may be updated", |scene| {
        let password = scene.broker.password.clone();
        let update = connection::update_secret(password.as_bytes(), "renewed");
        assert_eq!(scene.client.call(update).id, connection::UPDATE_SECRET_OK);
        scene.client.expect_nothing_on(1);
    }),
    Row::new("", "access.request of the older protocol is granted", |scene| {
        let arguments = ArgumentWriter::default().short_string("/data").octet(0b11111);
        let granted = scene.client.call(Method::new((30, 10), arguments));
        assert_eq!((granted.id, granted.arguments), ((30, 11), vec![0, 1]));
    }),
];

/// Makes a mistake that closes the scene's connection.
fn fail(scene: &mut Scene) {
    scene.client.send(basic::qos(1).on(99));
}
