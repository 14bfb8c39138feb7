//! The router as the vhost sees it: identity of bindings, and one copy per destination.

use super::*;
use leveret_protocol::types::FieldValue;
use proptest::prelude::*;

fn binding(destination: u32, routing_key: &str, arguments: &FieldTable) -> Binding<u32> {
    Binding { destination, routing_key: routing_key.to_owned(), arguments: arguments.clone() }
}

fn arguments(number: i32) -> FieldTable {
    let mut table = FieldTable::default();
    if number > 0 {
        table.insert("a", FieldValue::I32(number));
    }
    table
}

/// The kinds that ask every binding; the others choose one.
const ASKING: [ExchangeKind; 5] = [
    ExchangeKind::Direct,
    ExchangeKind::Fanout,
    ExchangeKind::Topic,
    ExchangeKind::Headers,
    ExchangeKind::RecentHistory,
];
const CHOOSING: [ExchangeKind; 3] =
    [ExchangeKind::ConsistentHash, ExchangeKind::Random, ExchangeKind::ModulusHash];

/// Numbers to choose by.
fn numbers() -> impl Iterator<Item = u64> {
    (0..64_u8).map(|number| stable_hash::of_bytes(&[number]))
}

fn routed(router: &Router<u32>, key: &str, headers: &FieldTable) -> Vec<u32> {
    let mut out = Vec::new();
    router.route(key, Some(headers), &mut out);
    out.sort_unstable();
    out
}

#[test]
fn kinds_have_the_names_of_the_wire() {
    for kind in ExchangeKind::ALL {
        assert_eq!(ExchangeKind::parse(kind.name()), Some(kind));
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        assert_eq!(Router::<u32>::new(kind).kind(), kind);
    }
    assert_eq!(ExchangeKind::parse("Direct"), None);
    assert_eq!(ExchangeKind::parse("x-local-random"), None);
    assert_eq!(
        (&*ExchangeKind::Topic.atom(), &*ExchangeKind::Random.atom()),
        ("topic", "'x-random'")
    );
}

/// Checklist 37: a duplicate is no second binding, other arguments make one, and on direct and
/// topic that still gives one copy.
#[test]
fn bindings_are_known_by_destination_key_and_arguments() {
    for kind in [ExchangeKind::Direct, ExchangeKind::Topic, ExchangeKind::Fanout] {
        let mut router = Router::new(kind);
        assert_eq!(router.bind(binding(1, "k", &arguments(0))), Ok(true));
        assert_eq!(router.bind(binding(1, "k", &arguments(0))), Ok(false));
        assert_eq!(router.bind(binding(1, "k", &arguments(5))), Ok(true));
        assert_eq!(router.len(), 2);
        assert_eq!(routed(&router, "k", &arguments(0)), [1]);
        assert_eq!(router.unbind(&1, "k", &arguments(9)), None);
        assert_eq!(router.unbind(&2, "k", &arguments(0)), None);
        let removed = router.unbind(&1, "k", &arguments(0));
        assert_eq!(removed, Some(binding(1, "k", &arguments(0))));
        assert_eq!(routed(&router, "k", &arguments(0)), [1], "the other one is still there");
        assert!(router.unbind(&1, "k", &arguments(5)).is_some());
        assert!(router.is_empty() && routed(&router, "k", &arguments(0)).is_empty());
    }
}

/// Checklist 42: once per destination, whatever the number of matching bindings.
#[test]
fn one_copy_per_destination() {
    let mut topic = Router::new(ExchangeKind::Topic);
    for key in ["#", "a.*", "a.b", "*.#"] {
        topic.bind(binding(1, key, &arguments(0))).unwrap();
        topic.bind(binding(2, key, &arguments(0))).unwrap();
    }
    let mut out = vec![1];
    topic.route("a.b", None, &mut out);
    out.sort_unstable();
    assert_eq!(out, [1, 1, 2], "what was there before is not this call's");
    let mut headers = Router::new(ExchangeKind::Headers);
    for number in [0, 3] {
        headers.bind(binding(1, "", &arguments(number))).unwrap();
        headers.bind(binding(1, "k", &arguments(number))).unwrap();
    }
    assert_eq!(routed(&headers, "", &arguments(3)), [1]);
}

#[test]
fn a_refused_binding_leaves_no_trace() {
    let mut wrong = FieldTable::default();
    wrong.insert("x-match", FieldValue::Bool(true));
    let mut router = Router::new(ExchangeKind::Headers);
    assert!(router.bind(binding(1, "", &wrong)).is_err());
    assert!(router.is_empty());
    let mut direct = Router::new(ExchangeKind::Direct);
    assert_eq!(direct.bind(binding(1, "", &wrong)), Ok(true), "only headers exchanges look");
}

/// Those that choose send nothing anywhere else, and what goes is never chosen again.
#[test]
fn one_destination_is_chosen_among_those_that_are_bound() {
    for kind in CHOOSING {
        let mut router = Router::new(kind);
        assert_eq!(router.choose(7), None);
        for destination in [1, 2, 3] {
            router.bind(binding(destination, "1", &arguments(0))).unwrap();
        }
        assert!(routed(&router, "1", &arguments(0)).is_empty(), "{kind}");
        let chosen = |router: &Router<u32>| {
            let mut chosen: Vec<_> =
                numbers().map(|number| *router.choose(number).unwrap()).collect();
            chosen.sort_unstable();
            chosen.dedup();
            chosen
        };
        assert_eq!(chosen(&router), [1, 2, 3], "{kind}");
        router.remove_destination(&2);
        assert_eq!(chosen(&router), [1, 3], "{kind}");
    }
}

