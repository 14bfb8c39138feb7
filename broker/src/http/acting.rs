//! What a visitor does in a vhost that a client could do as well: with the same rights, checks and texts.
//!
//! Made by the handlers of exchanges, queues, bindings and messages. Stays true: whatever is done goes
//! through `session::declaring` or asks for the same permission that the method of AMQP asks for; what
//! another server has to be asked for first is asked for, and then it is tried again.

use std::sync::Arc;

use axum::http::StatusCode;

use super::Management;
use super::answer::{Fault, blocking, stored};
use super::authorization::{Allowed, Visitor};
use crate::auth::authority::Access;
use crate::auth::rights::Permission;
use crate::error::{AmqpError, ChannelError, ConnectionError, ResourceName};
use crate::events::Events;
use crate::keys::ConnectionId;
use crate::session::declaring::Acting;
use crate::vhost::Vhost;
use crate::vhost::topology::{Changed, Refusal};

/// How often a change is tried again that waits for something large to be removed.
const LATER_MAX: usize = 10_000;

/// A visitor at work in a vhost.
pub(super) struct Actor {
    vhost: Arc<Vhost>,
    events: Arc<Events>,
    user: String,
    allowed: Allowed,
    /// Nobody's: it owns no exclusive queue.
    connection: ConnectionId,
}

impl Visitor {
    /// The visitor at work there.
    ///
    /// # Errors
    /// There is no such vhost, or the visitor may not enter.
    pub(super) async fn actor(
        &self,
        management: &Management,
        vhost: &str,
    ) -> Result<Arc<Actor>, Fault> {
        let there = management.broker.vhost(vhost);
        let there = there.ok_or_else(|| Fault::missing("vhost_not_found"))?;
        let allowed = self.rights(management, vhost).await.ok_or_else(Fault::no_entry)?;
        Ok(Arc::new(Actor {
            vhost: there,
            events: Arc::clone(management.broker.events()),
            user: self.name().to_owned(),
            allowed,
            connection: ConnectionId::next(),
        }))
    }
}

impl Actor {
    /// The user's name.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// Makes a change, and waits until it is on disk.
    ///
    /// # Errors
    /// As RabbitMQ's management says what the broker refuses.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl Fn(&Self) -> Changed<T> + Send + Sync + 'static,
    ) -> Result<T, Fault> {
        let change = Arc::new(change);
        let mut has_asked = false;
        for _ in 0..LATER_MAX {
            let (actor, change) = (Arc::clone(self), Arc::clone(&change));
            let outcome = blocking(move || {
                let _acting = actor.events.acting(&actor.user, "");
                change(&actor)
            });
            match outcome.await? {
                Ok((value, durable)) => {
                    stored(durable).await?;
                    return Ok(value);
                }
                Err(Refusal::Later) => tokio::task::yield_now().await,
                Err(Refusal::Error(_)) if !has_asked && self.finds_out().await => has_asked = true,
                Err(Refusal::Error(refused)) => {
                    stored(refused.durable).await?;
                    return Err(refused.error.into());
                }
            }
        }
        Err(Fault::internal("something large is being removed, try again later"))
    }

    /// Asks what had to be found out, if something had.
    async fn finds_out(&self) -> bool {
        let Allowed::Some(rights) = &self.allowed else { return false };
        let Some(inquiry) = rights.asked() else { return false };
        inquiry.find_out().await;
        true
    }

    /// Refused unless the user has this permission.
    ///
    /// # Errors
    /// RabbitMQ's text.
    pub(super) async fn assert(
        &self,
        permission: Permission,
        resource: &ResourceName,
        name: &str,
    ) -> Result<(), ChannelError> {
        self.allowed.check(&self.user, permission, resource, name).await
    }

    /// The same for a routing key of a topic exchange.
    ///
    /// # Errors
    /// RabbitMQ's text.
    pub(super) async fn assert_topic(
        &self,
        permission: Permission,
        exchange: &str,
        key: &str,
    ) -> Result<(), ChannelError> {
        let resource = self.vhost.exchange_name(exchange);
        self.allowed.check_topic(&self.user, permission, (&resource, exchange), key).await
    }
}

impl Acting for Actor {
    fn vhost(&self) -> &Arc<Vhost> {
        &self.vhost
    }

    fn connection(&self) -> ConnectionId {
        self.connection
    }

    fn check(
        &self,
        permission: Permission,
        resource: &ResourceName,
        name: &str,
    ) -> Result<(), ChannelError> {
        let Allowed::Some(rights) = &self.allowed else { return Ok(()) };
        let refused = || ChannelError::AccessRefused {
            permission: permission.name(),
            resource: resource.clone(),
            user: self.user.clone(),
        };
        match rights.access(permission, resource.kind(), name) {
            Access::Granted => Ok(()),
            Access::Refused(_) | Access::Unknown => Err(refused()),
        }
    }

    fn check_topic(
        &self,
        permission: Permission,
        exchange: &str,
        routing_key: &str,
    ) -> Result<(), ChannelError> {
        let Allowed::Some(rights) = &self.allowed else { return Ok(()) };
        match rights.topic_access(permission, exchange, routing_key) {
            Access::Granted => Ok(()),
            Access::Refused(_) | Access::Unknown => {
                Err(ChannelError::Refused("access to topic refused".to_owned()))
            }
        }
    }
}

/// As RabbitMQ's management says what a channel of its own is told.
impl From<AmqpError> for Fault {
    fn from(error: AmqpError) -> Self {
        match error {
            AmqpError::Channel(error) => error.into(),
            AmqpError::Connection(error) => error.into(),
        }
    }
}

impl From<ChannelError> for Fault {
    fn from(error: ChannelError) -> Self {
        match &error {
            ChannelError::AccessRefused { .. } | ChannelError::Refused(_) => Self::access_refused(),
            ChannelError::NotFound(_) | ChannelError::NoPreviousQueue => {
                Self::missing(&error.to_string())
            }
            ChannelError::Locked(_)
            | ChannelError::NotFetchable(_)
            | ChannelError::Inequivalent { .. }
            | ChannelError::Precondition(_)
            | ChannelError::UnknownDeliveryTag(_) => Self::bad_request(error.to_string()),
        }
    }
}

impl From<ConnectionError> for Fault {
    fn from(error: ConnectionError) -> Self {
        match &error {
            ConnectionError::Internal(text) => Self::internal(text),
            ConnectionError::AccessRefused(_) => Self::access_refused(),
            _ => Self::bad_request(error.to_string()),
        }
    }
}

/// RabbitMQ's text where its management is told an error of a channel with its code.
pub(super) fn with_code(error: &ChannelError) -> String {
    let code = error.reply_code();
    format!("{} {} - {error}", code.get(), code.name())
}

impl Fault {
    fn no_entry() -> Self {
        Self::with_status(StatusCode::UNAUTHORIZED, "not_authorised", "Access refused.")
    }

    fn access_refused() -> Self {
        Self::no_entry()
    }
}

/// The visitor, who may do this with a queue, and the vhost that it is in.
///
/// # Errors
/// There is no such queue, or not for this visitor, who may also lack the right.
pub(super) async fn at_queue(
    management: &Arc<Management>,
    visitor: &Visitor,
    (vhost, name): (&str, &str),
    permission: Permission,
) -> Result<(Arc<Actor>, Arc<Vhost>), Fault> {
    let there = visitor.vhost(management, vhost).await?;
    there.queue(name).ok_or_else(Fault::not_found)?;
    let actor = visitor.actor(management, vhost).await?;
    actor.assert(permission, &there.queue_name(name), name).await?;
    Ok((actor, there))
}
