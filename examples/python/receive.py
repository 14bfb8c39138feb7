"""Hello world, the receiving half: print every message of the queue `hello`."""

import os

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def on_message(channel, method, properties, body):
    print(f" [x] Received '{body.decode()}'", flush=True)


def main():
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue="hello", durable=True)

        # With auto_ack the broker forgets a message as soon as it is sent to us.
        # See worker.py for the way that survives a consumer's death.
        channel.basic_consume(queue="hello", on_message_callback=on_message, auto_ack=True)

        print(" [*] Waiting for messages. To exit press CTRL+C", flush=True)
        channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print(" [*] Stopped")
