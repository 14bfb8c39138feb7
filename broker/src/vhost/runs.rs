//! Messages that go to many queues as one: what each queue gets, and what the log gets.
//!
//! Used by `dead_letters`, `trace` and `telling`. Stays true: a message is stored once, with its place in each of
//! the queues that took it and store it; what nobody took is not stored.

use std::sync::Arc;

use indexmap::IndexMap;
use leveret_storage::messages::{Batch, Place, Publish};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use crate::message::Message;
use crate::queue::{Effects, Queue};

/// What goes to each queue.
pub(super) type Runs = IndexMap<u64, (Arc<Queue>, Vec<Parcel>), FxBuildHasher>;

/// A message on its way to one queue.
#[derive(Debug)]
pub(super) struct Parcel {
    message: Message,
    /// Which of the messages to be stored it is.
    stored: Option<usize>,
    /// What its sender knows it by.
    of: usize,
}

/// Adds a message to what its targets get, and to what is stored if one of them stores it. Returns
/// whether one does.
pub(super) fn note_way(
    of: usize,
    message: &Message,
    targets: Vec<Arc<Queue>>,
    publishes: &mut Vec<Publish>,
    runs: &mut Runs,
) -> bool {
    let is_stored = message.is_persistent() && targets.iter().any(|target| target.is_stored());
    let stored = is_stored.then_some(publishes.len());
    if is_stored {
        publishes.push(Publish { content: message.content(), places: SmallVec::new() });
    }
    for target in targets {
        let run = runs.entry(target.id().0).or_insert_with(|| (target, Vec::new()));
        run.1.push(Parcel { message: message.clone(), stored, of });
    }
    is_stored
}

/// Gives a queue its messages, and notes where those are that are stored. Tells of each whether it was
/// taken: the queue may be full, or deleted.
pub(super) fn deliver(
    target: &Arc<Queue>,
    run: Vec<Parcel>,
    moved: &mut Batch,
    effects: &mut Effects,
    mut tell: impl FnMut(usize, bool),
) {
    let mut note =
        |parcel: (Option<usize>, usize), sequence: Option<u64>, effects: &mut Effects| {
            let (stored, of) = parcel;
            tell(of, sequence.is_some());
            let Some(sequence) = sequence else { return };
            let place = Place { queue: target.id().0, sequence };
            match stored.and_then(|stored| moved.publishes.get_mut(stored)) {
                Some(publish) if target.is_stored() => publish.places.push(place),
                None if target.is_stored() => effects.durable.leave_out(place),
                Some(_) | None => {}
            }
        };
    if target.rejects_publishes() {
        for Parcel { message, stored, of } in run {
            let sequence = target.take(message, effects).ok().flatten();
            note((stored, of), sequence, effects);
        }
        return;
    }
    let known: Vec<_> = run.iter().map(|parcel| (parcel.stored, parcel.of)).collect();
    let messages = run.into_iter().map(|parcel| parcel.message);
    let first = target.publish(messages, effects);
    for (number, parcel) in (0..).zip(known) {
        note(parcel, first.map(|first| first + number), effects);
    }
}

/// Gives every queue its messages, as one group of the log. Tells of each message which queue took it, or
/// did not. What nobody took is not stored.
pub(super) fn deliver_all(
    runs: Runs,
    moved: &mut Batch,
    effects: &mut Effects,
    mut tell: impl FnMut(usize, &Queue, bool),
) {
    let keys = effects.keys();
    for (target, run) in runs.into_values() {
        deliver(&target, run, moved, effects, |of, taken| tell(of, &target, taken));
    }
    effects.take_keys(keys, moved);
    moved.publishes.retain(|publish| !publish.places.is_empty());
}
