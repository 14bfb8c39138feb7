//! How much there may be in vhosts. Limits of users are in `users`.
//!
//! Stays true: limits count at once for what is opened and declared from now on; what there is stays.

use super::{Broker, By, Refused};
use crate::definitions::parameters::{LIMITS, VhostLimits};
use crate::definitions::store::Durable;
use crate::policy::{Definition, limits};

impl Broker {
    /// Limits a vhost, in place of the limits that it has: an object with `max-connections`,
    /// `max-queues`, `max-held-bytes`, `max-publish-rate` or `max-publish-byte-rate`, of which what is
    /// below zero is no limit.
    ///
    /// # Errors
    /// There is no such vhost, or these are no limits.
    pub(crate) fn set_vhost_limits(
        &self,
        by: By<'_>,
        name: &str,
        given: &Definition,
    ) -> Result<Durable, Refused> {
        self.limit_vhost(by, name, given, |_| Some(limited(given, VhostLimits::default())))
    }

    /// The same beside the limits that it has.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn add_vhost_limits(
        &self,
        by: By<'_>,
        name: &str,
        given: &Definition,
    ) -> Result<Durable, Refused> {
        self.limit_vhost(by, name, given, |there| Some(limited(given, there)))
    }

    /// Ends one limit of a vhost, by its name. Of others there is nothing to end.
    ///
    /// # Errors
    /// There is no such vhost.
    pub(crate) fn clear_vhost_limit(
        &self,
        by: By<'_>,
        name: &str,
        limit: &str,
    ) -> Result<Durable, Refused> {
        let given = Definition::from_iter([(limit.to_owned(), (-1).into())]);
        match LIMITS.contains(&limit) {
            true => self.add_vhost_limits(by, name, &given),
            false => self.known_vhost(name).map(|_| Durable::now()),
        }
    }

    /// Ends all limits of a vhost.
    ///
    /// # Errors
    /// There is no such vhost.
    pub(crate) fn clear_vhost_limits(&self, by: By<'_>, name: &str) -> Result<Durable, Refused> {
        self.limit_vhost(by, name, &Definition::new(), |_| None)
    }

    fn limit_vhost(
        &self,
        by: By<'_>,
        name: &str,
        given: &Definition,
        limits: impl FnOnce(VhostLimits) -> Option<VhostLimits>,
    ) -> Result<Durable, Refused> {
        let vhost = self.known_vhost(name)?;
        let faults = limits::faults("limits", &LIMITS, given);
        if !faults.is_empty() {
            let faults = faults.join("\n");
            return Err(Refused::Limits(format!("Validation failed\n\n{faults}\n")));
        }
        self.assert_room()?;
        let _acting = self.events().acting(by.name(), "");
        let durable = vhost.limit(limits);
        let line = format!("the limits of vhost '{name}' were set");
        by.log("limits.changed", None, Some(name), &line);
        Ok(durable)
    }
}

fn limited(given: &Definition, there: VhostLimits) -> VhostLimits {
    let limit = |name, before| limits::given_or(given, name, before, limits::limit);
    let large = |name, before| limits::given_or(given, name, before, limits::large);
    VhostLimits {
        max_connections: limit("max-connections", there.max_connections),
        max_queues: limit("max-queues", there.max_queues),
        max_held_bytes: large("max-held-bytes", there.max_held_bytes),
        max_publish_rate: large("max-publish-rate", there.max_publish_rate),
        max_publish_byte_rate: large("max-publish-byte-rate", there.max_publish_byte_rate),
    }
}
