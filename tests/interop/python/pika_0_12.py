"""pika 0.12, of 2018, which old applications still pin: its names, its order of arguments."""

import collections
import collections.abc

# Python 3.10 took this old name away; nothing else in pika 0.12 stands in its way.
collections.Callable = collections.abc.Callable

import pika
from pika.exceptions import ChannelClosed
from steps import AMQP_URL, equal, step, unique

EXCHANGE = unique("exchange")


def blocking():
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    channel = connection.channel()
    with step("declare"):
        channel.exchange_declare(exchange=EXCHANGE, exchange_type="direct", auto_delete=True)
        queue = channel.queue_declare(exclusive=True).method.queue
        channel.queue_bind(exchange=EXCHANGE, queue=queue, routing_key="key")
    with step("consume_and_ack"):
        received = []

        def on_message(channel, method, properties, body):
            received.append((body, method.redelivered))
            channel.basic_ack(delivery_tag=method.delivery_tag)
            if len(received) == 2:
                channel.stop_consuming()

        channel.basic_publish(exchange=EXCHANGE, routing_key="key", body="one")
        channel.basic_publish(exchange=EXCHANGE, routing_key="key", body="two")
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume(on_message, queue=queue)
        channel.start_consuming()
        equal(received, [(b"one", False), (b"two", False)])
    with step("nack_requeue"):
        channel.basic_publish(exchange=EXCHANGE, routing_key="key", body="again")
        method, _, _ = channel.basic_get(queue=queue)
        channel.basic_nack(method.delivery_tag, requeue=True)
        method, _, body = channel.basic_get(queue=queue, no_ack=True)
        equal((body, method.redelivered), (b"again", True))
    with step("confirms"):
        channel.confirm_delivery()
        equal(channel.basic_publish(EXCHANGE, "key", "confirmed", mandatory=True), True)
        equal(channel.basic_publish(EXCHANGE, "other", "lost", mandatory=True), False)
    with step("missing_queue"):
        try:
            connection.channel().queue_declare(queue=unique("missing"), passive=True)
        except ChannelClosed as error:
            equal(error.args[0], 404)
        else:
            raise AssertionError("the broker found a missing queue")
        connection.channel().close()
    with step("close"):
        connection.close()


def callbacks():
    """One message through a SelectConnection, which calls back in 0.12's way."""
    received = []

    def on_message(channel, method, properties, body):
        received.append(body)
        channel.basic_ack(method.delivery_tag)
        connection.close()

    def on_declared(channel, frame):
        channel.basic_consume(on_message, queue=frame.method.queue)
        channel.basic_publish("", frame.method.queue, "called back")

    def on_channel(channel):
        channel.queue_declare(lambda frame: on_declared(channel, frame), exclusive=True)

    with step("select_connection"):
        connection = pika.SelectConnection(
            pika.URLParameters(AMQP_URL),
            on_open_callback=lambda it: it.channel(on_open_callback=on_channel),
            on_close_callback=lambda it, code, text: it.ioloop.stop(),
        )
        connection.ioloop.start()
        equal(received, [b"called back"])


if __name__ == "__main__":
    blocking()
    callbacks()
    print("done")
