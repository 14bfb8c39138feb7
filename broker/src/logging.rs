//! Log lines as RabbitMQ writes them, one event a line, on standard output:
//!
//! ```text
//! 2026-11-21 10:00:00.123456+00:00 [info] accepted connection peer=127.0.0.1:40000
//! ```
//!
//! `main` starts it once the configuration is known. Text that came from a client
//! may be part of a message, so line breaks and other control characters are
//! escaped: no client can forge a line.

use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt, reload};

use crate::config::Logging;

/// Changes the filter of a running log.
#[derive(Debug, Clone)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// The log could not be started or changed.
#[derive(Debug, thiserror::Error)]
#[error("logging: {0}")]
pub struct LoggingError(String);

impl LogControl {
    /// Applies other settings from now on.
    ///
    /// # Errors
    /// The filter cannot be read; the old one stays.
    pub fn apply(&self, logging: &Logging) -> Result<(), LoggingError> {
        self.filter.reload(filter(logging)?).map_err(|error| LoggingError(error.to_string()))
    }
}

/// Starts the log of this process on standard output.
///
/// # Errors
/// There is one already, or the filter cannot be read.
pub fn init(logging: &Logging) -> Result<LogControl, LoggingError> {
    let (subscriber, control) = subscriber(logging, std::io::stdout)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| LoggingError(error.to_string()))?;
    Ok(control)
}

fn subscriber(
    logging: &Logging,
    output: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Result<(impl Subscriber + Send + Sync, LogControl), LoggingError> {
    let (filter, handle) = reload::Layer::new(filter(logging)?);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .log_internal_errors(false)
        .event_format(Line)
        .with_writer(output);
    let subscriber = Registry::default().with(filter).with(lines);
    Ok((subscriber, LogControl { filter: handle }))
}

fn filter(logging: &Logging) -> Result<EnvFilter, LoggingError> {
    let directives = if logging.console { logging.filter.as_str() } else { "off" };
    EnvFilter::try_new(directives).map_err(|error| LoggingError(error.to_string()))
}

/// Formats one event as one line.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        for span in context.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && !fields.is_empty()
            {
                write!(text, " {fields}")?;
            }
        }
        let now = humantime::format_rfc3339_micros(SystemTime::now()).to_string();
        let now = now.trim_end_matches('Z').replace('T', " ");
        write!(writer, "{now}+00:00 [{}] ", level_name(*event.metadata().level()))?;
        for character in text.chars() {
            if character.is_control() {
                write!(writer, "{}", character.escape_default())?;
            } else {
                writer.write_char(character)?;
            }
        }
        writeln!(writer)
    }
}

/// RabbitMQ's name of the level.
const fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        /// The lines without their time, which must be well formed.
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().clone()).unwrap();
            text.lines().map(without_time).collect()
        }
    }

    fn without_time(line: &str) -> String {
        let shape: String = line
            .chars()
            .take("2026-11-21 10:00:00.123456+00:00 ".len())
            .map(|character| if character.is_ascii_digit() { '0' } else { character })
            .collect();
        assert_eq!(shape, "0000-00-00 00:00:00.000000+00:00 ", "{line}");
        line[shape.len()..].to_owned()
    }

    fn logging(console: bool, filter: &str) -> Logging {
        Logging { console, filter: filter.to_owned() }
    }

    fn captured(logging: &Logging, log: impl FnOnce(&LogControl)) -> Vec<String> {
        let output = Captured::default();
        let writer = output.clone();
        let (subscriber, control) = subscriber(logging, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || log(&control));
        output.lines()
    }

    #[test]
    fn lines_look_like_rabbitmqs() {
        let lines = captured(&logging(true, "debug"), |_| {
            tracing::error!("one");
            tracing::warn!("two");
            tracing::info!(peer = "127.0.0.1:1", "three {}", 3);
            tracing::debug!("four");
            tracing::trace!("five");
        });
        let expected =
            ["[error] one", "[warning] two", "[info] three 3 peer=\"127.0.0.1:1\"", "[debug] four"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn fields_of_spans_follow_the_message() {
        let lines = captured(&logging(true, "info"), |_| {
            let _connection = tracing::info_span!("connection", peer = 1).entered();
            let _channel = tracing::info_span!("channel", channel = 2).entered();
            tracing::info!("closed");
        });
        assert_eq!(lines, ["[info] closed channel=2 peer=1"]);
    }

    #[test]
    fn no_text_can_forge_a_line() {
        let lines = captured(&logging(true, "info"), |_| {
            tracing::info!("user '{}'", "x\n2026-11-21 10:00:00 [error] \u{1b}[31m");
        });
        assert_eq!(lines, ["[info] user 'x\\n2026-11-21 10:00:00 [error] \\x1b[31m'"]);
    }

    #[test]
    fn the_filter_can_be_changed_and_turned_off() {
        let lines = captured(&logging(true, "error"), |control| {
            tracing::info!("hidden");
            control.apply(&logging(true, "info")).unwrap();
            tracing::info!("shown");
            control.apply(&logging(false, "info")).unwrap();
            tracing::error!("hidden");
        });
        assert_eq!(lines, ["[info] shown"]);
    }
}
