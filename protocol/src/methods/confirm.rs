//! Class confirm: RabbitMQ's publisher confirms.

class! {
    confirm = 85;

    /// Have what this channel publishes confirmed.
    Select = 10, "select", synchronous {
        /// Whether to send no reply.
        no_wait: bit,
    }

    /// Counting starts with the next message, at 1.
    SelectOk = 11, "select-ok" {}
}
