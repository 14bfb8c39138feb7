//! What is wrong with a configuration, always in one line that says where.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a setting was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a configuration file, counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// An option on the command line.
    CommandLine(&'static str),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::CommandLine(option) => f.write_str(option),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The configuration cannot be used. `Display` is one line.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A line is neither a setting nor a comment.
    #[error("{origin}: {detail}")]
    Syntax {
        /// The line.
        origin: Origin,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no such key.
    #[error("{origin}: unknown key '{key}'{}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// Where it is set.
        origin: Origin,
        /// The key as written.
        key: String,
        /// The known key that is spelled most like it.
        nearest: Option<String>,
    },
    /// The key's value makes no sense. The value itself may be a secret and is not shown.
    #[error("{origin}: {key}: {detail}")]
    Value {
        /// Where it is set.
        origin: Origin,
        /// The key.
        key: String,
        /// What was expected.
        detail: String,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!(", did you mean '{key}'?"))
}
