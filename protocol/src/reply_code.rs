//! Reply codes (AMQP 0-9-1 §1.2) and the text that goes with them in
//! connection.close, channel.close and basic.return.

use std::fmt;

use crate::constants::REPLY_TEXT_MAX;

/// What RabbitMQ puts at the end of a text it had to cut.
const ELLIPSIS: &str = "...";

/// A reply code. Open: a peer may send any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyCode(u16);

macro_rules! reply_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, closes_connection: $hard:literal;)*) => {
        impl ReplyCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// The code's name in reply texts, as `NOT_FOUND`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($code => stringify!($name),)*
                    _ => "UNKNOWN",
                }
            }

            /// Whether an error of this code ends the connection, where one
            /// that does not ends only the channel.
            ///
            /// RabbitMQ: a code it does not know ends the connection. Where an
            /// error happens may make it harder: on channel 0 all end it.
            #[must_use]
            pub fn closes_connection(self) -> bool {
                match self.0 {
                    $($code => $hard,)*
                    _ => true,
                }
            }
        }
    };
}

reply_codes! {
    /// All went well.
    SUCCESS = 200, closes_connection: false;
    /// A content is larger than the receiver takes.
    CONTENT_TOO_LARGE = 311, closes_connection: false;
    /// A mandatory message could not be routed; only in basic.return.
    NO_ROUTE = 312, closes_connection: false;
    /// An immediate message found no consumer; only in basic.return.
    NO_CONSUMERS = 313, closes_connection: false;
    /// An operator closed the connection.
    CONNECTION_FORCED = 320, closes_connection: true;
    /// An unknown virtual host.
    INVALID_PATH = 402, closes_connection: true;
    /// Access to the entity is not permitted.
    ACCESS_REFUSED = 403, closes_connection: false;
    /// The entity does not exist.
    NOT_FOUND = 404, closes_connection: false;
    /// The entity belongs to another client.
    RESOURCE_LOCKED = 405, closes_connection: false;
    /// A condition of the request does not hold.
    PRECONDITION_FAILED = 406, closes_connection: false;
    /// A frame could not be decoded.
    FRAME_ERROR = 501, closes_connection: true;
    /// A frame had illegal values.
    SYNTAX_ERROR = 502, closes_connection: true;
    /// A method out of sequence.
    COMMAND_INVALID = 503, closes_connection: true;
    /// Work on a channel that is not open.
    CHANNEL_ERROR = 504, closes_connection: true;
    /// A frame that was not expected here.
    UNEXPECTED_FRAME = 505, closes_connection: true;
    /// The server lacks resources.
    RESOURCE_ERROR = 506, closes_connection: true;
    /// The request is prohibited.
    NOT_ALLOWED = 530, closes_connection: true;
    /// The request is not implemented.
    NOT_IMPLEMENTED = 540, closes_connection: true;
    /// The server failed.
    INTERNAL_ERROR = 541, closes_connection: true;
}

impl ReplyCode {
    /// A code as received.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.name())
    }
}

/// The reply text: `NOT_FOUND - explanation`, or the name alone when there is
/// nothing to explain.
///
/// At most [`REPLY_TEXT_MAX`] bytes, cut between characters; RabbitMQ: a cut
/// text ends in three dots.
#[must_use]
pub fn reply_text(code: ReplyCode, explanation: &str) -> String {
    if explanation.is_empty() {
        return code.name().to_owned();
    }
    let mut text = format!("{} - {explanation}", code.name());
    if text.len() > REPLY_TEXT_MAX {
        text.truncate(text.floor_char_boundary(REPLY_TEXT_MAX - ELLIPSIS.len()));
        text.push_str(ELLIPSIS);
    }
    text
}
