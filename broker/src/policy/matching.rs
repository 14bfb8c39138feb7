//! Which policy counts for a queue or an exchange: of those that match it, the one with the highest
//! priority.
//!
//! Kept by `vhost::policies`, one a vhost. Where priorities are equal, RabbitMQ lets chance decide;
//! here the first name does, so that a restart changes nothing.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Number;

use super::keys::is_for;
use super::{ApplyTo, Policy, PolicyKind, QueueType};

/// The policies of a vhost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies {
    policies: Precedence,
    operator_policies: Precedence,
}

/// Policies of one kind, those first that count before others.
#[derive(Clone, Debug, Default)]
struct Precedence(Vec<Arc<Policy>>);

/// What counts for a queue or an exchange.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Applied<'a> {
    /// The policy.
    pub policy: Option<&'a Policy>,
    /// The operator policy.
    pub operator: Option<&'a Policy>,
}

impl Applied<'_> {
    /// Whether nothing does.
    pub(crate) fn is_nothing(&self) -> bool {
        self.policy.is_none() && self.operator.is_none()
    }
}

impl Policies {
    /// Adds a policy, in place of the one of its kind and name.
    pub(crate) fn put(&mut self, policy: Policy) {
        self.remove(policy.kind, &policy.name);
        let Precedence(of_kind) = self.of_kind_mut(policy.kind);
        let place = of_kind.partition_point(|other| precedes(other, &policy));
        of_kind.insert(place, Arc::new(policy));
    }

    /// Takes the policy of this kind and name away, if there is one.
    pub(crate) fn remove(&mut self, kind: PolicyKind, name: &str) {
        self.of_kind_mut(kind).0.retain(|policy| policy.name != name);
    }

    /// The policy of this kind and name.
    pub(crate) fn get(&self, kind: PolicyKind, name: &str) -> Option<&Arc<Policy>> {
        let of_kind = match kind {
            PolicyKind::Policy => &self.policies,
            PolicyKind::Operator => &self.operator_policies,
        };
        of_kind.0.iter().find(|policy| policy.name == name)
    }

    /// All of both kinds, those that count first of each kind first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.0.iter().chain(&self.operator_policies.0)
    }

    fn of_kind_mut(&mut self, kind: PolicyKind) -> &mut Precedence {
        match kind {
            PolicyKind::Policy => &mut self.policies,
            PolicyKind::Operator => &mut self.operator_policies,
        }
    }

    /// What counts for the queue with this name.
    pub(crate) fn of_queue(&self, name: &str, queue_type: QueueType) -> Applied<'_> {
        self.first(|policy| is_for_queues(policy, queue_type) && policy.pattern.matches(name))
    }

    /// What counts for the exchange with this name.
    pub(crate) fn of_exchange(&self, name: &str) -> Applied<'_> {
        self.first(|policy| is_for_exchanges(policy) && policy.pattern.matches(name))
    }

    fn first(&self, matches: impl Fn(&Policy) -> bool) -> Applied<'_> {
        Applied {
            policy: self.policies.first(&matches),
            operator: self.operator_policies.first(&matches),
        }
    }
}

impl Precedence {
    fn first(&self, matches: impl Fn(&Policy) -> bool) -> Option<&Policy> {
        self.0.iter().map(|policy| &**policy).find(|policy| matches(policy))
    }
}

fn precedes(one: &Policy, other: &Policy) -> bool {
    let priorities = compare(&other.priority, &one.priority);
    priorities.then_with(|| one.name.cmp(&other.name)) == Ordering::Less
}

/// Priorities are any numbers.
fn compare(one: &Number, other: &Number) -> Ordering {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => {
            let number = |number: &Number| number.as_f64().unwrap_or_default();
            number(one).total_cmp(&number(other))
        }
    }
}

/// One setting that a queue of this type cannot have keeps the whole policy from it, as on RabbitMQ.
fn is_for_queues(policy: &Policy, queue_type: QueueType) -> bool {
    let is_for_type = match policy.apply_to {
        ApplyTo::Queues | ApplyTo::All => true,
        ApplyTo::ClassicQueues => queue_type == QueueType::Classic,
        ApplyTo::QuorumQueues => queue_type == QueueType::Quorum,
        ApplyTo::Streams => queue_type == QueueType::Stream,
        ApplyTo::Exchanges => false,
    };
    is_for_type && policy.definition.keys().all(|name| is_for(name, queue_type))
}

