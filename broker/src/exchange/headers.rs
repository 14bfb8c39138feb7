//! The headers exchange: message headers are compared with the binding arguments.
//!
//! Called by [`super::Router`]. Arguments are compiled when bound, and every binding is filed under
//! what a message must carry to match it: an *any* binding under each of its conditions, an *all*
//! binding under one of them with the others to check. A route looks up each header of the message
//! and touches only bindings that agree with it, so it costs by headers and near hits, not by
//! bindings.
//!
//! RabbitMQ: `x-match` is `all` (also when absent), `any`, `all-with-x` or `any-with-x`; without
//! `-with-x` arguments that begin with `x-` are no conditions; a void argument asks for presence
//! only; no condition at all matches everything with *all* and nothing with *any*.

use super::destinations::{Destinations, Found};
use super::refusals::BindError;
use super::value::{Printed, Value};
use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};
use leveret_protocol::types::{FieldTable, FieldValue};
use std::collections::HashMap;
use std::hash::Hash;

const MATCH_ARGUMENT: &str = "x-match";

/// What `x-match` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mode {
    all: bool,
    with_x: bool,
}

impl Mode {
    fn of(arguments: &FieldTable) -> Result<Self, BindError> {
        let all = |all, with_x| Ok(Self { all, with_x });
        match arguments.get(MATCH_ARGUMENT) {
            None => all(true, false),
            Some(given @ FieldValue::LongString(mode)) => match mode.as_slice() {
                b"all" => all(true, false),
                b"any" => all(false, false),
                b"all-with-x" => all(true, true),
                b"any-with-x" => all(false, true),
                _ => Err(BindError::InvalidMatch { value: Printed(given).to_string() }),
            },
            Some(other) => Err(BindError::InvalidMatchType {
                type_name: other.type_name(),
                value: Printed(other).to_string(),
            }),
        }
    }

    /// Whether the argument called `name` is a condition.
    fn counts(self, name: &str) -> bool {
        name != MATCH_ARGUMENT && (self.with_x || !name.starts_with("x-"))
    }
}

/// Checks the arguments of a binding before it is made.
pub(super) fn validate(arguments: &FieldTable) -> Result<(), BindError> {
    Mode::of(arguments).map(drop)
}

/// All bindings of one headers exchange.
#[derive(Clone, Debug)]
pub(super) struct HeadersTable<D> {
    /// *All* bindings without a condition.
    unconditional: Destinations<D>,
    names: HashMap<Box<str>, Filed<D>, RandomState>,
}

/// The rules with a condition on one header.
#[derive(Clone, Debug)]
struct Filed<D> {
    present: Rules<D>,
    values: IndexMap<Value, Rules<D>, RandomState>,
}

/// Each rule with the number of bindings that amount to it.
type Rules<D> = IndexMap<Rule<D>, u32, RandomState>;

/// What else must hold for a message to go to `destination`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rule<D> {
    destination: D,
    rest: Box<[Condition]>,
}

/// One binding argument: a header must be there and, unless the argument is void, equal it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Condition {
    name: Box<str>,
    /// None asks for presence only.
    value: Option<Value>,
}

impl Condition {
    fn holds(&self, headers: &FieldTable) -> bool {
        headers.get(&self.name).is_some_and(|header| {
            self.value.as_ref().is_none_or(|value| Value::from(header).equivalent(value))
        })
    }
}

impl<D> Default for HeadersTable<D> {
    fn default() -> Self {
        Self { unconditional: Destinations::default(), names: HashMap::default() }
    }
}

impl<D> Default for Filed<D> {
    fn default() -> Self {
        Self { present: Rules::default(), values: IndexMap::default() }
    }
}

impl<D: Clone + Eq + Hash> HeadersTable<D> {
    pub(super) fn insert(&mut self, arguments: &FieldTable, destination: &D) {
        let Some((mode, conditions)) = compile(arguments) else { return };
        if !mode.all {
            for condition in &conditions {
                self.file(condition, Rule { destination: destination.clone(), rest: [].into() });
            }
            return;
        }
        // The condition fewest others share is the one that keeps a route short.
        let rarest = (0..conditions.len())
            .min_by_key(|at| conditions.get(*at).map_or(usize::MAX, |anchor| self.shared(anchor)));
        match rarest.and_then(|at| anchored(&conditions, at, destination)) {
            Some((anchor, rule)) => self.file(anchor, rule),
            None => self.unconditional.add(destination),
        }
    }

