//! A row: one claim about what a broker does, with the number of the rule it comes from.
//!
//! The numbers are those of the semantics checklist this project was designed from; `main` checks
//! that every rule of the protocol's core has a row. The claims are RabbitMQ 4.x's behaviour and
//! texts, and Leveret's where it is deliberately kinder. Where RabbitMQ 3.10, which is the release
//! at hand to run the rows against, does something else, the row says what and why.

use std::time::Duration;

use leveret_tests::raw_client::method::MethodId;

use crate::scene::Scene;

/// What a row does.
pub(crate) type Script = fn(&mut Scene);

/// What must follow the script on the scene's client.
///
/// In texts `{word}` stands for the scene's name for `word`, see [`Scene::name`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expectation {
    /// Nothing: the script made its own assertions.
    Holds,
    /// The broker closes a channel, and no more than the channel.
    ChannelClose { channel: u16, code: u16, text: &'static str, cause: MethodId },
    /// The broker closes the connection and says why.
    ConnectionClose { code: u16, text: &'static str, cause: MethodId },
    /// The broker closes the connection with this code; the text is not RabbitMQ's to give.
    ConnectionCode { code: u16 },
    /// The broker closes the socket without a word.
    Drop { within: Duration },
}

/// Which broker a row can be put to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Any that listens.
    AnyBroker,
    /// One that is started with a configuration of the row's own, or is stopped, or is killed.
    PrivateBroker,
    /// One that has the users of [`crate::users`].
    Users,
    /// One that has exchanges of this type, which in RabbitMQ may be a plugin's.
    ExchangeType(&'static str),
    /// Leveret: the row is about what only it has.
    Leveret,
    /// One that tells of what happens in it, which in RabbitMQ is a plugin's doing.
    Events,
}

/// What RabbitMQ 3.10 does instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deviation {
    /// The script for it, where the same script does not do.
    pub(crate) script: Option<Script>,
    /// What must follow.
    pub(crate) expect: Expectation,
    /// Why Leveret does otherwise.
    pub(crate) reason: &'static str,
}

/// One claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Numbers of the rules, separated by spaces; none for what no rule says.
    pub(crate) cites: &'static str,
    /// The claim.
    pub(crate) name: &'static str,
    /// What is done to see it.
    pub(crate) script: Script,
    /// What must follow.
    pub(crate) expect: Expectation,
    /// The broker it needs.
    pub(crate) needs: Needs,
    /// What RabbitMQ 3.10 does instead, if it does.
    pub(crate) peer: Option<Deviation>,
}

impl Row {
    /// A claim that the script asserts by itself.
    pub(crate) const fn new(cites: &'static str, name: &'static str, script: Script) -> Self {
        let expect = Expectation::Holds;
        Self { cites, name, script, expect, needs: Needs::AnyBroker, peer: None }
    }

    /// The same of what only Leveret has, and no rule says.
    pub(crate) const fn ours(name: &'static str, script: Script) -> Self {
        Self::new("", name, script).needs(Needs::Leveret)
    }

    /// The script ends with what makes the broker close channel 1.
    pub(crate) const fn closes_channel(
        self,
        code: u16,
        text: &'static str,
        cause: MethodId,
    ) -> Self {
        Self { expect: channel_close(code, text, cause), ..self }
    }

    /// The script ends with what makes the broker close the connection.
    pub(crate) const fn closes_connection(
        self,
        code: u16,
        text: &'static str,
        cause: MethodId,
    ) -> Self {
        Self { expect: connection_close(code, text, cause), ..self }
    }

    /// The script ends with what makes the broker close the socket silently.
    pub(crate) const fn drops_within(self, seconds: u64) -> Self {
        Self { expect: Expectation::Drop { within: Duration::from_secs(seconds) }, ..self }
    }

    /// The script ends with what makes this happen.
    pub(crate) const fn expects(self, expect: Expectation) -> Self {
        Self { expect, ..self }
    }

    /// The row needs more than a broker that listens.
    pub(crate) const fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// On RabbitMQ 3.10 the same script is followed by something else.
    pub(crate) const fn on_3_10(self, expect: Expectation, reason: &'static str) -> Self {
        Self { peer: Some(Deviation { script: None, expect, reason }), ..self }
    }

    /// On RabbitMQ 3.10 another script holds.
    pub(crate) const fn on_3_10_instead(self, script: Script, reason: &'static str) -> Self {
        let deviation = Deviation { script: Some(script), expect: Expectation::Holds, reason };
        Self { peer: Some(deviation), ..self }
    }
}

/// Channel 1 is closed.
pub(crate) const fn channel_close(code: u16, text: &'static str, cause: MethodId) -> Expectation {
    Expectation::ChannelClose { channel: 1, code, text, cause }
}

/// The connection is closed.
pub(crate) const fn connection_close(
    code: u16,
    text: &'static str,
    cause: MethodId,
) -> Expectation {
    Expectation::ConnectionClose { code, text, cause }
}
