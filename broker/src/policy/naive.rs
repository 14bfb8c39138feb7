//! What counts for a queue, written down once more, rule by rule, without any table; random policies
//! and arguments have to give the same.

use std::collections::BTreeMap;

use leveret_protocol::types::{FieldTable, FieldValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::effective::Origin;
use super::matching::{Applied, Policies};
use super::{Draft, Policy, PolicyKind, QueueType, effective};

type Settings = BTreeMap<&'static str, Value>;

const NUMBERS: [&str; 6] = [
    "delivery-limit",
    "expires",
    "max-length",
    "max-length-bytes",
    "message-ttl",
    "consumer-timeout",
];

/// Of an argument and what a policy says, both or one of which there may be.
fn naive(
    name: &str,
    quorum: bool,
    argument: Option<&Value>,
    policy: Option<&Value>,
    operator: Option<&Value>,
) -> Option<(Value, u8)> {
    let (argument, policy, operator) = (
        argument.map(|v| (v.clone(), 0)),
        policy.map(|v| (v.clone(), 1)),
        operator.map(|v| (v.clone(), 2)),
    );
    let number = |of: &(Value, u8)| of.0.as_i64().expect("a number");
    let least = |a: (Value, u8), b: (Value, u8)| if number(&b) < number(&a) { b } else { a };
    let limit = |a: (Value, u8), b: (Value, u8)| {
        if number(&a) < 0 || number(&b) < 0 {
            if number(&b) > number(&a) { b } else { a }
        } else {
            least(a, b)
        }
    };
    let said = match (policy, operator) {
        (Some(policy), Some(operator)) => Some(match name {
            "delivery-limit" => limit(policy, operator),
            "overflow" => operator,
            _ => least(policy, operator),
        }),
        (one, other) => one.or(other),
    };
    match (argument, said) {
        (Some(argument), Some(said)) => Some(match name {
            "dead-letter-exchange" => argument,
            "overflow" => {
                if quorum {
                    said
                } else {
                    argument
                }
            }
            "delivery-limit" => limit(argument, said),
            _ => least(argument, said),
        }),
        (one, other) => one.or(other),
    }
}

fn settings(operator: bool) -> impl Strategy<Value = Settings> {
    let number = |name: &'static str| {
        let values: Vec<Value> = match name {
            "delivery-limit" => vec![json!(-2), json!(-1), json!(1), json!(2)],
            _ => vec![json!(1), json!(2), json!(3)],
        };
        prop::option::of(prop::sample::select(values)).prop_map(move |value| (name, value))
    };
    let text = |name: &'static str, values: [&str; 2]| {
        let values = values.map(|value| json!(value));
        prop::option::of(prop::sample::select(values.to_vec())).prop_map(move |value| (name, value))
    };
    let numbers: Vec<_> = NUMBERS
        .into_iter()
        .filter(|name| !operator || *name != "consumer-timeout")
        .map(|name| number(name).boxed())
        .collect();
    let mut all = numbers;
    all.push(text("overflow", ["drop-head", "reject-publish"]).boxed());
    if !operator {
        all.push(text("dead-letter-exchange", ["a", "b"]).boxed());
    }
    all.prop_map(|pairs| {
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    })
}

fn policy(
    kind: PolicyKind,
    name: &str,
    priority: i64,
    pattern: &str,
    said: &Settings,
) -> Option<Policy> {
    let definition = json!(said);
    let (pattern, priority) = (json!(pattern), json!(priority));
    let draft = Draft {
        pattern: Some(&pattern),
        definition: Some(&definition),
        priority: Some(&priority),
        apply_to: None,
    };
    (!said.is_empty()).then(|| Policy::new(kind, "/", name, draft).expect("valid settings"))
}

fn table(arguments: &Settings, quorum: bool) -> FieldTable {
    let mut table = FieldTable::new();
    if quorum {
        table.insert("x-queue-type", "quorum");
    }
    for (name, value) in arguments {
        let value = match value.as_str() {
            Some(text) => FieldValue::from(text),
            None => FieldValue::I64(value.as_i64().expect("a number")),
        };
        table.insert(format!("x-{name}"), value);
    }
    table
}

proptest! {
    #[test]
    fn rules_and_table_give_the_same_arguments(
        arguments in settings(false),
        asked in settings(false),
        limits in settings(true),
        quorum: bool,
    ) {
        let policy_ = policy(PolicyKind::Policy, "p", 0, "", &asked);
        let operator = policy(PolicyKind::Operator, "o", 0, "", &limits);
        let declared = table(&arguments, quorum);
        let applied = Applied { policy: policy_.as_ref(), operator: operator.as_ref() };
        let found = effective(&declared, applied);
        let origins =
            [Origin::Argument, Origin::Policy("p".to_owned()), Origin::Operator("o".to_owned())];
        let mut count = usize::from(quorum);
        for name in NUMBERS.into_iter().chain(["overflow", "dead-letter-exchange"]) {
            let said = |settings: &'_ Settings| settings.get(name).cloned();
            let (argument, asked, limit) = (said(&arguments), said(&asked), said(&limits));
            let expected =
                naive(name, quorum, argument.as_ref(), asked.as_ref(), limit.as_ref());
            let argument = format!("x-{name}");
            let value = found.arguments().get(&argument).map(|value| match value.as_str() {
                Some(text) => json!(text),
                None => json!(value.as_integer()),
            });
            prop_assert_eq!(&value, &expected.as_ref().map(|(value, _)| value.clone()), "{}", name);
            let origin = expected.map(|(_, by)| origins[usize::from(by)].clone());
            prop_assert_eq!(found.origin(&argument), origin.as_ref(), "{}", name);
            count += usize::from(value.is_some());
        }
        prop_assert_eq!(found.arguments().len(), count);
    }

    #[test]
    fn the_policy_that_counts_is_the_best_of_all_that_match(
        made in prop::collection::vec((0_u8..4, -1_i64..2, 0_usize..4), 0..12),
        name in "[ab]{1,2}",
    ) {
        let said = Settings::from([("max-length", json!(1))]);
        let mut policies = Policies::default();
        let mut known: BTreeMap<String, (i64, &str)> = BTreeMap::new();
        for (of, priority, pattern) in made {
            let pattern = ["", "^a", "b$", "^c"][pattern];
            let of = of.to_string();
            policies.put(policy(PolicyKind::Policy, &of, priority, pattern, &said).expect("said"));
            known.insert(of, (priority, pattern));
        }
        let matches = |pattern: &str| match pattern {
            "^a" => name.starts_with('a'),
            "b$" => name.ends_with('b'),
            "^c" => false,
            _ => true,
        };
        let mut best: Option<(&str, i64)> = None;
        for (of, (priority, pattern)) in &known {
            if matches(pattern) && best.is_none_or(|(_, other)| *priority > other) {
                best = Some((of, *priority));
            }
        }
        let found = policies.of_queue(&name, QueueType::Classic).policy;
        prop_assert_eq!(found.map(|policy| policy.name.as_str()), best.map(|(of, _)| of));
        let exchange = policies.of_exchange(&name).policy;
        prop_assert_eq!(exchange.map(|policy| &policy.name), found.map(|policy| &policy.name));
    }
}
