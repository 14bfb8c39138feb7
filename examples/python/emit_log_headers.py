"""Headers, the publisher: the message's headers decide where it goes.

Usage: emit_log_headers.py message [header=value...]
"""

import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def main():
    if len(sys.argv) < 2:
        sys.exit(f"Usage: {sys.argv[0]} message [header=value...]")
    message = sys.argv[1]
    headers = dict(pair.split("=", 1) for pair in sys.argv[2:])

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange="headers_logs", exchange_type="headers")
        channel.basic_publish(
            exchange="headers_logs",
            routing_key="",
            body=message,
            properties=pika.BasicProperties(headers=headers),
        )
        print(f" [x] Sent '{message}' with {headers}")


if __name__ == "__main__":
    main()
