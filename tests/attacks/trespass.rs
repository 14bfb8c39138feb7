//! Clients that reach for what is not theirs: vhosts, exclusive queues, reply queues.

use leveret_tests::broker_under_test::Broker;
use leveret_tests::raw_client::method::{Method, basic, channel, connection, queue};
use leveret_tests::raw_client::{Flag, Handshake, Message, RawClient};

use crate::field::{Attack, while_it_lasts};

/// What another connection may not do to an exclusive queue.
fn reaches_for(queue: &str) -> [Method; 7] {
    [
        queue::declare(queue).with(Flag::Exclusive),
        queue::declare(queue).with(Flag::Passive),
        queue::bind(queue, "amq.direct", "key"),
        queue::purge(queue),
        queue::delete(queue),
        basic::consume(queue, "mine"),
        basic::get(queue),
    ]
}

fn expect_locked(client: &mut RawClient, method: Method) {
    client.send(method);
    let close = client.expect(channel::CLOSE).close();
    assert_eq!(close.code, 405, "{close:?}");
    client.send(channel::close_ok());
    client.open_channel(1);
}

/// A vhost that there is not, and one that the user may not enter, are refused alike.
fn knock(broker: &Broker, user: &str, vhost: &str) -> u16 {
    let mut client = broker.socket();
    let handshake = Handshake { vhost: vhost.to_owned(), ..Handshake::plain(user, "secret") };
    client.authenticate(&handshake);
    client.send(connection::open(vhost));
    client.expect(connection::CLOSE).close().code
}

#[test]
fn what_belongs_to_others() {
    let config = "default_users.stranger.password = secret\n\
                  default_users.stranger.vhost_pattern = ^nowhere$\n";
    let attack = Attack { name: "trespass", config, memory_mib: 256 };
    attack.run(|_, broker| {
        let mut owner = broker.connect();
        owner.call(queue::declare("own").with(Flag::Exclusive));
        owner.call(basic::consume("amq.rabbitmq.reply-to", "replies").with(Flag::NoAck));
        let mut other = broker.connect();
        let deadline = while_it_lasts("trespass");
        let mut rounds = 0_u64;
        while !deadline.has_passed() {
            for method in reaches_for("own") {
                expect_locked(&mut other, method);
            }
            // A reply queue that nobody was told of.
            let guessed = format!("amq.rabbitmq.reply-to.{rounds:032x}");
            other.publish(&Message::to_queue(&guessed).body("mine").with(Flag::Mandatory));
            other.expect_return();
            assert_eq!(knock(broker, "stranger", "/"), 530);
            assert_eq!(knock(broker, "stranger", "elsewhere"), 530);
            rounds += 1;
        }
        println!("{rounds} rounds of trespass");
        owner.expect_nothing_pending(1, "own");
        owner.close();
        other.close();
    });
}
