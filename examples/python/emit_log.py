"""Publish/subscribe, the publisher: every subscriber gets a copy.

Usage: emit_log.py [message]
"""

import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def main():
    message = " ".join(sys.argv[1:]) or "info: Hello World!"

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange="logs", exchange_type="fanout")

        # A fanout exchange ignores the routing key. Without a subscriber the
        # message goes nowhere.
        channel.basic_publish(exchange="logs", routing_key="", body=message)
        print(f" [x] Sent '{message}'")


if __name__ == "__main__":
    main()
