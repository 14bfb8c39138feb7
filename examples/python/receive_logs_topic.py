"""Topics, the subscriber: print the logs whose routing key fits a pattern.

In a binding key `*` stands for exactly one word and `#` for any number of them.

Usage: receive_logs_topic.py binding_key...
"""

import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def on_log(channel, method, properties, body):
    print(f" [x] '{method.routing_key}':'{body.decode()}'", flush=True)


def main():
    binding_keys = sys.argv[1:]
    if not binding_keys:
        sys.exit(f"Usage: {sys.argv[0]} binding_key...")

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange="topic_logs", exchange_type="topic")

        queue = channel.queue_declare(queue="", exclusive=True).method.queue
        for binding_key in binding_keys:
            channel.queue_bind(exchange="topic_logs", queue=queue, routing_key=binding_key)
        channel.basic_consume(queue=queue, on_message_callback=on_log, auto_ack=True)

        print(" [*] Waiting for logs. To exit press CTRL+C", flush=True)
        channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print(" [*] Stopped")
