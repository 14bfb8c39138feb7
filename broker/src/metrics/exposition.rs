//! Prometheus' text format, version 0.0.4: a `# HELP`, a `# TYPE` and the samples of each metric.
//!
//! Used by `metrics::render` alone. See
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};
use std::time::Duration;

use crate::meters::publishing::{Published, SIZE_BOUNDS};

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It grows until the process ends.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often something took how long.
    Histogram,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// The text so far. Help texts and names are ours and need no escapes; label values may.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// The lines of one metric, of some objects.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    text: &'a mut Text,
    name: &'a str,
}

impl Samples<'_> {
    /// The line of one object.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        let Self { text, name } = self;
        let all = &mut text.0;
        all.push_str(name);
        for (at, (label, of)) in labels.iter().enumerate() {
            all.push(if at == 0 { '{' } else { ',' });
            all.push_str(label);
            all.push_str("=\"");
            all.push_str(&escape(of));
            all.push('"');
        }
        // A string takes whatever is written to it.
        writeln!(all, "}} {value}").unwrap_or_default();
    }
}

impl Text {
    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// A metric of one whole number.
    pub(super) fn number(&mut self, name: &str, kind: Kind, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    /// A metric of one time.
    pub(super) fn seconds(&mut self, name: &str, kind: Kind, help: &str, value: Duration) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {}", value.as_secs_f64()));
    }

    /// A metric whose labels are what it says.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) {
        self.head(name, Kind::Gauge, help);
        let labels: Vec<_> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
        self.line(format_args!("{name}{{{}}} 1", labels.join(",")));
    }

    /// A metric of objects: `write` has the lines of each. Nothing where there are none.
    pub(super) fn family<T>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        objects: &[T],
        write: impl Fn(&T, &mut Samples<'_>),
    ) {
        if objects.is_empty() {
            return;
        }
        self.head(name, kind, help);
        let mut samples = Samples { text: self, name };
        objects.iter().for_each(|object| write(object, &mut samples));
    }

    /// A metric of one whole number with labels.
    pub(super) fn labelled(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        labels: &[(&str, &str)],
        value: u64,
    ) {
        self.head(name, kind, help);
        let labels: Vec<_> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escape(value))).collect();
        self.line(format_args!("{name}{{{}}} {value}", labels.join(",")));
    }

    /// How many bodies were how large, with bounds as RabbitMQ prints them.
    pub(super) fn sizes(
        &mut self,
        name: &str,
        help: &str,
        (label, of): (&str, &str),
        published: &Published,
    ) {
        self.head(name, Kind::Histogram, help);
        let mut total = 0;
        let bounds = SIZE_BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (bound, count) in bounds.zip(published.sizes) {
            total += count;
            self.line(format_args!("{name}_bucket{{{label}=\"{of}\",le=\"{bound}\"}} {total}"));
        }
        self.line(format_args!("{name}_count{{{label}=\"{of}\"}} {total}"));
        self.line(format_args!("{name}_sum{{{label}=\"{of}\"}} {}", published.bytes));
    }

    /// A metric with some labels: one line for each of their values.
    pub(super) fn samples(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: &[([(&str, &str); 2], u64)],
    ) {
        self.head(name, kind, help);
        for ([(first, a), (second, b)], count) in samples {
            let labels = format!("{first}=\"{}\",{second}=\"{}\"", escape(a), escape(b));
            self.line(format_args!("{name}{{{labels}}} {count}"));
        }
    }

    /// How often something took how long: `counts` has one for each of `bounds`, and one more for
    /// what took longer.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        bounds: &[Duration],
        counts: &[u64],
        sum: Duration,
    ) {
        self.head(name, Kind::Histogram, help);
        let mut total = 0;
        for (bound, count) in bounds.iter().zip(counts) {
            total += count;
            let bound = bound.as_secs_f64();
            self.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {total}"));
        }
        total = counts.iter().sum();
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {total}"));
        self.line(format_args!("{name}_sum {}", sum.as_secs_f64()));
        self.line(format_args!("{name}_count {total}"));
    }

    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // A string takes whatever is written to it.
        writeln!(self.0, "{line}").unwrap_or_default();
    }
}

/// A label's value between quotes.
fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return value.into();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    escaped.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut text = Text::default();
        text.info("x", "Help.", &[("a", "\\\"\n"), ("b", "")]);
        let expected = "# HELP x Help.\n# TYPE x gauge\nx{a=\"\\\\\\\"\\n\",b=\"\"} 1\n";
        assert_eq!(text.into_string(), expected);
    }

    #[test]
    fn buckets_add_up() {
        let mut text = Text::default();
        let bounds = [Duration::from_micros(250), Duration::from_millis(25)];
        text.histogram("x", "Help.", &bounds, &[1, 2, 4], Duration::from_millis(70));
        let expected = "# HELP x Help.\n# TYPE x histogram\nx_bucket{le=\"0.00025\"} 1\n\
                        x_bucket{le=\"0.025\"} 3\nx_bucket{le=\"+Inf\"} 7\nx_sum 0.07\nx_count 7\n";
        assert_eq!(text.into_string(), expected);
    }
}
