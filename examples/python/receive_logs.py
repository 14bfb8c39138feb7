"""Publish/subscribe, the subscriber: print what is published from now on."""

import os

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def on_log(channel, method, properties, body):
    print(f" [x] {body.decode()}", flush=True)


def main():
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.exchange_declare(exchange="logs", exchange_type="fanout")

        # An empty name asks the broker to choose one; an exclusive queue goes
        # away with this connection.
        queue = channel.queue_declare(queue="", exclusive=True).method.queue
        channel.queue_bind(exchange="logs", queue=queue)
        channel.basic_consume(queue=queue, on_message_callback=on_log, auto_ack=True)

        print(" [*] Waiting for logs. To exit press CTRL+C", flush=True)
        channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print(" [*] Stopped")
