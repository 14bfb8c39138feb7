//! The types of the settings of the log, as `types` has those of all others.

use std::path::PathBuf;

use super::types::{Type, level};

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Time, level and a sentence, as RabbitMQ has them.
    #[default]
    Plaintext,
    /// An object of JSON.
    Json,
}

/// How the time of a line is written; always UTC, with microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// RFC 3339 with a space between date and time.
    #[default]
    Rfc3339Space,
    /// RFC 3339 with a T.
    Rfc3339T,
    /// Seconds since the Unix epoch.
    EpochSecs,
    /// Microseconds since the Unix epoch.
    EpochUsecs,
}

/// What a line is about. RabbitMQ's categories, as far as there is something to tell of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogCategory {
    /// Connections from their first byte to their last, TLS and proxies with them.
    Connection,
    /// Channels, and methods that were refused.
    Channel,
    /// Queues and their messages.
    Queue,
    /// Users and their rights.
    User,
    /// Everything else.
    Default,
}

impl LogCategory {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Connection, Self::Channel, Self::Queue, Self::User, Self::Default];

    /// RabbitMQ's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Channel => "channel",
            Self::Queue => "queue",
            Self::User => "user",
            Self::Default => "default",
        }
    }
}

pub(super) const LOG_LEVEL: Type<String> = Type {
    name: "debug, info, notice, warning, error, critical or none",
    parse: |text| level(text).map(str::to_owned),
};

pub(super) const LOG_FORMAT: Type<LogFormat> = Type {
    name: "plaintext or json",
    parse: |text| match text {
        "plaintext" => Some(LogFormat::Plaintext),
        "json" => Some(LogFormat::Json),
        _ => None,
    },
};

pub(super) const TIME_FORMAT: Type<TimeFormat> = Type {
    name: "rfc3339_space, rfc3339_T, epoch_secs or epoch_usecs",
    parse: |text| match text {
        "rfc3339_space" => Some(TimeFormat::Rfc3339Space),
        "rfc3339_T" => Some(TimeFormat::Rfc3339T),
        "epoch_secs" => Some(TimeFormat::EpochSecs),
        "epoch_usecs" => Some(TimeFormat::EpochUsecs),
        _ => None,
    },
};

pub(super) const LOG_PATH: Type<Option<PathBuf>> = Type {
    name: "a path or false",
    parse: |text| match text {
        "" => None,
        "false" => Some(None),
        path => Some(Some(path.into())),
    },
};

/// Whether lines go to standard error and not to standard output.
pub(super) const STDIO: Type<bool> = Type {
    name: "stdout or stderr",
    parse: |text| match text {
        "stdout" => Some(false),
        "stderr" => Some(true),
        _ => None,
    },
};
