//! From what somebody wrote to a policy, or to RabbitMQ's words for what is wrong with it.
//!
//! Called by whoever takes policies from outside: `import`, and management. The texts are those of
//! RabbitMQ 4.3, which names the last fault first. See `rabbitmqctl help set_policy`.

use serde_json::{Number, Value};

use super::keys::{KEYS, key};
use super::term::{pairs, term};
use super::{ApplyTo, Definition, Pattern, Policy, PolicyKind};

/// As much of a pattern as RabbitMQ takes, in bytes.
const PATTERN_MAX: usize = 1024;

/// A policy as it came; what is missing is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Draft<'a> {
    /// Has to be text.
    pub pattern: Option<&'a Value>,
    /// Has to be an object.
    pub definition: Option<&'a Value>,
    /// A number; 0 if it is missing.
    pub priority: Option<&'a Value>,
    /// A name of [`ApplyTo`]; all if it is missing.
    pub apply_to: Option<&'a Value>,
}

/// What is wrong with a policy. Prints as RabbitMQ's management says it, over several lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Validation failed\n\n{}\n", .reasons.join("\n"))]
pub(crate) struct Invalid {
    /// A sentence each.
    pub reasons: Vec<String>,
}

impl Policy {
    /// The policy that somebody wrote.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn new(
        kind: PolicyKind,
        vhost: &str,
        name: &str,
        draft: Draft<'_>,
    ) -> Result<Self, Invalid> {
        let definition = definition(kind, draft.definition);
        let apply_to = apply_to(draft.apply_to);
        let pattern = pattern(draft.pattern);
        let priority = priority(draft.priority);
        match (definition, apply_to, pattern, priority) {
            (Ok(definition), Ok(apply_to), Ok(pattern), Ok(priority)) => Ok(Self {
                kind,
                vhost: vhost.to_owned(),
                name: name.to_owned(),
                pattern,
                apply_to,
                priority,
                definition,
            }),
            (definition, apply_to, pattern, priority) => {
                let faults = [definition.err(), apply_to.err(), pattern.err(), priority.err()];
                Err(Invalid { reasons: faults.into_iter().flatten().collect() })
            }
        }
    }

    /// The same for one that came as the value of a runtime parameter, which is how operator
    /// policies stand in definition files. RabbitMQ lets one without `apply-to` count for nothing;
    /// here it counts for all, as one that is set by its own command does.
    ///
    /// # Errors
    /// As there, and what is missing, and what should not be there.
    pub(crate) fn from_parameter(
        kind: PolicyKind,
        vhost: &str,
        name: &str,
        value: &Value,
    ) -> Result<Self, Invalid> {
        let Some(terms) = value.as_object() else {
            return Err(Invalid {
                reasons: vec![format!("{name} not a list {}", term(Some(value)))],
            });
        };
        let unknown: Vec<_> =
            terms.iter().filter(|(key, _)| !TERMS.contains(&key.as_str())).collect();
        let mut reasons = Vec::new();
        if !unknown.is_empty() {
            reasons.push(format!("Unrecognised terms {} in {name}", pairs(unknown.into_iter())));
        }
        let missing = TERMS.iter().filter(|key| **key != APPLY_TO && !terms.contains_key(**key));
        reasons.extend(missing.map(|key| format!("Key \"{key}\" not found in {name}")));
        if !reasons.is_empty() {
            return Err(Invalid { reasons });
        }
        let draft = Draft {
            pattern: terms.get("pattern"),
            definition: terms.get("definition"),
            priority: terms.get("priority"),
            apply_to: terms.get(APPLY_TO),
        };
        Self::new(kind, vhost, name, draft)
    }
}

const APPLY_TO: &str = "apply-to";

/// What a policy consists of, the last first.
const TERMS: [&str; 4] = ["definition", APPLY_TO, "pattern", "priority"];

fn priority(value: Option<&Value>) -> Result<Number, String> {
    match value {
        None => Ok(Number::from(0)),
        Some(Value::Number(number)) => Ok(number.clone()),
        Some(other) => {
            Err(format!("priority should be a number, actually was {}", term(Some(other))))
        }
    }
}

fn pattern(value: Option<&Value>) -> Result<Pattern, String> {
    let Some(text) = value.and_then(Value::as_str) else {
        return Err(format!("pattern should be a binary but was {}", term(value)));
    };
    if text.len() > PATTERN_MAX {
        return Err(format!("pattern must not exceed {PATTERN_MAX} bytes"));
    }
    Pattern::try_from(text.to_owned())
        .map_err(|reason| format!("pattern should be regular expression but is invalid: {reason}"))
}

