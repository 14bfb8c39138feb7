//! The changes of a vhost that are on their way to the disk, by what they are about.
//!
//! Written by `vhost::topology` when it proposes, under the topology lock; asked by whoever answers
//! a client or confirms a publish. Stays true: what is not here is on disk, or was never proposed;
//! a name is here before what it names can be seen, and as long as its newest change is not durable.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use foldhash::fast::RandomState;
use leveret_storage::metadata::Proposal;
use parking_lot::Mutex;

use crate::definitions::store::{Durable, is_done};

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The queue with a name, or that there is none.
    Queue,
    /// The exchange with a name, or that there is none.
    Exchange,
    /// What the exchange with a name is bound to.
    Bindings,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// Whether anything may be on its way: lets publishers pass without the lock.
    under_way: AtomicBool,
    /// Guards all names together. A leaf: nothing is locked under it.
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    /// The newest proposal of all and its number. Proposals of a vhost become durable in order.
    last: Option<Proposal>,
    proposed: u64,
    names: HashMap<(Subject, Box<str>), (u64, Proposal), RandomState>,
    /// More names than this are looked through for those that are durable by now.
    swept_at: usize,
}

/// Fewer names than this are not worth a search.
const SWEPT_MIN: usize = 256;

impl Newest {
    /// A change about all these was proposed.
    pub(super) fn note(
        &self,
        proposal: &Proposal,
        subjects: impl IntoIterator<Item = (Subject, Box<str>)>,
    ) {
        let mut changes = self.changes.lock();
        changes.proposed += 1;
        let number = changes.proposed;
        for subject in subjects {
            changes.names.insert(subject, (number, proposal.clone()));
        }
        changes.last = Some(proposal.clone());
        self.under_way.store(true, Ordering::Release);
        if changes.names.len() > changes.swept_at {
            changes.names.retain(|_, (_, proposal)| !is_done(proposal));
            changes.swept_at = SWEPT_MIN.max(2 * changes.names.len());
        }
    }

    /// When the newest change about any of these is on disk.
    pub(super) fn of<'a>(&self, subjects: impl IntoIterator<Item = (Subject, &'a str)>) -> Durable {
        if !self.under_way.load(Ordering::Acquire) {
            return Durable::now();
        }
        let mut changes = self.changes.lock();
        if changes.last.as_ref().is_none_or(is_done) {
            *changes = Changes { proposed: changes.proposed, ..Changes::default() };
            self.under_way.store(false, Ordering::Release);
            return Durable::now();
        }
        let newest = subjects
            .into_iter()
            .filter_map(|(subject, name)| changes.names.get(&(subject, Box::from(name))))
            .max_by_key(|(number, _)| *number);
        match newest {
            Some((_, proposal)) if !is_done(proposal) => Durable::from(proposal.clone()),
            Some(_) | None => Durable::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use leveret_storage::metadata::AppliedIndex;

    use super::*;

    #[test]
    fn a_name_waits_for_its_newest_change_and_for_no_other() {
        let newest = Newest::default();
        let proposals: Vec<_> = (0..3).map(|_| Proposal::pending()).collect();
        newest.note(&proposals[0].1, [(Subject::Queue, "a".into())]);
        newest.note(&proposals[1].1, [(Subject::Queue, "b".into())]);
        newest.note(&proposals[2].1, [(Subject::Queue, "a".into())]);
        let is_now = |subject, name| newest.of([(subject, name)]).is_now();
        assert!(is_now(Subject::Queue, "c") && is_now(Subject::Exchange, "a"));
        let mut resolvers = proposals.into_iter().map(|(resolver, _)| resolver);
        let mut resolve = |index| resolvers.next().unwrap().resolve(Ok(AppliedIndex(index)));
        resolve(1);
        assert!(!is_now(Subject::Queue, "a"), "its deletion is not on disk");
        resolve(2);
        assert!(is_now(Subject::Queue, "b") && !is_now(Subject::Queue, "a"));
        assert!(!newest.of([(Subject::Queue, "b"), (Subject::Queue, "a")]).is_now());
        resolve(3);
        assert!(is_now(Subject::Queue, "a"));
        assert!(!newest.under_way.load(Ordering::Relaxed));
    }

    #[test]
    fn names_that_are_durable_take_no_memory() {
        let newest = Newest::default();
        let (_waits, under_way) = Proposal::pending();
        newest.note(&under_way, [(Subject::Queue, "waits".into())]);
        for n in 0..10 * SWEPT_MIN {
            let done = Proposal::resolved(Ok(AppliedIndex(1)));
            newest.note(&done, [(Subject::Queue, n.to_string().into())]);
        }
        assert!(newest.changes.lock().names.len() <= SWEPT_MIN + 1);
    }
}
