//! Why an exchange is not declared or a binding not made, in RabbitMQ's words.
//!
//! Raised by the exchange types when their arguments are checked; `vhost::topology` tells them to
//! clients as `PRECONDITION_FAILED` (406), which ends the channel.

/// Why a binding is refused: `PRECONDITION_FAILED` (406), a channel error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// `x-match` names no mode.
    #[error("Invalid x-match field value {value}; expected all, any, all-with-x, or any-with-x")]
    InvalidMatch {
        /// The value as RabbitMQ prints it.
        value: String,
    },
    /// `x-match` is not a long string.
    #[error("Invalid x-match field type {type_name} (value {value}); expected longstr")]
    InvalidMatchType {
        /// RabbitMQ's name of the type it has.
        type_name: &'static str,
        /// The value as RabbitMQ prints it.
        value: String,
    },
    /// A weight that is no number.
    #[error("The binding key must be an integer: {key}")]
    WeightNotInteger {
        /// The binding key as RabbitMQ prints it.
        key: String,
    },
    /// A weight of nothing or less.
    #[error("The binding key must be greater than 0")]
    WeightNotPositive,
    /// A weight above the limit.
    #[error("The binding key must not exceed {most}")]
    WeightTooLarge {
        /// The limit.
        most: u16,
    },
}

/// Why a new exchange is refused: `PRECONDITION_FAILED` (406), a channel error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclareError {
    /// A header and a property are to be hashed.
    #[error("hash-header and hash-property are mutually exclusive")]
    TwoHashed,
    /// `hash-property` names none of those that can be hashed.
    #[error("Unsupported property: {name}")]
    UnknownProperty {
        /// What it names.
        name: String,
    },
    /// An argument that names something is not a long string. RabbitMQ breaks off the connection
    /// with 541 here, without a text.
    #[error("invalid type '{type_name}' for arg '{argument}'")]
    NotText {
        /// The argument.
        argument: &'static str,
        /// RabbitMQ's name of the type it has.
        type_name: &'static str,
    },
    /// `x-delayed-type` names no kind of exchange.
    #[error("Invalid argument, 'x-delayed-type' must be an existing exchange type")]
    NoDelayedType,
    /// `x-recent-history-length` is no number of messages.
    #[error("Invalid argument {value}, 'x-recent-history-length' must be a positive integer")]
    InvalidHistoryLength {
        /// The value as RabbitMQ prints it.
        value: String,
    },
}
