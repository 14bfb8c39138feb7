//! The consistent hash exchange: each message goes to one destination, the same for the same key,
//! in proportion to the weights that the binding keys are.
//!
//! Called by [`super::Router`]. Rendezvous hashing: a key is at some distance from every destination,
//! which hashes of both and the weight decide, and goes to the nearest. So where a key goes depends
//! on nothing but the destinations' names and weights, not on the order in which they were bound,
//! and one that comes or goes moves only what it gets or had. RabbitMQ numbers its destinations in
//! the order of their bindings and moves more. Cost of a route: some multiplications for each
//! destination; routes by routing key are cached by the publishers' connections.
//!
//! As in RabbitMQ a destination has one weight, that of its first binding; here the next one counts
//! when that goes, where RabbitMQ gives the destination nothing more. Which of several came first is
//! not known any more after a restart.

use super::Target;
use super::refusals::BindError;
use super::stable_hash;
use super::value::Printed;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use leveret_protocol::types::{FieldTable, FieldValue};
use smallvec::SmallVec;

/// RabbitMQ's limit: its ring has a place for every unit.
const WEIGHT_MAX: u16 = 10_000;

/// 2³²: one more than the largest number a distance is drawn from.
const DRAWN_FROM: f64 = 4_294_967_296.0;

/// The weight that a binding key is.
pub(super) fn weight(key: &str) -> Result<u16, BindError> {
    let digits = key.strip_prefix(['+', '-']).unwrap_or(key);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let key = FieldValue::LongString(key.as_bytes().to_vec());
        return Err(BindError::WeightNotInteger { key: Printed(&key).to_string() });
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() || key.starts_with('-') {
        return Err(BindError::WeightNotPositive);
    }
    let weight = digits.parse().ok().filter(|weight| *weight <= WEIGHT_MAX);
    weight.ok_or(BindError::WeightTooLarge { most: WEIGHT_MAX })
}

/// Each destination with its share.
#[derive(Clone, Debug)]
pub(super) struct WeightedTable<D> {
    shares: IndexMap<D, Share, RandomState>,
}

#[derive(Clone, Debug)]
struct Share {
    /// The hash of the destination's name.
    place: u64,
    /// Those of its bindings in the order they came, with the hash of the arguments by which two of
    /// the same weight are told apart; the first one counts.
    weights: SmallVec<[(u16, u64); 1]>,
}

impl<D> Default for WeightedTable<D> {
    fn default() -> Self {
        Self { shares: IndexMap::default() }
    }
}

impl<D: Target> WeightedTable<D> {
    /// A binding whose key is a weight; any other has been refused.
    pub(super) fn insert(&mut self, key: &str, arguments: &FieldTable, destination: &D) {
        let Ok(weight) = weight(key) else { return };
        let share = self.shares.entry(destination.clone()).or_insert_with(|| Share {
            place: stable_hash::of_bytes(&destination.address()),
            weights: SmallVec::new(),
        });
        share.weights.push((weight, identity(arguments)));
    }

    pub(super) fn remove(&mut self, key: &str, arguments: &FieldTable, destination: &D) {
        let Ok(weight) = weight(key) else { return };
        let Some(share) = self.shares.get_mut(destination) else { return };
        let gone = (weight, identity(arguments));
        if let Some(at) = share.weights.iter().position(|held| *held == gone) {
            share.weights.remove(at);
        }
        if share.weights.is_empty() {
            self.shares.swap_remove(destination);
        }
    }

    /// The nearest destination to the key with this hash.
    pub(super) fn choose(&self, hash: u64) -> Option<&D> {
        let mut nearest = None;
        let mut least = (f64::INFINITY, u64::MAX);
        for (destination, share) in &self.shares {
            let Some(&(weight, _)) = share.weights.first() else { continue };
            let weight = f64::from(weight);
            let drawn = fraction(stable_hash::spread(hash ^ share.place));
            // Most are too far away to need the logarithm, which is never nearer than this.
            if 1.0 - drawn > least.0 * weight {
                continue;
            }
            // Two at the same distance: what decides must not be their order.
            let distance = (-drawn.ln() / weight, share.place);
            if distance < least {
                (nearest, least) = (Some(destination), distance);
            }
        }
        nearest
    }
}

/// What tells bindings of the same weight apart.
fn identity(arguments: &FieldTable) -> u64 {
    stable_hash::of_bytes(&arguments.to_bytes())
}

