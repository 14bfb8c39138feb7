//! What whoever administrates a queue sees in it, and does to it, held against the naive queue.

use super::super::command::{Command, Reply};
use super::super::cursor::{Glimpse, Place as CursorPlace, Which};
use super::super::naive::Place;
use super::Pair;

impl Pair {
    /// Where some of these messages are, each once.
    fn some_of(&self, some: &[usize], which: Which) -> Vec<(usize, CursorPlace)> {
        let mut all = self.real.look(which, None, (usize::MAX, usize::MAX));
        let mut places = Vec::new();
        for at in some {
            if let Some(at) = at.checked_rem(all.len()) {
                let Glimpse { sequence, place, .. } = all.swap_remove(at);
                places.push((usize::try_from(sequence).expect("small"), place));
            }
        }
        places
    }

    pub(super) fn remove(&mut self, some: &[usize], which: Which) {
        let some = self.some_of(some, which);
        let places = some.iter().map(|(_, place)| *place).collect::<Vec<_>>();
        let twice = [places.clone(), places].concat();
        let reply = self.command(Command::Remove(which, twice));
        assert!(matches!(reply, Reply::Count(count) if count == some.len()));
        some.iter().for_each(|(number, _)| self.naive.messages[*number].place = Place::Gone);
    }

    /// What the vhost does: offers them to somebody, who takes them or not.
    pub(super) fn move_elsewhere(&mut self, some: &[usize], which: Which, taken: bool) {
        let some = self.some_of(some, which);
        let places = some.iter().map(|(_, place)| *place).collect();
        let reply = self.command(Command::Lift(which, places));
        let numbers: Vec<u64> = some.iter().map(|(number, _)| *number as u64).collect();
        assert!(matches!(reply, Reply::Lifted(lifted) if lifted == numbers));
        let mut fates = Vec::new();
        for (number, _) in some {
            let message = self.published[number].clone();
            if taken && message.is_persistent() {
                self.told.settled.push(number as u64);
            }
            self.naive.messages[number].place = if taken { Place::Gone } else { Place::Ready };
            fates.push((number as u64, (!taken).then_some(message)));
        }
        self.command(Command::Land(fates));
        self.naive.enforce_limit();
    }

    /// Page by page everything is seen once, what is ready in the order in which it would go.
    pub(super) fn check_cursor(&self) {
        let all = |which| {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = self.real.look(which, after, (3, 100));
                let Some(last) = page.last() else { return seen };
                after = Some(last.place);
                seen.extend(
                    page.iter().map(|glimpse| usize::try_from(glimpse.sequence).expect("small")),
                );
            }
        };
        let here = |is: fn(&Place) -> bool| {
            let messages = self.naive.messages.iter().enumerate();
            let here = messages.filter(move |(_, message)| is(&message.place));
            here.map(|(number, _)| number).collect::<Vec<_>>()
        };
        let mut ready = here(|place| *place == Place::Ready);
        ready.sort_by_key(|&number| (u8::MAX - self.naive.messages[number].priority, number));
        assert_eq!(all(Which::Ready), ready);
        let sorted = |mut numbers: Vec<usize>| {
            numbers.sort_unstable();
            numbers
        };
        let waiting = here(|place| matches!(place, Place::Waiting(_)));
        assert_eq!(sorted(all(Which::Delayed)), waiting);
        let unacked = here(|place| matches!(place, Place::Unacked(..)));
        assert_eq!(sorted(all(Which::Unacked)), unacked);
    }
}
