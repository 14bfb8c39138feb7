//! The random and the modulus hash exchange: each message goes where one of the bindings leads,
//! whatever their keys.
//!
//! Called by [`super::Router`] with the number that chooses, which is drawn or hashed above. Bindings
//! stand in the order of their destinations' addresses, as RabbitMQ sorts them, so that the same
//! number gives the same destination after a restart; a destination that is bound twice has two
//! places. Cost of a route: a step for some hundred bindings; a change costs no more.

use super::Target;

/// Places that stand together: to move them costs less than to find them.
const RUN_MAX: usize = 512;

/// Every binding's destination.
#[derive(Clone, Debug)]
pub(super) struct ListedTable<D> {
    /// One after the other all places in their order; none of the runs is empty.
    runs: Vec<Vec<Place<D>>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Place<D> {
    address: Box<[u8]>,
    destination: D,
}

impl<D> Default for ListedTable<D> {
    fn default() -> Self {
        Self { runs: Vec::new(), len: 0 }
    }
}

impl<D: Target> ListedTable<D> {
    pub(super) fn insert(&mut self, destination: &D) {
        let place = Place { address: destination.address(), destination: destination.clone() };
        self.len += 1;
        let number = self.run_of(&place.address).min(self.runs.len().saturating_sub(1));
        let Some(run) = self.runs.get_mut(number) else { return self.runs.push(vec![place]) };
        let at = run.partition_point(|held| held.address < place.address);
        run.insert(at, place);
        if run.len() > RUN_MAX {
            let rest = run.split_off(RUN_MAX / 2);
            self.runs.insert(number + 1, rest);
        }
    }

    pub(super) fn remove(&mut self, destination: &D) {
        let address = destination.address();
        let number = self.run_of(&address);
        let Some(run) = self.runs.get_mut(number) else { return };
        let at = run.partition_point(|held| held.address < address);
        if run.get(at).is_none_or(|held| held.address != address) {
            return;
        }
        run.remove(at);
        self.len -= 1;
        if run.is_empty() {
            self.runs.remove(number);
        }
    }

    /// The destination that this number means: each place is meant by every so many-th.
    pub(super) fn choose(&self, number: u64) -> Option<&D> {
        let chosen = number.checked_rem(self.len as u64)?;
        let mut at = usize::try_from(chosen).ok()?;
        for run in &self.runs {
            match run.get(at) {
                Some(place) => return Some(&place.destination),
                None => at -= run.len(),
            }
        }
        None
    }

    /// The first run that has this address or a later one.
    fn run_of(&self, address: &[u8]) -> usize {
        self.runs.partition_point(|run| run.last().is_some_and(|last| *last.address < *address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(table: &ListedTable<u32>, numbers: u64) -> Vec<u32> {
        (0..numbers).filter_map(|number| table.choose(number).copied()).collect()
    }

    #[test]
    fn places_are_in_the_order_of_addresses_one_for_each_binding() {
        let mut table = ListedTable::default();
        assert_eq!(table.choose(0), None);
        for destination in [300, 2, 1, 2] {
            table.insert(&destination);
        }
        assert_eq!(chosen(&table, 5), [1, 2, 2, 300, 1]);
        assert_eq!(table.choose(u64::MAX), Some(&300));
        table.remove(&2);
        table.remove(&7);
        assert_eq!(chosen(&table, 3), [1, 2, 300]);
        for destination in [1, 2, 300] {
            table.remove(&destination);
        }
        assert_eq!(table.choose(3), None);
        assert!(table.runs.is_empty());
    }

    #[test]
    fn many_places_keep_their_order() {
        const COUNT: u32 = 5000;
        let mut table = ListedTable::default();
        // In no order, each once and some twice.
        for number in 0..COUNT {
            table.insert(&(number * 1_237 % COUNT));
        }
        (0..COUNT).step_by(7).for_each(|again| table.insert(&again));
        let mut expected: Vec<u32> = (0..COUNT).chain((0..COUNT).step_by(7)).collect();
        expected.sort_unstable();
        assert_eq!(chosen(&table, expected.len() as u64), expected);
        assert!(table.runs.iter().all(|run| !run.is_empty() && run.len() <= RUN_MAX));
        (0..COUNT).filter(|number| number % 3 > 0).for_each(|gone| table.remove(&gone));
        for gone in expected.iter().filter(|number| *number % 3 > 0 && *number % 7 == 0) {
            table.remove(gone);
        }
        expected.retain(|number| number % 3 == 0);
        assert_eq!(chosen(&table, expected.len() as u64), expected);
    }
}
