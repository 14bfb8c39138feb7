//! What can be wrong with received bytes. Raised by the decoder and the
//! payload parsers, turned into a connection.close by the broker: every error
//! here ends the connection. `Display` is RabbitMQ's explanation word for
//! word, where it gives one; [`reply_text`](crate::reply_code::reply_text) puts
//! the code's name before it.

use crate::constants::{BODY_SIZE_MAX, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD};
use crate::reply_code::ReplyCode;

mod erlang_term;

pub use erlang_term::Snippet;
use erlang_term::{BinaryNumbers, Complaint, FrameReport};

/// Received bytes that are not AMQP 0-9-1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A frame announced more payload than was negotiated.
    #[error("type {frame_type}, all octets = <<>>: {{frame_too_large,{size},{max}}}")]
    FrameTooLarge {
        /// The type octet.
        frame_type: u8,
        /// Octets of payload announced.
        size: u32,
        /// Octets of payload allowed.
        max: u32,
    },

    /// A frame did not end in 0xCE.
    #[error("{}", FrameReport { frame_type: *frame_type, payload, complaint: Complaint::WrongEnd(*end) })]
    InvalidFrameEnd {
        /// The type octet.
        frame_type: u8,
        /// The beginning of the payload.
        payload: Snippet,
        /// The octet found instead.
        end: u8,
    },

    /// A frame of a type that AMQP does not have.
    #[error("{}", FrameReport { frame_type: *frame_type, payload, complaint: Complaint::Unknown })]
    UnknownFrameType {
        /// The type octet.
        frame_type: u8,
        /// The beginning of the payload.
        payload: Snippet,
    },

    /// A frame of a kind that its channel does not take: content on channel 0, or
    /// a heartbeat elsewhere.
    #[error("{}", FrameReport { frame_type: *frame_type, payload, complaint: Complaint::None })]
    MisplacedFrame {
        /// The type octet.
        frame_type: u8,
        /// The beginning of the payload.
        payload: Snippet,
    },

    /// A method frame too short for class and method.
    #[error("{}", FrameReport { frame_type: FRAME_METHOD, payload, complaint: Complaint::Unknown })]
    ShortMethod {
        /// The whole payload.
        payload: Snippet,
    },

    /// A content header frame too short for class, weight and body size.
    #[error("{}", FrameReport { frame_type: FRAME_HEADER, payload, complaint: Complaint::Unknown })]
    ShortContentHeader {
        /// The whole payload.
        payload: Snippet,
    },

    /// A heartbeat that carries a payload.
    #[error("{}", FrameReport { frame_type: FRAME_HEARTBEAT, payload, complaint: Complaint::Unknown })]
    HeartbeatPayload {
        /// The beginning of the payload.
        payload: Snippet,
    },

    /// Arguments that end early, or go on after the last one.
    #[error("cannot decode {}", BinaryNumbers(arguments))]
    MalformedArguments {
        /// The class whose method it is.
        class_id: u16,
        /// The method within the class.
        method_id: u16,
        /// The arguments as received.
        arguments: Box<[u8]>,
    },

    /// A class or method that AMQP does not have.
    #[error("unknown method {{{class},{method}}}")]
    UnknownMethod {
        /// The class as received.
        class: u16,
        /// The method as received.
        method: u16,
    },

    /// A short string that is not UTF-8.
    #[error("Malformed UTF-8 in shortstr")]
    MalformedUtf8,

    /// A field table whose octets do not form one.
    #[error("malformed field table")]
    MalformedTable,

    /// A field table nested deeper than [`TABLE_DEPTH_MAX`](crate::types::TABLE_DEPTH_MAX).
    #[error("field table nested too deeply")]
    TableTooDeep,

    /// Properties that do not match their flags.
    #[error("malformed content properties")]
    MalformedProperties,

    /// A content header of another class than the method before it.
    #[error("expected content header for class {expected}, got one for class {received} instead")]
    ContentHeaderClass {
        /// The class of the method.
        expected: u16,
        /// The class in the header.
        received: u16,
    },

    /// A content header whose weight is not zero.
    #[error("expected content header for class {expected}, got non content header frame instead")]
    ContentHeaderWeight {
        /// The class of the method.
        expected: u16,
    },

    /// A content header that announces more than [`BODY_SIZE_MAX`].
    #[error("content body size {size} exceeds maximum allowed size {BODY_SIZE_MAX}")]
    ContentTooLarge {
        /// Octets announced.
        size: u64,
    },
}

