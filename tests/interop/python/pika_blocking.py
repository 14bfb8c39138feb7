"""pika's BlockingConnection does everything an application does with it."""

import pika
from pika.exceptions import ChannelClosedByBroker, NackError, UnroutableError
from steps import AMQP_URL, equal, step, unique

PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
EXCHANGE = unique("exchange")
QUEUE = unique("queue")
LARGE_BODY = bytes(range(256)) * 2048


def publish(channel, *bodies):
    for body in bodies:
        channel.basic_publish(EXCHANGE, "key", body, PERSISTENT)


def deliveries(channel, count, **options):
    """The next `count` deliveries of the queue, as (method, properties, body)."""
    consumed = channel.consume(QUEUE, inactivity_timeout=10, **options)
    return [next(consumed) for _ in range(count)]


def bodies(channel, count, **options):
    return [body for _, _, body in deliveries(channel, count, **options)]


def declare(channel):
    channel.exchange_declare(EXCHANGE, "topic", durable=True)
    declared = channel.queue_declare(QUEUE, durable=True).method
    equal((declared.queue, declared.message_count, declared.consumer_count), (QUEUE, 0, 0))
    channel.queue_bind(QUEUE, EXCHANGE, "#")
    equal(channel.queue_declare(QUEUE, passive=True).method.queue, QUEUE)


def consume_and_ack(channel):
    publish(channel, b"one", b"two")
    [(first, _, one), (second, properties, two)] = deliveries(channel, 2)
    equal((one, two), (b"one", b"two"))
    equal((first.exchange, first.routing_key, first.redelivered), (EXCHANGE, "key", False))
    equal(properties.delivery_mode, 2)
    channel.basic_ack(second.delivery_tag, multiple=True)
    equal(channel.cancel(), 0)
    equal(channel.queue_declare(QUEUE, passive=True).method.message_count, 0)


def nack_requeue(channel):
    publish(channel, b"again")
    [(method, _, _)] = deliveries(channel, 1)
    channel.basic_nack(method.delivery_tag, requeue=True)
    [(method, _, body)] = deliveries(channel, 1)
    equal((body, method.redelivered), (b"again", True))
    channel.basic_reject(method.delivery_tag, requeue=False)
    channel.cancel()
    equal(channel.queue_declare(QUEUE, passive=True).method.message_count, 0)


def get(channel):
    publish(channel, b"got", b"left")
    method, _, body = channel.basic_get(QUEUE)
    equal((body, method.message_count), (b"got", 1))
    channel.basic_ack(method.delivery_tag)
    equal(channel.basic_get(QUEUE, auto_ack=True)[2], b"left")
    equal(channel.basic_get(QUEUE), (None, None, None))


def qos(channel, connection):
    publish(channel, *(b"%d" % n for n in range(5)))
    channel.basic_qos(prefetch_count=2)
    received = []
    tag = channel.basic_consume(QUEUE, lambda _, method, __, ___: received.append(method))
    while len(received) < 2:
        connection.process_data_events(time_limit=10)
    # A round trip behind the deliveries: a third one would have come before it.
    channel.queue_declare(QUEUE, passive=True)
    connection.process_data_events(time_limit=0)
    equal(len(received), 2)
    channel.basic_ack(received[0].delivery_tag)
    while len(received) < 3:
        connection.process_data_events(time_limit=10)
    channel.basic_cancel(tag)
    for method in received[1:]:
        channel.basic_ack(method.delivery_tag)
    equal(channel.queue_purge(QUEUE).method.message_count, 2)
    channel.basic_qos(prefetch_count=0)


def cancel(channel, connection):
    received = []
    tag = channel.basic_consume(QUEUE, lambda *it: received.append(it), auto_ack=True)
    equal(channel.queue_declare(QUEUE, passive=True).method.consumer_count, 1)
    channel.basic_cancel(tag)
    publish(channel, b"unheard")
    equal(channel.queue_declare(QUEUE, passive=True).method.consumer_count, 0)
    connection.process_data_events(time_limit=0)
    equal(received, [])
    equal(channel.queue_purge(QUEUE).method.message_count, 1)


