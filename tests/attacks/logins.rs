//! Passwords that are guessed.

use std::thread;

use leveret_tests::broker_under_test::Broker;
use leveret_tests::deadline::join_scoped;
use leveret_tests::raw_client::Handshake;
use leveret_tests::raw_client::method::connection;

use crate::field::{Attack, while_it_lasts};

/// Guessers at once.
const GUESSERS: usize = 8;

/// One guess; the broker says no, or hangs up.
fn guess(broker: &Broker, user: &str, password: &str) {
    let mut client = broker.socket();
    client.greet();
    client.start_ok(&Handshake::plain(user, password));
    let close = client.expect(connection::CLOSE).close();
    assert_eq!(close.code, 403, "{close:?}");
}

/// Of users that there are and of others, each with a password of its own, from the address that the
/// bystander and everybody else come from.
#[test]
fn wrong_passwords_by_the_thousand() {
    let attack = Attack { name: "wrong passwords", config: "", memory_mib: 256 };
    attack.run(|under_test, broker| {
        let deadline = while_it_lasts("guessing");
        let guesses = thread::scope(|scope| {
            let guess_on = |guesser: usize| {
                let mut guesses = 0;
                while !deadline.has_passed() {
                    let user = if guesses % 2 == 0 { "guest" } else { &format!("nobody{guesser}") };
                    guess(broker, user, &format!("password {guesser} {guesses}"));
                    guesses += 1;
                }
                guesses
            };
            let guessers: Vec<_> =
                (0..GUESSERS).map(|guesser| scope.spawn(move || guess_on(guesser))).collect();
            // Who knows the password comes in meanwhile.
            broker.connect().close();
            guessers.into_iter().map(|one| join_scoped("a guesser", one)).sum::<usize>()
        });
        println!("{guesses} guesses");
        assert!(guesses > GUESSERS, "they were held up for ever");
        broker.connect().close();
        assert!(!under_test.printed().contains("password "), "a password is in the log");
    });
}