impl DecodeError {
    /// What is wrong, without octets that the peer sent: they may be those of a password or of a
    /// message, and do not belong into a log.
    #[must_use]
    pub fn without_octets(&self) -> String {
        match self {
            Self::InvalidFrameEnd { frame_type, .. } => {
                format!("a frame of type {frame_type} does not end with 206")
            }
            Self::UnknownFrameType { frame_type, .. } => format!("no frame has type {frame_type}"),
            Self::MisplacedFrame { frame_type, .. } => {
                format!("a frame of type {frame_type} came where none was due")
            }
            Self::ShortMethod { .. } => "a method frame without a method".to_owned(),
            Self::ShortContentHeader { .. } => "a content header that is too short".to_owned(),
            Self::HeartbeatPayload { .. } => "a heartbeat with a payload".to_owned(),
            Self::MalformedArguments { class_id, method_id, .. } => {
                format!("cannot decode the arguments of method {{{class_id},{method_id}}}")
            }
            Self::FrameTooLarge { .. }
            | Self::UnknownMethod { .. }
            | Self::MalformedUtf8
            | Self::MalformedTable
            | Self::TableTooDeep
            | Self::MalformedProperties
            | Self::ContentHeaderClass { .. }
            | Self::ContentHeaderWeight { .. }
            | Self::ContentTooLarge { .. } => self.to_string(),
        }
    }

    /// The code to close the connection with.
    #[must_use]
    pub fn reply_code(&self) -> ReplyCode {
        match self {
            Self::FrameTooLarge { .. }
            | Self::InvalidFrameEnd { .. }
            | Self::UnknownFrameType { .. }
            | Self::ShortMethod { .. }
            | Self::ShortContentHeader { .. }
            | Self::HeartbeatPayload { .. }
            | Self::MalformedArguments { .. }
            | Self::MalformedUtf8
            | Self::ContentTooLarge { .. } => ReplyCode::FRAME_ERROR,
            Self::MisplacedFrame { .. }
            | Self::ContentHeaderClass { .. }
            | Self::ContentHeaderWeight { .. } => ReplyCode::UNEXPECTED_FRAME,
            // RabbitMQ: its parser crashes on these, which is an internal error.
            Self::UnknownMethod { .. }
            | Self::MalformedTable
            | Self::TableTooDeep
            | Self::MalformedProperties => ReplyCode::INTERNAL_ERROR,
        }
    }

    /// The class and method to name in the close, where RabbitMQ names them.
    #[must_use]
    pub fn method(&self) -> Option<(u16, u16)> {
        if let Self::MalformedArguments { class_id, method_id, .. } = self {
            Some((*class_id, *method_id))
        } else {
            None
        }
    }
}

/// What is wrong inside a payload: the parsers' own small error, which becomes
/// a [`DecodeError`] where the whole payload is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A value ends early, or octets are left over.
    Length,
    /// A short string is not UTF-8.
    Utf8,
    /// A table has an unknown tag, or a value that cuts across its end.
    Table,
    /// A table is nested too deeply.
    Depth,
}

impl Malformed {
    /// The error for arguments of this class and method.
    #[must_use]
    #[cold]
    #[inline(never)]
    pub fn in_arguments(self, class_id: u16, method_id: u16, arguments: &[u8]) -> DecodeError {
        match self {
            Self::Length => {
                DecodeError::MalformedArguments { class_id, method_id, arguments: arguments.into() }
            }
            Self::Utf8 => DecodeError::MalformedUtf8,
            Self::Table => DecodeError::MalformedTable,
            Self::Depth => DecodeError::TableTooDeep,
        }
    }

    /// The error for a table on its own.
    #[must_use]
    #[cold]
    pub fn in_table(self) -> DecodeError {
        match self {
            Self::Length | Self::Utf8 | Self::Table => DecodeError::MalformedTable,
            Self::Depth => DecodeError::TableTooDeep,
        }
    }

    /// The error for content properties.
    #[must_use]
    #[cold]
    pub fn in_properties(self) -> DecodeError {
        match self {
            Self::Length | Self::Utf8 => DecodeError::MalformedProperties,
            Self::Table => DecodeError::MalformedTable,
            Self::Depth => DecodeError::TableTooDeep,
        }
    }
}

impl<I> nom::error::ParseError<I> for Malformed {
    fn from_error_kind(_: I, _: nom::error::ErrorKind) -> Self {
        Self::Length
    }

    fn append(_: I, _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

impl From<nom::Err<Self>> for Malformed {
    fn from(error: nom::Err<Self>) -> Self {
        match error {
            nom::Err::Error(malformed) | nom::Err::Failure(malformed) => malformed,
            nom::Err::Incomplete(_) => Self::Length,
        }
    }
}

#[cfg(test)]
mod tests;
