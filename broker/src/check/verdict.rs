//! What a check found, in the form of Nagios: a status, a sentence, and data for charts
//! (<https://nagios-plugins.org/doc/guidelines.html>).
//!
//! A room of `check`. Pure.

/// How bad it is; the worst of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Ok,
    Warning,
    /// Nobody can say: less bad than what is known to be critical, worse than a warning.
    Unknown,
    Critical,
}

impl Status {
    /// The exit code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// From where on a number is bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) warning: Option<u64>,
    pub(super) critical: Option<u64>,
    /// Whether less is bad, and not more.
    pub(super) is_floor: bool,
}

impl Levels {
    /// What is above is bad.
    pub(super) const fn above(warning: Option<u64>, critical: Option<u64>) -> Self {
        Self { warning, critical, is_floor: false }
    }

    /// What is below is bad.
    pub(super) const fn below(warning: Option<u64>, critical: Option<u64>) -> Self {
        Self { warning, critical, is_floor: true }
    }

    /// What a number is.
    pub(super) fn status(self, value: u64) -> Status {
        let passes = |level: Option<u64>| {
            level.is_some_and(|level| if self.is_floor { value < level } else { value > level })
        };
        match (passes(self.critical), passes(self.warning)) {
            (true, _) => Status::Critical,
            (false, true) => Status::Warning,
            (false, false) => Status::Ok,
        }
    }

    /// `10` alerts above, `10:` below.
    fn shown(self, level: Option<u64>) -> String {
        match level {
            None => String::new(),
            Some(level) if self.is_floor => format!("{level}:"),
            Some(level) => level.to_string(),
        }
    }
}

/// A number for charts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Datum(String);

impl Datum {
    /// A number in `unit`: `B`, `%`, `s`, or nothing for a count.
    pub(super) fn new(label: &str, value: u64, unit: &str, levels: Levels) -> Self {
        Self::written(label, &format!("{value}{unit}"), levels)
    }

    /// The same, of a number that is written already.
    pub(super) fn written(label: &str, value: &str, levels: Levels) -> Self {
        let label = label.replace(['\'', '=', '|'], "_");
        let label = if label.contains(' ') { format!("'{label}'") } else { label };
        let (warning, critical) = (levels.shown(levels.warning), levels.shown(levels.critical));
        let tail = format!("{value};{warning};{critical}");
        Self(format!("{label}={}", tail.trim_end_matches(';')))
    }
}

/// What one thing was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) status: Status,
    pub(super) text: String,
    pub(super) data: Vec<Datum>,
}

impl Found {
    pub(super) fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), data: Vec::new() }
    }

    pub(super) fn with(mut self, data: impl IntoIterator<Item = Datum>) -> Self {
        self.data.extend(data);
        self
    }
}

/// The one line, and the status: what is bad stands first.
pub(super) fn line(found: &[Found]) -> (Status, String) {
    let status = found.iter().map(|one| one.status).max().unwrap_or(Status::Unknown);
    let mut sorted: Vec<&Found> = found.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.status));
    let texts: Vec<_> = sorted.iter().map(|one| one.text.replace(['\n', '|'], " ")).collect();
    let data: Vec<_> = found.iter().flat_map(|one| &one.data).map(|one| one.0.as_str()).collect();
    let mut line = format!("LEVERET {} - {}", status.word(), texts.join("; "));
    if !data.is_empty() {
        line = format!("{line} | {}", data.join(" "));
    }
    (status, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bad_beyond_their_levels() {
        let above = Levels::above(Some(10), Some(20));
        let below = Levels::below(Some(10), Some(5));
        for (levels, value, expected) in [
            (above, 10, Status::Ok),
            (above, 11, Status::Warning),
            (above, 21, Status::Critical),
            (below, 10, Status::Ok),
            (below, 9, Status::Warning),
            (below, 4, Status::Critical),
            (Levels::default(), u64::MAX, Status::Ok),
        ] {
            assert_eq!(levels.status(value), expected, "{levels:?} {value}");
        }
    }

    #[test]
    fn the_worst_stands_first_and_data_in_their_order() {
        let found = [
            Found::new(Status::Ok, "no alarm").with([Datum::new(
                "alarms",
                0,
                "",
                Levels::default(),
            )]),
            Found::new(Status::Critical, "a|b\nc").with([
                Datum::new("my queue", 7, "B", Levels::above(Some(5), None)),
                Datum::new("disk", 7, "", Levels::below(None, Some(9))),
            ]),
            Found::new(Status::Unknown, "who knows"),
        ];
        let (status, line) = line(&found);
        assert_eq!(status.code(), 2);
        assert_eq!(
            line,
            "LEVERET CRITICAL - a b c; who knows; no alarm | alarms=0 'my queue'=7B;5 disk=7;;9:"
        );
        assert_eq!([Status::Ok, Status::Warning, Status::Unknown].map(Status::code), [0, 1, 3]);
    }
}
