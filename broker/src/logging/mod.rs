//! The log: one event a line, on the console and in a file, in RabbitMQ's form or in JSON.
//!
//! `main` starts it once the configuration is known; the broker changes its levels while it runs, by
//! hand or when the configuration is read again. Files: `line` writes one, `file` is where it may go,
//! `events` are the names that lines have for programs, `watching` is for those who look at it over HTTP.
//!
//! Stays true: settings that cannot be had change nothing.

mod events;
mod file;
mod line;
mod watching;

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, reload};

pub use self::events::EVENTS;
use self::file::{FileWriter, Open};
use self::line::Lines;
pub(crate) use self::line::OneLine;
pub(crate) use self::watching::LogWatch;
use self::watching::Lookers;
use crate::config::{self, LogCategory, LogOutput, Logging};

/// Changes a running log.
#[derive(Debug, Clone)]
pub struct LogControl {
    console: Output,
    file: Output,
    writer: FileWriter,
    /// Who looks at it over HTTP.
    lookers: Lookers,
    running: Arc<Mutex<Logging>>,
}

#[derive(Debug, Clone)]
struct Output {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: Lines,
}

/// The log could not be started or changed.
#[derive(Debug, thiserror::Error)]
#[error("logging: {0}")]
pub struct LoggingError(String);

impl LogControl {
    /// What is logged where.
    #[must_use]
    pub fn settings(&self) -> Logging {
        self.running.lock().clone()
    }

    /// Applies other settings from now on, and opens the file anew.
    ///
    /// # Errors
    /// A filter cannot be read, or the file not be opened; everything stays as it was.
    pub fn apply(&self, logging: &Logging) -> Result<(), LoggingError> {
        let mut running = self.running.lock();
        let file = logging.file.as_ref();
        let opened = file.map(|file| {
            Open::new(file).map_err(|error| {
                LoggingError(format!("log.file: {}: {error}", file.path.display()))
            })
        });
        let console = filter(logging.console.as_ref(), logging)?;
        let to_file = filter(file.map(|file| &file.output), logging)?;
        self.writer.use_file(opened.transpose()?);
        self.console.change(console, logging.console.as_ref())?;
        self.file.change(to_file, file.map(|file| &file.output))?;
        running.clone_from(logging);
        Ok(())
    }

    /// Sets the level of a category by RabbitMQ's name, or, with none, of everything that is logged
    /// at all, as `rabbitmqctl set_log_level` does. It holds until the configuration is read again.
    ///
    /// # Errors
    /// There is no such level.
    pub fn set_level(
        &self,
        category: Option<LogCategory>,
        level: &str,
    ) -> Result<(), LoggingError> {
        let directive = config::level(level)
            .ok_or_else(|| LoggingError(format!("there is no log level '{level}'")))?;
        let mut logging = self.settings();
        match category {
            None | Some(LogCategory::Default) => {
                let outputs =
                    [logging.console.as_mut(), logging.file.as_mut().map(|f| &mut f.output)];
                for output in outputs.into_iter().flatten().filter(|output| output.filter != "off")
                {
                    directive.clone_into(&mut output.filter);
                }
                if category.is_none() {
                    logging.categories.clear();
                }
            }
            Some(category) => {
                logging.categories.retain(|(other, _)| *other != category);
                logging.categories.push((category, directive.to_owned()));
            }
        }
        self.apply(&logging)
    }
}

impl Output {
    fn change(&self, filter: EnvFilter, output: Option<&LogOutput>) -> Result<(), LoggingError> {
        if let Some(output) = output {
            self.lines.become_those_of(output);
        }
        self.filter.reload(filter).map_err(|error| LoggingError(error.to_string()))
    }
}

/// Starts the log of this process.
///
/// # Errors
/// There is one already, or its file cannot be opened.
pub fn init(logging: &Logging) -> Result<LogControl, LoggingError> {
    let stderr = logging.is_stderr;
    let (subscriber, control) = match stderr {
        true => subscriber(logging, std::io::stderr).map(|(s, c)| (Box::new(s) as Boxed, c)),
        false => subscriber(logging, std::io::stdout).map(|(s, c)| (Box::new(s) as Boxed, c)),
    }?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| LoggingError(error.to_string()))?;
    Ok(control)
}

type Boxed = Box<dyn Subscriber + Send + Sync>;
type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

