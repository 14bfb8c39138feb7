//! Why a command came to nothing: what is printed, and the exit code, as RabbitMQ's.
//!
//! A room of `ctl`. Codes are those of `sysexits.h` that `rabbitmqctl` uses.

use crate::http_client::HttpError;

/// The command line makes no sense.
pub(crate) const USAGE: u8 = 64;
/// What was given, or what it names, cannot be used.
pub(crate) const DATA: u8 = 65;
/// There is no such user.
pub(crate) const NO_USER: u8 = 67;
/// The broker cannot be reached, or says no.
pub(crate) const UNAVAILABLE: u8 = 69;
/// It is there already, or the broker has met a fault.
pub(crate) const SOFTWARE: u8 = 70;
/// It took too long.
pub(crate) const LATE: u8 = 75;

/// See the module documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// What was typed does not make a command; usage is printed behind it.
    Usage(String, u8),
    /// Printed behind "Error:".
    Refused(String, u8),
    /// Printed as it is.
    Plain(String, u8),
}

impl Failed {
    /// What was typed cannot be used.
    pub(crate) fn usage(reason: impl Into<String>) -> Self {
        Self::Usage(reason.into(), USAGE)
    }

    /// The broker says no.
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused(reason.into(), UNAVAILABLE)
    }

    /// What is to be told.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Usage(text, _) | Self::Refused(text, _) | Self::Plain(text, _) => text,
        }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_, code) | Self::Refused(_, code) | Self::Plain(_, code) => *code,
        }
    }
}

impl From<HttpError> for Failed {
    fn from(error: HttpError) -> Self {
        let code = match &error {
            HttpError::Late(..) => LATE,
            HttpError::Connect(..) | HttpError::Tls(..) | HttpError::Unreadable(..) => UNAVAILABLE,
        };
        Self::Refused(format!("unable to perform an operation on the broker: {error}"), code)
    }
}
