"""aio-pika over TLS: with its password, with a certificate beside it, and by its certificate alone."""

import asyncio
import os
import ssl

import aio_pika
from aio_pika import Message

PORT = int(os.environ["PORT"])


def context(certificate=False, authority=True):
    made = ssl.create_default_context(cafile=os.environ["CA"] if authority else None)
    if certificate:
        made.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
    return made


async def everyday_work(url, made):
    connection = await aio_pika.connect(url, ssl_context=made)
    async with connection:
        channel = await connection.channel(publisher_confirms=True)
        queue = await channel.declare_queue("aio-pika-tls", exclusive=True)
        body = b"x" * 300_000
        await channel.default_exchange.publish(Message(body), routing_key=queue.name)
        got = await queue.get(no_ack=True)
        assert got.body == body


async def main():
    url = f"amqps://guest:guest@localhost:{PORT}/"
    await everyday_work(url, context())
    print("ok tls")
    await everyday_work(url, context(certificate=True))
    print("ok mutual_tls")
    await everyday_work(f"{url}?auth=EXTERNAL", context(certificate=True))
    print("ok external")
    try:
        await everyday_work(url, context(authority=False))
    except (ssl.SSLError, ConnectionError):
        print("ok unknown_authority")
    print("done")


asyncio.run(main())
