"""Hello world, the sending half: put one message into the queue `hello`."""

import os

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def main():
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()

        # Declaring is idempotent: whichever half starts first creates the queue.
        channel.queue_declare(queue="hello", durable=True)

        # The default exchange (the empty name) routes to the queue that the
        # routing key names.
        channel.basic_publish(exchange="", routing_key="hello", body="Hello World!")
        print(" [x] Sent 'Hello World!'")


if __name__ == "__main__":
    main()
