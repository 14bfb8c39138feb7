"""Routing, the subscriber: print the logs of the severities asked for.

Usage: receive_logs_direct.py severity...
"""

import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def on_log(channel, method, properties, body):
    print(f" [x] '{method.routing_key}':'{body.decode()}'", flush=True)


def main():
    severities = sys.argv[1:]
    if not severities:
        sys.exit(f"Usage: {sys.argv[0]} severity...")

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange="direct_logs", exchange_type="direct")

        # One binding for each severity; a message still arrives only once.
        queue = channel.queue_declare(queue="", exclusive=True).method.queue
        for severity in severities:
            channel.queue_bind(exchange="direct_logs", queue=queue, routing_key=severity)
        channel.basic_consume(queue=queue, on_message_callback=on_log, auto_ack=True)

        print(" [*] Waiting for logs. To exit press CTRL+C", flush=True)
        channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print(" [*] Stopped")
