//! The methods of each class, built by name, and their numbers. Reached as `method::queue` and so on.

use super::{Flag, Method, MethodId};
use crate::raw_client::table::Table;
use crate::raw_client::wire::ArgumentWriter;

fn arguments() -> ArgumentWriter {
    ArgumentWriter::default()
}

/// Arguments of a method that begins with the reserved access ticket.
fn ticket() -> ArgumentWriter {
    arguments().short(0)
}

macro_rules! ids {
    ($($name:ident = $class:literal, $method:literal;)*) => {
        $(#[expect(missing_docs, reason = "the names are those of the specification")]
        pub const $name: super::MethodId = ($class, $method);)*
    };
}

/// Class 10; its methods go to channel 0.
pub mod connection {
    use super::{Method, MethodId, Table, arguments};

    ids! {
        START = 10, 10; START_OK = 10, 11; SECURE = 10, 20; SECURE_OK = 10, 21; TUNE = 10, 30;
        TUNE_OK = 10, 31; OPEN = 10, 40; OPEN_OK = 10, 41; CLOSE = 10, 50; CLOSE_OK = 10, 51;
        BLOCKED = 10, 60; UNBLOCKED = 10, 61; UPDATE_SECRET = 10, 70; UPDATE_SECRET_OK = 10, 71;
    }

    /// Answers start.
    #[must_use]
    pub fn start_ok(properties: &Table, mechanism: &str, response: &[u8], locale: &str) -> Method {
        let arguments = arguments()
            .raw(&properties.encode())
            .short_string(mechanism)
            .long_string(response)
            .short_string(locale);
        Method::new(START_OK, arguments).on(0)
    }

    /// Answers tune: the highest channel, the largest frame in bytes, the heartbeat in seconds.
    #[must_use]
    pub fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Method {
        Method::new(TUNE_OK, arguments().short(channel_max).long(frame_max).short(heartbeat)).on(0)
    }

    /// Opens a vhost.
    #[must_use]
    pub fn open(vhost: &str) -> Method {
        Method::new(OPEN, arguments().short_string(vhost).short_string("").octet(0)).on(0)
    }

    /// Ends the connection.
    #[must_use]
    pub fn close(code: u16, text: &str, cause: MethodId) -> Method {
        let arguments = arguments().short(code).short_string(text).short(cause.0).short(cause.1);
        Method::new(CLOSE, arguments).on(0)
    }

    /// Answers close.
    #[must_use]
    pub fn close_ok() -> Method {
        Method::new(CLOSE_OK, arguments()).on(0)
    }

    /// Renews the credentials.
    #[must_use]
    pub fn update_secret(secret: &[u8], reason: &str) -> Method {
        Method::new(UPDATE_SECRET, arguments().long_string(secret).short_string(reason)).on(0)
    }
}

/// Class 20.
pub mod channel {
    use super::{Flag, Method, arguments};

    ids! {
        OPEN = 20, 10; OPEN_OK = 20, 11; FLOW = 20, 20; FLOW_OK = 20, 21; CLOSE = 20, 40;
        CLOSE_OK = 20, 41;
    }

    /// Opens a channel.
    #[must_use]
    pub fn open(channel: u16) -> Method {
        Method::new(OPEN, arguments().short_string("")).on(channel)
    }

    /// Asks the broker to start or stop deliveries.
    #[must_use]
    pub fn flow(active: bool) -> Method {
        let method = Method::new(FLOW, arguments()).flagged();
        if active { method.with(Flag::Active) } else { method }
    }

    /// Ends a channel.
    #[must_use]
    pub fn close() -> Method {
        Method::new(CLOSE, arguments().short(200).short_string("done").short(0).short(0))
    }

    /// Answers close.
    #[must_use]
    pub fn close_ok() -> Method {
        Method::new(CLOSE_OK, arguments())
    }
}

/// Class 40.
pub mod exchange {
    use super::{Method, ticket};

    ids! {
        DECLARE = 40, 10; DECLARE_OK = 40, 11; DELETE = 40, 20; DELETE_OK = 40, 21; BIND = 40, 30;
        BIND_OK = 40, 31; UNBIND = 40, 40; UNBIND_OK = 40, 51;
    }

    /// Declares an exchange.
    #[must_use]
    pub fn declare(name: &str, kind: &str) -> Method {
        Method::new(DECLARE, ticket().short_string(name).short_string(kind)).flagged().tabled()
    }

    /// Deletes an exchange.
    #[must_use]
    pub fn delete(name: &str) -> Method {
        Method::new(DELETE, ticket().short_string(name)).flagged()
    }

    /// Binds `destination` to `source`.
    #[must_use]
    pub fn bind(destination: &str, source: &str, routing_key: &str) -> Method {
        let ends = ticket().short_string(destination).short_string(source);
        Method::new(BIND, ends.short_string(routing_key)).flagged().tabled()
    }

    /// Takes back a bind.
    #[must_use]
    pub fn unbind(destination: &str, source: &str, routing_key: &str) -> Method {
        let ends = ticket().short_string(destination).short_string(source);
        Method::new(UNBIND, ends.short_string(routing_key)).flagged().tabled()
    }
}

/// Class 50.
pub mod queue {
    use super::{Method, ticket};

    ids! {
        DECLARE = 50, 10; DECLARE_OK = 50, 11; BIND = 50, 20; BIND_OK = 50, 21; PURGE = 50, 30;
        PURGE_OK = 50, 31; DELETE = 50, 40; DELETE_OK = 50, 41; UNBIND = 50, 50; UNBIND_OK = 50, 51;
    }

