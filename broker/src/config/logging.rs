//! `log.*`: where log lines go, which, and in what form
//! (<https://www.rabbitmq.com/docs/logging>).
//!
//! `logging` writes them. As on RabbitMQ a category's level counts for it in every output; without
//! one, the output's own counts, and without that, `log.default.level`.

use std::path::PathBuf;

use super::error::ConfigError;
use super::keys::{self, Key};
use super::settings::Settings;
use super::types_log::{LogCategory, LogFormat, TimeFormat};

/// See the module documentation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logging {
    /// Standard output or standard error, if anything goes there.
    pub console: Option<LogOutput>,
    /// Whether the console is standard error.
    pub is_stderr: bool,
    /// The file, if there is one.
    pub file: Option<LogFile>,
    /// The levels of categories that have their own, as filter directives.
    pub categories: Vec<(LogCategory, String)>,
}

impl Logging {
    /// The console, as RabbitMQ names it among the files of a log.
    #[must_use]
    pub const fn console_name(&self) -> &'static str {
        if self.is_stderr { "<stderr>" } else { "<stdout>" }
    }
}

/// What goes to one place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOutput {
    /// Filter directives as `tracing_subscriber::EnvFilter` reads them: mostly one level.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
    /// The form of its time.
    pub time: TimeFormat,
}

/// A file of log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// What goes there.
    pub output: LogOutput,
    /// How many bytes it may have before it is set aside; `None` for ever.
    pub rotate_at: Option<u64>,
    /// How many files that were set aside are kept.
    pub kept: usize,
}

struct OutputKeys<'a> {
    level: &'a Key<String>,
    format: &'a Key<LogFormat>,
    time: &'a Key<TimeFormat>,
}

const CONSOLE: OutputKeys<'static> = OutputKeys {
    level: &keys::LOG_CONSOLE_LEVEL,
    format: &keys::LOG_CONSOLE_FORMATTER,
    time: &keys::LOG_CONSOLE_TIME,
};
const FILE: OutputKeys<'static> = OutputKeys {
    level: &keys::LOG_FILE_LEVEL,
    format: &keys::LOG_FILE_FORMATTER,
    time: &keys::LOG_FILE_TIME,
};

impl Logging {
    pub(super) fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let mut categories = Vec::new();
        for (category, key) in [
            (LogCategory::Connection, &keys::LOG_CONNECTION_LEVEL),
            (LogCategory::Channel, &keys::LOG_CHANNEL_LEVEL),
            (LogCategory::Queue, &keys::LOG_QUEUE_LEVEL),
            (LogCategory::User, &keys::LOG_USER_LEVEL),
        ] {
            categories.extend(settings.find(key)?.map(|level| (category, level)));
        }
        let console = match settings.get(&keys::LOG_CONSOLE)? {
            true => Some(LogOutput::build(settings, &CONSOLE)?),
            false => None,
        };
        let is_stderr = settings.get(&keys::LOG_CONSOLE_STDIO)?;
        Ok(Self { console, is_stderr, file: LogFile::build(settings)?, categories })
    }
}

impl LogOutput {
    fn build(settings: &Settings, keys: &OutputKeys<'_>) -> Result<Self, ConfigError> {
        let filter = match settings.find(keys.level)? {
            Some(filter) => filter,
            None => settings.get(&keys::LOG_DEFAULT_LEVEL)?,
        };
        Ok(Self { filter, format: settings.get(keys.format)?, time: settings.get(keys.time)? })
    }
}

impl LogFile {
    fn build(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        let Some(name) = settings.get(&keys::LOG_FILE)? else { return Ok(None) };
        // An absolute name stays what it is.
        let path = match settings.find(&keys::LOG_DIR)? {
            Some(directory) => directory.join(name),
            None => name,
        };
        Ok(Some(Self {
            path,
            output: LogOutput::build(settings, &FILE)?,
            rotate_at: Some(settings.get(&keys::LOG_FILE_SIZE)?).filter(|bytes| *bytes > 0),
            kept: settings.get(&keys::LOG_FILE_COUNT)?,
        }))
    }
}
