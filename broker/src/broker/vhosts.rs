//! The vhosts of a broker: found by their names, made, and deleted while the broker runs.
//!
//! A room of `broker`; `broker::access` checks what is asked for. Stays true: a vhost is defined before
//! it can be found; one that is being deleted cannot be found, and none of its name is made until
//! nothing of it is left; that it is being deleted is on disk before anything of it goes, so that a
//! crash leaves it whole, or it is finished at the next start (`startup::leaving`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use leveret_storage::StorageError;
use leveret_storage::metadata::Proposal;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Broker, Totals};
use crate::definitions::command::{Access, Command};
use crate::definitions::of_vhost::ends_of_vhost;
use crate::definitions::records::{DefinitionError, VhostKey, VhostRecord};
use crate::definitions::store::Durable;
use crate::events::definitions;
use crate::limit::Limit;
use crate::vhost::Vhost;

/// Commands in one batch, and rights taken in one step: some milliseconds of work.
const STEP: usize = 1024;
/// How long connections may take to let go of a vhost. They do so at once, unless their tasks are held
/// up; what they make later is refused.
const LEAVING_WAIT: Duration = Duration::from_secs(10);

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Vhosts {
    all: DashMap<Box<str>, Arc<Vhost>, foldhash::fast::RandomState>,
    /// Held while a vhost is made or begins to go. Those that are going: each is taken out, and its
    /// sender dropped, when nothing is left.
    leaving: Mutex<HashMap<String, Leaving>>,
    /// What was counted in those that are gone.
    gone: Mutex<Totals>,
    /// Most vhosts.
    max: Limit,
}

/// A vhost that is being deleted, and who waits for its end.
type Leaving = (Arc<Vhost>, watch::Sender<()>);

/// Why a vhost is not deleted as a whole yet.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    /// The stores have failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Something of it cannot be read.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
}

/// Why a vhost is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotMade {
    /// One of this name is being deleted.
    IsLeaving(String),
    /// One of this name would be one too many: there are so many.
    TooMany(String, usize),
}

impl Vhosts {
    /// None, and at most so many later.
    pub(super) fn new(max: Option<usize>) -> Self {
        Self { max: Limit::new(max), ..Self::default() }
    }

    /// The vhost with this name.
    pub(super) fn get(&self, name: &str) -> Option<Arc<Vhost>> {
        self.all.get(name).map(|entry| Arc::clone(entry.value()))
    }

    /// All vhosts, in no order.
    pub(super) fn all(&self) -> Vec<Arc<Vhost>> {
        self.all.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// Those that are being deleted as well, and what was counted in those that are gone.
    pub(super) fn all_and_gone(&self) -> (Vec<Arc<Vhost>>, Totals) {
        let leaving = self.leaving.lock();
        let mut all = self.all();
        all.extend(leaving.values().map(|(vhost, _)| Arc::clone(vhost)));
        (all, *self.gone.lock())
    }

    /// Nothing is left of a vhost; what was counted in it still counts.
    fn forget(&self, vhost: &Vhost) {
        let mut leaving = self.leaving.lock();
        let mut gone = self.gone.lock();
        gone.deaths.add_all(vhost.deaths());
        let (consumed, traffic) = vhost.consumed_before();
        gone.consumed.add_all(&consumed);
        gone.traffic.add_all(&traffic);
        gone.published.add_all(&vhost.publishers().counts());
        leaving.remove(vhost.name());
    }

    /// Most vhosts.
    pub(super) fn max(&self) -> &Limit {
        &self.max
    }

    /// How many there are, those that are being deleted among them.
    pub(super) fn count(&self) -> usize {
        let leaving = self.leaving.lock();
        self.all.len() + leaving.len()
    }

    /// From now on it can be found.
    pub(super) fn insert(&self, vhost: &Arc<Vhost>) {
        self.all.insert(vhost.name().into(), Arc::clone(vhost));
    }
}

impl Broker {
    /// Makes a vhost, which is defined by the commands that `define` proposes, unless there is one. The
    /// proposal is `None` if there is.
    ///
    /// # Errors
    /// It cannot be, or `define` says so.
    pub(super) fn make_vhost<E: From<NotMade>>(
        &self,
        about: &VhostRecord,
        define: impl FnOnce() -> Result<Option<Proposal>, E>,
    ) -> Result<Option<Durable>, E> {
        let leaving = self.vhosts.leaving.lock();
        if leaving.contains_key(&about.name) {
            return Err(NotMade::IsLeaving(about.name.clone()).into());
        }
        if self.vhosts.get(&about.name).is_some() {
            return Ok(None);
        }
        let count = self.vhosts.all.len() + leaving.len();
        if let Some(max) = self.vhosts.max.get().filter(|max| count >= *max) {
            return Err(NotMade::TooMany(about.name.clone(), max).into());
        }
        let proposal = define()?;
        self.add_vhost(about);
        drop(leaving);
        Ok(Some(proposal.map(Durable::from).unwrap_or_default()))
    }

