//! What parts of the broker go by, in a vhost and in the whole broker.
//!
//! Policies have commands of their own (`vhost::policies`), and so have the limits of vhosts (`limits`).
//! Stays true: a parameter is kept as it is given; what nobody here goes by has no effect.

use super::{Broker, By, Refused};
use crate::definitions::command::{Command, Parameter};
use crate::definitions::parameters::{
    CLUSTER_NAME, GlobalParameterKey, GlobalParameterRecord, ParameterKey, ParameterRecord,
};
use crate::definitions::store::Durable;
use crate::events::definitions;

impl Broker {
    /// Sets a parameter of a vhost.
    ///
    /// # Errors
    /// There is no such vhost, or the disk is full.
    pub(crate) fn set_parameter(
        &self,
        by: By<'_>,
        given: ParameterRecord,
    ) -> Result<Durable, Refused> {
        self.known_vhost(&given.vhost)?;
        self.assert_room()?;
        Ok(self.change_parameter(by, Parameter::Put(given)))
    }

    /// Ends a parameter of a vhost. None to end is no error.
    ///
    /// # Errors
    /// There is no such vhost.
    pub(crate) fn clear_parameter(
        &self,
        by: By<'_>,
        vhost: &str,
        component: &str,
        name: &str,
    ) -> Result<Durable, Refused> {
        self.known_vhost(vhost)?;
        let [vhost, component, name] = [vhost, component, name].map(str::to_owned);
        Ok(self.change_parameter(by, Parameter::Delete(ParameterKey { vhost, component, name })))
    }

    /// Sets a parameter of the whole broker.
    ///
    /// # Errors
    /// The disk is full.
    pub(crate) fn set_global_parameter(
        &self,
        by: By<'_>,
        given: GlobalParameterRecord,
    ) -> Result<Durable, Refused> {
        self.assert_room()?;
        Ok(self.change_parameter(by, Parameter::PutGlobal(given)))
    }

    /// Ends a parameter of the whole broker. None to end is no error.
    pub(crate) fn clear_global_parameter(&self, by: By<'_>, name: &str) -> Durable {
        let key = GlobalParameterKey { name: name.to_owned() };
        self.change_parameter(by, Parameter::DeleteGlobal(key))
    }

    fn change_parameter(&self, by: By<'_>, change: Parameter) -> Durable {
        let _acting = self.events().acting(by.name(), "");
        let proposal = self.definitions().propose(&[Command::Parameter(change.clone())]);
        self.heed(&change);
        definitions::tell_of_parameter(self.events(), &change);
        proposal.map(Durable::from).unwrap_or_default()
    }

    /// Goes by what the whole cluster is to go by from now on.
    pub(crate) fn heed(&self, change: &Parameter) {
        match change {
            Parameter::PutGlobal(given) if given.name == CLUSTER_NAME => {
                self.introduction().rename(given.cluster_name().as_deref());
            }
            Parameter::DeleteGlobal(key) if key.name == CLUSTER_NAME => {
                self.introduction().rename(None);
            }
            Parameter::Put(_)
            | Parameter::PutGlobal(_)
            | Parameter::Delete(_)
            | Parameter::DeleteGlobal(_)
            | Parameter::Imported(_) => {}
        }
    }
}
