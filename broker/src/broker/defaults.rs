//! What every new vhost gets by the configuration: limits, and the rights of `default_users`.
//!
//! Used by `broker::access`, `import` and the first start. Stays true: what a vhost has that is there is
//! not changed by it. See RabbitMQ's page on virtual hosts ("Default Virtual Host Limits").

use regex::Regex;

use super::Broker;
use crate::config::{Config, SeedUser};
use crate::definitions::command::Access;
use crate::definitions::parameters::VhostLimits;
use crate::definitions::records::PermissionRecord;
use crate::definitions::store::Durable;

/// See the module documentation.
#[derive(Debug)]
pub(super) struct VhostDefaults {
    limits: Vec<(Regex, VhostLimits)>,
    users: Vec<(Regex, SeedUser)>,
}

impl VhostDefaults {
    /// As configured. Expressions were checked when the configuration was read.
    pub(super) fn new(config: &Config) -> Self {
        let limit =
            |limit: Option<usize>| limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        let limits = config.vhost_limits.iter().filter_map(|limits| {
            let most = VhostLimits {
                max_connections: limit(limits.max_connections),
                max_queues: limit(limits.max_queues),
                ..VhostLimits::default()
            };
            Some((Regex::new(&limits.pattern).ok()?, most))
        });
        let users = config.seed.further_users.iter();
        let users = users.filter(|user| user.name != config.seed.user);
        let users =
            users.filter_map(|user| Some((Regex::new(&user.vhost_pattern).ok()?, user.clone())));
        Self { limits: limits.collect(), users: users.collect() }
    }

    fn limits_of(&self, vhost: &str) -> Option<VhostLimits> {
        let limits = self.limits.iter().find(|(pattern, _)| pattern.is_match(vhost));
        limits.map(|(_, limits)| *limits)
    }

    fn rights_in(&self, vhost: &str) -> impl Iterator<Item = PermissionRecord> {
        let users = self.users.iter().filter(move |(pattern, _)| pattern.is_match(vhost));
        users.map(move |(_, user)| PermissionRecord {
            user: user.name.clone(),
            vhost: vhost.to_owned(),
            configure: user.permissions.configure.clone(),
            write: user.permissions.write.clone(),
            read: user.permissions.read.clone(),
        })
    }
}

impl Broker {
    /// Gives a vhost that was just made what it gets by the configuration. Users of `default_users` that
    /// were deleted are not made again.
    pub(crate) fn give_defaults(&self, vhost: &str) -> Durable {
        let rights = self.vhost_defaults.rights_in(vhost);
        let rights = rights.filter(|rights| self.users().user(&rights.user).is_some());
        let rights = rights.map(Access::SetPermissions).collect();
        // Refused only if such a user was deleted meanwhile.
        let granted = self.users().change(rights).ok().flatten();
        let granted = granted.map(Durable::from).unwrap_or_default();
        match (self.vhost(vhost), self.vhost_defaults.limits_of(vhost)) {
            (Some(vhost), Some(limits)) => {
                granted.and_rest(std::future::ready(vhost.limit(|_| Some(limits))))
            }
            (None, _) | (_, None) => granted,
        }
    }
}
