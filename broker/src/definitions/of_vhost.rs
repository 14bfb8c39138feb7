//! What there is in a vhost, as the commands that end it.
//!
//! For `broker::vhosts` and `startup::leaving`, which delete vhosts. Stays true: nothing that is kept of
//! a vhost is left out but the vhost itself; a binding goes before its ends.

use leveret_storage::metadata::{Key, Snapshot};

use super::command::{Access, Command, Parameter, PolicyChange, Topology};
use super::parameters;
use super::records::{
    BindingRecord, DefinitionError, ExchangeKey, ExchangeRecord, PermissionKey, PermissionRecord,
    QueueKey, QueueRecord, Record, read,
};

/// The ends of all that is kept of a vhost, as it stands in the store.
///
/// # Errors
/// Something of it cannot be read.
pub(crate) fn ends_of_vhost(
    snapshot: &Snapshot,
    vhost: &str,
) -> Result<Vec<Command>, DefinitionError> {
    let mut ends: Vec<Command> = Vec::new();
    let bindings = of::<BindingRecord>(snapshot, vhost)?;
    ends.extend(bindings.into_iter().map(|binding| Topology::Unbind(binding).into()));
    for QueueRecord { id, vhost, name, .. } in of(snapshot, vhost)? {
        ends.push(Topology::DeleteQueue(QueueKey { id, vhost, name }).into());
    }
    for ExchangeRecord { vhost, name, .. } in of(snapshot, vhost)? {
        ends.push(Topology::DeleteExchange(ExchangeKey { vhost, name }).into());
    }
    for permission in of::<PermissionRecord>(snapshot, vhost)? {
        ends.push(Access::ClearPermissions(PermissionKey::from(&permission)).into());
    }
    let parameters = parameters::keys_of_vhost(snapshot, vhost)?;
    ends.extend(parameters.topics.into_iter().map(|key| Access::ClearTopicPermission(key).into()));
    ends.extend(parameters.policies.into_iter().map(|key| PolicyChange::Delete(key).into()));
    ends.extend(parameters.others.into_iter().map(|key| Parameter::Delete(key).into()));
    Ok(ends)
}

/// The records of a kind whose keys begin with the vhost.
fn of<R: Record>(snapshot: &Snapshot, vhost: &str) -> Result<Vec<R>, DefinitionError> {
    let prefix = Key::compound(R::COLLECTION, &[vhost.as_bytes()]).name;
    snapshot.prefix(R::COLLECTION, &prefix).map(read).collect()
}
