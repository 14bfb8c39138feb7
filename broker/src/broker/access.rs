//! The commands over users, permissions, vhosts and limits, for management and the command line.
//!
//! `users` and `permissions` have those over who may do what, `vhosts` and `limits` those over where and
//! how much, `parameters` those over the rest. Each is checked against what there is, proposed, and in effect when it returns, also for
//! connections that are open; whoever asked is told once the `Durable` is. Stays true: a command that is
//! refused changes nothing. See RabbitMQ's pages on access control and virtual hosts.

mod limits;
mod parameters;
mod permissions;
mod users;
mod vhosts;

pub(crate) use users::{Credential, UserDraft};
pub(crate) use vhosts::VhostDraft;

use leveret_storage::metadata::Proposal;

use crate::auth::AuthError;
use crate::broker::Broker;
use crate::definitions::store::Durable;

/// Who gives a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By<'a> {
    /// This user, over the network.
    User(&'a str),
    /// Whoever may use the command line on the broker's machine.
    CommandLine,
}

impl By<'_> {
    /// As events name it: RabbitMQ's name for its own command line.
    pub(crate) const fn name(&self) -> &str {
        match self {
            Self::User(name) => name,
            Self::CommandLine => "rmq-cli",
        }
    }

    /// Writes into the log what was done.
    fn log(&self, event: &str, user: Option<&str>, vhost: Option<&str>, what: &str) {
        let by = self.name();
        tracing::info!(event, by, user, vhost, "{what} by '{by}'");
    }
}

/// Why a command was not carried out. Texts are RabbitMQ's where it has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// A user that is named does not exist, or an expression cannot be compiled.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// There is a user of this name.
    #[error("user '{0}' already exists")]
    UserExists(String),
    /// There is no such vhost.
    #[error("vhost '{0}' does not exist")]
    NoSuchVhost(String),
    /// A vhost of this name is being deleted.
    #[error("vhost '{0}' is being deleted")]
    LeavingVhost(String),
    /// The vhost is protected.
    #[error("Refusing to delete virtual host '{0}' because it is protected from deletion")]
    ProtectedVhost(String),
    /// There are as many vhosts as there may be.
    #[error("cannot create vhost '{0}': vhost limit of {1} is reached")]
    TooManyVhosts(String, usize),
    /// There is no such type of queues.
    #[error("{0}")]
    QueueType(String),
    /// There is no such exchange in the vhost.
    #[error("exchange '{0}' does not exist")]
    NoSuchExchange(String),
    /// The user has the tag `protected`, and is not changed over the network.
    #[error("Protected users cannot be modified via the HTTP API")]
    ProtectedUser,
    /// The user would have so many tags.
    #[error("A user can have at most {TAGS_MAX} tags (received {0})")]
    TooManyTags(usize),
    /// A password hash is not base64.
    #[error("the password hash is not base64")]
    NoHash,
    /// A name is empty, or longer than clients can say.
    #[error("the name of a {0} has between 1 and 255 bytes")]
    Name(&'static str),
    /// What is wrong with limits.
    #[error("{0}")]
    Limits(String),
    /// Nothing new can be stored.
    #[error("the disk is full, the change was not made")]
    DiskFull,
}

/// RabbitMQ: a user has at most so many tags.
const TAGS_MAX: usize = 32;
/// What a short string of AMQP can carry, in bytes.
const NAME_MAX: usize = 255;

fn assert_name(what: &'static str, name: &str) -> Result<(), Refused> {
    let fits = !name.is_empty() && name.len() <= NAME_MAX;
    if fits { Ok(()) } else { Err(Refused::Name(what)) }
}

fn durable(proposal: Option<Proposal>) -> Durable {
    proposal.map(Durable::from).unwrap_or_default()
}

impl Broker {
    /// On a full disk nothing new is promised to be there after a restart.
    fn assert_room(&self) -> Result<(), Refused> {
        if self.definitions().has_room() { Ok(()) } else { Err(Refused::DiskFull) }
    }
}
