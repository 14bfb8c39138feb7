"""RPC, the client: ask for a Fibonacci number and wait for the answer.

Usage: rpc_client.py [n]
"""

import os
import sys
import time
import uuid

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")
TIMEOUT_SECONDS = 30


class FibonacciClient:
    """Sends requests to `rpc_queue` and waits on a reply queue of its own."""

    def __init__(self, connection):
        self.connection = connection
        self.channel = connection.channel()
        self.reply_queue = self.channel.queue_declare(queue="", exclusive=True).method.queue
        self.replies = {}
        self.channel.basic_consume(
            queue=self.reply_queue, on_message_callback=self.on_reply, auto_ack=True
        )

    def on_reply(self, channel, method, properties, body):
        self.replies[properties.correlation_id] = body

    def call(self, n):
        correlation_id = str(uuid.uuid4())
        self.channel.basic_publish(
            exchange="",
            routing_key="rpc_queue",
            body=str(n),
            properties=pika.BasicProperties(
                reply_to=self.reply_queue, correlation_id=correlation_id
            ),
        )
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while correlation_id not in self.replies:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer within {TIMEOUT_SECONDS} seconds")
            self.connection.process_data_events(time_limit=1)
        return int(self.replies.pop(correlation_id))


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 30

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        client = FibonacciClient(connection)
        print(f" [x] Requesting fib({n})")
        print(f" [.] Got {client.call(n)}")


if __name__ == "__main__":
    main()
