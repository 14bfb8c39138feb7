//! Class queue (AMQP 0-9-1 §1.7).

class! {
    queue = 50;

    /// Make a queue, or check that it is as described.
    Declare<'a> = 10, "declare", synchronous {
        [ticket: short]
        /// Name of the queue; empty for one that the server names.
        queue: shortstr,
        /// Check that it exists, make nothing.
        passive: bit,
        /// Whether it outlives a restart.
        durable: bit,
        /// Whether it belongs to this connection and goes with it.
        exclusive: bit,
        /// Whether it goes with its last consumer.
        auto_delete: bit,
        /// Whether to send no reply.
        no_wait: bit,
        /// `x-message-ttl` and others.
        arguments: table,
    }

    /// The queue is there.
    DeclareOk<'a> = 11, "declare-ok" {
        /// Name of the queue.
        queue: shortstr,
        /// Messages ready for delivery.
        message_count: long,
        /// Consumers of the queue.
        consumer_count: long,
    }

    /// Bind a queue to an exchange.
    Bind<'a> = 20, "bind", synchronous {
        [ticket: short]
        /// Name of the queue.
        queue: shortstr,
        /// Name of the exchange.
        exchange: shortstr,
        /// The binding key.
        routing_key: shortstr,
        /// Whether to send no reply.
        no_wait: bit,
        /// What a headers exchange matches.
        arguments: table,
    }

    /// The binding is there.
    BindOk = 21, "bind-ok" {}

    /// Drop all ready messages of a queue.
    Purge<'a> = 30, "purge", synchronous {
        [ticket: short]
        /// Name of the queue.
        queue: shortstr,
        /// Whether to send no reply.
        no_wait: bit,
    }

    /// The messages are gone.
    PurgeOk = 31, "purge-ok" {
        /// How many they were.
        message_count: long,
    }

    /// Delete a queue.
    Delete<'a> = 40, "delete", synchronous {
        [ticket: short]
        /// Name of the queue.
        queue: shortstr,
        /// Only if it has no consumers.
        if_unused: bit,
        /// Only if it has no ready messages.
        if_empty: bit,
        /// Whether to send no reply.
        no_wait: bit,
    }

    /// The queue is gone.
    DeleteOk = 41, "delete-ok" {
        /// How many ready messages went with it.
        message_count: long,
    }

    /// Take a binding away; all that identifies it must be given.
    Unbind<'a> = 50, "unbind", synchronous {
        [ticket: short]
        /// Name of the queue.
        queue: shortstr,
        /// Name of the exchange.
        exchange: shortstr,
        /// The binding key.
        routing_key: shortstr,
        /// The arguments it was bound with.
        arguments: table,
    }

    /// The binding is gone.
    UnbindOk = 51, "unbind-ok" {}
}
