//! What the doctor found: how bad, of what, in one sentence, and what to do.
//!
//! A room of `doctor`. Pure.

use serde_json::{Value, json};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    Warn,
    Bad,
}

impl Level {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// See the module documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What it is about, in a word.
    pub(super) about: &'static str,
    pub(super) text: String,
    /// Empty where there is nothing to do.
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn ok(about: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Ok, about, text: text.into(), advice: String::new() }
    }

    pub(super) fn warn(
        about: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: Level::Warn, about, text: text.into(), advice: advice.into() }
    }

    pub(super) fn bad(
        about: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { level: Level::Bad, about, text: text.into(), advice: advice.into() }
    }

    fn line(&self) -> String {
        let (level, about, text) = (self.level.word(), self.about, &self.text);
        match self.advice.is_empty() {
            true => format!("{level:<5} {about:<13} {text}"),
            false => format!("{level:<5} {about:<13} {text}: {}", self.advice),
        }
    }
}

/// A line each, and how many are bad.
pub(super) fn report(findings: &[Finding]) -> String {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let mut lines: Vec<_> = findings.iter().map(Finding::line).collect();
    lines.push(format!(
        "{} checks: {} bad, {} to look at",
        findings.len(),
        count(Level::Bad),
        count(Level::Warn)
    ));
    lines.join("\n")
}

/// The same for programs.
pub(super) fn data(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "level": finding.level.word(),
            "about": finding.about,
            "text": finding.text,
            "advice": finding.advice,
        })
    };
    findings.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_line_for_each_and_a_sum() {
        let findings = [
            Finding::ok("clock", "it is right"),
            Finding::warn("password", "it is known", "change it"),
            Finding::bad("disk", "it is full", "make room"),
        ];
        let expected = "ok    clock         it is right\n\
                        warn  password      it is known: change it\n\
                        bad   disk          it is full: make room\n\
                        3 checks: 1 bad, 1 to look at";
        assert_eq!(report(&findings), expected);
        assert_eq!(data(&findings)[2]["level"], "bad");
    }
}
