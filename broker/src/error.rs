//! What a client did wrong, as the AMQP replies say it.
//!
//! Every handler returns one of the two enums here, so its signature says which level of close it
//! may cause. The dispatcher
//! makes a `Failure` of them, with the channel and the ids of the method, which `session::close`
//! alone turns into a close frame. The texts are RabbitMQ's, because clients and their test suites match on them.
//! Specification: AMQP 0-9-1 §1.2 (reply codes), §4.10 (error handling).

use std::fmt;

use leveret_protocol::error::DecodeError;
use leveret_protocol::methods::Method;
use leveret_protocol::reply_code::{ReplyCode, reply_text};
use thiserror::Error;

/// What a resource is called in an error text: `queue 'q' in vhost '/'`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResourceName {
    kind: &'static str,
    name: String,
    vhost: String,
}

impl ResourceName {
    /// A queue's name.
    pub(crate) fn queue(vhost: &str, name: &str) -> Self {
        Self { kind: "queue", name: name.to_owned(), vhost: vhost.to_owned() }
    }

    /// An exchange's name; the default exchange is shown as it is.
    pub(crate) fn exchange(vhost: &str, name: &str) -> Self {
        Self { kind: "exchange", name: name.to_owned(), vhost: vhost.to_owned() }
    }
}

impl ResourceName {
    /// `queue` or `exchange`.
    pub(crate) const fn kind(&self) -> &'static str {
        self.kind
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} '{}' in vhost '{}'", self.kind, self.name, self.vhost)
    }
}

/// An error that closes one channel (`channel.close`), and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ChannelError {
    /// 404: the queue or exchange is not there.
    #[error("no {0}")]
    NotFound(ResourceName),
    /// 404: an empty queue name stands for the channel's last declared queue, and there is none.
    #[error("no previously declared queue")]
    NoPreviousQueue,
    /// 403: the user's permissions do not cover the operation.
    #[error("{permission} access to {resource} refused for user '{user}'")]
    AccessRefused {
        /// `configure`, `write` or `read`.
        permission: &'static str,
        /// What was to be touched.
        resource: ResourceName,
        /// Who asked.
        user: String,
    },
    /// 403: any other refusal; the text is complete.
    #[error("{0}")]
    Refused(String),
    /// 405: the queue belongs to another connection.
    #[error(
        "cannot obtain exclusive access to locked {0}. It could be originally declared on another \
         connection or the exclusive property value does not match that of the original declaration."
    )]
    Locked(ResourceName),
    /// 405: a quorum queue with a single active consumer is consumed from only.
    #[error(
        "cannot obtain access to locked {0}. basic.get operations are not supported by \
         <<\"quorum\">> queues with single active consumer"
    )]
    NotFetchable(ResourceName),
    /// 406: a redeclaration differs from what exists.
    #[error("inequivalent arg '{argument}' for {resource}: {difference}")]
    Inequivalent {
        /// The attribute or x-argument that differs.
        argument: String,
        /// What was declared again.
        resource: ResourceName,
        /// `received … but current is …`.
        difference: String,
    },
    /// 406: any other failed precondition; the text is complete.
    #[error("{0}")]
    Precondition(String),
    /// 406: an ack, nack or reject names a delivery tag that is not outstanding.
    #[error("unknown delivery tag {0}")]
    UnknownDeliveryTag(u64),
}

impl ChannelError {
    /// The reply code the client sees.
    pub(crate) fn reply_code(&self) -> ReplyCode {
        match self {
            Self::NotFound(_) | Self::NoPreviousQueue => ReplyCode::NOT_FOUND,
            Self::AccessRefused { .. } | Self::Refused(_) => ReplyCode::ACCESS_REFUSED,
            Self::Locked(_) | Self::NotFetchable(_) => ReplyCode::RESOURCE_LOCKED,
            Self::Inequivalent { .. } | Self::Precondition(_) | Self::UnknownDeliveryTag(_) => {
                ReplyCode::PRECONDITION_FAILED
            }
        }
    }
}

/// An error that closes the whole connection (`connection.close`).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum ConnectionError {
    /// 501, 502, 503, 505, 540 or 541: the bytes cannot be understood.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// 320: the broker ends the connection.
    #[error("{0}")]
    Forced(String),
    /// 501: a content body is longer than its header said.
    #[error("{0}")]
    Frame(String),
    /// 503: the command is not one the server takes.
    #[error("{0}")]
    CommandInvalid(String),
    /// 504: the channel is not in a state for this.
    #[error("{0}")]
    Channel(String),
    /// 505: a frame came where another kind was due.
    #[error("{0}")]
    UnexpectedFrame(String),
    /// 530: refused by rule or limit.
    #[error("{0}")]
    NotAllowed(String),
    /// 540: known to the specification, not offered.
    #[error("{0}")]
    NotImplemented(String),
    /// 541: the broker failed; the reason is in its log.
    #[error("{0}")]
    Internal(String),
    /// 403: the login failed.
    #[error("{0}")]
    AccessRefused(String),
}

impl ConnectionError {
    /// What a log says of it: never what the client sent.
    pub(crate) fn logged(&self) -> String {
        let explanation =
            if let Self::Decode(error) = self { error.without_octets() } else { self.to_string() };
        reply_text(self.reply_code(), &explanation)
    }

    /// The reply code the client sees.
    pub(crate) fn reply_code(&self) -> ReplyCode {
        match self {
            Self::Decode(error) => error.reply_code(),
            Self::Forced(_) => ReplyCode::CONNECTION_FORCED,
            Self::Frame(_) => ReplyCode::FRAME_ERROR,
            Self::CommandInvalid(_) => ReplyCode::COMMAND_INVALID,
            Self::Channel(_) => ReplyCode::CHANNEL_ERROR,
            Self::UnexpectedFrame(_) => ReplyCode::UNEXPECTED_FRAME,
            Self::NotAllowed(_) => ReplyCode::NOT_ALLOWED,
            Self::NotImplemented(_) => ReplyCode::NOT_IMPLEMENTED,
            Self::Internal(_) => ReplyCode::INTERNAL_ERROR,
            Self::AccessRefused(_) => ReplyCode::ACCESS_REFUSED,
        }
    }
}

/// Either level of error.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum AmqpError {
    /// Closes one channel.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// Closes the connection.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}

impl From<DecodeError> for AmqpError {
    fn from(error: DecodeError) -> Self {
        Self::Connection(ConnectionError::Decode(error))
    }
}

/// Which method was being carried out when it failed: the class and method id of a close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailingMethod {
    /// Class id; 0 when no method failed.
    pub class_id: u16,
    /// Method id; 0 when no method failed.
    pub method_id: u16,
}

impl FailingMethod {
    /// A method by its ids.
    pub(crate) const fn of(class_id: u16, method_id: u16) -> Self {
        Self { class_id, method_id }
    }
}

/// An error, where it arose, and in which method: what errors travel in once they left a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The channel it arose on.
    pub channel: u16,
    /// What went wrong.
    pub error: AmqpError,
    /// The method that failed; zeros when the frame was no method.
    pub method: FailingMethod,
}

impl Failure {
    /// An error of a method.
    pub(crate) fn of_method(
        channel: u16,
        error: impl Into<AmqpError>,
        method: &Method<'_>,
    ) -> Self {
        let method = FailingMethod::of(method.class_id(), method.method_id());
        Self { channel, error: error.into(), method }
    }

    /// An error that is no method's.
    pub(crate) fn of_frame(channel: u16, error: impl Into<AmqpError>) -> Self {
        Self { channel, error: error.into(), method: FailingMethod::default() }
    }
}
