//! Class exchange (AMQP 0-9-1 §1.6). `bind` and `unbind` are RabbitMQ's.

class! {
    exchange = 40;

    /// Make an exchange, or check that it is as described.
    Declare<'a> = 10, "declare", synchronous {
        [ticket: short]
        /// Name of the exchange.
        exchange: shortstr,
        /// Its type: `direct`, `fanout`, `topic`, `headers`, ...
        kind as "type": shortstr,
        /// Check that it exists, make nothing.
        passive: bit,
        /// Whether it outlives a restart.
        durable: bit,
        /// Whether it goes with its last binding.
        auto_delete: bit,
        /// Whether clients may not publish to it.
        internal: bit,
        /// Whether to send no reply.
        no_wait: bit,
        /// `alternate-exchange` and others.
        arguments: table,
    }

    /// The exchange is there.
    DeclareOk = 11, "declare-ok" {}

    /// Delete an exchange.
    Delete<'a> = 20, "delete", synchronous {
        [ticket: short]
        /// Name of the exchange.
        exchange: shortstr,
        /// Only if nothing is bound to it.
        if_unused: bit,
        /// Whether to send no reply.
        no_wait: bit,
    }

    /// The exchange is gone.
    DeleteOk = 21, "delete-ok" {}

    /// Bind an exchange to an exchange.
    Bind<'a> = 30, "bind", synchronous {
        [ticket: short]
        /// Where messages go.
        destination: shortstr,
        /// Where messages come from.
        source: shortstr,
        /// The binding key.
        routing_key: shortstr,
        /// Whether to send no reply.
        no_wait: bit,
        /// What a headers exchange matches.
        arguments: table,
    }

    /// The binding is there.
    BindOk = 31, "bind-ok" {}

    /// Take a binding away; all that identifies it must be given.
    Unbind<'a> = 40, "unbind", synchronous {
        [ticket: short]
        /// Where messages go.
        destination: shortstr,
        /// Where messages come from.
        source: shortstr,
        /// The binding key.
        routing_key: shortstr,
        /// Whether to send no reply.
        no_wait: bit,
        /// The arguments it was bound with.
        arguments: table,
    }

    /// The binding is gone. Its number breaks the pattern: 51, not 41.
    UnbindOk = 51, "unbind-ok" {}
}