fn apply_to(value: Option<&Value>) -> Result<ApplyTo, String> {
    let Some(value) = value else { return Ok(ApplyTo::All) };
    value.as_str().and_then(ApplyTo::parse).ok_or_else(|| {
        let given = value.as_str().map_or_else(|| term(Some(value)), str::to_owned);
        format!(
            "apply-to '{given}' unrecognised; should be one of: 'queues', 'classic_queues',  \
             'quorum_queues', 'streams', 'exchanges', or 'all'"
        )
    })
}

fn definition(kind: PolicyKind, value: Option<&Value>) -> Result<Definition, String> {
    match value {
        Some(Value::Object(terms)) if terms.is_empty() => Err("no policy provided".to_owned()),
        Some(Value::Object(terms)) => settings(kind, terms).map(|()| terms.clone()),
        other => {
            let validator = format!("{}_validator", kind.component());
            let given = term(other);
            Err(format!(
                "parse error while reading policy definition: {given}. Validator: {validator}."
            ))
        }
    }
}

/// Wrong values are told before settings that there are none of.
fn settings(kind: PolicyKind, terms: &Definition) -> Result<(), String> {
    let may_have =
        |name: &str| key(name).filter(|key| kind == PolicyKind::Policy || key.operator.is_some());
    for (name, value) in terms {
        let Some(key) = may_have(name) else { continue };
        if !(key.is_valid)(value) {
            return Err(key.fault.replace("{}", &term(Some(value))));
        }
    }
    delayed_retry(terms)?;
    federation(terms)?;
    let unknown: Vec<_> = terms.iter().filter(|(name, _)| may_have(name).is_none()).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(format!("{} are not recognised policy settings", pairs(unknown.into_iter())))
}

fn delayed_retry(terms: &Definition) -> Result<(), String> {
    let number = |name| terms.get(name).and_then(super::keys::integer);
    let (least, most) = (number("delayed-retry-min"), number("delayed-retry-max"));
    let given = terms.get("delayed-retry-type").and_then(Value::as_str);
    if let (Some(given), None) = (given.filter(|given| *given != "disabled"), least) {
        return Err(format!("delayed-retry-min is required when delayed-retry-type is {given}"));
    }
    match (least, most) {
        (Some(least), Some(most)) if most < least => Err(format!(
            "delayed-retry-max ({most}) must not be smaller than delayed-retry-min ({least})"
        )),
        _ => Ok(()),
    }
}

