//! What is kept of a vhost itself: how it is described, whether it is protected, how much there may be
//! in it.
//!
//! Called by `broker::access`; whether it is traced is changed in `trace`. Stays true: a change is
//! proposed in the order in which it takes effect, and none once the vhost is being deleted.

use leveret_storage::metadata::Proposal;

use super::Vhost;
use crate::definitions::command::{Access, Command, Parameter};
use crate::definitions::parameters::{ParameterKey, ParameterRecord, VHOST_LIMITS, VhostLimits};
use crate::definitions::records::VhostRecord;
use crate::definitions::store::Durable;
use crate::events::definitions;

/// The name of the parameter that has the limits.
const LIMITS: &str = "limits";

impl Vhost {
    /// How it is described.
    pub(crate) fn about(&self) -> VhostRecord {
        self.about.lock().clone()
    }

    /// Describes it otherwise.
    ///
    /// # Errors
    /// Those of `edit`; then nothing is changed.
    pub(crate) fn redescribe<E>(
        &self,
        edit: impl FnOnce(&mut VhostRecord) -> Result<(), E>,
    ) -> Result<Durable, E> {
        let mut about = self.about.lock();
        let mut edited = about.clone();
        edit(&mut edited)?;
        if about.is_leaving || edited == *about {
            return Ok(Durable::now());
        }
        let proposal = self.propose_about(&edited);
        about.clone_from(&edited);
        drop(about);
        self.events.tell(|| definitions::vhost_updated(&edited));
        Ok(proposal.map(Durable::from).unwrap_or_default())
    }

    /// It is to be deleted: marks it so in the definitions. `None` if it is protected, and no proposal
    /// if it is marked already.
    pub(crate) fn leave(&self) -> Option<Option<Proposal>> {
        let mut about = self.about.lock();
        if about.protected_from_deletion {
            return None;
        }
        if about.is_leaving {
            return Some(None);
        }
        about.is_leaving = true;
        Some(self.propose_about(&about))
    }

    fn propose_about(&self, about: &VhostRecord) -> Option<Proposal> {
        self.definitions.propose(&[Command::Access(Access::PutVhost(about.clone()))])
    }

    /// Limits it: by what there is of limits, to others, or to none at all.
    pub(crate) fn limit(&self, limits: impl FnOnce(VhostLimits) -> Option<VhostLimits>) -> Durable {
        let about = self.about.lock();
        if about.is_leaving {
            return Durable::now();
        }
        let limits = limits(self.own_limits());
        let (vhost, component, name) =
            (about.name.clone(), VHOST_LIMITS.to_owned(), LIMITS.to_owned());
        let change = match limits {
            Some(limits) => {
                let value = limits.to_value();
                Parameter::Put(ParameterRecord { vhost, component, name, value })
            }
            None => Parameter::Delete(ParameterKey { vhost, component, name }),
        };
        let proposal = self.definitions.propose(&[Command::Parameter(change.clone())]);
        self.set_own_limits(limits.unwrap_or_default());
        drop(about);
        definitions::tell_of_parameter(&self.events, &change);
        proposal.map(Durable::from).unwrap_or_default()
    }
}
