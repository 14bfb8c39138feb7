//! What all rounds of a scenario came to, for every side.

use crate::load::Load;
use crate::outcome::{Bound, Outcome};
use crate::statistics::{approximate, median, minimum};

/// All results of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) load: Load,
    /// The outcomes of each side, a round each.
    pub(crate) sides: Vec<Vec<Outcome>>,
}

/// A figure of an outcome, where it has it.
pub(crate) type Figure = fn(&Outcome) -> Option<f64>;

impl Row {
    /// Nothing measured yet.
    pub(crate) fn new(load: Load, sides: usize) -> Self {
        Self { load, sides: vec![Vec::new(); sides] }
    }

    pub(crate) fn label(&self) -> &str {
        &self.load.label
    }

    pub(crate) fn passed(&self) -> bool {
        self.sides.iter().flatten().all(|outcome| !outcome.checks.failed())
    }

    /// The median of a side's rounds.
    pub(crate) fn median(&self, side: usize, figure: Figure) -> Option<f64> {
        median(&self.values(side, figure))
    }

    /// The lowest of a side's rounds: what the rest of the machine disturbed least.
    pub(crate) fn minimum(&self, side: usize, figure: Figure) -> Option<f64> {
        minimum(&self.values(side, figure))
    }

    /// The figure of every round that has it.
    pub(crate) fn values(&self, side: usize, figure: Figure) -> Vec<f64> {
        self.sides.get(side).into_iter().flatten().filter_map(figure).collect()
    }

    /// Which limits ended the runs of all sides.
    pub(crate) fn ended_by(&self) -> String {
        let ended = |bound| self.sides.iter().flatten().any(|outcome| outcome.bound == Some(bound));
        let bounds = [Bound::Messages, Bound::Time, Bound::Overtime, Bound::Patience];
        let names: Vec<_> = bounds.into_iter().filter(|bound| ended(*bound)).collect();
        match names.as_slice() {
            [] => "-".to_owned(),
            some => some.iter().map(Bound::to_string).collect::<Vec<_>>().join(", "),
        }
    }

    /// Whose checks failed, if anyone's.
    pub(crate) fn checks(&self) -> String {
        let failed = |outcomes: &Vec<Outcome>| outcomes.iter().any(|o| o.checks.failed());
        let failed: Vec<String> = self
            .sides
            .iter()
            .zip(letters())
            .filter(|(side, _)| failed(side))
            .map(|(_, l)| l.to_string())
            .collect();
        if !failed.is_empty() {
            return format!("{} FAILED", failed.join(", "));
        }
        let ran = self.sides.iter().any(|outcomes| !outcomes.is_empty());
        if ran { "ok".to_owned() } else { "-".to_owned() }
    }
}

/// What the sides are called in tables.
pub(crate) fn letters() -> impl Iterator<Item = char> {
    'A'..='Z'
}

/// Which letter stands for whom.
pub(crate) fn legend(names: &[String]) -> String {
    let named = letters().zip(names).map(|(letter, name)| format!("{letter}: {name}"));
    named.collect::<Vec<_>>().join(", ")
}

/// Messages a second, of consuming where there was any.
pub(crate) fn throughput(outcome: &Outcome) -> Option<f64> {
    Some(if outcome.delivered > 0 { outcome.consume_rate } else { outcome.publish_rate })
}

/// Microseconds of the broker's CPU for each message.
pub(crate) fn cost_us(outcome: &Outcome) -> Option<f64> {
    outcome.broker_cpu_us_per_message
}

/// The highest resident memory of the broker in MiB.
pub(crate) fn peak_mib(outcome: &Outcome) -> Option<f64> {
    Some(approximate(outcome.memory?.peak) / (1024.0 * 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Checks;

    fn outcome(cpu: f64, lost: u64, bound: Bound) -> Outcome {
        Outcome {
            broker_cpu_us_per_message: Some(cpu),
            checks: Checks { lost: Some(lost), ..Checks::default() },
            bound: Some(bound),
            ..Outcome::default()
        }
    }

    fn row(sides: [Vec<Outcome>; 2]) -> Row {
        Row { load: Load::default(), sides: sides.to_vec() }
    }

    #[test]
    fn medians_and_minima_are_a_sides_own() {
        let ours = [1.0, 9.0, 2.0].map(|cpu| outcome(cpu, 0, Bound::Time)).to_vec();
        let row = row([ours, vec![outcome(20.0, 0, Bound::Messages)]]);
        assert_eq!((row.minimum(0, cost_us), row.median(0, cost_us)), (Some(1.0), Some(2.0)));
        assert_eq!((row.minimum(1, cost_us), row.median(2, cost_us)), (Some(20.0), None));
        assert_eq!((row.ended_by().as_str(), row.checks().as_str()), ("count, time", "ok"));
        assert!(row.passed());
    }

    #[test]
    fn a_row_names_who_failed_and_claims_nothing_without_runs() {
        let bad = row([vec![], vec![outcome(1.0, 0, Bound::Time), outcome(1.0, 1, Bound::Time)]]);
        assert!(!bad.passed());
        assert_eq!(bad.checks(), "B FAILED");
        let none = Row::new(Load::default(), 2);
        assert_eq!((none.checks().as_str(), none.ended_by().as_str()), ("-", "-"));
    }
}
