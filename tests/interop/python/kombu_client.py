"""kombu on py-amqp: the library under Celery."""

import socket

import kombu
from amqp.exceptions import NotFound
from steps import AMQP_URL, equal, step, unique


def main():
    exchange = kombu.Exchange(unique("exchange"), type="direct", durable=False, auto_delete=True)
    queue = kombu.Queue(unique("queue"), exchange, routing_key="key")
    with kombu.Connection(AMQP_URL, transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        received = []
        with step("declare"):
            bound = queue(channel)
            bound.declare()
        with step("publish_confirmed"):
            producer = kombu.Producer(channel, exchange, serializer="json")
            for n in range(3):
                producer.publish({"n": n}, routing_key="key", headers={"n": n})
        with step("consume_and_ack"):
            consumer = kombu.Consumer(channel, [queue], on_message=received.append)
            consumer.qos(prefetch_count=2)
            with consumer:
                while len(received) < 3:
                    connection.drain_events(timeout=10)
                    received[-1].ack()
            equal([it.payload for it in received], [{"n": 0}, {"n": 1}, {"n": 2}])
            equal(received[1].headers, {"n": 1})
        with step("nack_requeue"):
            producer.publish({"n": 4}, routing_key="key")
            bound.get().requeue()
            again = bound.get()
            equal((again.payload, again.delivery_info["redelivered"]), ({"n": 4}, True))
            again.ack()
            equal(bound.get(), None)
        with step("cancel"):
            producer.publish({"n": 5}, routing_key="key")
            try:
                connection.drain_events(timeout=0.1)
            except socket.timeout:
                pass
            equal((len(received), bound.purge()), (3, 1))
        with step("missing_queue"):
            try:
                connection.channel().queue_declare(unique("missing"), passive=True)
            except NotFound as error:
                equal(error.code, 404)
            else:
                raise AssertionError("the broker found a missing queue")
            connection.channel().queue_declare(exclusive=True)
        with step("delete"):
            bound.delete()
    print("done")


if __name__ == "__main__":
    main()