#[test]
fn a_binding_key_is_a_weight_where_weights_count() {
    let mut hash = Router::new(ExchangeKind::ConsistentHash);
    let refused = hash.bind(binding(1, "many", &arguments(0)));
    assert!(matches!(refused, Err(BindError::WeightNotInteger { .. })), "{refused:?}");
    assert_eq!(hash.is_new(&binding(1, "0", &arguments(0))), Err(BindError::WeightNotPositive));
    assert!(hash.is_empty());
    let mut random = Router::new(ExchangeKind::Random);
    assert_eq!(random.bind(binding(1, "many", &arguments(0))), Ok(true));
}

#[test]
fn arguments_are_checked_by_the_type_that_reads_them() {
    let mut wrong = FieldTable::default();
    wrong.insert("hash-property", FieldValue::LongString(b"app_id".to_vec()));
    wrong.insert("x-recent-history-length", FieldValue::I32(0));
    wrong.insert("x-delayed-type", FieldValue::LongString(b"x-recent-history".to_vec()));
    let history = "Invalid argument 0, 'x-recent-history-length' must be a positive integer";
    for kind in ExchangeKind::ALL {
        let text = kind.validate(&wrong).err().map(|refused| refused.to_string());
        let expected = [
            (ExchangeKind::ConsistentHash, "Unsupported property: app_id"),
            (ExchangeKind::RecentHistory, history),
            (ExchangeKind::Delayed, history),
        ];
        let expected = expected.into_iter().find(|(reads, _)| *reads == kind);
        assert_eq!(text.as_deref(), expected.map(|(_, text)| text), "{kind}");
        let nothing = kind.validate(&FieldTable::default()).err();
        let needed = (kind == ExchangeKind::Delayed).then_some(DeclareError::NoDelayedType);
        assert_eq!(nothing, needed, "{kind}");
    }
    for (name, routes_as) in [("topic", ExchangeKind::Topic), ("fanout", ExchangeKind::Fanout)] {
        let arguments: FieldTable = [("x-delayed-type", name)].into_iter().collect();
        assert_eq!(ExchangeKind::Delayed.validate(&arguments), Ok(()));
        assert_eq!(ExchangeKind::Delayed.routing(&arguments), routes_as);
        assert_eq!(ExchangeKind::Direct.routing(&arguments), ExchangeKind::Direct);
    }
    for name in ["x-delayed-message", "none"] {
        let arguments: FieldTable = [("x-delayed-type", name)].into_iter().collect();
        assert_eq!(ExchangeKind::Delayed.validate(&arguments), Err(DeclareError::NoDelayedType));
    }
}

#[test]
fn a_destination_takes_its_bindings_along() {
    for kind in ASKING {
        let mut router = Router::new(kind);
        for destination in [1, 2] {
            for number in 0..3 {
                router.bind(binding(destination, "k", &arguments(number))).unwrap();
                router.bind(binding(destination, "#", &arguments(number))).unwrap();
            }
        }
        assert_eq!(router.bindings_of(&1).count(), 6);
        assert_eq!(router.remove_destination(&1).len(), 6);
        assert_eq!(router.remove_destination(&1), []);
        assert_eq!(routed(&router, "k", &arguments(1)), [2], "{kind}");
        assert_eq!((router.len(), router.bindings().count()), (6, 6));
        assert!(router.bindings().all(|binding| binding.destination == 2));
    }
}

proptest! {
    /// Any history of binds and unbinds leaves what the list of bindings says.
    #[test]
    fn the_matcher_follows_the_registry(
        kind in prop::sample::select(ExchangeKind::ALL.to_vec()),
        steps in prop::collection::vec((0..4_u8, 0..6_u32, 0..4_usize, 0..3_i32), 0..60),
    ) {
        let chooses = CHOOSING.contains(&kind);
        let keys = if chooses { ["1", "2", "7", "40"] } else { ["a", "a.b", "#", ""] };
        let mut router = Router::new(kind);
        let mut model: Vec<Binding<u32>> = Vec::new();
        for (step, destination, key, number) in steps {
            let given = binding(destination, keys[key], &arguments(number));
            match step {
                0 | 1 => {
                    let new = !model.contains(&given);
                    prop_assert_eq!(router.bind(given.clone()), Ok(new));
                    if new {
                        model.push(given);
                    }
                }
                2 => {
                    let removed = router.unbind(&destination, keys[key], &given.arguments);
                    prop_assert_eq!(removed.is_some(), model.contains(&given));
                    model.retain(|held| *held != given);
                }
                _ => {
                    let before = model.len();
                    model.retain(|held| held.destination != destination);
                    prop_assert_eq!(
                        router.remove_destination(&destination).len(),
                        before - model.len()
                    );
                }
            }
        }
        prop_assert_eq!(router.len(), model.len());
        let mut fresh = Router::new(kind);
        for held in &model {
            fresh.bind(held.clone()).unwrap();
        }
        for key in keys {
            for number in 0..3 {
                let headers = arguments(number);
                prop_assert_eq!(routed(&router, key, &headers), routed(&fresh, key, &headers));
            }
        }
        for number in numbers() {
            prop_assert_eq!(router.choose(number), fresh.choose(number));
            prop_assert_eq!(router.choose(number).is_some(), chooses && !model.is_empty());
        }
    }
}
