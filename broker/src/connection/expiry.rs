//! The end of a connection whose token is over.
//!
//! Started by the connection for a user who logged in with a token, and ended with it. Text and code
//! are RabbitMQ's (320, `credential expired`).

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::auth::TokenRights;
use crate::clock;
use crate::outgoing::ConnectionHandle;

/// The longest sleep: the clock of the system may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Closes the connection once its token is over, and is no more when this is dropped.
pub(super) fn watch(
    rights: &Arc<TokenRights>,
    connection: Weak<ConnectionHandle>,
) -> AbortOnDropHandle<()> {
    let rights = Arc::clone(rights);
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let now_ms = clock::unix_millis();
            let left_ms = rights.expires().saturating_mul(1000).saturating_sub(now_ms);
            if left_ms == 0 {
                break;
            }
            tokio::select! {
                () = sleep(Duration::from_millis(left_ms).min(LOOK_AGAIN)) => {}
                () = rights.renewed() => {}
            }
        }
        if let Some(connection) = connection.upgrade() {
            connection.force_close("credential expired");
        }
    }))
}
