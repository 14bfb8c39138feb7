//! Scenarios that stand beside a plainer one, and how far apart the two may be.

use crate::compare::grid::cell;
use crate::compare::rows::{Figure, Row, cost_us, letters, throughput};
use crate::statistics::median;
use std::fmt;

/// Two scenarios of which one is the other with something added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Twins {
    pub(crate) name: &'static str,
    pub(crate) plain: &'static str,
    /// What the ratio is of.
    what: &'static str,
    figure: Figure,
    aim: Option<Aim>,
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

/// All pairs there are.
pub(crate) const TWINS: [Twins; 4] = [
    Twins {
        name: "typical",
        plain: "typical-plain",
        what: "CPU per message",
        figure: cost_us,
        aim: Some(Aim::AtMost(1.25)),
    },
    Twins {
        name: "bystander",
        plain: "bystander-alone",
        what: "messages a second",
        figure: throughput,
        aim: Some(Aim::AtLeast(0.95)),
    },
    // What the other client asks for is part of it; it tells more than a rate on a busy machine.
    Twins {
        name: "bystander",
        plain: "bystander-alone",
        what: "CPU per message",
        figure: cost_us,
        aim: None,
    },
    // A dead letter is published, delivered and settled twice.
    Twins {
        name: "rejected",
        plain: "rejected-plain",
        what: "CPU per message",
        figure: cost_us,
        aim: Some(Aim::AtMost(3.0)),
    },
];

impl Twins {
    /// A line with the ratio of every side, when both scenarios were run.
    pub(crate) fn line(&self, rows: &[Row], sides: usize) -> Option<String> {
        let row = |name| rows.iter().find(|row| row.label() == name);
        let (with, plain) = (row(self.name)?, row(self.plain)?);
        let ratios: Vec<String> = letters()
            .zip(0..sides)
            .map(|(letter, side)| format!("{letter} {}", cell(self.ratio(with, plain, side), 2)))
            .collect();
        let Self { name, plain, what, aim, .. } = self;
        let aim = aim.map(|aim| format!(" (aim: {aim})")).unwrap_or_default();
        Some(format!("- {name} / {plain}, {what}: {}{aim}", ratios.join(", ")))
    }

    /// The median over rounds of what a round's two runs are to each other: they were run shortly
    /// after one another.
    fn ratio(&self, with: &Row, plain: &Row, side: usize) -> Option<f64> {
        let with = with.values(side, self.figure);
        let plain = plain.values(side, self.figure);
        let rounds = with.into_iter().zip(plain).filter(|(_, plain)| *plain > 0.0);
        median(&rounds.map(|(with, plain)| with / plain).collect::<Vec<_>>())
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(ratio) => write!(f, "at most {ratio:.2}"),
            Self::AtLeast(ratio) => write!(f, "at least {ratio:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Load;
    use crate::outcome::Outcome;

    fn row(label: &str, rates: &[f64]) -> Row {
        let outcome =
            |rate: &f64| Outcome { delivered: 1, consume_rate: *rate, ..Outcome::default() };
        let load = Load { label: label.to_owned(), ..Load::default() };
        Row { load, sides: vec![rates.iter().map(outcome).collect(), Vec::new()] }
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let rows =
            [row("bystander-alone", &[10.0, 1000.0, 10.0]), row("bystander", &[9.0, 990.0, 5.0])];
        let line = TWINS[1].line(&rows, 2).unwrap();
        let expected = "- bystander / bystander-alone, messages a second: A 0.90, B - \
                        (aim: at least 0.95)";
        assert_eq!(line, expected);
        assert_eq!(TWINS[0].line(&rows, 2), None, "not run");
    }
}
