//! What users may do in vhosts, and with the routing keys of exchanges.
//!
//! Stays true: connections that are open go by the new rights from their next method on, and have them
//! back if they are given again. On RabbitMQ a channel may remember a right that was taken until it rests.

use super::{Broker, By, Refused, durable};
use crate::auth::AuthError;
use crate::auth::assert_topic_rules;
use crate::auth::rights::assert_pattern;
use crate::definitions::command::Access;
use crate::definitions::parameters::{TopicPermissionKey, TopicPermissionRecord};
use crate::definitions::records::{PermissionKey, PermissionRecord};
use crate::definitions::store::Durable;

impl Broker {
    /// Gives a user exactly these rights in a vhost.
    ///
    /// # Errors
    /// There is no such user or vhost, or one is no regular expression.
    pub(crate) fn set_permissions(
        &self,
        by: By<'_>,
        given: PermissionRecord,
    ) -> Result<Durable, Refused> {
        for pattern in [&given.configure, &given.write, &given.read] {
            assert_pattern(pattern).map_err(AuthError::from)?;
        }
        self.assert_user(&given.user)?;
        self.assert_room()?;
        let (user, vhost) = (given.user.clone(), given.vhost.clone());
        self.change_access(by, Access::SetPermissions(given), (&user, &vhost))
    }

    /// Takes all rights in a vhost from a user. None to take are no error.
    ///
    /// # Errors
    /// There is no such user or vhost.
    pub(crate) fn clear_permissions(
        &self,
        by: By<'_>,
        user: &str,
        vhost: &str,
    ) -> Result<Durable, Refused> {
        let key = PermissionKey { user: user.to_owned(), vhost: vhost.to_owned() };
        self.change_access(by, Access::ClearPermissions(key), (user, vhost))
    }

    /// Says which routing keys of an exchange a user may use.
    ///
    /// # Errors
    /// There is no such user, vhost or exchange, or one is no regular expression.
    pub(crate) fn set_topic_permissions(
        &self,
        by: By<'_>,
        given: TopicPermissionRecord,
    ) -> Result<Durable, Refused> {
        assert_topic_rules(&given).map_err(AuthError::from)?;
        self.assert_user(&given.user)?;
        let no_vhost = || Refused::NoSuchVhost(given.vhost.clone());
        let vhost = self.vhost(&given.vhost).ok_or_else(no_vhost)?;
        if vhost.exchange(&given.exchange).is_none() {
            return Err(Refused::NoSuchExchange(given.exchange));
        }
        self.assert_room()?;
        let (user, vhost) = (given.user.clone(), given.vhost.clone());
        self.change_access(by, Access::SetTopicPermission(given), (&user, &vhost))
    }

    /// Lets a user use all routing keys of an exchange, or of all exchanges of a vhost.
    ///
    /// # Errors
    /// There is no such user or vhost.
    pub(crate) fn clear_topic_permissions(
        &self,
        by: By<'_>,
        (user, vhost): (&str, &str),
        exchange: Option<&str>,
    ) -> Result<Durable, Refused> {
        let Some(exchange) = exchange.map(str::to_owned) else {
            let _acting = self.events().acting(by.name(), "");
            let cleared =
                self.in_vhost(vhost, || Ok(durable(self.users().clear_topics(user, vhost)?)))?;
            log(by, user, vhost);
            return Ok(cleared);
        };
        let key = TopicPermissionKey { user: user.to_owned(), vhost: vhost.to_owned(), exchange };
        self.change_access(by, Access::ClearTopicPermission(key), (user, vhost))
    }

    fn change_access(
        &self,
        by: By<'_>,
        change: Access,
        (user, vhost): (&str, &str),
    ) -> Result<Durable, Refused> {
        let _acting = self.events().acting(by.name(), "");
        let changed = self.in_vhost(vhost, || Ok(durable(self.users().change(vec![change])?)))?;
        log(by, user, vhost);
        Ok(changed)
    }

    fn assert_user(&self, name: &str) -> Result<(), Refused> {
        let known = self.users().user(name).is_some();
        if known { Ok(()) } else { Err(AuthError::NoSuchUser(name.to_owned()).into()) }
    }

    /// Does something while the vhost is there.
    fn in_vhost<T>(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        match self.vhost(name) {
            Some(_) => work(),
            None => Err(Refused::NoSuchVhost(name.to_owned())),
        }
    }
}

fn log(by: By<'_>, user: &str, vhost: &str) {
    let line = format!("the permissions of user '{user}' in vhost '{vhost}' were set");
    by.log("permission.changed", Some(user), Some(vhost), &line);
}
