//! The queues and the exchange that the load goes through, and which queues a route leads to.

use leveret_tests::raw_client::method::queue;
use leveret_tests::raw_client::{Flag, RawClient};

use crate::stamp::{PRIORITY_MAX, Stamp};

/// A queue, by its place in [`QUEUES`].
pub(crate) type QueueIndex = usize;

/// One queue and what is done with it.
pub(crate) struct Role {
    pub(crate) name: &'static str,
    /// Connections that consume from it while there is load.
    pub(crate) consumers: usize,
    pub(crate) has_priorities: bool,
    /// Whether it is bound to the fanout exchange.
    pub(crate) gets_copies: bool,
}

const fn role(name: &'static str, consumers: usize) -> Role {
    Role { name, consumers, has_priorities: false, gets_copies: false }
}

/// Every queue is durable.
pub(crate) const QUEUES: &[Role] = &[
    role("single", 1),
    role("shared", 2),
    Role { has_priorities: true, ..role("urgent", 1) },
    Role { gets_copies: true, ..role("copies", 1) },
    Role { gets_copies: true, ..role("kept", 0) },
];

/// The queue that nobody consumes from while there is load: a message for it is confirmed only by
/// being stored, never by being acked before.
pub(crate) const KEPT: QueueIndex = QUEUES.len() - 1;

const EXCHANGE: &str = "to-all";

/// Where a message is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// To this queue by way of the default exchange.
    Queue(QueueIndex),
    /// To all that get copies.
    Copies,
}

impl Route {
    /// The queues it leads to.
    pub(crate) fn queues(self) -> impl Iterator<Item = QueueIndex> {
        let leads_to = move |index: QueueIndex| match self {
            Self::Queue(only) => index == only,
            Self::Copies => QUEUES[index].gets_copies,
        };
        (0..QUEUES.len()).filter(move |index| leads_to(*index))
    }

    /// The frames of the message with this stamp.
    pub(crate) fn encode(self, stamp: Stamp, frame_max: usize) -> Vec<u8> {
        let message = match self {
            Self::Queue(index) => stamp.message("", QUEUES[index].name),
            Self::Copies => stamp.message(EXCHANGE, ""),
        };
        message.encode(frame_max)
    }
}

/// Declares everything; what is there already stays as it is.
pub(crate) fn declare(client: &mut RawClient) {
    client.declare_exchange(EXCHANGE, "fanout");
    for role in QUEUES {
        let declare = queue::declare(role.name).with(Flag::Durable);
        let with_priorities = declare.clone().arg("x-max-priority", i32::from(PRIORITY_MAX));
        client.call(if role.has_priorities { with_priorities } else { declare });
        if role.gets_copies {
            client.call(queue::bind(role.name, EXCHANGE, ""));
        }
    }
}

#[test]
fn a_route_leads_to_its_queues() {
    assert_eq!(Route::Queue(1).queues().collect::<Vec<_>>(), [1]);
    assert_eq!(Route::Copies.queues().collect::<Vec<_>>(), [3, KEPT]);
    assert_eq!(QUEUES[KEPT].consumers, 0);
}
