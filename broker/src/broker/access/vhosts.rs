//! Vhosts: made, described, protected, deleted.
//!
//! Stays true: whoever makes a vhost over the network may do everything in it, as on RabbitMQ; a vhost
//! that is protected from deletion is not deleted, by nobody. See RabbitMQ's page on virtual hosts.

use std::sync::Arc;

use super::{Broker, By, Refused, assert_name};
use crate::broker::vhosts::NotMade;
use crate::definitions::command::Access;
use crate::definitions::document::queue_type;
use crate::definitions::records::{PermissionRecord, VhostRecord};
use crate::definitions::store::Durable;
use crate::vhost::Vhost;

/// A vhost as it is to be. What is `None` stays as it is, and is nothing for a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct VhostDraft {
    /// Free text for people.
    pub description: Option<String>,
    /// Free words for people.
    pub tags: Option<Vec<String>>,
    /// The type of queues that name none, in RabbitMQ's words.
    pub default_queue_type: Option<String>,
    /// Whether it may not be deleted.
    pub protected_from_deletion: Option<bool>,
    /// Whether the firehose is told of its messages.
    pub tracing: Option<bool>,
}

impl Broker {
    /// Makes a vhost, or changes the one of its name. Whether it is new.
    ///
    /// # Errors
    /// The draft cannot be, there are too many vhosts, or one of its name is being deleted.
    pub(crate) fn put_vhost(
        &self,
        by: By<'_>,
        name: &str,
        draft: &VhostDraft,
    ) -> Result<(bool, Durable), Refused> {
        assert_name("vhost", name)?;
        self.assert_room()?;
        let mut about = VhostRecord::plain(name);
        edit(&mut about, draft)?;
        about.tracing = draft.tracing.unwrap_or(false);
        let _acting = self.events().acting(by.name(), "");
        let made = self.make_vhost(&about, || {
            let mut changes = vec![Access::PutVhost(about.clone())];
            if let By::User(user) = by
                && self.users().user(user).is_some()
            {
                changes.push(Access::SetPermissions(everything(user, name)));
            }
            Ok::<_, Refused>(self.users().change(changes)?)
        })?;
        if let Some(durable) = made {
            by.log("vhost.created", None, Some(name), &format!("vhost '{name}' was made"));
            return Ok((true, durable.and_rest(std::future::ready(self.give_defaults(name)))));
        }
        let described = self.update_vhost(by, name, draft)?;
        Ok((false, described))
    }

    /// Changes a vhost that there is.
    ///
    /// # Errors
    /// There is none, or the draft cannot be.
    pub(crate) fn update_vhost(
        &self,
        by: By<'_>,
        name: &str,
        draft: &VhostDraft,
    ) -> Result<Durable, Refused> {
        let vhost = self.known_vhost(name)?;
        self.assert_room()?;
        let _acting = self.events().acting(by.name(), "");
        let described = vhost.redescribe(|about| edit(about, draft))?;
        by.log("vhost.changed", None, Some(name), &format!("vhost '{name}' was set"));
        match draft.tracing {
            Some(traced) => Ok(described.and_rest(std::future::ready(vhost.set_tracing(traced)))),
            None => Ok(described),
        }
    }

    /// Deletes a vhost with everything in it; its connections end. Done when the `Durable` is, which
    /// may take a while where there is much, and goes on when nobody waits.
    ///
    /// # Errors
    /// There is none, or it is protected.
    pub(crate) fn delete_vhost(
        self: &Arc<Self>,
        by: By<'_>,
        name: &str,
    ) -> Result<Durable, Refused> {
        let vhost = self.known_vhost(name)?;
        let begun = self.begin_to_delete(&vhost, by.name());
        let begun = begun.ok_or_else(|| Refused::ProtectedVhost(name.to_owned()))?;
        by.log("vhost.deleting", None, Some(name), &format!("vhost '{name}' is being deleted"));
        Ok(begun)
    }

    pub(super) fn known_vhost(&self, name: &str) -> Result<Arc<Vhost>, Refused> {
        self.vhost(name).ok_or_else(|| Refused::NoSuchVhost(name.to_owned()))
    }
}

fn edit(about: &mut VhostRecord, draft: &VhostDraft) -> Result<(), Refused> {
    if let Some(named) = &draft.default_queue_type {
        about.default_queue_type = queue_type(named).map_err(Refused::QueueType)?;
    }
    if let Some(description) = &draft.description {
        about.description.clone_from(description);
    }
    if let Some(tags) = &draft.tags {
        about.tags.clone_from(tags);
    }
    if let Some(is_protected) = draft.protected_from_deletion {
        about.protected_from_deletion = is_protected;
    }
    Ok(())
}

fn everything(user: &str, vhost: &str) -> PermissionRecord {
    let [user, vhost, configure, write, read] = [user, vhost, ".*", ".*", ".*"].map(str::to_owned);
    PermissionRecord { user, vhost, configure, write, read }
}

impl From<NotMade> for Refused {
    fn from(not_made: NotMade) -> Self {
        match not_made {
            NotMade::IsLeaving(name) => Self::LeavingVhost(name),
            NotMade::TooMany(name, max) => Self::TooManyVhosts(name, max),
        }
    }
}
