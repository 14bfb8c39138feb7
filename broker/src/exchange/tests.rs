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
    assert!(ExchangeKind::Headers.needs_headers() && !ExchangeKind::Topic.needs_headers());
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

#[test]
fn a_destination_takes_its_bindings_along() {
    for kind in ExchangeKind::ALL {
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
        let keys = ["a", "a.b", "#", ""];
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
    }
}