    /// Declares a queue.
    #[must_use]
    pub fn declare(name: &str) -> Method {
        Method::new(DECLARE, ticket().short_string(name)).flagged().tabled()
    }

    /// Binds a queue to an exchange.
    #[must_use]
    pub fn bind(queue: &str, exchange: &str, routing_key: &str) -> Method {
        let ends = ticket().short_string(queue).short_string(exchange);
        Method::new(BIND, ends.short_string(routing_key)).flagged().tabled()
    }

    /// Takes back a bind.
    #[must_use]
    pub fn unbind(queue: &str, exchange: &str, routing_key: &str) -> Method {
        let ends = ticket().short_string(queue).short_string(exchange);
        Method::new(UNBIND, ends.short_string(routing_key)).tabled()
    }

    /// Empties a queue.
    #[must_use]
    pub fn purge(name: &str) -> Method {
        Method::new(PURGE, ticket().short_string(name)).flagged()
    }

    /// Deletes a queue.
    #[must_use]
    pub fn delete(name: &str) -> Method {
        Method::new(DELETE, ticket().short_string(name)).flagged()
    }
}

/// Class 60.
pub mod basic {
    use super::{Method, arguments, ticket};

    ids! {
        QOS = 60, 10; QOS_OK = 60, 11; CONSUME = 60, 20; CONSUME_OK = 60, 21; CANCEL = 60, 30;
        CANCEL_OK = 60, 31; PUBLISH = 60, 40; RETURN = 60, 50; DELIVER = 60, 60; GET = 60, 70;
        GET_OK = 60, 71; GET_EMPTY = 60, 72; ACK = 60, 80; REJECT = 60, 90; RECOVER_ASYNC = 60, 100;
        RECOVER = 60, 110; RECOVER_OK = 60, 111; NACK = 60, 120;
    }

    /// Limits what may be unsettled: in messages.
    #[must_use]
    pub fn qos(prefetch_count: u16) -> Method {
        sized_qos(0, prefetch_count)
    }

    /// Limits what may be unsettled: in bytes and in messages.
    #[must_use]
    pub fn sized_qos(prefetch_size: u32, prefetch_count: u16) -> Method {
        Method::new(QOS, arguments().long(prefetch_size).short(prefetch_count)).flagged()
    }

    /// Starts a consumer; an empty tag asks the broker for one.
    #[must_use]
    pub fn consume(queue: &str, consumer_tag: &str) -> Method {
        let names = ticket().short_string(queue).short_string(consumer_tag);
        Method::new(CONSUME, names).flagged().tabled()
    }

    /// Ends a consumer.
    #[must_use]
    pub fn cancel(consumer_tag: &str) -> Method {
        Method::new(CANCEL, arguments().short_string(consumer_tag)).flagged()
    }

    /// Answers the broker's cancel.
    #[must_use]
    pub fn cancel_ok(consumer_tag: &str) -> Method {
        Method::new(CANCEL_OK, arguments().short_string(consumer_tag))
    }

    /// Announces content.
    #[must_use]
    pub fn publish(exchange: &str, routing_key: &str) -> Method {
        Method::new(PUBLISH, ticket().short_string(exchange).short_string(routing_key)).flagged()
    }

    /// Fetches one message.
    #[must_use]
    pub fn get(queue: &str) -> Method {
        Method::new(GET, ticket().short_string(queue)).flagged()
    }

    /// Settles a delivery as done.
    #[must_use]
    pub fn ack(delivery_tag: u64) -> Method {
        Method::new(ACK, arguments().long_long(delivery_tag)).flagged()
    }

    /// Settles one or more deliveries as not done.
    #[must_use]
    pub fn nack(delivery_tag: u64) -> Method {
        Method::new(NACK, arguments().long_long(delivery_tag)).flagged()
    }

    /// Settles one delivery as not done.
    #[must_use]
    pub fn reject(delivery_tag: u64) -> Method {
        Method::new(REJECT, arguments().long_long(delivery_tag)).flagged()
    }

    /// Gives back everything unsettled on the channel.
    #[must_use]
    pub fn recover() -> Method {
        Method::new(RECOVER, arguments()).flagged()
    }

    /// As [`recover`], without an answer.
    #[must_use]
    pub fn recover_async() -> Method {
        Method::new(RECOVER_ASYNC, arguments()).flagged()
    }
}

/// Class 85.
pub mod confirm {
    use super::{Method, arguments};

    ids! { SELECT = 85, 10; SELECT_OK = 85, 11; }

    /// Turns publisher confirms on.
    #[must_use]
    pub fn select() -> Method {
        Method::new(SELECT, arguments()).flagged()
    }
}

/// Class 90.
pub mod tx {
    use super::{Method, arguments};

    ids! {
        SELECT = 90, 10; SELECT_OK = 90, 11; COMMIT = 90, 20; COMMIT_OK = 90, 21; ROLLBACK = 90, 30;
        ROLLBACK_OK = 90, 31;
    }

    /// Makes the channel transactional.
    #[must_use]
    pub fn select() -> Method {
        Method::new(SELECT, arguments())
    }

    /// Makes the transaction's work happen.
    #[must_use]
    pub fn commit() -> Method {
        Method::new(COMMIT, arguments())
    }

    /// Forgets the transaction's work.
    #[must_use]
    pub fn rollback() -> Method {
        Method::new(ROLLBACK, arguments())
    }
}