    pub(super) fn remove(&mut self, arguments: &FieldTable, destination: &D) {
        let Some((mode, conditions)) = compile(arguments) else { return };
        if !mode.all {
            for condition in &conditions {
                let rule = Rule { destination: destination.clone(), rest: [].into() };
                self.unfile(condition, &rule);
            }
            return;
        }
        if conditions.is_empty() {
            return self.unconditional.remove(destination);
        }
        // Which condition was the rarest when the binding came is not remembered.
        for at in 0..conditions.len() {
            if let Some((anchor, rule)) = anchored(&conditions, at, destination)
                && self.unfile(anchor, &rule)
            {
                return;
            }
        }
    }

    pub(super) fn route(&self, headers: Option<&FieldTable>, out: &mut Vec<D>) {
        let mut found = Found::new(out);
        found.extend(&self.unconditional);
        let Some(headers) = headers else { return };
        if self.names.is_empty() {
            return;
        }
        for (name, value) in headers.iter() {
            let Some(filed) = self.names.get(name) else { continue };
            // Of a header that occurs twice the first one counts.
            if !headers.get(name).is_some_and(|first| std::ptr::eq(first, value)) {
                continue;
            }
            let equal = filed.values.get(&Value::from(value));
            for rule in filed.present.keys().chain(equal.into_iter().flat_map(Rules::keys)) {
                if rule.rest.iter().all(|condition| condition.holds(headers)) {
                    found.push(&rule.destination);
                }
            }
        }
    }

    /// How many rules are filed under `condition`.
    fn shared(&self, condition: &Condition) -> usize {
        let Some(filed) = self.names.get(&condition.name) else { return 0 };
        match &condition.value {
            None => filed.present.len(),
            Some(value) => filed.values.get(value).map_or(0, Rules::len),
        }
    }

    fn file(&mut self, condition: &Condition, rule: Rule<D>) {
        let filed = self.names.entry(condition.name.clone()).or_default();
        let rules = match &condition.value {
            None => &mut filed.present,
            Some(value) => filed.values.entry(value.clone()).or_default(),
        };
        *rules.entry(rule).or_insert(0) += 1;
    }

    /// Counts a binding less under `condition`; false when there is none.
    fn unfile(&mut self, condition: &Condition, rule: &Rule<D>) -> bool {
        let Some(filed) = self.names.get_mut(&condition.name) else { return false };
        let rules = match &condition.value {
            None => Some(&mut filed.present),
            Some(value) => filed.values.get_mut(value),
        };
        let Some(rules) = rules else { return false };
        match rules.get_mut(rule) {
            None => return false,
            Some(uses) if *uses > 1 => *uses -= 1,
            Some(_) => drop(rules.swap_remove(rule)),
        }
        if rules.is_empty()
            && let Some(value) = &condition.value
        {
            filed.values.swap_remove(value);
        }
        if filed.present.is_empty() && filed.values.is_empty() {
            self.names.remove(&condition.name);
        }
        true
    }
}

/// The mode and conditions of a binding, sorted by name; none if its mode is invalid, which
/// [`validate`] has excluded.
fn compile(arguments: &FieldTable) -> Option<(Mode, Vec<Condition>)> {
    let mode = Mode::of(arguments).ok()?;
    let mut conditions: Vec<_> = arguments
        .iter()
        .filter(|(name, _)| mode.counts(name))
        .map(|(name, value)| {
            let value = Some(Value::from(value).into_owned());
            Condition { name: name.into(), value: value.filter(|value| *value != Value::Void) }
        })
        .collect();
    conditions.sort_by(|a, b| a.name.cmp(&b.name));
    Some((mode, conditions))
}

