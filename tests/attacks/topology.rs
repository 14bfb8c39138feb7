//! Exchanges and bindings without number: a million bindings, rings and chains.

use leveret_tests::raw_client::method::{Method, exchange, queue};
use leveret_tests::raw_client::{Flag, Message, RawClient};

use crate::field::{Attack, sized};

/// Sends these without awaiting any; all have taken effect when it returns.
fn in_a_row(client: &mut RawClient, methods: impl Iterator<Item = Method>) {
    let mut bytes = Vec::new();
    for method in methods {
        bytes.extend(method.with(Flag::NoWait).frame());
        if bytes.len() > 1 << 16 {
            client.send_bytes(&bytes);
            bytes.clear();
        }
    }
    client.send_bytes(&bytes);
    client.call(queue::declare("end").with(Flag::Exclusive));
}

#[test]
fn a_million_bindings() {
    let attack = Attack { name: "1,000,000 bindings", config: "", memory_mib: sized(256, 1536) };
    attack.run(|_, broker| {
        let mut client = broker.connect();
        client.call(exchange::declare("bound", "topic"));
        client.call(queue::declare("bound").with(Flag::Exclusive));
        let bind = |number| queue::bind("bound", "bound", &format!("a.{number}.#"));
        in_a_row(&mut client, (0..sized(10_000, 1_000_000)).map(bind));
        client.publish(&Message::to("bound", "a.77.b").body("found"));
        assert_eq!(client.get("bound").text(), "found");
        // Half go with their queue, the others with their exchange.
        client.call(queue::declare("half").with(Flag::Exclusive));
        let bind = |number| queue::bind("half", "bound", &format!("{number}"));
        in_a_row(&mut client, (0..sized(10_000, 100_000)).map(bind));
        client.call(queue::delete("half"));
        client.call(exchange::delete("bound"));
        client.close();
    });
}

/// A ring of exchanges that all lead on, and a chain that ends in a queue, each published through.
#[test]
fn rings_and_chains_of_exchanges() {
    let attack = Attack { name: "rings and chains", config: "", memory_mib: 256 };
    attack.run(|_, broker| {
        let mut client = broker.connect();
        let count: usize = sized(500, 5000);
        let name = |number: usize| format!("ring-{}", number % count);
        let declare = |number| exchange::declare(&name(number), "fanout").with(Flag::AutoDelete);
        in_a_row(&mut client, (0..count).map(declare));
        client.call(queue::declare("last").with(Flag::Exclusive));
        let bind = |number| exchange::bind(&name(number + 1), &name(number), "");
        in_a_row(&mut client, (0..count - 1).map(bind));
        client.call(queue::bind("last", &name(count - 1), ""));
        for number in 0..50 {
            client.publish(&Message::to(&name(0), "").body(number.to_string()));
        }
        // The chain is closed to a ring: a message goes around it once.
        in_a_row(&mut client, std::iter::once(exchange::bind(&name(0), &name(count - 1), "")));
        for number in 50..100 {
            client.publish(&Message::to(&name(number * 7), "").body(number.to_string()));
        }
        let bodies: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(client.drain("last"), bodies);
        client.call(exchange::unbind(&name(0), &name(count - 1), ""));
        // With its last binding each goes, and the one before it.
        client.call(queue::delete("last"));
        client.close();
    });
}
