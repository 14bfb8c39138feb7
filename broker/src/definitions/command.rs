//! Changes to durable definitions, as commands that say everything there is to know.
//!
//! Made by `vhost` and `auth` once a change is known to be allowed, handed to `definitions::store`
//! in batches that are applied whole. Stays true: a command decides nothing. Ids and names are in
//! it, so whoever applies the same commands in the same order gets the same definitions.

use leveret_storage::metadata::Change;
use serde::{Deserialize, Serialize};

use super::parameters::{
    GlobalParameterKey, GlobalParameterRecord, ImportRecord, ParameterKey, ParameterRecord,
    PolicyKey, TopicPermissionKey, TopicPermissionRecord,
};
use super::records::{
    BindingRecord, ExchangeKey, ExchangeRecord, PermissionKey, PermissionRecord, QueueKey,
    QueueRecord, Record, RecordKey, UserKey, UserRecord, VhostKey, VhostRecord,
};
use crate::policy::Policy;

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// To who may do what, and where.
    Access(Access),
    /// To what there is in a vhost.
    Topology(Topology),
    /// To the policies of a vhost.
    Policy(PolicyChange),
    /// To what is kept beside all that.
    Parameter(Parameter),
}

/// A change to vhosts, users or permissions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Access {
    /// A vhost is there, as described.
    PutVhost(VhostRecord),
    /// A vhost is gone.
    DeleteVhost(VhostKey),
    /// A user is there, with this password and these tags.
    PutUser(UserRecord),
    /// A user is gone.
    DeleteUser(UserKey),
    /// A user has exactly these rights in a vhost.
    SetPermissions(PermissionRecord),
    /// A user has no rights in a vhost.
    ClearPermissions(PermissionKey),
    /// A user may use these routing keys of an exchange.
    SetTopicPermission(TopicPermissionRecord),
    /// A user may use any routing key of an exchange.
    ClearTopicPermission(TopicPermissionKey),
}

/// A change to the exchanges, queues or bindings of a vhost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Topology {
    /// An exchange is new.
    DeclareExchange(ExchangeRecord),
    /// An exchange is gone.
    DeleteExchange(ExchangeKey),
    /// A queue is new.
    DeclareQueue(QueueRecord),
    /// A queue is gone.
    DeleteQueue(QueueKey),
    /// A binding is new.
    Bind(BindingRecord),
    /// A binding is gone.
    Unbind(BindingRecord),
}

/// A change to the policies or the operator policies of a vhost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum PolicyChange {
    /// A policy is there, as described.
    Put(Policy),
    /// A policy is gone.
    Delete(PolicyKey),
}

/// A change to parameters and the like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Parameter {
    /// A parameter of a vhost says this.
    Put(ParameterRecord),
    /// A parameter of a vhost says nothing any more.
    Delete(ParameterKey),
    /// A parameter of the whole broker says this.
    PutGlobal(GlobalParameterRecord),
    /// A parameter of the whole broker says nothing any more.
    DeleteGlobal(GlobalParameterKey),
    /// These definitions were loaded from files.
    Imported(ImportRecord),
}

impl Command {
    /// What it means for the metadata store.
    pub(super) fn change(&self) -> Change {
        match self {
            Self::Access(access) => access.change(),
            Self::Topology(topology) => topology.change(),
            Self::Policy(policy) => policy.change(),
            Self::Parameter(parameter) => parameter.change(),
        }
    }
}

impl Access {
    fn change(&self) -> Change {
        match self {
            Self::PutVhost(vhost) => vhost.put(),
            Self::DeleteVhost(vhost) => vhost.delete(),
            Self::PutUser(user) => user.put(),
            Self::DeleteUser(user) => user.delete(),
            Self::SetPermissions(permissions) => permissions.put(),
            Self::ClearPermissions(permissions) => permissions.delete(),
            Self::SetTopicPermission(permission) => permission.put(),
            Self::ClearTopicPermission(permission) => permission.delete(),
        }
    }
}

impl Topology {
    fn change(&self) -> Change {
        match self {
            Self::DeclareExchange(exchange) => exchange.put(),
            Self::DeleteExchange(exchange) => exchange.delete(),
            Self::DeclareQueue(queue) => queue.put(),
            Self::DeleteQueue(queue) => queue.delete(),
            Self::Bind(binding) => binding.put(),
            Self::Unbind(binding) => binding.delete(),
        }
    }
}

impl PolicyChange {
    fn change(&self) -> Change {
        match self {
            Self::Put(policy) => policy.put(),
            Self::Delete(policy) => policy.delete(),
        }
    }
}

impl Parameter {
    fn change(&self) -> Change {
        match self {
            Self::Put(parameter) => parameter.put(),
            Self::Delete(parameter) => parameter.delete(),
            Self::PutGlobal(parameter) => parameter.put(),
            Self::DeleteGlobal(parameter) => parameter.delete(),
            Self::Imported(import) => import.put(),
        }
    }
}

impl From<Access> for Command {
    fn from(access: Access) -> Self {
        Self::Access(access)
    }
}

impl From<Topology> for Command {
    fn from(topology: Topology) -> Self {
        Self::Topology(topology)
    }
}

impl From<PolicyChange> for Command {
    fn from(policy: PolicyChange) -> Self {
        Self::Policy(policy)
    }
}

impl From<Parameter> for Command {
    fn from(parameter: Parameter) -> Self {
        Self::Parameter(parameter)
    }
}

#[cfg(test)]
mod tests {
    use leveret_protocol::types::FieldTable;

    use super::super::records::DestinationKind;
    use super::*;

    #[test]
    fn a_command_reads_back_as_it_was_written() {
        let mut arguments = FieldTable::new();
        arguments.insert("x-any", "text");
        let binding = BindingRecord {
            vhost: "/".to_owned(),
            source: "x".to_owned(),
            destination_kind: DestinationKind::Queue,
            destination: "q".to_owned(),
            routing_key: "k".to_owned(),
            arguments,
        };
        let user = UserKey { name: "bob".to_owned() };
        for command in
            [Command::from(Topology::Bind(binding)), Command::from(Access::DeleteUser(user))]
        {
            let written = serde_json::to_vec(&command).unwrap();
            assert_eq!(serde_json::from_slice::<Command>(&written).unwrap(), command);
        }
    }
}
