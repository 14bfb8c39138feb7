//! Class access: realm tickets, left over from AMQP 0-8. The tickets in other
//! methods are reserved fields; RabbitMQ still answers the request.

class! {
    access = 30;

    /// The client asks for a ticket.
    Request<'a> = 10, "request", synchronous {
        /// Name of the realm.
        realm: shortstr,
        /// Whether no one else may have access.
        exclusive: bit,
        /// Whether to read attributes only.
        passive: bit,
        /// Whether to get messages.
        active: bit,
        /// Whether to publish and declare.
        write: bit,
        /// Whether to consume.
        read: bit,
    }

    /// The ticket, which nothing looks at.
    RequestOk = 11, "request-ok" {
        /// RabbitMQ answers 1.
        ticket: short,
    }
}
