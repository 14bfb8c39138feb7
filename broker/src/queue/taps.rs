//! What the firehose is told: messages that were published or delivered where their vhost is traced.
//!
//! Noted by `channel::publish`, by `hand_over` and by `basic.get`, carried with the effects of whoever
//! did it, and published by the vhost (`vhost::trace`) once no lock is held. Stays true: a message of
//! the firehose is not traced itself, so that none leads to another.
//!
//! See RabbitMQ's page on the firehose.

use std::sync::Arc;

use leveret_protocol::types::FieldValue;

use super::Queue;
use crate::message::Message;
use crate::outgoing::ConnectionHandle;

/// Where traced messages are published, in every vhost.
pub(crate) const TRACE_EXCHANGE: &str = "amq.rabbitmq.trace";
/// The exchange from which a message came that died first.
const FIRST_DEATH: &str = "x-first-death-exchange";

/// A message and the client that published it or got it.
#[derive(Debug)]
pub(crate) struct Tap {
    /// The client's connection.
    pub connection: Arc<ConnectionHandle>,
    /// The channel's number.
    pub channel: u16,
    /// The message.
    pub message: Message,
}

/// What was delivered from a queue, and whether for another time.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// The queue.
    pub queue: Arc<Queue>,
    /// The messages.
    pub taps: Vec<(Tap, bool)>,
}

/// Whether the firehose made a message, or it died of one that it made.
pub(crate) fn is_of_firehose(message: &Message) -> bool {
    let first = || {
        let first = message.headers().and_then(|headers| headers.get(FIRST_DEATH));
        first.as_ref().and_then(FieldValue::as_str) == Some(TRACE_EXCHANGE)
    };
    message.exchange() == TRACE_EXCHANGE.as_bytes() || message.has_deaths() && first()
}