    /// Deletes a vhost with all that is in it, unless it is protected: then `None`. Its connections end
    /// (320); what is in it goes in steps on a task of its own, at whose end the `Durable` is.
    pub(super) fn begin_to_delete(
        self: &Arc<Self>,
        vhost: &Arc<Vhost>,
        by: &str,
    ) -> Option<Durable> {
        let mut leaving = self.vhosts.leaving.lock();
        let Some(marked) = vhost.leave()? else {
            // Somebody else deletes it.
            let watched = leaving.get(vhost.name()).map(|(_, sender)| sender.subscribe());
            drop(leaving);
            return Some(Durable::now().and_rest(gone(watched)));
        };
        let (sender, watched) = watch::channel(());
        leaving.insert(vhost.name().to_owned(), (Arc::clone(vhost), sender));
        self.vhosts.all.remove(vhost.name());
        drop(leaving);
        vhost.close();
        self.close_those(&vhost.reason_to_leave(), |client| *client.vhost == *vhost.name());
        let durable = Durable::from(marked.clone()).and_rest(gone(Some(watched)));
        tokio::spawn(Arc::clone(self).delete(Arc::clone(vhost), marked, by.to_owned()));
        Some(durable)
    }

    async fn delete(self: Arc<Self>, vhost: Arc<Vhost>, marked: Proposal, by: String) {
        let all_of_it = self.delete_all_of(&vhost, marked, &by);
        match self.stopping().run_until_cancelled(all_of_it).await {
            Some(Ok(())) => {
                let name = vhost.name();
                tracing::info!(event = "vhost.deleted", by, vhost = name, "vhost '{name}' is gone");
                self.vhosts.forget(&vhost);
            }
            // The process ends, and the next start goes on.
            Some(Err(error)) if !self.stopping().is_cancelled() => {
                tracing::error!("vhost '{}' is not deleted yet: {error}", vhost.name());
            }
            Some(Err(_)) | None => {}
        }
    }

    async fn delete_all_of(
        &self,
        vhost: &Vhost,
        marked: Proposal,
        by: &str,
    ) -> Result<(), Interrupted> {
        marked.await?;
        let out = self.admissions().all_left(vhost.name());
        if tokio::time::timeout(LEAVING_WAIT, out).await.is_err() {
            tracing::warn!("connections are slow to leave vhost '{}'", vhost.name());
        }
        while let Some(taken) = self.take_some_rights(vhost.name(), by) {
            taken.await?;
        }
        while vhost.dissolve_some().await? {
            tokio::task::yield_now().await;
        }
        // The rest is nowhere but in the definitions.
        self.definitions().settled().await?;
        let ends = ends_of_vhost(&self.definitions().read()?, vhost.name())?;
        for some in ends.chunks(STEP) {
            self.tell_ends(some, by);
            if let Some(ended) = self.definitions().propose(some) {
                ended.await?;
            }
        }
        Ok(self.forget(vhost.name(), by).await?)
    }

    fn take_some_rights(&self, vhost: &str, by: &str) -> Option<Proposal> {
        let _acting = self.events().acting(by, "");
        self.users().clear_some_of_vhost(vhost, STEP)
    }

    fn tell_ends(&self, ends: &[Command], by: &str) {
        let _acting = self.events().acting(by, "");
        for end in ends {
            if let Command::Parameter(parameter) = end {
                definitions::tell_of_parameter(self.events(), parameter);
            }
        }
    }

    /// The last thing that is known of a vhost.
    async fn forget(&self, name: &str, by: &str) -> Result<(), StorageError> {
        let key = VhostKey { name: name.to_owned() };
        let acting = self.events().acting(by, "");
        // Nothing is refused: no user is named.
        let forgotten = self.users().change(vec![Access::DeleteVhost(key)]).ok().flatten();
        self.events().tell(|| definitions::vhost_down(name));
        drop(acting);
        match forgotten {
            Some(forgotten) => forgotten.await.map(drop),
            None => Ok(()),
        }
    }
}

/// When nothing is left of a vhost.
async fn gone(watched: Option<watch::Receiver<()>>) -> Durable {
    if let Some(mut watched) = watched {
        // Its end is what is waited for: nothing is ever sent.
        while watched.changed().await.is_ok() {}
    }
    Durable::now()
}
