//! Every rule of the protocol's core has a row.

use libtest_mimic::{Failed, Trial};

use crate::row::Row;

/// The rules of the checklist that no row can be about, and why.
const LEFT_OUT: &[(u32, &str)] = &[
    (73, "the consumer timeout is set by operators, and takes a minute at least"),
    (77, "policies are set by operators"),
    (87, "what a crash leaves is seen by the crash suite"),
];

/// The rules that belong to AMQP itself.
fn core_rules() -> impl Iterator<Item = u32> {
    1..=96
}

/// The check as a test among the others.
pub(crate) fn trial(concepts: &'static [(&str, &[Row])]) -> Trial {
    Trial::test("coverage::every rule of the core has a row", move || check(concepts))
}

fn check(concepts: &[(&str, &[Row])]) -> Result<(), Failed> {
    let cited: Vec<u32> = concepts
        .iter()
        .flat_map(|(_, rows)| rows.iter())
        .flat_map(|row| row.cites.split_whitespace())
        .map(|number| number.parse().map_err(|_| format!("{number} is not the number of a rule")))
        .collect::<Result<_, String>>()?;
    let left_out = |rule: &u32| LEFT_OUT.iter().any(|(number, _)| number == rule);
    let missing: Vec<u32> =
        core_rules().filter(|rule| !cited.contains(rule) && !left_out(rule)).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("rules without a row: {missing:?}").into())
    }
}
