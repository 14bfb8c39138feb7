//! How errors become close frames: the only place that writes `channel.close` and
//! `connection.close`.
//!
//! Called by `session::Dispatch` and the handshake. An error of the connection's level, or any
//! error on channel 0, closes the connection; the rest closes one channel. The text is the reply
//! code's name, a dash and the error, cut to what a short string holds.
//! Specification: AMQP 0-9-1 §4.10.

use leveret_protocol::encoder::write_method;
use leveret_protocol::methods::{channel, connection};
use leveret_protocol::reply_code::{ReplyCode, reply_text};
use tracing::warn;

use super::context::Session;
use crate::error::{ChannelError, ConnectionError, FailingMethod};

/// Encodes a channel.close.
pub(crate) fn close_channel(
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

impl Session {
    /// The line of the log about a channel that was closed: whose, where, and for what.
    pub(super) fn say_closed(&self, channel: u16, error: &ChannelError, text: &str) {
        let (user, vhost) = (self.user_name(), self.vhost.name());
        let connection = self.handle.client().map_or("", |client| &*client.name);
        let is_refused = error.reply_code() == ReplyCode::ACCESS_REFUSED;
        let why = self.take_why().filter(|_| is_refused);
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let event = if is_refused { "permission.refused" } else { "channel.closed" };
        warn!(
            event,
            connection,
            channel,
            user,
            vhost,
            "error on AMQP connection ({connection}, vhost: '{vhost}', user: '{user}'), \
             channel {channel}: {text}{why}"
        );
    }
}

/// Encodes a connection.close, and says what belongs into the log.
pub(crate) fn close_connection(
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
    error.logged()
}
