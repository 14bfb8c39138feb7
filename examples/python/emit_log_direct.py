"""Routing, the publisher: the severity is the routing key.

Usage: emit_log_direct.py [severity [message]]
"""

import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def main():
    severity = sys.argv[1] if len(sys.argv) > 1 else "info"
    message = " ".join(sys.argv[2:]) or "Hello World!"

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange="direct_logs", exchange_type="direct")
        channel.basic_publish(exchange="direct_logs", routing_key=severity, body=message)
        print(f" [x] Sent '{severity}':'{message}'")


if __name__ == "__main__":
    main()
