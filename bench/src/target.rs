//! A broker under load: where it is, and the processes whose cost is its cost.

use crate::client::address::Address;
use crate::process::Processes;

/// A broker under load.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) processes: Processes,
}

impl Target {
    pub(crate) fn new(address: &Address, pids: &[u32]) -> Self {
        let processes = Processes::find(pids, &address.host, address.port);
        Self { address: address.clone(), processes }
    }
}
