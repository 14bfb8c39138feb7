//! Limits of a vhost or a user as somebody wrote them, or RabbitMQ's words for what is wrong with them.
//!
//! Called by `broker::access`. Texts are those of RabbitMQ 4.3, which names the last fault first. See
//! `rabbitmqctl help set_vhost_limits` and `set_user_limits`.

use serde_json::Value;

use super::Definition;
use super::term::{pairs, term};

/// Everything that is wrong with limits that have these names.
pub(crate) fn faults(what: &str, names: &[&str], given: &Definition) -> Vec<String> {
    let is_known = |name: &&String| names.contains(&name.as_str());
    let mut faults = Vec::new();
    if given.keys().any(|name| !is_known(&name)) {
        let unknown = given.iter().filter(|(name, _)| !is_known(name));
        faults.push(format!("Unrecognised terms {} in {what}", pairs(unknown)));
    }
    let is_number = |value: &&Value| value.is_i64() || value.is_u64();
    for name in names.iter().rev() {
        if let Some(value) = given.get(*name).filter(|value| !is_number(value)) {
            faults.push(format!("{name} should be a number, actually was {}", term(Some(value))));
        }
    }
    faults
}

/// A limit that was checked. What is below zero is no limit.
pub(crate) fn limit(given: &Definition, name: &str) -> Option<u32> {
    let value = given.get(name)?;
    let above_all = value.is_u64().then_some(u32::MAX);
    value.as_i64().map_or(above_all, |number| match u32::try_from(number) {
        Ok(limit) => Some(limit),
        Err(_) => (number > 0).then_some(u32::MAX),
    })
}

/// The same of what there may be more of.
pub(crate) fn large(given: &Definition, name: &str) -> Option<u64> {
    given.get(name)?.as_u64()
}

/// What is given under this name, by one of the two above; what was there before, where nothing is.
pub(crate) fn given_or<T>(
    given: &Definition,
    name: &str,
    before: Option<T>,
    read: impl FnOnce(&Definition, &str) -> Option<T>,
) -> Option<T> {
    if given.contains_key(name) { read(given, name) } else { before }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(value: Value) -> Definition {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn faults_are_told_in_rabbitmqs_words_and_order() {
        let names = ["max-connections", "max-queues"];
        let of = |value| faults("limits", &names, &given(value));
        assert!(of(json!({})).is_empty());
        assert!(of(json!({"max-connections": -1, "max-queues": 5})).is_empty());
        assert_eq!(
            of(json!({"max-connections": "x", "max-queues": 1.5, "a": 1, "b": "t"})),
            [
                "Unrecognised terms [{<<\"a\">>,1},{<<\"b\">>,<<\"t\">>}] in limits",
                "max-queues should be a number, actually was 1.5",
                "max-connections should be a number, actually was <<\"x\">>",
            ]
        );
    }

    #[test]
    fn what_is_below_zero_is_no_limit_and_what_is_huge_is_one() {
        let limits = given(json!({"a": -1, "b": 0, "c": 7, "d": 5_000_000_000_u64, "e": u64::MAX}));
        let of = |name| limit(&limits, name);
        assert_eq!([of("a"), of("b"), of("c")], [None, Some(0), Some(7)]);
        assert_eq!([of("d"), of("e"), of("f")], [Some(u32::MAX), Some(u32::MAX), None]);
    }
}
