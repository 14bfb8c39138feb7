//! What connections say of themselves: to the lists of connections, channels and consumers.
//!
//! Channels belong to the tasks of their connections, which are asked. Stays true: a connection that does
//! not answer in time has no channels to show, and nobody waits for it longer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::outgoing::mailbox::{Asked, ChannelTruth};
use crate::outgoing::{Client, ConnectionHandle};

/// How long connections have to tell of their channels.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Connections and what each says of its channels.
pub(super) async fn asked(
    handles: Vec<Arc<ConnectionHandle>>,
) -> Vec<(Arc<ConnectionHandle>, Vec<ChannelTruth>)> {
    let ask = |handle: Arc<ConnectionHandle>| {
        let (answer, answered) = oneshot::channel();
        handle.ask_for_channels(Asked(answer));
        (handle, answered)
    };
    let all: Vec<_> = handles.into_iter().map(ask).collect();
    let end = Instant::now() + ANSWER_WITHIN;
    let mut told = Vec::with_capacity(all.len());
    for (handle, answered) in all {
        let channels = timeout_at(end, answered).await;
        told.push((handle, channels.ok().and_then(Result::ok).unwrap_or_default()));
    }
    told
}

/// Who is at the other end of a connection; it is known of all that are open.
pub(super) fn client(handle: &ConnectionHandle) -> Option<&Client> {
    handle.client()
}

/// The name of one of its channels, as RabbitMQ makes it.
pub(super) fn channel_name(client: &Client, number: u16) -> String {
    format!("{} ({number})", client.name)
}

/// How a connection is told beside what it has or does.
pub(super) fn details(client: &Client) -> Value {
    json!({
        "name": client.name,
        "peer_host": client.about.peer.ip().to_string(),
        "peer_port": client.about.peer.port(),
    })
}
