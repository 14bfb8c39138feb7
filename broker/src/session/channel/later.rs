//! Publishes that reach exchanges that delay through others.
//!
//! Called by `channel::publish` in place of its last step: the message goes at once where nothing delays
//! it, and a copy for each of those exchanges waits where all that is delayed does. If it goes nowhere
//! else it is itself the first of these. RabbitMQ's delayed message exchange plugin delays there as well.

use std::sync::Arc;

use super::Channel;
use super::deduplicated::Sighted;
use crate::error::AmqpError;
use crate::message::Message;
use crate::queue::Queue;
use crate::session::context::Session;
use crate::session::routes::RouteKey;
use crate::vhost::destination::Exchange;

/// The exchanges that route a message later.
#[derive(Debug)]
pub(super) struct Later {
    /// The one that the message itself waits for.
    pub(super) itself: Option<Arc<Exchange>>,
    /// Those that copies of it wait for.
    pub(super) copies: Vec<Arc<Exchange>>,
    /// Where they wait.
    pub(super) place: Arc<Queue>,
}

impl Channel {
    /// The last step of a publish.
    pub(super) fn enqueue_later(
        &mut self,
        session: &mut Session,
        route: RouteKey,
        message: Message,
        sighted: Option<Box<Sighted>>,
        later: &Later,
    ) -> Result<(), AmqpError> {
        let waiting_for = |exchange: &Arc<Exchange>| message.waiting_for(exchange.name());
        let copies: Vec<_> = later.copies.iter().map(waiting_for).collect();
        let message = later.itself.as_ref().map_or_else(|| message.clone(), waiting_for);
        match sighted {
            Some(sighted) => self.enqueue_sighted(session, route, message, sighted)?,
            None => drop(self.enqueue(session, route, message)?),
        }
        for copy in copies {
            let queues = vec![Arc::clone(&later.place)];
            if let Some(transaction) = &mut self.transaction {
                transaction.publish(queues, copy, false)?;
                continue;
            }
            let route = session.routes.route(queues, None);
            session.routes.push(route, copy, self.confirms.is_some());
        }
        Ok(())
    }
}