/// The condition at `anchor` and a rule with all the others.
fn anchored<'a, D: Clone>(
    conditions: &'a [Condition],
    anchor: usize,
    destination: &D,
) -> Option<(&'a Condition, Rule<D>)> {
    let others = conditions.iter().enumerate().filter(|(at, _)| *at != anchor);
    let rest = others.map(|(_, condition)| condition.clone()).collect();
    Some((conditions.get(anchor)?, Rule { destination: destination.clone(), rest }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in fields {
            table.insert(*name, value.clone());
        }
        table
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::LongString(text.as_bytes().to_vec())
    }

    fn matches(arguments: &[(&str, FieldValue)], headers: &[(&str, FieldValue)]) -> bool {
        let mut bindings = HeadersTable::default();
        bindings.insert(&table(arguments), &1);
        let mut out = Vec::new();
        bindings.route(Some(&table(headers)), &mut out);
        bindings.remove(&table(arguments), &1);
        assert!(bindings.names.is_empty() && bindings.unconditional.is_empty());
        !out.is_empty()
    }

    /// Checklist 93: the four modes.
    #[test]
    fn modes() {
        let (one, two, x) = (("a", text("1")), ("b", text("2")), ("x-c", text("3")));
        let with = |mode| ("x-match", text(mode));
        let both = [one.clone(), two.clone()];
        assert!(matches(&both, &both), "all is the default");
        assert!(!matches(&both, std::slice::from_ref(&one)));
        assert!(!matches(&[with("all"), one.clone(), two.clone()], std::slice::from_ref(&one)));
        assert!(matches(&[with("any"), one.clone(), two.clone()], std::slice::from_ref(&two)));
        assert!(!matches(&[with("any"), one.clone(), two.clone()], &[("a", text("2"))]));
        let all_x = |mode| [with(mode), one.clone(), x.clone()];
        assert!(matches(&all_x("all"), std::slice::from_ref(&one)), "x- is no condition");
        assert!(!matches(&all_x("all-with-x"), std::slice::from_ref(&one)));
        assert!(matches(&all_x("all-with-x"), &[x.clone(), one.clone()]));
        assert!(!matches(&all_x("any"), std::slice::from_ref(&x)));
        assert!(matches(&all_x("any-with-x"), std::slice::from_ref(&x)));
        let own = [("x-match", text("any-with-x"))];
        assert!(!matches(&own, &own), "x-match itself is never a condition");
    }

    /// Checklist 93: no condition, presence.
    #[test]
    fn without_conditions_and_with_void() {
        let some = [("a", text("1"))];
        assert!(matches(&[], &some) && matches(&[], &[]));
        assert!(matches(&[("x-match", text("all")), ("x-y", text("z"))], &[]));
        assert!(!matches(&[("x-match", text("any"))], &some));
        assert!(matches(&[("a", FieldValue::Void)], &some));
        assert!(matches(&[("a", FieldValue::Void)], &[("a", FieldValue::Void)]));
        assert!(!matches(&[("a", FieldValue::Void)], &[("b", text("1"))]));
        assert!(!matches(&some, &[("a", FieldValue::Void)]));
    }

    /// Checklist 93: comparison by type class.
    #[test]
    fn values_are_compared_by_class() {
        let equal = |argument, header| matches(&[("a", argument)], &[("a", header)]);
        assert!(equal(FieldValue::I8(1), FieldValue::I64(1)));
        assert!(equal(FieldValue::U32(7), FieldValue::I16(7)));
        assert!(!equal(FieldValue::I8(-1), FieldValue::U8(255)));
        assert!(!equal(text("1"), FieldValue::I32(1)));
        assert!(equal(FieldValue::F32(1.5), FieldValue::F64(1.5)));
        assert!(!equal(FieldValue::F64(1.0), FieldValue::I32(1)));
        assert!(equal(text("raw"), FieldValue::Bytes(b"raw".to_vec())));
        assert!(!equal(FieldValue::Bool(true), FieldValue::I8(1)));
        assert!(!equal(FieldValue::Timestamp(1), FieldValue::I64(1)));
        assert!(equal(FieldValue::Timestamp(1), FieldValue::Timestamp(1)));
        let list = FieldValue::Array(vec![FieldValue::I8(1)]);
        assert!(equal(list.clone(), list.clone()));
        assert!(!equal(list, FieldValue::Array(vec![FieldValue::I64(1)])));
    }

    /// Checklist 93: the texts, as RabbitMQ sends them.
    #[test]
    fn a_bad_mode_is_refused() {
        let refused = |value| validate(&table(&[("x-match", value)])).unwrap_err().to_string();
        assert_eq!(
            refused(text("bogus")),
            "Invalid x-match field value <<\"bogus\">>; \
             expected all, any, all-with-x, or any-with-x"
        );
        assert_eq!(
            refused(FieldValue::I32(1)),
            "Invalid x-match field type signedint (value 1); expected longstr"
        );
        assert_eq!(
            refused(FieldValue::Void),
            "Invalid x-match field type void (value undefined); expected longstr"
        );
        assert_eq!(validate(&table(&[("x-match", text("any-with-x"))])), Ok(()));
    }

    /// The definition: every binding is looked at.
    fn naive(arguments: &FieldTable, headers: &FieldTable) -> bool {
        let mode = match arguments.get("x-match") {
            Some(FieldValue::LongString(mode)) => String::from_utf8(mode.to_vec()).unwrap(),
            _ => "all".to_owned(),
        };
        let mut results = arguments.iter().filter_map(|(name, value)| {
            if name == "x-match" || (name.starts_with("x-") && !mode.ends_with("-with-x")) {
                return None;
            }
            let integer = |value: &FieldValue| {
                if let FieldValue::I8(value) = value {
                    return Some(i64::from(*value));
                }
                if let FieldValue::I64(value) = value { Some(*value) } else { None }
            };
            Some(headers.get(name).is_some_and(|header| {
                *value == FieldValue::Void
                    || value == header
                    || (integer(value).is_some() && integer(value) == integer(header))
            }))
        });
        if mode.starts_with("all") { results.all(|held| held) } else { results.any(|held| held) }
    }

    fn fields(modes: bool) -> impl Strategy<Value = FieldTable> {
        let names = prop::sample::subsequence(vec!["a", "b", "c", "d", "x-e", "x-f"], 0..5);
        let value = || {
            prop_oneof![
                (0..3_i8).prop_map(FieldValue::I8),
                (0..3_i64).prop_map(FieldValue::I64),
                Just(FieldValue::Void),
                prop::sample::select(vec!["0", "1"]).prop_map(text),
            ]
        };
        let mode = prop::sample::select(vec!["", "all", "any", "all-with-x", "any-with-x"]);
        (names, prop::collection::vec(value(), 6), mode).prop_map(move |(names, values, mode)| {
            let mut fields: Vec<_> = names.into_iter().zip(values).collect();
            if modes && !mode.is_empty() {
                fields.push(("x-match", text(mode)));
            }
            table(&fields)
        })
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            bindings in prop::collection::vec((fields(true), 0..25_u8, any::<bool>()), 0..40),
            messages in prop::collection::vec(fields(false), 1..10),
        ) {
            let mut filed = HeadersTable::default();
            for (arguments, destination, _) in &bindings {
                filed.insert(arguments, destination);
            }
            for (arguments, destination, _) in bindings.iter().filter(|(.., kept)| !kept) {
                filed.remove(arguments, destination);
            }
            for headers in &messages {
                let mut expected: Vec<_> = bindings
                    .iter()
                    .filter(|(arguments, _, kept)| *kept && naive(arguments, headers))
                    .map(|(_, destination, _)| *destination)
                    .collect();
                expected.sort_unstable();
                expected.dedup();
                let mut out = Vec::new();
                filed.route(Some(headers), &mut out);
                out.sort_unstable();
                prop_assert_eq!(out, expected);
            }
            for (arguments, destination, _) in bindings.iter().filter(|(.., kept)| *kept) {
                filed.remove(arguments, destination);
            }
            prop_assert!(filed.names.is_empty() && filed.unconditional.is_empty());
        }
    }
}