def properties(channel):
    sent = pika.BasicProperties(
        content_type="text/plain",
        content_encoding="utf-8",
        headers={"text": "ü", "number": -(2**40), "yes": True, "list": [1, "two"], "none": None},
        delivery_mode=1,
        priority=4,
        correlation_id="correlation",
        reply_to="reply",
        expiration="60000",
        message_id="message",
        timestamp=1700000000,
        type="type",
        user_id="guest",
        app_id="app",
    )
    channel.basic_publish(EXCHANGE, "key", b"", sent)
    _, received, body = channel.basic_get(QUEUE, auto_ack=True)
    equal((body, vars(received)), (b"", vars(sent)))


def large_body(channel):
    publish(channel, LARGE_BODY)
    equal(bodies(channel, 1, auto_ack=True), [LARGE_BODY])
    channel.cancel()


def transaction(connection):
    channel = connection.channel()
    channel.tx_select()
    publish(channel, b"undone")
    channel.tx_rollback()
    publish(channel, b"done")
    equal(channel.queue_declare(QUEUE, passive=True).method.message_count, 0)
    channel.tx_commit()
    equal(channel.basic_get(QUEUE, auto_ack=True)[2], b"done")
    channel.close()


def mandatory_return(channel):
    try:
        channel.basic_publish("", unique("nowhere"), b"lost", mandatory=True)
    except UnroutableError as error:
        [returned] = error.messages
        equal((returned.method.reply_code, returned.method.reply_text), (312, "NO_ROUTE"))
        equal(returned.body, b"lost")
    else:
        raise AssertionError("the message was not returned")


def overflow_nack(channel):
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
    queue = channel.queue_declare("", exclusive=True, arguments=arguments).method.queue
    channel.basic_publish("", queue, b"fits")
    try:
        channel.basic_publish("", queue, b"does not")
    except NackError:
        pass
    else:
        raise AssertionError("the message was not refused")


def refused(connection, code, words, action):
    """`action` closes its channel with `code`; the next channel works."""
    try:
        action(connection.channel())
    except ChannelClosedByBroker as error:
        equal(error.reply_code, code)
        equal(error.reply_text, words)
    else:
        raise AssertionError("the broker refused nothing")
    connection.channel().close()


def main():
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    channel = connection.channel()
    # A confirmed message is in its queue, so that counting it is no race.
    channel.confirm_delivery()
    with step("declare"):
        declare(channel)
    with step("consume_and_ack"):
        consume_and_ack(channel)
    with step("nack_requeue"):
        nack_requeue(channel)
    with step("get"):
        get(channel)
    with step("qos"):
        qos(channel, connection)
    with step("cancel"):
        cancel(channel, connection)
    with step("properties"):
        properties(channel)
    with step("large_body"):
        large_body(channel)
    with step("transaction"):
        transaction(connection)
    with step("mandatory_return"):
        mandatory_return(channel)
    with step("overflow_nack"):
        overflow_nack(channel)
    with step("missing_queue"):
        missing = unique("missing")
        words = f"NOT_FOUND - no queue '{missing}' in vhost '/'"
        refused(connection, 404, words, lambda it: it.queue_declare(missing, passive=True))
    with step("other_arguments"):
        words = (
            f"PRECONDITION_FAILED - inequivalent arg 'durable' for queue '{QUEUE}' "
            "in vhost '/': received 'false' but current is 'true'"
        )
        refused(connection, 406, words, lambda it: it.queue_declare(QUEUE, durable=False))
    with step("delete"):
        publish(channel, b"dropped with the queue")
        equal(channel.queue_delete(QUEUE).method.message_count, 1)
        channel.exchange_delete(EXCHANGE)
    with step("close"):
        connection.close()
    print("done")


if __name__ == "__main__":
    main()
