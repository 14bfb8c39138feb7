"""What RabbitMQ 4.3 deprecates and clients do: queues that are neither durable nor exclusive,
limits for a whole channel, frames below 8 KiB; by kombu's SimpleQueue and SimpleBuffer,
amqpstorm with its defaults, and pika."""

import amqpstorm
import kombu
import pika
from steps import AMQP_URL, equal, step, unique

CONFIRMED = {"transport_options": {"confirm_publish": True}}


def simple_queue():
    name = unique("simple")
    with kombu.Connection(AMQP_URL, **CONFIRMED) as connection:
        with connection.SimpleQueue(name) as queue:
            for n in range(3):
                queue.put({"n": n}, priority=n)
            equal(queue.qsize(), 3)
            for n in range(2):
                message = queue.get(timeout=10)
                equal(message.payload, {"n": n})
                message.ack()
            equal(queue.get(timeout=10).payload, {"n": 2})
        connection.channel().queue_delete(name)


def simple_buffer():
    """A queue that is not durable, whose messages are settled when they are sent."""
    with kombu.Connection(AMQP_URL, **CONFIRMED) as connection:
        with connection.SimpleBuffer(unique("buffer")) as buffer:
            buffer.put("word")
            equal(buffer.get(timeout=10).payload, "word")
            try:
                buffer.get_nowait()
            except buffer.Empty:
                pass
            else:
                raise AssertionError("there was more than one")


def amqpstorm_defaults():
    name = unique("amqpstorm")
    with amqpstorm.UriConnection(AMQP_URL) as connection, connection.channel() as channel:
        channel.queue.declare(name)
        channel.confirm_deliveries()
        equal(channel.basic.publish("word", name), True)
        channel.basic.qos(prefetch_count=1, global_=True)
        got = []

        def take(message):
            got.append(message.body)
            message.ack()
            channel.stop_consuming()

        channel.basic.consume(take, name)
        channel.start_consuming()
        equal(got, ["word"])
        channel.queue.delete(name)


def channel_limit():
    """Two consumers of a channel with a limit of 3 in all."""
    name = unique("limited")
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.queue_declare(name)
        channel.basic_qos(prefetch_count=3, global_qos=True)
        got = []
        for _ in range(2):
            channel.basic_consume(name, lambda _c, method, _p, body: got.append((method.delivery_tag, body)))
        for n in range(8):
            channel.basic_publish("", name, str(n))
        taken = []
        while len(taken) < 8:
            # A method that is answered comes behind what could be delivered before it.
            connection.process_data_events(0.05)
            channel.queue_declare(name, passive=True)
            assert len(got) <= 3, f"{got} at once"
            if got:
                tag, body = got.pop(0)
                channel.basic_ack(tag)
                taken.append(body)
        equal(sorted(taken), [str(n).encode() for n in range(8)])
        channel.queue_delete(name)


def shared_transient_queue():
    name = unique("transient")
    parameters = pika.URLParameters(AMQP_URL)
    with pika.BlockingConnection(parameters) as one, pika.BlockingConnection(parameters) as other:
        one.channel().queue_declare(name)
        channel = other.channel()
        channel.queue_declare(name)
        channel.basic_publish("", name, b"word")
        equal(channel.basic_get(name, auto_ack=True)[2], b"word")
        channel.queue_delete(name)


def small_frames():
    parameters = pika.URLParameters(AMQP_URL)
    parameters.frame_max = 4096
    name = unique("frames")
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        channel.queue_declare(name, exclusive=True)
        body = bytes(range(256)) * 64
        channel.basic_publish("", name, body)
        equal(channel.basic_get(name, auto_ack=True)[2], body)


STEPS = [
    simple_queue,
    simple_buffer,
    amqpstorm_defaults,
    channel_limit,
    shared_transient_queue,
    small_frames,
]


def main():
    for run in STEPS:
        with step(run.__name__):
            run()
    print("done")


if __name__ == "__main__":
    main()