fn subscriber(
    logging: &Logging,
    console: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Result<(impl Subscriber + Send + Sync, LogControl), LoggingError> {
    let writer = FileWriter::default();
    let (to_console, console) = layer(console);
    let (to_file, file) = layer(writer.clone());
    let (to_lookers, lookers) = watching::layer();
    let control = LogControl { console, file, writer, lookers, running: Arc::default() };
    let subscriber = Registry::default().with(vec![to_console, to_file, to_lookers]);
    control.apply(logging)?;
    Ok((subscriber, control))
}

/// One way out, which is closed at first.
fn layer(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) -> (BoxedLayer, Output) {
    let (filter, handle) = reload::Layer::new(EnvFilter::new("off"));
    let lines = Lines::default();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .log_internal_errors(false)
        .event_format(lines.clone())
        .with_writer(writer)
        .with_filter(filter);
    (layer.boxed(), Output { filter: handle, lines })
}

/// The filter of an output. A category's own level goes before the output's: of two directives the
/// longer one counts.
fn filter(output: Option<&LogOutput>, logging: &Logging) -> Result<EnvFilter, LoggingError> {
    let Some(output) = output else { return Ok(EnvFilter::new("off")) };
    let mut directives = output.filter.clone();
    for (target, category) in TARGETS {
        let own = logging.categories.iter().find(|(other, _)| other == category);
        // One target may lie in another, of another category: each is named, if there is a level.
        let level =
            own.map(|(_, level)| level).or_else(|| is_level(output).then_some(&output.filter));
        if let Some(level) = level {
            directives.push_str(&format!(",{target}={level}"));
        }
    }
    EnvFilter::try_new(directives).map_err(|error| LoggingError(error.to_string()))
}

/// Whether the output's filter is one level, and not directives of somebody's own.
fn is_level(output: &LogOutput) -> bool {
    !output.filter.contains(['=', ','])
}

/// Which modules write lines of which category; the rest is `default`.
const TARGETS: &[(&str, LogCategory)] = &[
    ("leveret::connection", LogCategory::Connection),
    ("leveret::tls", LogCategory::Connection),
    ("leveret::session", LogCategory::Channel),
    ("leveret::queue", LogCategory::Queue),
    ("leveret::vhost::dead_letters", LogCategory::Queue),
    ("leveret::auth::login", LogCategory::Connection),
    ("leveret::auth", LogCategory::User),
    ("leveret::broker::access", LogCategory::User),
];

/// The category of a line by the module that wrote it.
fn category_of(target: &str) -> LogCategory {
    let of = TARGETS.iter().find(|(prefix, _)| target.starts_with(prefix));
    of.map_or(LogCategory::Default, |(_, category)| *category)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::config::{LogFile, LogFormat, TimeFormat};

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

    fn output(filter: &str) -> LogOutput {
        LogOutput { filter: filter.to_owned(), ..LogOutput::default() }
    }

    fn logging(console: bool, filter: &str) -> Logging {
        Logging { console: console.then(|| output(filter)), ..Logging::default() }
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
    fn no_text_can_forge_a_line() {
        let lines = captured(&logging(true, "info"), |_| {
            tracing::info!("user '{}'", "x\n2026-11-21 10:00:00 [error] \u{1b}[31m");
        });
        assert_eq!(lines, ["[info] user 'x\\n2026-11-21 10:00:00 [error] \\u{1b}[31m'"]);
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

    #[test]
    fn a_line_with_a_name_is_a_sentence_and_json_has_its_fields() {
        let told = |format| {
            let mut logging = logging(true, "info");
            logging.console =
                Some(LogOutput { format, time: TimeFormat::EpochSecs, ..output("info") });
            let output = Captured::default();
            let writer = output.clone();
            let (subscriber, _control) = subscriber(&logging, move || writer.clone()).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(event = "a.test", user = "x\ny", count = 3, "it is so \"{}\"", 1);
            });
            let text = String::from_utf8(output.0.lock().clone()).unwrap();
            text.trim_end().to_owned()
        };
        let text = told(LogFormat::Plaintext);
        assert!(text.ends_with(" [warning] it is so \"1\""), "{text}");
        let line: serde_json::Value = serde_json::from_str(&told(LogFormat::Json)).unwrap();
        assert!(line["time"].as_u64().is_some_and(|seconds| seconds > 1_700_000_000), "{line}");
        assert_eq!((&line["level"], &line["event"]), (&"warning".into(), &"a.test".into()));
        assert_eq!((&line["msg"], &line["user"]), (&"it is so \"1\"".into(), &"x\ny".into()));
        assert_eq!((&line["count"], &line["domain"]), (&3.into(), &"rabbitmq.default".into()));
    }

    #[test]
    fn categories_have_levels_of_their_own() {
        let lines = captured(&logging(true, "warn"), |control| {
            let told = || {
                tracing::info!(target: "leveret::connection::ending", "a connection");
                tracing::debug!(target: "leveret::queue", "a queue");
                tracing::info!("the rest");
            };
            told();
            control.set_level(Some(LogCategory::Connection), "info").unwrap();
            control.set_level(Some(LogCategory::Queue), "debug").unwrap();
            told();
            control.set_level(Some(LogCategory::Connection), "none").unwrap();
            control.set_level(Some(LogCategory::Default), "info").unwrap();
            told();
            control.set_level(None, "critical").unwrap();
            told();
            control.set_level(Some(LogCategory::User), "debug").unwrap();
            tracing::debug!(target: "leveret::auth::users", "a user");
            tracing::debug!(target: "leveret::auth::login", "a login is about its connection");
            assert!(control.set_level(None, "loud").is_err());
            tracing::error!("still");
        });
        let expected = ["a connection", "a queue", "a queue", "the rest", "a user", "still"];
        let lines: Vec<&str> = lines.iter().filter_map(|line| line.split("] ").nth(1)).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_file_has_what_its_own_level_lets_pass() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leveret.log");
        let file =
            LogFile { path: path.clone(), output: output("debug"), rotate_at: None, kept: 0 };
        let with_file = Logging { file: Some(file), ..logging(true, "error") };
        let lines = captured(&with_file, |control| {
            tracing::debug!("one");
            let nowhere =
                LogFile { path: directory.path().into(), ..with_file.file.clone().unwrap() };
            let refused = Logging { file: Some(nowhere), ..logging(true, "debug") };
            assert!(control.apply(&refused).is_err());
            tracing::debug!("two");
            assert_eq!(control.settings(), with_file, "nothing changed");
            std::fs::rename(&path, directory.path().join("moved")).unwrap();
            control.apply(&with_file).unwrap();
            tracing::error!("three");
        });
        assert_eq!(lines, ["[error] three"]);
        let read = |name| std::fs::read_to_string(directory.path().join(name)).unwrap();
        let lines = |name| read(name).lines().map(without_time).collect::<Vec<_>>();
        assert_eq!(lines("moved"), ["[debug] one", "[debug] two"]);
        assert_eq!(lines("leveret.log"), ["[error] three"]);
    }
}
