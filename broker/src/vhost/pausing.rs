//! Queues that are paused and go on again, by whoever administrates them.
//!
//! For management, which is above. Stays true: who is paused in a durable queue still is after a restart:
//! it is part of the queue's definition.

use super::Vhost;
use super::records::TopologyChanges;
use super::topology::assert_room;
use crate::definitions::store::Durable;
use crate::error::ConnectionError;
use crate::pause::Pause;

impl Vhost {
    /// Pauses consumers or publishers of a queue, or lets them go on. `None` if there is no such queue.
    ///
    /// # Errors
    /// The disk is full, and somebody is to be paused; then nothing is changed.
    pub(crate) fn pause_queue(
        &self,
        name: &str,
        pause: Pause,
    ) -> Result<Option<Durable>, ConnectionError> {
        let has_room = self.definitions.has_room();
        let ordered = self.topology.lock();
        let Some(queue) = self.queue(name) else { return Ok(None) };
        assert_room(queue.settings().durable && !pause.is_none(), has_room)?;
        queue.pause(pause);
        let mut changes = TopologyChanges::default();
        changes.queue_declared(&queue);
        let durable = self.propose(changes).map(Durable::from).unwrap_or_default();
        // Who routes to it has to offer each message, or need not any more.
        self.topology_changed();
        drop(ordered);
        Ok(Some(durable))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::{Config, ServeOptions};
    use crate::keys::ConnectionId;
    use crate::message::tests::{message, persistent};
    use crate::queue::{Effects, Fetched, Full, Queue, QueueSettings};
    use crate::startup::{self, Started};

    fn start(data: &Path) -> (Started, Arc<Vhost>) {
        let options = ServeOptions { data_dir: Some(data.to_owned()), ..ServeOptions::default() };
        let started = startup::start(&Config::load(&options, |_| None).unwrap()).unwrap();
        let vhost = started.broker.vhost("/").unwrap();
        (started, vhost)
    }

    fn offer(vhost: &Vhost, queue: &Arc<Queue>) -> Result<(), Full> {
        let mut effects = Effects::default();
        let message = persistent(message("k", b"a"));
        let sequence = queue.offer(message.clone(), &mut effects)?.unwrap();
        let mut places = smallvec::SmallVec::new();
        effects.note_place(queue, sequence, &message, &mut places);
        effects.store_message(&message, places, true);
        effects.carry_out(&vhost.messages);
        Ok(())
    }

    async fn gets(queue: &Arc<Queue>) -> bool {
        loop {
            let mut effects = Effects::default();
            let got = queue.get(true, |_| None, &mut effects);
            effects.carry_out(queue.messages());
            match got {
                Fetched::Got(_) => return true,
                Fetched::Empty => return false,
                Fetched::NotResident => queue.read().await,
            }
        }
    }

    #[tokio::test]
    async fn who_is_paused_still_is_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (started, vhost) = start(directory.path());
        let declared = vhost.declare_queue("q", QueueSettings::plain(true), ConnectionId(1));
        let Ok((queue, _)) = declared else { panic!("declared") };
        offer(&vhost, &queue).unwrap();
        let because = |text: &str| Some(text.to_owned());
        let both = Pause { consumers: because("looking"), publishers: because("full") };
        vhost.pause_queue("q", both.clone()).unwrap().unwrap().wait().await.unwrap();
        assert!(!gets(&queue).await);
        assert_eq!(offer(&vhost, &queue), Err(Full));
        assert!(vhost.pause_queue("other", Pause::default()).unwrap().is_none());
        drop((queue, vhost));
        started.close().unwrap();
        let (started, vhost) = start(directory.path());
        let queue = vhost.queue("q").unwrap();
        assert_eq!((&*queue.paused(), queue.counts().ready), (&both, 1));
        assert!(!gets(&queue).await);
        assert_eq!(offer(&vhost, &queue), Err(Full));
        vhost.pause_queue("q", Pause::default()).unwrap().unwrap().wait().await.unwrap();
        offer(&vhost, &queue).unwrap();
        assert!(gets(&queue).await && gets(&queue).await);
        drop((queue, vhost));
        started.close().unwrap();
        let (started, vhost) = start(directory.path());
        assert!(vhost.queue("q").unwrap().paused().is_none());
        drop(vhost);
        started.close().unwrap();
    }
}
