"""aio-pika: a robust connection, channels with confirms, queue iterators, RPC-style replies."""

import asyncio

import aio_pika
from aio_pika.exceptions import ChannelNotFoundEntity, DeliveryError, QueueEmpty
from steps import AMQP_URL, equal, step, unique


def message(body, **properties):
    return aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties)


async def consume(queue, count):
    """The next `count` messages, not acknowledged."""
    received = []
    async with queue.iterator(timeout=10) as messages:
        async for incoming in messages:
            received.append(incoming)
            if len(received) == count:
                return received


async def settle_steps(channel, exchange, queue):
    with step("consume_and_ack"):
        await exchange.publish(message(b"one", headers={"n": 1}), "a.b")
        [incoming] = await consume(queue, 1)
        equal((incoming.body, incoming.headers, incoming.routing_key), (b"one", {"n": 1}, "a.b"))
        equal(incoming.redelivered, False)
        await incoming.ack()
    with step("nack_requeue"):
        await exchange.publish(message(b"again"), "a.b")
        [incoming] = await consume(queue, 1)
        await incoming.nack(requeue=True)
        [incoming] = await consume(queue, 1)
        equal((incoming.body, incoming.redelivered), (b"again", True))
        await incoming.reject(requeue=False)
    with step("get"):
        await exchange.publish(message(b"got"), "a.b")
        incoming = await queue.get(timeout=10)
        equal(incoming.body, b"got")
        await incoming.ack()
        try:
            await queue.get(timeout=10)
        except QueueEmpty:
            pass
        else:
            raise AssertionError("the queue was not empty")
    with step("qos"):
        await channel.set_qos(prefetch_count=1)
        received = asyncio.Queue()
        tag = await queue.consume(received.put)
        for n in range(3):
            await exchange.publish(message(b"%d" % n), "a.b")
        for n in range(3):
            incoming = await asyncio.wait_for(received.get(), 10)
            equal((incoming.body, received.qsize()), (b"%d" % n, 0))
            await incoming.ack()
    with step("cancel"):
        await queue.cancel(tag)
        declared = await channel.declare_queue(queue.name, passive=True)
        equal(declared.declaration_result.consumer_count, 0)


async def confirm_steps(connection, channel):
    with step("mandatory_return"):
        try:
            await channel.default_exchange.publish(message(b"lost"), unique("nowhere"))
        except DeliveryError as error:
            equal(error.message.delivery.reply_code, 312)
        else:
            raise AssertionError("the message was not returned")
    with step("transaction"):
        async with connection.channel(publisher_confirms=False) as transactional:
            queue = await transactional.declare_queue(exclusive=True)
            async with transactional.transaction():
                await transactional.default_exchange.publish(message(b"done"), queue.name)
            equal((await queue.get(timeout=10)).body, b"done")
    with step("missing_queue"):
        async with connection.channel() as doomed:
            try:
                await doomed.declare_queue(unique("missing"), passive=True)
            except ChannelNotFoundEntity:
                pass
            else:
                raise AssertionError("the broker found a missing queue")
        async with connection.channel() as works:
            await works.declare_queue(exclusive=True)


async def main():
    connection = await aio_pika.connect_robust(AMQP_URL)
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        with step("declare"):
            exchange = await channel.declare_exchange(unique("exchange"), "topic", auto_delete=True)
            queue = await channel.declare_queue(unique("queue"), durable=True)
            await queue.bind(exchange, "a.*")
        await settle_steps(channel, exchange, queue)
        await confirm_steps(connection, channel)
        with step("delete"):
            await queue.purge()
            await queue.delete()
    print("done")


if __name__ == "__main__":
    asyncio.run(main())
