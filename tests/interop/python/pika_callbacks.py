"""pika's callback connections: select, asyncio and gevent, by the first argument.

The conversation is a generator: it yields what to ask, and goes on with what
the callback was given, so that the three event loops run the same steps.
"""

import collections
import sys
import traceback

import pika
from pika.exceptions import ChannelClosedByBroker
from steps import AMQP_URL, equal, step, unique

QUEUE = unique("queue")


class Inbox:
    """Deliveries, confirms and returns in the order in which they came."""

    def __init__(self):
        self.items = collections.deque()
        self.waiting = None

    def push(self, *item):
        self.items.append(item)
        if self.waiting:
            waiting, self.waiting = self.waiting, None
            waiting(self.items.popleft())

    def next(self, resume):
        if self.items:
            resume(self.items.popleft())
        else:
            self.waiting = resume


def conversation(connection):
    inbox = Inbox()
    with step("open"):
        channel = yield lambda resume: connection.channel(on_open_callback=resume)
    with step("declare"):
        frame = yield lambda resume: channel.queue_declare(QUEUE, exclusive=True, callback=resume)
        equal((frame.method.queue, frame.method.message_count), (QUEUE, 0))
    with step("consume_and_ack"):
        yield lambda resume: channel.basic_qos(prefetch_count=1, callback=resume)
        frame = yield lambda resume: channel.basic_consume(QUEUE, inbox.push, callback=resume)
        tag = frame.method.consumer_tag
        channel.basic_publish("", QUEUE, b"one")
        channel.basic_publish("", QUEUE, b"two")
        _, method, _, body = yield inbox.next
        equal((body, method.redelivered), (b"one", False))
        channel.basic_ack(method.delivery_tag)
    with step("nack_requeue"):
        _, method, _, body = yield inbox.next
        equal((body, method.redelivered), (b"two", False))
        channel.basic_nack(method.delivery_tag, requeue=True)
        _, method, _, body = yield inbox.next
        equal((body, method.redelivered), (b"two", True))
        channel.basic_ack(method.delivery_tag)
    with step("confirms"):
        yield lambda resume: channel.basic_cancel(tag, callback=resume)
        yield lambda resume: channel.confirm_delivery(inbox.push, callback=resume)
        channel.basic_publish("", QUEUE, b"confirmed")
        (frame,) = yield inbox.next
        equal((frame.method.NAME, frame.method.delivery_tag), ("Basic.Ack", 1))
    with step("cancel"):
        frame = yield lambda resume: channel.queue_declare(QUEUE, passive=True, callback=resume)
        equal((frame.method.message_count, frame.method.consumer_count), (1, 0))
    with step("get"):
        channel.basic_get(QUEUE, callback=inbox.push, auto_ack=True)
        _, method, _, body = yield inbox.next
        equal((body, method.message_count), (b"confirmed", 0))
    with step("mandatory_return"):
        channel.add_on_return_callback(inbox.push)
        channel.basic_publish("", unique("nowhere"), b"lost", mandatory=True)
        _, method, _, body = yield inbox.next
        equal((method.reply_code, body), (312, b"lost"))
        # The return comes before the confirm of the same message.
        (frame,) = yield inbox.next
        equal((frame.method.NAME, frame.method.delivery_tag), ("Basic.Ack", 2))
    with step("missing_queue"):
        doomed = yield lambda resume: connection.channel(on_open_callback=resume)
        doomed.add_on_close_callback(inbox.push)
        doomed.queue_declare(unique("missing"), passive=True)
        _, reason = yield inbox.next
        equal(type(reason), ChannelClosedByBroker)
        equal(reason.reply_code, 404)
        yield lambda resume: connection.channel(on_open_callback=resume)
    with step("delete"):
        frame = yield lambda resume: channel.queue_delete(QUEUE, callback=resume)
        equal(frame.method.message_count, 0)
    with step("close"):
        connection.add_on_close_callback(inbox.push)
        connection.close()
        yield inbox.next


class Driver:
    """Runs the conversation on the connection's own event loop."""

    def __init__(self, connection_class, start, stop):
        self.start, self.stop = start, stop
        self.failure = "the loop ended early"
        self.connection = connection_class(
            pika.URLParameters(AMQP_URL),
            on_open_callback=self.opened,
            on_open_error_callback=lambda _, error: self.end(f"cannot connect: {error!r}"),
        )

    def opened(self, connection):
        self.conversation = conversation(connection)
        self.go_on(None)

    def go_on(self, reply):
        try:
            ask = self.conversation.send(reply)
        except StopIteration:
            self.end(None)
        except BaseException:
            self.end(traceback.format_exc())
        else:
            ask(self.go_on)

    def end(self, failure):
        self.failure = failure
        self.stop(self.connection.ioloop)

    def run(self):
        self.start(self.connection.ioloop)
        if self.failure:
            sys.exit(self.failure)
        print("done")


def driver(adapter):
    if adapter == "select":
        return Driver(pika.SelectConnection, lambda it: it.start(), lambda it: it.stop())
    if adapter == "asyncio":
        from pika.adapters.asyncio_connection import AsyncioConnection

        return Driver(AsyncioConnection, lambda it: it.run_forever(), lambda it: it.stop())
    if adapter == "gevent":
        from pika.adapters.gevent_connection import GeventConnection

        return Driver(GeventConnection, lambda it: it.start(), lambda it: it.stop())
    sys.exit("usage: pika_callbacks.py select|asyncio|gevent")


if __name__ == "__main__":
    driver(sys.argv[1]).run()
