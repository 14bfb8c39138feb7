//! Single active consumers: who is active, and when the next one is.

use leveret_tests::raw_client::method::{basic, channel, queue};
use leveret_tests::raw_client::{Flag, RawClient};

use crate::row::Row;
use crate::scene::Scene;

pub(crate) const ROWS: &[Row] = &[
    Row::new("71", "the next is active once the active one is cancelled", |scene| {
        let (name, mut next, tags) = take_over(scene, "classic");
        scene.client.send(basic::ack(tags[1]));
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        next.expect_nothing_pending(1, &name);
    }),
    Row::new("71", "of a quorum queue, too", |scene| {
        let (_, mut next, _) = take_over(scene, "quorum");
        scene.client.call(channel::close());
        scene.client.open_channel(1);
        next.expect_deliveries(&["b"]);
    }),
    Row::new("71", "the highest priority follows, of equals the oldest", |scene| {
        follows(scene, "classic")
    }),
    Row::new("71", "in a quorum queue, too", |scene| follows(scene, "quorum")),
    Row::new("71", "in a classic queue nobody is displaced", |scene| {
        let kind = "classic";
        let (name, mut higher) = (declare(scene, kind), scene.connect());
        consume(&mut scene.client, &name, 0, 1);
        consume(&mut higher, &name, 1, 0);
        scene.client.fill(&name, &["a", "b"]);
        let tags = scene.client.expect_deliveries(&["a"]);
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect_deliveries(&["b"]);
        higher.expect_nothing_pending(1, &name);
    }),
    Row::new(
        "71",
        "in a quorum queue who gave way gets nothing while the higher is full",
        |scene| {
            let (name, mut higher) = (declare(scene, "quorum"), scene.connect());
            consume(&mut scene.client, &name, 0, 0);
            consume(&mut higher, &name, 1, 1);
            scene.client.fill(&name, &["a", "b"]);
            let tags = higher.expect_deliveries(&["a"]);
            scene.client.expect_nothing_on(1);
            higher.send(basic::ack(tags[0]));
            higher.expect_deliveries(&["b"]);
        },
    ),
    Row::new("71", "in a quorum queue the active one gives way when it has settled", |scene| {
        let kind = "quorum";
        let (name, mut higher) = (declare(scene, kind), scene.connect());
        consume(&mut scene.client, &name, 0, 2);
        scene.client.fill(&name, &["a", "b", "c", "d", "e", "f"]);
        let tags = scene.client.expect_deliveries(&["a", "b"]);
        consume(&mut higher, &name, 1, 1);
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect_nothing_pending(1, &name);
        higher.expect_nothing_pending(1, &name);
        scene.client.send(basic::ack(tags[1]));
        let tags = higher.expect_deliveries(&["c"]);
        higher.send(basic::ack(tags[0]));
        higher.expect_deliveries(&["d"]);
        scene.client.expect_nothing_pending(1, &name);
        higher.call(basic::cancel("c"));
        scene.client.expect_deliveries(&["e", "f"]);
    }),
    Row::new("71", "at once if it has nothing, and only to a higher one", |scene| {
        let kind = "quorum";
        let name = declare(scene, kind);
        let [mut equal, mut higher] = [(); 2].map(|()| scene.connect());
        consume(&mut scene.client, &name, 0, 0);
        consume(&mut equal, &name, 0, 0);
        scene.client.fill(&name, &["a"]);
        let tags = scene.client.expect_deliveries(&["a"]);
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect_nothing_pending(1, &name);
        consume(&mut higher, &name, 1, 0);
        scene.client.fill(&name, &["b"]);
        higher.expect_deliveries(&["b"]);
        equal.expect_nothing_pending(1, &name);
    }),
    Row::new("71", "without acknowledgements it has nothing", |scene| {
        let kind = "quorum";
        let (name, mut higher) = (declare(scene, kind), scene.connect());
        scene.client.call(basic::consume(&name, "c").with(Flag::NoAck));
        scene.client.fill(&name, &["a"]);
        scene.client.expect_deliveries(&["a"]);
        consume(&mut higher, &name, 1, 0);
        scene.client.fill(&name, &["b"]);
        higher.expect_deliveries(&["b"]);
    }),
    Row::new("71", "what it gives back goes to the higher one, in its turn", |scene| {
        let kind = "quorum";
        let (name, mut higher) = (declare(scene, kind), scene.connect());
        consume(&mut scene.client, &name, 0, 2);
        scene.client.fill(&name, &["a", "b", "c"]);
        let tags = scene.client.expect_deliveries(&["a", "b"]);
        consume(&mut higher, &name, 1, 0);
        scene.client.send(basic::nack(tags[0]).with(Flag::Requeue));
        scene.client.expect_nothing_pending(1, &name);
        higher.expect_nothing_pending(1, &name);
        scene.client.send(basic::ack(tags[1]));
        higher.expect_deliveries(&["a", "c"]);
    }),
    Row::new("71", "it goes on when the higher one has gone", |scene| {
        let kind = "quorum";
        let (name, mut higher) = (declare(scene, kind), scene.connect());
        consume(&mut scene.client, &name, 0, 1);
        scene.client.fill(&name, &["a", "b"]);
        let tags = scene.client.expect_deliveries(&["a"]);
        consume(&mut higher, &name, 1, 0);
        higher.call(basic::cancel("c"));
        scene.client.send(basic::ack(tags[0]));
        scene.client.expect_deliveries(&["b"]);
    }),
    Row::new("71", "the highest of those that wait by then takes over", |scene| {
        let kind = "quorum";
        let name = declare(scene, kind);
        let [mut high, mut highest] = [(); 2].map(|()| scene.connect());
        consume(&mut scene.client, &name, 0, 1);
        scene.client.fill(&name, &["a", "b"]);
        let tags = scene.client.expect_deliveries(&["a"]);
        consume(&mut high, &name, 1, 0);
        consume(&mut highest, &name, 2, 0);
        scene.client.send(basic::ack(tags[0]));
        highest.expect_deliveries(&["b"]);
        high.expect_nothing_pending(1, &name);
    }),
    Row::new("71", "a cancel ends its time at once, whatever it has", |scene| {
        let kind = "quorum";
        let (name, mut higher) = (declare(scene, kind), scene.connect());
        consume(&mut scene.client, &name, 0, 2);
        scene.client.fill(&name, &["a", "b", "c"]);
        scene.client.expect_deliveries(&["a", "b"]);
        consume(&mut higher, &name, 1, 0);
        scene.client.call(basic::cancel("c"));
        higher.expect_deliveries(&["c"]);
    }),
    Row::new("100", "nobody fetches from a quorum queue with one", |scene| {
        let name = declare(scene, "quorum");
        scene.client.send(basic::get(&name));
    })
    .closes_channel(
        405,
        "RESOURCE_LOCKED - cannot obtain access to locked queue '{q}' in vhost '/'. basic.get \
         operations are not supported by <<\"quorum\">> queues with single active consumer",
        basic::GET,
    ),
];