fn is_for_exchanges(policy: &Policy) -> bool {
    matches!(policy.apply_to, ApplyTo::Exchanges | ApplyTo::All)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Draft;
    use super::*;

    fn policy(name: &str, pattern: &str, apply_to: &str, priority: Value, of: Value) -> Policy {
        let (pattern, apply_to) = (json!(pattern), json!(apply_to));
        let draft = Draft {
            pattern: Some(&pattern),
            definition: Some(&of),
            priority: Some(&priority),
            apply_to: Some(&apply_to),
        };
        Policy::new(PolicyKind::Policy, "/", name, draft).unwrap()
    }

    fn limit() -> Value {
        json!({"max-length": 1})
    }

    fn counting(policies: &Policies, name: &str, queue_type: QueueType) -> Option<String> {
        policies.of_queue(name, queue_type).policy.map(|policy| policy.name.clone())
    }

    #[test]
    fn the_highest_priority_counts_and_then_the_first_name() {
        let mut policies = Policies::default();
        for (name, priority) in
            [("b", json!(1)), ("a", json!(1)), ("c", json!(1.5)), ("d", json!(-3))]
        {
            policies.put(policy(name, "^q", "queues", priority, limit()));
        }
        let mut left = Vec::new();
        while let Some(name) = counting(&policies, "q1", QueueType::Classic) {
            policies.remove(PolicyKind::Policy, &name);
            left.push(name);
        }
        assert_eq!(left, ["c", "a", "b", "d"]);
    }

    #[test]
    fn a_policy_takes_the_place_of_its_name_only_within_its_kind() {
        let mut policies = Policies::default();
        policies.put(policy("p", "^a", "queues", json!(0), limit()));
        policies.put(Policy {
            kind: PolicyKind::Operator,
            ..policy("p", "^b", "queues", json!(0), limit())
        });
        policies.put(policy("p", "^c", "queues", json!(0), limit()));
        assert!(policies.of_queue("a", QueueType::Classic).is_nothing());
        assert!(policies.of_queue("b", QueueType::Classic).operator.is_some());
        assert!(policies.of_queue("c", QueueType::Classic).policy.is_some());
        assert_eq!(policies.get(PolicyKind::Policy, "p").unwrap().pattern.as_str(), "^c");
    }

    #[test]
    fn patterns_match_anywhere_unless_they_are_anchored() {
        let mut policies = Policies::default();
        policies.put(policy("p", "b", "all", json!(0), limit()));
        assert!(!policies.of_queue("abc", QueueType::Classic).is_nothing());
        assert!(!policies.of_exchange("abc").is_nothing());
        assert!(policies.of_queue("ac", QueueType::Classic).is_nothing());
    }

    #[test]
    fn apply_to_tells_queues_of_all_types_and_exchanges_apart() {
        let types = [QueueType::Classic, QueueType::Quorum, QueueType::Stream];
        for (apply_to, queues, exchange) in [
            ("queues", [true; 3], false),
            ("classic_queues", [true, false, false], false),
            ("quorum_queues", [false, true, false], false),
            ("streams", [false, false, true], false),
            ("exchanges", [false; 3], true),
            ("all", [true; 3], true),
        ] {
            let mut policies = Policies::default();
            let anything = json!({"max-length-bytes": 1});
            policies.put(policy("p", "", apply_to, json!(0), anything));
            let counts = types.map(|of| !policies.of_queue("q", of).is_nothing());
            assert_eq!((counts, !policies.of_exchange("q").is_nothing()), (queues, exchange));
        }
    }

    #[test]
    fn a_setting_of_another_type_keeps_the_whole_policy_away() {
        for (of, classic, quorum, stream) in [
            (json!({"max-age": "1D", "max-length-bytes": 1}), false, false, true),
            (json!({"queue-mode": "lazy", "max-length": 1}), true, false, false),
            (json!({"delivery-limit": 1, "message-ttl": 1}), true, true, false),
        ] {
            let mut policies = Policies::default();
            policies.put(policy("p", "", "queues", json!(0), of));
            // The one behind it counts then.
            policies.put(policy("behind", "", "queues", json!(-1), json!({"max-length-bytes": 1})));
            let first = |of| counting(&policies, "q", of).as_deref() == Some("p");
            let found = [QueueType::Classic, QueueType::Quorum, QueueType::Stream].map(first);
            assert_eq!(found, [classic, quorum, stream]);
        }
    }
}
