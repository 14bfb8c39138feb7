//! The commands, as data.
//!
//! A room of `ctl`. Names, options and texts are RabbitMQ's.

mod lists;
mod access;
mod operation;
mod diagnostics;
mod ours;

use super::commands::{Command, Tool};

/// The command of this name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    all().find(|command| command.name == name)
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Command> {
    let tables = [
        lists::LISTS,
        access::ACCESS,
        operation::TOPOLOGY,
        operation::OPERATION,
        diagnostics::DIAGNOSTICS,
        diagnostics::PLUGINS,
        operation::OTHERS,
        ours::OURS,
    ];
    tables.into_iter().flatten()
}

/// `rabbitmqctl` and `rabbitmq-diagnostics`.
const BOTH: &[Tool] = &[Tool::Ctl, Tool::Diagnostics];
