"""Work queue, the worker: take one task at a time, acknowledge it when done.

Start as many as you like. If one dies, its unfinished task goes to another.
"""

import os
import time

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def on_task(channel, method, properties, body):
    task = body.decode()
    print(f" [x] Received '{task}'", flush=True)
    time.sleep(task.count("."))
    print(" [x] Done", flush=True)

    # Until this point the task belongs to the broker.
    channel.basic_ack(delivery_tag=method.delivery_tag)


def main():
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue="task_queue", durable=True)

        # At most one unacknowledged task: the next goes to a worker that is free.
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume(queue="task_queue", on_message_callback=on_task)

        print(" [*] Waiting for messages. To exit press CTRL+C", flush=True)
        channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print(" [*] Stopped")