fn federation(terms: &Definition) -> Result<(), String> {
    let upstreams = KEYS.iter().filter(|key| key.name.starts_with("federation-"));
    if upstreams.filter(|key| terms.contains_key(key.name)).count() < 2 {
        return Ok(());
    }
    Err("cannot specify federation-upstream, federation-upstream-set or \
         federation-upstream-pattern together"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(kind: PolicyKind, definition: &Value) -> Result<Policy, Invalid> {
        let pattern = json!("^q");
        let draft =
            Draft { pattern: Some(&pattern), definition: Some(definition), ..Draft::default() };
        Policy::new(kind, "/", "p", draft)
    }

    fn text(definition: Value) -> String {
        checked(PolicyKind::Policy, &definition).unwrap_err().to_string()
    }

    /// What RabbitMQ 4.3.6 answered to the same definitions.
    #[test]
    fn a_wrong_definition_is_refused_in_rabbitmqs_words() {
        for (definition, reason) in [
            (json!({}), "no policy provided"),
            (json!({"foo": 1}), "[{<<\"foo\">>,1}] are not recognised policy settings"),
            (
                json!({"foo": "x", "bar": true, "max-length": 3}),
                "[{<<\"bar\">>,true},{<<\"foo\">>,<<\"x\">>}] are not recognised policy settings",
            ),
            (json!({"max-length": -1}), "-1 is not a valid maximum length"),
            (json!({"max-length": 1.5}), "1.5 is not a valid maximum length"),
            (json!({"max-length": null}), "null is not a valid maximum length"),
            (json!({"overflow": "x", "foo": 1}), "<<\"x\">> is not a valid overflow value"),
            (json!({"expires": 0}), "0 is not a valid queue expiry"),
            (json!({"delivery-limit": "x"}), "<<\"x\">> is not a valid delivery limit"),
            (json!({"queue-version": 3}), "3 is not a valid queue-version value"),
            (json!({"max-age": "1x"}), "<<\"1x\">> is not a valid max age"),
            (
                json!({"delayed-retry-type": "all"}),
                "delayed-retry-min is required when delayed-retry-type is all",
            ),
            (
                json!({"delayed-retry-min": 5, "delayed-retry-max": 3}),
                "delayed-retry-max (3) must not be smaller than delayed-retry-min (5)",
            ),
            (
                json!({"queue-master-locator": "min-masters"}),
                "use of deprecated queue-master-locator argument is not permitted",
            ),
            (
                json!({"ha-mode": "all"}),
                "[{<<\"ha-mode\">>,<<\"all\">>}] are not recognised policy settings",
            ),
            (
                json!({"stream-max-segment-size-bytes": 9_999_999_999_u64}),
                "9999999999 is not a valid segment size",
            ),
        ] {
            assert_eq!(text(definition), format!("Validation failed\n\n{reason}\n"));
        }
    }

    #[test]
    fn operator_policies_may_say_less() {
        for (definition, allowed) in [
            (json!({"max-length": 1, "overflow": "reject-publish"}), true),
            (json!({"delayed-retry-type": "all", "delayed-retry-min": 1}), true),
            (json!({"dead-letter-exchange": "x"}), false),
            (json!({"alternate-exchange": "x"}), false),
            (json!({"consumer-timeout": 1}), false),
            (json!({"max-age": "1D"}), false),
        ] {
            let checked = checked(PolicyKind::Operator, &definition);
            assert_eq!(checked.is_ok(), allowed, "{definition}: {checked:?}");
        }
    }

    #[test]
    fn every_part_is_checked_and_the_last_is_told_first() {
        let (pattern, priority) = (json!("("), json!("x"));
        let (definition, apply_to) = (json!({"foo": 1}), json!("foo"));
        let draft = Draft {
            pattern: Some(&pattern),
            definition: Some(&definition),
            priority: Some(&priority),
            apply_to: Some(&apply_to),
        };
        let invalid = Policy::new(PolicyKind::Policy, "/", "p", draft).unwrap_err();
        let [definition, apply_to, pattern, priority] = &*invalid.reasons else {
            panic!("{invalid}")
        };
        assert_eq!(definition, "[{<<\"foo\">>,1}] are not recognised policy settings");
        assert_eq!(
            apply_to,
            "apply-to 'foo' unrecognised; should be one of: 'queues', 'classic_queues',  \
             'quorum_queues', 'streams', 'exchanges', or 'all'"
        );
        let prefix = "pattern should be regular expression but is invalid: ";
        assert!(pattern.strip_prefix(prefix).is_some_and(|reason| !reason.contains('\n')));
        assert_eq!(priority, "priority should be a number, actually was <<\"x\">>");
    }

    #[test]
    fn what_is_missing_or_too_long_is_told() {
        let invalid = |draft| Policy::new(PolicyKind::Policy, "/", "p", draft).unwrap_err();
        assert_eq!(
            invalid(Draft::default()).reasons,
            [
                "parse error while reading policy definition: undefined. Validator: \
                 policy_validator.",
                "pattern should be a binary but was undefined"
            ]
        );
        let (pattern, definition) = (json!("x".repeat(1025)), json!({"max-length": 1}));
        let draft =
            Draft { pattern: Some(&pattern), definition: Some(&definition), ..Draft::default() };
        assert_eq!(invalid(draft).reasons, ["pattern must not exceed 1024 bytes"]);
    }

    #[test]
    fn an_operator_policy_stands_in_a_parameter() {
        let read = |value: Value| Policy::from_parameter(PolicyKind::Operator, "/", "n", &value);
        let whole = json!({"pattern": "a", "priority": 2, "definition": {"max-length": 1}});
        let policy = read(whole).unwrap();
        assert_eq!((policy.apply_to, policy.priority), (ApplyTo::All, 2.into()));
        let missing = read(json!({"pattern": "a", "definition": {"max-length": 1}})).unwrap_err();
        assert_eq!(missing.reasons, ["Key \"priority\" not found in n"]);
        let more = json!({"pattern": "a", "priority": 0, "definition": {"max-length": 1}, "zz": 1});
        let more = read(more).unwrap_err();
        assert_eq!(more.reasons, ["Unrecognised terms [{<<\"zz\">>,1}] in n"]);
    }
}