/// A number between 0 and 1, neither of them.
fn fraction(bits: u64) -> f64 {
    let high = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    (f64::from(high) + 0.5) / DRAWN_FROM
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn table(weights: &[(u32, u16)]) -> WeightedTable<u32> {
        let mut table = WeightedTable::default();
        for (destination, weight) in weights {
            table.insert(&weight.to_string(), &FieldTable::new(), destination);
        }
        table
    }

    fn keys(count: u32) -> impl Iterator<Item = u64> {
        (0..count).map(|number| stable_hash::of_bytes(format!("key-{number}").as_bytes()))
    }

    #[test]
    fn weights_are_integers_as_erlang_reads_them() {
        for (key, expected) in [("1", 1), ("+5", 5), ("0010", 10), ("10000", 10_000)] {
            assert_eq!(weight(key), Ok(expected));
        }
        let rows = [
            ("abc", "The binding key must be an integer: <<\"abc\">>"),
            ("", "The binding key must be an integer: <<>>"),
            ("+", "The binding key must be an integer: <<\"+\">>"),
            (" 1", "The binding key must be an integer: <<\" 1\">>"),
            ("1.5", "The binding key must be an integer: <<\"1.5\">>"),
            ("é", "The binding key must be an integer: <<\"é\"/utf8>>"),
            ("0", "The binding key must be greater than 0"),
            ("-0", "The binding key must be greater than 0"),
            ("-99999999999999999999", "The binding key must be greater than 0"),
            ("10001", "The binding key must not exceed 10000"),
            ("99999999999999999999", "The binding key must not exceed 10000"),
        ];
        for (key, text) in rows {
            assert_eq!(weight(key).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn shares_are_as_the_weights() {
        const KEYS: u32 = 100_000;
        for weights in [[1, 1, 1, 1], [1, 2, 3, 4], [1, 1, 5, 10_000], [100, 50, 25, 25]] {
            let bound: Vec<_> = (0..).zip(weights).collect();
            let table = table(&bound);
            let mut got: BTreeMap<u32, u32> = BTreeMap::new();
            for key in keys(KEYS) {
                *got.entry(*table.choose(key).unwrap()).or_default() += 1;
            }
            let total: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
            for (destination, weight) in bound {
                let fair = f64::from(KEYS) * f64::from(weight) / f64::from(total);
                let got = f64::from(got.get(&destination).copied().unwrap_or(0));
                // Five standard deviations, which is under two in a hundred for a quarter.
                let allowed = 5.0 * fair.sqrt() + 1.0;
                assert!((got - fair).abs() <= allowed, "{destination} got {got}, not {fair}");
            }
        }
    }

    #[test]
    fn the_first_binding_of_a_destination_counts_and_then_the_next() {
        let one = |table: &WeightedTable<u32>| {
            keys(20_000).filter(|key| table.choose(*key) == Some(&1)).count()
        };
        let fair = one(&table(&[(1, 1), (2, 1)]));
        let mut twice = table(&[(1, 1), (2, 1), (1, 9)]);
        assert_eq!(one(&twice), fair);
        twice.remove("1", &FieldTable::new(), &1);
        assert_eq!(one(&twice), one(&table(&[(1, 9), (2, 1)])));
        twice.remove("9", &FieldTable::new(), &1);
        assert_eq!(one(&twice), 0);
    }

    proptest! {
        /// Whoever goes leaves all others what they had; whoever comes takes only for itself; and
        /// the order in which they came does not count.
        #[test]
        fn only_what_was_its_own_moves(
            weights in prop::collection::vec(1..20_u16, 2..12),
            gone in any::<prop::sample::Index>(),
        ) {
            let bound: Vec<(u32, u16)> = (0..).zip(weights).collect();
            let all = table(&bound);
            let gone = bound[gone.index(bound.len())];
            let mut fewer = all.clone();
            fewer.remove(&gone.1.to_string(), &FieldTable::new(), &gone.0);
            let mut again = fewer.clone();
            again.insert(&gone.1.to_string(), &FieldTable::new(), &gone.0);
            for key in keys(500) {
                let (before, after) = (all.choose(key), fewer.choose(key));
                prop_assert!(after.is_some());
                prop_assert!(before == after || before == Some(&gone.0));
                prop_assert!(after != Some(&gone.0));
                prop_assert_eq!(again.choose(key), before);
            }
        }
    }
}
