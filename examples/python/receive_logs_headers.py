"""Headers, the subscriber: print the logs that carry all, or any, of some headers.

Usage: receive_logs_headers.py all|any header=value...
"""

import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def on_log(channel, method, properties, body):
    print(f" [x] '{body.decode()}' with {properties.headers}", flush=True)


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("all", "any"):
        sys.exit(f"Usage: {sys.argv[0]} all|any header=value...")

    # x-match tells the exchange how many of the other arguments must fit.
    arguments = {"x-match": sys.argv[1]}
    arguments.update(pair.split("=", 1) for pair in sys.argv[2:])

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange="headers_logs", exchange_type="headers")

        queue = channel.queue_declare(queue="", exclusive=True).method.queue
        channel.queue_bind(exchange="headers_logs", queue=queue, arguments=arguments)
        channel.basic_consume(queue=queue, on_message_callback=on_log, auto_ack=True)

        print(" [*] Waiting for logs. To exit press CTRL+C", flush=True)
        channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print(" [*] Stopped")
