//! Vhosts whose deletion the last end of the broker interrupted: nothing of them is brought back.
//!
//! A room of `startup`, before anything is restored or loaded. Stays true: messages are durably gone
//! before the definitions that know them are, and the vhost itself goes last, so that this, too, may be
//! interrupted.

use leveret_storage::StorageError;
use leveret_storage::metadata::Snapshot;
use tracing::info;

use super::Error;
use crate::definitions::command::{Access, Command};
use crate::definitions::of_vhost::ends_of_vhost;
use crate::definitions::records::{self, Definitions, VhostKey};
use crate::definitions::store::DefinitionStore;
use crate::stores::Messages;

/// Commands in one batch.
const STEP: usize = 1024;

/// Whether there are any.
pub(super) fn are_any(stored: &Definitions) -> bool {
    stored.vhosts.iter().any(|vhost| vhost.is_leaving)
}

/// Deletes what is left of them, and reads anew what there is. Blocks until it is durable.
///
/// # Errors
/// The stores cannot be written, or a definition cannot be read.
pub(super) fn finish(
    stored: &Definitions,
    snapshot: &Snapshot,
    definitions: &DefinitionStore,
    messages: &Messages,
) -> Result<(Snapshot, Definitions), Error> {
    for vhost in stored.vhosts.iter().filter(|vhost| vhost.is_leaving) {
        forget_messages(stored, &vhost.name, messages)?;
        for some in ends_of_vhost(snapshot, &vhost.name)?.chunks(STEP) {
            definitions.propose(some);
        }
        let name = vhost.name.clone();
        definitions.propose(&[Command::Access(Access::DeleteVhost(VhostKey { name }))]);
        definitions.settled().wait()?;
        let name = &vhost.name;
        info!(event = "vhost.deleted", vhost = %name, "vhost '{name}' is gone: that was begun before");
    }
    let snapshot = definitions.read()?;
    let left = records::load(&snapshot)?;
    Ok((snapshot, left))
}

fn forget_messages(
    stored: &Definitions,
    vhost: &str,
    messages: &Messages,
) -> Result<(), StorageError> {
    let queues = stored.queues.iter().filter(|queue| queue.vhost == vhost);
    let queues = queues.flat_map(|queue| [Some(queue.id), queue.window]);
    let exchanges = stored.exchanges.iter().filter(|exchange| exchange.vhost == vhost);
    let numbers = queues.chain(exchanges.map(|exchange| exchange.window)).flatten();
    match numbers.map(|number| messages.delete_from_durable(number)).last() {
        Some(ticket) => messages.wait_settled(ticket),
        None => Ok(()),
    }
}
