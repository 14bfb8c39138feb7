//! As many of everything as the protocol can number, on one connection.

use leveret_tests::raw_client::Message;
use leveret_tests::raw_client::method::{basic, channel, queue};

use crate::field::{Attack, sized};

#[test]
fn as_many_channels_as_there_are_numbers() {
    let config = "channel_max = 65535\n";
    let attack = Attack { name: "65,535 channels", config, memory_mib: sized(256, 512) };
    attack.run(|_, broker| {
        let mut client = broker.connect();
        let last: u16 = sized(6000, 65_535);
        for first in (2..=last).step_by(1000) {
            let some = first..=first.saturating_add(999).min(last);
            let opens: Vec<u8> =
                some.clone().flat_map(|number| channel::open(number).frame()).collect();
            client.send_bytes(&opens);
            for number in some {
                client.expect_from(number, channel::OPEN_OK);
            }
        }
        client.round_trip(b"on the first of many");
        // Half of them are closed, the others go with the connection.
        for number in (2..=last / 2).step_by(2) {
            client.send_bytes(&channel::close().on(number).frame());
        }
        for number in (2..=last / 2).step_by(2) {
            client.expect_from(number, channel::CLOSE_OK);
        }
        client.close();
    });
}

#[test]
fn a_hundred_thousand_consumers() {
    let attack = Attack { name: "100,000 consumers", config: "", memory_mib: sized(256, 512) };
    attack.run(|_, broker| {
        let count: usize = sized(3000, 100_000);
        let mut client = broker.connect();
        client.call(queue::declare("crowd"));
        client.call(basic::qos(1));
        for first in (0..count).step_by(1000) {
            let consume = |number| basic::consume("crowd", &format!("c{number}")).frame();
            client.send_bytes(&(first..first + 1000).flat_map(consume).collect::<Vec<_>>());
            for _ in 0..1000 {
                client.expect(basic::CONSUME_OK);
            }
        }
        let mut publisher = broker.connect();
        for _ in 0..count / 1000 {
            publisher
                .send_bytes(&Message::to_queue("crowd").body("x").encode(131_072).repeat(1000));
        }
        for _ in 0..count {
            client.expect_delivery();
        }
        // Half are cancelled one by one, the others go with their channel.
        let cancel = |number| basic::cancel(&format!("c{number}")).frame();
        client.send_bytes(&(0..count / 2).flat_map(cancel).collect::<Vec<_>>());
        for _ in 0..count / 2 {
            client.expect(basic::CANCEL_OK);
        }
        client.reset();
        publisher.expect_count("crowd", u32::try_from(count).expect("not that many"));
        publisher.call(queue::delete("crowd"));
        publisher.close();
    });
}
