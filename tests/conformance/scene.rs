//! What a row's script works with: a connected client, names nobody else uses, and the broker.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use leveret_tests::broker_under_test::{Broker, BrokerUnderTest};
use leveret_tests::raw_client::method::{connection, exchange, queue};
use leveret_tests::raw_client::{Flag, RawClient};

use crate::row::Expectation;
use crate::users;

/// A script's surroundings.
pub(crate) struct Scene {
    /// A client of the broker with channel 1 open.
    pub(crate) client: RawClient,
    /// The broker.
    pub(crate) broker: Broker,
    prefix: String,
    names: RefCell<Vec<String>>,
    kept: Vec<RawClient>,
}

impl Scene {
    /// Connects to `broker`.
    pub(crate) fn new(broker: Broker) -> Self {
        static SCENES: AtomicU32 = AtomicU32::new(0);
        let number = SCENES.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("t{}-{number}-", std::process::id());
        Self {
            client: broker.connect(),
            broker,
            prefix,
            names: RefCell::default(),
            kept: Vec::new(),
        }
    }

    /// This scene's name for `word`: an exchange or queue called so is deleted at the end.
    pub(crate) fn name(&self, word: &str) -> String {
        let name = format!("{}{word}", self.prefix);
        let mut names = self.names.borrow_mut();
        if !names.contains(&name) {
            names.push(name.clone());
        }
        name
    }

    /// The name of the scene's queue.
    pub(crate) fn q(&self) -> String {
        self.name("q")
    }

    /// The name of the scene's exchange.
    pub(crate) fn x(&self) -> String {
        self.name("x")
    }

    /// Declares the scene's queue, durable, and gives its name.
    pub(crate) fn queue(&mut self) -> String {
        let name = self.q();
        self.client.declare_queue(&name);
        name
    }

    /// Declares the scene's exchange, durable, and gives its name.
    pub(crate) fn exchange(&mut self, kind: &str) -> String {
        let name = self.x();
        self.client.declare_exchange(&name, kind);
        name
    }

    /// Declares the scene's exchange, and binds a queue to it.
    pub(crate) fn exchange_bound(&mut self, kind: &str, queue: &str, binding_key: &str) -> String {
        let name = self.exchange(kind);
        self.client.call(queue::bind(queue, &name, binding_key));
        name
    }

    /// Another client with channel 1 open.
    pub(crate) fn connect(&self) -> RawClient {
        self.broker.connect()
    }

    /// Keeps another client connected until the row ends.
    pub(crate) fn keep(&mut self, client: RawClient) {
        self.kept.push(client);
    }

    /// Replaces each `{word}` of `text` by the scene's name for it.
    fn fill_in(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, word, after)) = first_word_in_braces(rest) {
            filled.push_str(before);
            filled.push_str(&self.name(word));
            rest = after;
        }
        filled.push_str(rest);
        filled.truncate(255);
        filled
    }

    /// Waits for what must follow the script.
    pub(crate) fn check(&mut self, expect: Expectation) {
        match expect {
            Expectation::Holds => {}
            Expectation::ChannelClose { channel, code, text, cause } => {
                let text = self.fill_in(text);
                self.client.expect_channel_close(channel, code, &text, cause);
                self.client.open_channel(channel);
            }
            Expectation::ConnectionClose { code, text, cause } => {
                let text = self.fill_in(text);
                self.client.expect_connection_close(code, &text, cause);
            }
            Expectation::ConnectionCode { code } => {
                let close = self.client.expect(connection::CLOSE).close();
                assert_eq!(close.code, code, "{close:?}");
            }
            Expectation::Drop { within } => self.client.expect_socket_closed(within),
        }
    }

    /// Deletes what carries the scene's names.
    pub(crate) fn clean_up(self) {
        drop((self.client, self.kept));
        let mut janitor = self.broker.connect();
        for name in self.names.into_inner() {
            janitor.send(queue::delete(&name).with(Flag::NoWait));
            janitor.send(exchange::delete(&name).with(Flag::NoWait));
        }
        janitor.close();
    }
}

/// Splits at the first `{word}`; other braces, as in Erlang terms, are left alone.
fn first_word_in_braces(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find('{')?;
        let close = open + text[open..].find('}')?;
        let word = &text[open + 1..close];
        if !word.is_empty()
            && word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
        {
            return Some((&text[..open], word, &text[close + 1..]));
        }
        from = open + 1;
    }
}

/// The broker that most rows share, once the first has asked for it.
static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

struct Shared {
    broker: Broker,
    /// Nothing when the broker is the peer.
    started: Option<BrokerUnderTest>,
}

/// The broker that most rows share; started when the first row asks for it.
pub(crate) fn shared_broker() -> Broker {
    let start = || {
        if let Some(broker) = Broker::peer() {
            return Shared { broker, started: None };
        }
        let started = users::broker();
        Shared { broker: started.broker(), started: Some(started) }
    };
    let mut shared = SHARED.lock().expect("a broker that does not start fails every row");
    shared.get_or_insert_with(start).broker.clone()
}

/// Ends the shared broker, if it was started here, and removes its data.
pub(crate) fn stop_shared_broker() {
    let shared = SHARED.lock().ok().and_then(|mut shared| shared.take());
    drop(shared.and_then(|shared| shared.started));
}
