//! What counts for a queue or an exchange in the end: the arguments it was declared with, the policy
//! and the operator policy that match it, put together by RabbitMQ's rules.
//!
//! Called by `vhost::policies`. Stays true: the arguments of a queue that come out of here can be
//! parsed by `queue::arguments`, if those it was declared with could.

use std::collections::BTreeMap;
use std::fmt;

use leveret_protocol::types::{FieldTable, FieldValue};
use serde_json::Value;

use super::keys::{About, Choice, KEYS, Key, integer};
use super::matching::Applied;
use super::{Definition, Policy, PolicyKind, QueueType};

/// The longest time an argument may give, ten years; a policy may give a longer one, which counts as
/// this.
const LONGEST_MS: i64 = 10 * 365 * 24 * 3600 * 1000;

/// Whose word a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Of who declared it.
    Argument,
    /// Of the policy with this name.
    Policy(String),
    /// Of the operator policy with this name.
    Operator(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => f.write_str("its declaration"),
            Self::Policy(name) => write!(f, "policy '{name}'"),
            Self::Operator(name) => write!(f, "operator policy '{name}'"),
        }
    }
}

/// The arguments that count, with their origins.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effective {
    arguments: FieldTable,
    origins: BTreeMap<String, Origin>,
}

impl Effective {
    /// The arguments, with the names they have in declarations.
    pub(crate) fn arguments(&self) -> &FieldTable {
        &self.arguments
    }

    /// Whose word the value of an argument is; `None` if it has none.
    pub(crate) fn origin(&self, argument: &str) -> Option<&Origin> {
        self.origins.get(argument)
    }

    /// What was declared, without any policy.
    fn declared(arguments: &FieldTable) -> Self {
        let origins = arguments.iter().map(|(name, _)| (name.to_owned(), Origin::Argument));
        Self { origins: origins.collect(), arguments: arguments.clone() }
    }

    fn set(&mut self, argument: &str, value: FieldValue, origin: Origin) {
        self.arguments.insert(argument, value);
        self.origins.insert(argument.to_owned(), origin);
    }

    fn remove(&mut self, argument: &str) {
        self.arguments.remove(argument);
        self.origins.remove(argument);
    }
}

/// The arguments that count for a queue.
pub(crate) fn effective(declared: &FieldTable, applied: Applied<'_>) -> Effective {
    let queue_type = QueueType::of(declared);
    let mut effective = Effective::declared(declared);
    for (key, value, origin) in merged(applied) {
        if key.about != About::Queues {
            continue;
        }
        let argument = format!("x-{}", key.name);
        let declared = declared.get(&argument);
        let wins = declared.is_none_or(|declared| !keeps(key.choice(queue_type), declared, value));
        if wins && let Some(value) = field(key, value) {
            effective.set(&argument, value, origin);
        }
    }
    if !effective.arguments.contains("x-dead-letter-exchange") {
        // A policy may give the key alone, which means nothing and is not to be declared.
        effective.remove("x-dead-letter-routing-key");
    }
    effective
}

/// What the policies that count say together, by their own names.
pub(crate) fn definition_of(applied: Applied<'_>) -> Definition {
    merged(applied).map(|(key, value, _)| (key.name.to_owned(), value.clone())).collect()
}

/// The arguments that count for an exchange. What it was declared with goes first.
pub(crate) fn effective_of_exchange(declared: &FieldTable, applied: Applied<'_>) -> Effective {
    let mut effective = Effective::declared(declared);
    for (key, value, origin) in merged(applied) {
        let About::Exchanges(argument) = key.about else { continue };
        if !declared.contains(argument)
            && let Some(value) = field(key, value)
        {
            effective.set(argument, value, origin);
        }
    }
    effective
}

/// What policy and operator policy say together.
fn merged<'a>(applied: Applied<'a>) -> impl Iterator<Item = (&'static Key, &'a Value, Origin)> {
    let Applied { policy, operator } = applied;
    let said = |by: Option<&'a Policy>, name: &str| {
        by.and_then(|policy| policy.definition.get(name).map(|value| (policy, value)))
    };
    KEYS.iter().filter_map(move |key| {
        let (by, value) = match (said(policy, key.name), said(operator, key.name)) {
            (Some(asked), Some(limit)) => {
                let choice = key.operator.unwrap_or(Choice::Second);
                if is_first(choice, integer(asked.1), integer(limit.1)) { asked } else { limit }
            }
            (asked, limit) => asked.or(limit)?,
        };
        Some((key, value, origin(by)))
    })
}

