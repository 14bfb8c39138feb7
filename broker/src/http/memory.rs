//! `/api/nodes/NODE/memory`: what the memory of the process is used for, in RabbitMQ's words.
//!
//! Asked by `routes`. Stays true: what is told adds up to what the process has; of RabbitMQ's kinds those
//! that are not there (Erlang's code and tables, Raft, streams) are zero, and what is not counted by itself,
//! such as queues' own structures, is `other_system`.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::Management;
use super::answer::{Answer, blocking, json};
use super::authorization::Monitor;
use super::nodes::assert_node;
use crate::allocator::{self, Allocated};
use crate::resources;

/// RabbitMQ's kinds of what is not there, or not counted by itself.
const ABSENT: [&str; 21] = [
    "atom",
    "code",
    "connection_channels",
    "connection_other",
    "connection_readers",
    "metadata_store",
    "metadata_store_ets",
    "metrics",
    "mgmt_db",
    "mnesia",
    "msg_index",
    "other_ets",
    "other_proc",
    "plugins",
    "queue_procs",
    "quorum_ets",
    "quorum_queue_dlx_procs",
    "quorum_queue_procs",
    "stream_queue_coordinator_procs",
    "stream_queue_procs",
    "stream_queue_replica_reader_procs",
];

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    resident: u64,
    allocated: Allocated,
    /// Bodies of messages in queues.
    bodies: u64,
    /// What waits to be written to clients.
    unsent: u64,
}

impl Memory {
    /// What is counted, and what is left of the memory of the process.
    fn parts(&self) -> [(&'static str, u64); 5] {
        let counted = [
            ("binary", self.bodies),
            ("connection_writers", self.unsent),
            ("allocated_unused", self.allocated.unused),
            ("reserved_unallocated", self.allocated.reserved),
        ];
        let sum = counted.iter().map(|(_, bytes)| bytes).sum();
        let [bodies, unsent, unused, reserved] = counted;
        [bodies, unsent, unused, reserved, ("other_system", self.resident.saturating_sub(sum))]
    }

    /// The kinds in bytes.
    fn absolute(&self) -> Map<String, Value> {
        let mut fields = all(self.parts());
        fields.insert("strategy".to_owned(), "rss".into());
        let Allocated { used, reserved, unused } = self.allocated;
        let total = json!({
            "rss": self.resident,
            "allocated": used + unused + reserved,
            "erlang": used,
        });
        fields.insert("total".to_owned(), total);
        fields
    }

    /// The kinds in percents, rounded up.
    fn relative(&self) -> Map<String, Value> {
        let resident = self.resident.max(1);
        let share = |(name, bytes): (&'static str, u64)| {
            (name, bytes.saturating_mul(100).div_ceil(resident))
        };
        let mut fields = all(self.parts().map(share));
        fields.insert("total".to_owned(), 100.into());
        fields
    }
}

fn all(parts: [(&'static str, u64); 5]) -> Map<String, Value> {
    let absent = ABSENT.iter().map(|name| (*name, 0));
    absent.chain(parts).map(|(name, bytes)| (name.to_owned(), bytes.into())).collect()
}

impl Management {
    /// Asks the system, and locks one queue after the other.
    fn memory(&self) -> Memory {
        let vhosts = self.broker.all_vhosts();
        let queues = vhosts.iter().flat_map(|vhost| vhost.queues());
        let connections = self.broker.open_connections();
        Memory {
            resident: resources::resident_bytes().unwrap_or_default(),
            allocated: allocator::allocated(),
            bodies: queues.map(|queue| queue.counts().resident_bytes as u64).sum(),
            unsent: connections.iter().map(|one| one.outbox().unsent() as u64).sum(),
        }
    }
}

/// `GET /api/nodes/NODE/memory`.
pub(super) async fn absolute(
    State(management): State<Arc<Management>>,
    _: Monitor,
    Path(node): Path<String>,
) -> Answer {
    told(management, &node, Memory::absolute).await
}

/// `GET /api/nodes/NODE/memory/relative`.
pub(super) async fn relative(
    State(management): State<Arc<Management>>,
    _: Monitor,
    Path(node): Path<String>,
) -> Answer {
    told(management, &node, Memory::relative).await
}

async fn told(
    management: Arc<Management>,
    node: &str,
    kinds: fn(&Memory) -> Map<String, Value>,
) -> Answer {
    assert_node(node)?;
    let memory = blocking(move || management.memory()).await?;
    Ok(json(&json!({"memory": kinds(&memory)})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_adds_up() {
        let allocated = Allocated { used: 500, unused: 30, reserved: 70 };
        let memory = Memory { resident: 1000, allocated, bodies: 200, unsent: 50 };
        let told = memory.absolute();
        assert_eq!(told["total"], json!({"rss": 1000, "allocated": 600, "erlang": 500}));
        assert_eq!(told["other_system"], 650);
        let sum: u64 = told.values().filter_map(Value::as_u64).sum();
        assert_eq!(sum, 1000);
        let told = memory.relative();
        assert_eq!((&told["binary"], &told["other_system"]), (&json!(20), &json!(65)));
    }

    #[test]
    fn more_than_all_is_told_of_nothing_else() {
        let allocated = Allocated { used: 5, unused: 0, reserved: 0 };
        let memory = Memory { resident: 0, allocated, bodies: 7, unsent: 0 };
        assert_eq!(memory.absolute()["other_system"], 0);
    }
}
