//! One event as one line: in RabbitMQ's form, or as an object of JSON.
//!
//! ```text
//! 2026-11-21 10:00:00.123456+00:00 [info] closing AMQP connection (...)
//! {"time":"2026-11-21 10:00:00.123456+00:00","level":"info","msg":"...","domain":"rabbitmq.connection",...}
//! ```
//!
//! Used by `logging`. A line that has a name (`event`) is a whole sentence: in text its other fields
//! are left out, in JSON they are there for programs. Stays true: text that came from a client may be
//! part of any field, so control characters are escaped, and nobody can forge a line.

use std::fmt::{self, Debug, Display, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::category_of;
use crate::config::{LogFormat, LogOutput, TimeFormat};

/// The form of lines, which may change while there are some.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines(Arc<ArcSwap<(LogFormat, TimeFormat)>>);

impl Lines {
    /// Other lines from now on.
    pub(super) fn become_those_of(&self, output: &LogOutput) {
        self.0.store(Arc::new((output.format, output.time)));
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let (format, time) = **self.0.load();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = match format {
            LogFormat::Plaintext => said.text(event.metadata(), time, now)?,
            LogFormat::Json => said.json(event.metadata(), time, now)?,
        };
        writer.write_str(&line)?;
        writeln!(writer)
    }
}

/// An event as an object of JSON, at this time.
pub(super) fn as_json(event: &Event<'_>, now: Duration) -> Result<String, fmt::Error> {
    let mut said = Said::default();
    event.record(&mut said);
    said.json(event.metadata(), TimeFormat::Rfc3339Space, now)
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    /// The name that stays.
    event: Option<String>,
    /// The others: as text has them, and as JSON has them.
    fields: Vec<(&'static str, String, String)>,
}

impl Said {
    fn note(&mut self, field: &Field, text: String, json: String) {
        self.fields.push((field.name(), text, json));
    }

    fn text(
        &self,
        about: &Metadata<'_>,
        format: TimeFormat,
        now: Duration,
    ) -> Result<String, fmt::Error> {
        let mut line = format!("{} [{}] ", time(format, now), level_name(*about.level()));
        write!(line, "{}", OneLine(&self.message))?;
        let fields = self.fields.iter().filter(|_| self.event.is_none());
        for (name, text, _) in fields {
            write!(line, " {name}=")?;
            write!(line, "{}", OneLine(text))?;
        }
        Ok(line)
    }

    fn json(
        &self,
        about: &Metadata<'_>,
        format: TimeFormat,
        now: Duration,
    ) -> Result<String, fmt::Error> {
        let stamp = match format {
            TimeFormat::EpochSecs | TimeFormat::EpochUsecs => time(format, now),
            TimeFormat::Rfc3339Space | TimeFormat::Rfc3339T => quoted(&time(format, now)),
        };
        let mut line = format!(
            "{{\"time\":{stamp},\"level\":\"{}\",\"msg\":{},\"domain\":\"rabbitmq.{}\"",
            level_name(*about.level()),
            quoted(&self.message),
            category_of(about.target()).name(),
        );
        if let Some(event) = &self.event {
            write!(line, ",\"event\":{}", quoted(event))?;
        }
        for (name, _, json) in &self.fields {
            write!(line, ",{}:{json}", quoted(name))?;
        }
        line.push('}');
        Ok(line)
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        let json = quoted(&text);
        if field.name() == "message" {
            self.message = text;
        } else {
            self.note(field, text, json);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            "event" => self.event = Some(value.to_owned()),
            _ => self.note(field, format!("{value:?}"), quoted(value)),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, value.to_string(), value.to_string());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, value.to_string(), value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, value.to_string(), value.to_string());
    }
}

/// A text of JSON. DEL and what follows it are no control characters there, and are here.
fn quoted(text: &str) -> String {
    let text = serde_json::Value::from(text).to_string();
    if !text.contains(char::is_control) {
        return text;
    }
    let mut escaped = String::new();
    for character in text.chars() {
        match character.is_control() {
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            false => escaped.push(character),
        }
    }
    escaped
}

/// Prints a text that may be a stranger's: what would break the line, or forge another one, is escaped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneLine<'a>(pub &'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character.is_control() {
                true => write!(f, "{}", character.escape_default())?,
                false => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

fn time(format: TimeFormat, now: Duration) -> String {
    match format {
        TimeFormat::EpochSecs => now.as_secs().to_string(),
        TimeFormat::EpochUsecs => now.as_micros().to_string(),
        TimeFormat::Rfc3339Space | TimeFormat::Rfc3339T => {
            let text = humantime::format_rfc3339_micros(UNIX_EPOCH + now).to_string();
            let text = text.trim_end_matches('Z');
            let between = if format == TimeFormat::Rfc3339T { "T" } else { " " };
            format!("{}+00:00", text.replace('T', between))
        }
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
    use super::*;

    #[test]
    fn time_is_written_as_rabbitmq_writes_it() {
        let now = Duration::from_micros(1_795_000_000_000_042);
        for (format, expected) in [
            (TimeFormat::Rfc3339Space, "2026-11-18 11:06:40.000042+00:00"),
            (TimeFormat::Rfc3339T, "2026-11-18T11:06:40.000042+00:00"),
            (TimeFormat::EpochSecs, "1795000000"),
            (TimeFormat::EpochUsecs, "1795000000000042"),
        ] {
            assert_eq!(time(format, now), expected);
        }
    }

    #[test]
    fn text_of_json_has_no_control_characters() {
        assert_eq!(quoted("a\n\"\u{1b}\u{7f}\u{85}é"), "\"a\\n\\\"\\u001b\\u007f\\u0085é\"");
    }
}
