//! The arguments that count for a queue: those it was declared with, as policies change them.
//!
//! Set by `vhost::policies` when the queue is made and whenever policies change; asked by whoever
//! shows a queue. Stays true: before any policy counted, they are the declared ones.

use std::sync::Arc;

use leveret_protocol::types::FieldTable;
use parking_lot::RwLock;

use super::Queue;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Effective {
    /// `None` while they are the declared ones. A leaf: nothing is locked under it.
    arguments: RwLock<Option<Arc<FieldTable>>>,
}

impl Queue {
    /// From now on these arguments count.
    pub(crate) fn set_effective(&self, arguments: &FieldTable) {
        let declared = *arguments == self.settings.arguments;
        *self.effective.arguments.write() = (!declared).then(|| Arc::new(arguments.clone()));
    }

    /// Whether they are the declared ones.
    pub(crate) fn is_as_declared(&self) -> bool {
        self.effective.arguments.read().is_none()
    }

    /// The arguments that count.
    pub(crate) fn effective_arguments(&self) -> Arc<FieldTable> {
        let effective = self.effective.arguments.read().clone();
        effective.unwrap_or_else(|| Arc::new(self.settings.arguments.clone()))
    }
}
