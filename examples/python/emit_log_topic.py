"""Topics, the publisher: the routing key is words joined by dots.

Usage: emit_log_topic.py [routing_key [message]]
"""

import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def main():
    routing_key = sys.argv[1] if len(sys.argv) > 1 else "anonymous.info"
    message = " ".join(sys.argv[2:]) or "Hello World!"

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange="topic_logs", exchange_type="topic")
        channel.basic_publish(exchange="topic_logs", routing_key=routing_key, body=message)
        print(f" [x] Sent '{routing_key}':'{message}'")


if __name__ == "__main__":
    main()