/// The active consumer is cancelled while it holds two messages, and gives the first of them back: the
/// next one gets the rest and that. Returns the queue, the next consumer, and the tags of the two.
fn take_over(scene: &mut Scene, kind: &str) -> (String, RawClient, Vec<u64>) {
    let (name, mut next) = (declare(scene, kind), scene.connect());
    consume(&mut scene.client, &name, 0, 2);
    consume(&mut next, &name, 0, 0);
    scene.client.fill(&name, &["a", "b", "c", "d"]);
    let tags = scene.client.expect_deliveries(&["a", "b"]);
    next.expect_nothing_on(1);
    scene.client.call(basic::cancel("c"));
    next.expect_deliveries(&["c", "d"]);
    scene.client.send(basic::nack(tags[0]).with(Flag::Requeue));
    next.expect_deliveries(&["a"]);
    (name, next, tags)
}

fn declare(scene: &mut Scene, kind: &str) -> String {
    let name = scene.q();
    let declare = queue::declare(&name).with(Flag::Durable).arg("x-queue-type", kind);
    scene.client.call(declare.arg("x-single-active-consumer", true));
    name
}

/// Consumes as `c`.
fn consume(client: &mut RawClient, name: &str, priority: i32, prefetch: u16) {
    client.call(basic::qos(prefetch));
    client.call(basic::consume(name, "c").arg("x-priority", priority));
}

fn follows(scene: &mut Scene, kind: &str) {
    let name = declare(scene, kind);
    let mut active = scene.connect();
    let [mut low, mut old, mut young] = [(); 3].map(|()| scene.connect());
    consume(&mut active, &name, 9, 0);
    for (client, priority) in [(&mut low, 1), (&mut old, 2), (&mut young, 2)] {
        consume(client, &name, priority, 0);
    }
    scene.client.fill(&name, &["a"]);
    active.expect_deliveries(&["a"]);
    active.close();
    old.expect_deliveries(&["a"]);
    for client in [&mut low, &mut young] {
        client.expect_nothing_pending(1, &name);
    }
}
