//! Class basic (AMQP 0-9-1 §1.8): messages in, out and settled. `nack` is
//! RabbitMQ's; with confirms, `ack` and `nack` go to the publisher too.

class! {
    basic = 60;

    /// Limit what may be unsettled.
    Qos = 10, "qos", synchronous {
        /// Octets; 0 is no limit.
        prefetch_size: long,
        /// Messages; 0 is no limit.
        prefetch_count: short,
        /// Whether for the channel, not for each new consumer.
        global: bit,
    }

    /// The limit holds.
    QosOk = 11, "qos-ok" {}

    /// Have a queue's messages delivered.
    Consume<'a> = 20, "consume", synchronous {
        [ticket: short]
        /// Name of the queue.
        queue: shortstr,
        /// Name of the consumer; empty for one that the server names.
        consumer_tag: shortstr,
        /// Whether not to deliver what this connection published.
        no_local: bit,
        /// Whether messages are settled by being sent.
        no_ack: bit,
        /// Whether no one else may consume.
        exclusive: bit,
        /// Whether to send no reply.
        no_wait: bit,
        /// `x-priority` and others.
        arguments: table,
    }

    /// The consumer is there.
    ConsumeOk<'a> = 21, "consume-ok" {
        /// Name of the consumer.
        consumer_tag: shortstr,
    }

    /// End a consumer; from the server: it has ended.
    Cancel<'a> = 30, "cancel", synchronous {
        /// Name of the consumer.
        consumer_tag: shortstr,
        /// Whether to send no reply.
        no_wait: bit,
    }

    /// The consumer is gone.
    CancelOk<'a> = 31, "cancel-ok" {
        /// Name of the consumer.
        consumer_tag: shortstr,
    }

    /// A message for an exchange.
    Publish<'a> = 40, "publish", content {
        [ticket: short]
        /// Name of the exchange; empty for the default one.
        exchange: shortstr,
        /// The routing key.
        routing_key: shortstr,
        /// Whether to return it if no queue takes it.
        mandatory: bit,
        /// Whether to return it if no consumer takes it at once.
        immediate: bit,
    }

    /// A message that could not be routed.
    Return<'a> = 50, "return", content {
        /// Why.
        reply_code: short,
        /// Why, in words.
        reply_text: shortstr,
        /// Where it was published.
        exchange: shortstr,
        /// With which routing key.
        routing_key: shortstr,
    }

    /// A message for a consumer.
    Deliver<'a> = 60, "deliver", content {
        /// Name of the consumer.
        consumer_tag: shortstr,
        /// What to settle it by.
        delivery_tag: longlong,
        /// Whether it was delivered before.
        redelivered: bit,
        /// Where it was published.
        exchange: shortstr,
        /// With which routing key.
        routing_key: shortstr,
    }

    /// Ask for one message.
    Get<'a> = 70, "get", synchronous {
        [ticket: short]
        /// Name of the queue.
        queue: shortstr,
        /// Whether it is settled by being sent.
        no_ack: bit,
    }

    /// The message asked for.
    GetOk<'a> = 71, "get-ok", content {
        /// What to settle it by.
        delivery_tag: longlong,
        /// Whether it was delivered before.
        redelivered: bit,
        /// Where it was published.
        exchange: shortstr,
        /// With which routing key.
        routing_key: shortstr,
        /// Messages ready after this one.
        message_count: long,
    }

    /// There is no message.
    GetEmpty = 72, "get-empty" {
        [cluster_id: shortstr]
    }

    /// The message is done with; from the server: it is taken care of.
    Ack = 80, "ack" {
        /// Which message.
        delivery_tag: longlong,
        /// Whether all before it too.
        multiple: bit,
    }

    /// The message is not wanted.
    Reject = 90, "reject" {
        /// Which message.
        delivery_tag: longlong,
        /// Whether to put it back, not drop or dead-letter it.
        requeue: bit,
    }

    /// Recover without a reply; deprecated.
    RecoverAsync = 100, "recover-async" {
        /// Whether to put messages back, not redeliver them here.
        requeue: bit,
    }

    /// Redeliver all that is unsettled.
    Recover = 110, "recover", synchronous {
        /// Whether to put messages back, not redeliver them here.
        requeue: bit,
    }

    /// Recovery is done.
    RecoverOk = 111, "recover-ok" {}

    /// The message is not wanted; from the server: it could not be taken care
    /// of.
    Nack = 120, "nack" {
        /// Which message.
        delivery_tag: longlong,
        /// Whether all before it too.
        multiple: bit,
        /// Whether to put it back, not drop or dead-letter it.
        requeue: bit,
    }
}
