//! How errors become close frames: the only place that writes `channel.close` and
//! `connection.close`.
//!
//! Called by `connection::dispatch` and the handshake. An error of the connection's level, or any
//! error on channel 0, closes the connection; the rest closes one channel. The text is the reply
//! code's name, a dash and the error, cut to what a short string holds.
//! Specification: AMQP 0-9-1 §4.10.

use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::{channel, connection};
use leveret_protocol::reply_code::reply_text;

use crate::error::{AmqpError, ChannelError, ConnectionError, FailingMethod};

/// An error, where it arose, and in which method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The channel it arose on.
    pub channel: u16,
    /// What went wrong.
    pub error: AmqpError,
    /// The method that failed; zeros when the frame was no method.
    pub method: FailingMethod,
}

impl Failure {
    /// An error that is no method's.
    pub fn of_frame(channel: u16, error: impl Into<AmqpError>) -> Self {
        Self { channel, error: error.into(), method: FailingMethod::default() }
    }

    /// An error of a method.
    pub fn of_method(channel: u16, error: impl Into<AmqpError>, method: FailingMethod) -> Self {
        Self { channel, error: error.into(), method }
    }
}

/// Encodes a channel.close.
pub fn close_channel(
    out: &mut Vec<u8>,
    number: u16,
    error: &ChannelError,
    method: FailingMethod,
) -> String {
    let text = reply_text(error.reply_code(), &error.to_string());
    let close = channel::Close {
        reply_code: error.reply_code().get(),
        reply_text: &text,
        class_id: method.class_id,
        method_id: method.method_id,
    };
    write_method(out, number, &close);
    text
}

/// Encodes a connection.close.
pub fn close_connection(
    out: &mut Vec<u8>,
    error: &ConnectionError,
    method: FailingMethod,
) -> String {
    let text = reply_text(error.reply_code(), &error.to_string());
    let close = connection::Close {
        reply_code: error.reply_code().get(),
        reply_text: &text,
        class_id: method.class_id,
        method_id: method.method_id,
    };
    write_method(out, 0, &close);
    text
}
