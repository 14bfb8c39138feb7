//! The arguments that count for a queue: those it was declared with, as policies change them.
//!
//! Set by `vhost::policies` when the queue is made and whenever policies change; asked by whoever
//! shows a queue, and for what does not stand in the queue's state machine. Stays true: before any
//! policy counted, they are the declared ones; the state machine has the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwapOption, Guard};
use leveret_protocol::types::FieldTable;
use tracing::warn;

use super::arguments::{self, QueueArguments};
use super::command::Command;
use super::consumers::Activity;
use super::{Effects, Queue, kind};
use crate::error::ResourceName;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Effective {
    /// `None` while they are the declared ones.
    changed: ArcSwapOption<Changed>,
    /// The declared ones, where they were changed in place.
    amended: ArcSwapOption<FieldTable>,
    /// `rejects_publishes` of what counts, or publishers are paused: asked for every message.
    rejects: AtomicBool,
}

impl Effective {
    /// As declared.
    pub(super) fn declared(arguments: &QueueArguments) -> Self {
        let rejects = AtomicBool::new(arguments.rejects_publishes);
        Self { changed: ArcSwapOption::empty(), amended: ArcSwapOption::empty(), rejects }
    }
}

#[derive(Debug)]
pub(super) struct Changed {
    arguments: Arc<FieldTable>,
    parsed: QueueArguments,
}

/// What counts for a queue, parsed.
pub(super) struct InForce<'a> {
    changed: Guard<Option<Arc<Changed>>>,
    declared: &'a QueueArguments,
}

impl std::ops::Deref for InForce<'_> {
    type Target = QueueArguments;

    fn deref(&self) -> &QueueArguments {
        self.changed.as_ref().map_or(self.declared, |changed| &changed.parsed)
    }
}

impl Queue {
    /// From now on these arguments count: for what comes, and, where it is a limit, for what is
    /// there. Times that messages have been given stay theirs, as in RabbitMQ.
    pub(crate) fn set_effective(self: &Arc<Self>, arguments: &FieldTable) {
        let resource = ResourceName::queue(&self.vhost, &self.name);
        // Policies are checked before they count: there are none that do not parse.
        let Ok(parsed) = arguments::parse(arguments, &resource) else { return };
        self.tell_of_strategy(arguments, &parsed);
        let mut effects = Effects::default();
        let mut inner = self.inner.lock();
        let kind = kind(&self.settings, &parsed, &self.around);
        let changed = Changed { arguments: Arc::new(arguments.clone()), parsed };
        let is_declared = *arguments == self.settings.arguments;
        self.effective.changed.store((!is_declared).then(|| Arc::new(changed)));
        self.note_refusing();
        self.budget.set_limit(self.in_force().max_held_bytes);
        self.rates.set(self.in_force().publish);
        if !inner.deleted {
            inner.state.apply(Command::Reconfigure(kind), self.facts());
            self.pump(&mut inner, 0, &mut effects);
        }
        drop(inner);
        effects.carry_out(self.messages());
    }

    /// The arguments that it was declared with, as they were changed since.
    pub(crate) fn arguments(&self) -> Arc<FieldTable> {
        let amended = self.effective.amended.load_full();
        amended.unwrap_or_else(|| Arc::new(self.settings.arguments.clone()))
    }

    /// Whether they were changed.
    pub(crate) fn is_amended(&self) -> bool {
        self.effective.amended.load().is_some()
    }

    /// It is as if it had been declared with these. `set_effective` has them count.
    pub(crate) fn amend(&self, arguments: FieldTable) {
        self.effective.amended.store(Some(Arc::new(arguments)));
    }

    /// Whether they are the declared ones.
    pub(crate) fn is_as_declared(&self) -> bool {
        self.effective.changed.load().is_none()
    }

    /// The arguments that count.
    pub(crate) fn effective_arguments(&self) -> Arc<FieldTable> {
        match &*self.effective.changed.load() {
            Some(changed) => Arc::clone(&changed.arguments),
            None => Arc::new(self.settings.arguments.clone()),
        }
    }

    /// What publishers are refused has changed. With the queue's lock held.
    pub(super) fn note_refusing(&self) {
        let rejects = self.in_force().rejects_publishes || self.paused.refuses();
        self.effective.rejects.store(rejects, Ordering::Relaxed);
    }

    /// Whether it refuses messages, when it is full or paused, so that each has to be offered.
    #[inline]
    pub(crate) fn rejects_publishes(&self) -> bool {
        self.effective.rejects.load(Ordering::Relaxed)
    }

    /// An operator who asks for dead letters to be kept should know where they are not.
    pub(super) fn tell_of_strategy(&self, arguments: &FieldTable, parsed: &QueueArguments) {
        if arguments::is_to_keep_dead_letters(arguments) && !parsed.keeps_dead_letters {
            let (vhost, queue) = (&*self.vhost, &*self.name);
            warn!(
                vhost,
                queue,
                "dead letters are published at most once: at least once needs a dead letter exchange \
                 and an overflow that rejects publishes"
            );
        }
    }

    /// Whether nobody may fetch from it: a quorum queue with a single active consumer.
    pub(crate) fn refuses_gets(&self) -> bool {
        self.settings.parsed.activity == Activity::Highest
    }

    /// Whether its dead letters stay with it until somebody takes them.
    pub(crate) fn keeps_dead_letters(&self) -> bool {
        self.in_force().keeps_dead_letters
    }

    /// The arguments that count, parsed.
    pub(super) fn in_force(&self) -> InForce<'_> {
        InForce { changed: self.effective.changed.load(), declared: &self.settings.parsed }
    }
}