fn origin(policy: &Policy) -> Origin {
    match policy.kind {
        PolicyKind::Policy => Origin::Policy(policy.name.clone()),
        PolicyKind::Operator => Origin::Operator(policy.name.clone()),
    }
}

/// Whether an argument counts, and not what a policy says.
fn keeps(choice: Choice, declared: &FieldValue, said: &Value) -> bool {
    is_first(choice, declared.as_integer(), integer(said))
}

/// Whether the first of two values counts, and not the second; of numbers that are equal it does.
fn is_first(choice: Choice, first: Option<i64>, second: Option<i64>) -> bool {
    let Some((first, second)) = first.zip(second) else { return choice != Choice::Second };
    match choice {
        Choice::First => true,
        Choice::Second => false,
        Choice::Greatest => first >= second,
        Choice::Limit if first < 0 || second < 0 => first >= second,
        Choice::Limit | Choice::Least => first <= second,
    }
}

/// A setting's value as an argument.
fn field(key: &Key, value: &Value) -> Option<FieldValue> {
    match value {
        Value::Bool(flag) => Some(FieldValue::Bool(*flag)),
        Value::String(text) => Some(FieldValue::LongString(text.clone().into_bytes())),
        Value::Number(_) => {
            let number = integer(value)?;
            let longest = matches!(key.name, "expires" | "message-ttl");
            Some(FieldValue::I64(if longest { number.min(LONGEST_MS) } else { number }))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Draft;
    use super::*;

    fn policy(kind: PolicyKind, definition: Value) -> Policy {
        let pattern = json!("");
        let draft =
            Draft { pattern: Some(&pattern), definition: Some(&definition), ..Draft::default() };
        Policy::new(kind, "/", kind.component(), draft).unwrap()
    }

    fn table(fields: Value) -> FieldTable {
        let Value::Object(fields) = fields else { panic!("{fields}") };
        let value = |value: &Value| match (value.as_str(), value.as_i64()) {
            (Some(text), _) => FieldValue::from(text),
            (None, number) => FieldValue::I64(number.expect("a number")),
        };
        fields.iter().map(|(name, of)| (name.clone(), value(of))).collect()
    }

    fn put_together(declared: Value, policy_: Option<Value>, operator: Option<Value>) -> Effective {
        let policy_ = policy_.map(|said| policy(PolicyKind::Policy, said));
        let operator = operator.map(|said| policy(PolicyKind::Operator, said));
        let applied = Applied { policy: policy_.as_ref(), operator: operator.as_ref() };
        effective(&table(declared), applied)
    }

    /// The value of an argument and who says so.
    fn asked(effective: &Effective, argument: &str) -> Option<(String, &'static str)> {
        let value = effective.arguments().get(argument)?;
        let value = value.as_str().map(str::to_owned);
        let value = value.or_else(|| {
            effective
                .arguments()
                .get(argument)
                .and_then(FieldValue::as_integer)
                .map(|n| n.to_string())
        });
        let origin = match effective.origin(argument)? {
            Origin::Argument => "argument",
            Origin::Policy(name) => {
                assert_eq!(name, "policy");
                "policy"
            }
            Origin::Operator(name) => {
                assert_eq!(name, "operator_policy");
                "operator"
            }
        };
        Some((value?, origin))
    }

    fn assert_counts(effective: &Effective, argument: &str, expected: Option<(&str, &str)>) {
        let found = asked(effective, argument);
        let found = found.as_ref().map(|(value, origin)| (value.as_str(), *origin));
        assert_eq!(found, expected, "{argument} in {effective:?}");
    }

    #[test]
    fn an_argument_goes_before_the_policy_where_it_names_something() {
        for name in ["dead-letter-exchange", "dead-letter-routing-key", "dead-letter-strategy"] {
            let argument = format!("x-{name}");
            let said = if name.ends_with("strategy") { "at-most-once" } else { "policy's" };
            let mut declared = json!({"x-dead-letter-exchange": "dlx"});
            let policy = json!({name: said, "max-length": 7});
            let without = put_together(declared.clone(), Some(policy.clone()), None);
            if name != "dead-letter-exchange" {
                assert_counts(&without, &argument, Some((said, "policy")));
            }
            declared[&argument] = json!("argument's");
            let with = put_together(declared, Some(policy), None);
            assert_counts(&with, &argument, Some(("argument's", "argument")));
            assert_counts(&with, "x-max-length", Some(("7", "policy")));
        }
    }

    #[test]
    fn the_smaller_of_two_limits_counts() {
        for name in ["message-ttl", "expires", "max-length", "max-length-bytes"] {
            let argument = format!("x-{name}");
            for (declared, said, expected) in
                [(5, 3, ("3", "policy")), (3, 5, ("3", "argument")), (3, 3, ("3", "argument"))]
            {
                let together =
                    put_together(json!({&argument: declared}), Some(json!({name: said})), None);
                assert_counts(&together, &argument, Some(expected));
            }
        }
    }

    #[test]
    fn overflow_is_the_arguments_on_classic_queues_and_the_policys_on_quorum_queues() {
        let policy = || Some(json!({"overflow": "reject-publish"}));
        let declared = json!({"x-overflow": "drop-head"});
        let classic = put_together(declared.clone(), policy(), None);
        assert_counts(&classic, "x-overflow", Some(("drop-head", "argument")));
        let mut declared = declared;
        declared["x-queue-type"] = json!("quorum");
        let quorum = put_together(declared, policy(), None);
        assert_counts(&quorum, "x-overflow", Some(("reject-publish", "policy")));
    }

    #[test]
    fn an_operator_policy_limits_what_a_policy_asks_for() {
        for (setting, asked, limit, expected) in [
            ("max-length", json!(10), json!(5), ("5", "operator")),
            ("max-length", json!(4), json!(5), ("4", "policy")),
            ("expires", json!(10), json!(5), ("5", "operator")),
            (
                "overflow",
                json!("drop-head"),
                json!("reject-publish"),
                ("reject-publish", "operator"),
            ),
            ("queue-version", json!(2), json!(1), ("1", "operator")),
            ("delivery-limit", json!(5), json!(3), ("3", "operator")),
            // A negative limit is none: the other is the more careful one.
            ("delivery-limit", json!(-1), json!(3), ("3", "operator")),
            ("delivery-limit", json!(5), json!(-1), ("5", "policy")),
            ("delivery-limit", json!(-5), json!(-1), ("-1", "operator")),
        ] {
            let together = put_together(
                json!({}),
                Some(json!({setting: asked})),
                Some(json!({setting: limit})),
            );
            assert_counts(&together, &format!("x-{setting}"), Some(expected));
        }
        let both =
            put_together(json!({}), Some(json!({"max-length": 1})), Some(json!({"expires": 2})));
        assert_counts(&both, "x-max-length", Some(("1", "policy")));
        assert_counts(&both, "x-expires", Some(("2", "operator")));
    }

    #[test]
    fn a_delivery_limit_is_the_smaller_one_unless_one_is_none() {
        for (declared, said, expected) in
            [(5, 3, "3"), (3, 5, "3"), (-1, 5, "5"), (5, -1, "5"), (-1, -2, "-1")]
        {
            let together = put_together(
                json!({"x-delivery-limit": declared}),
                Some(json!({"delivery-limit": said})),
                None,
            );
            assert_eq!(asked(&together, "x-delivery-limit").unwrap().0, expected);
        }
    }

    #[test]
    fn what_could_not_be_declared_does_not_come_out() {
        let key_alone =
            put_together(json!({}), Some(json!({"dead-letter-routing-key": "k"})), None);
        assert_counts(&key_alone, "x-dead-letter-routing-key", None);
        let for_ever = json!({"expires": i64::MAX, "message-ttl": u64::MAX});
        let capped = put_together(json!({}), Some(for_ever), None);
        for argument in ["x-expires", "x-message-ttl"] {
            assert_counts(&capped, argument, Some(("315360000000", "policy")));
        }
        let elsewhere = put_together(json!({}), Some(json!({"alternate-exchange": "x"})), None);
        assert!(elsewhere.arguments().is_empty());
    }

    #[test]
    fn an_exchange_goes_by_its_argument_first() {
        let said = policy(PolicyKind::Policy, json!({"alternate-exchange": "p", "max-length": 1}));
        let applied = Applied { policy: Some(&said), operator: None };
        let plain = effective_of_exchange(&FieldTable::new(), applied);
        assert_counts(&plain, "alternate-exchange", Some(("p", "policy")));
        assert_eq!(plain.arguments().len(), 1);
        let declared = table(json!({"alternate-exchange": "a"}));
        let declared = effective_of_exchange(&declared, applied);
        assert_counts(&declared, "alternate-exchange", Some(("a", "argument")));
    }
}
