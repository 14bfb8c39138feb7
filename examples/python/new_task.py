"""Work queue, the producer: hand a task to whichever worker is free.

Each dot in the task stands for a second of work: `new_task.py Render page...`
"""

import os
import sys

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def main():
    task = " ".join(sys.argv[1:]) or "Hello World!"

    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()

        # Both are needed for a task to outlive a restart of the broker: a durable
        # queue, and a message marked persistent.
        channel.queue_declare(queue="task_queue", durable=True)
        persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)

        # With confirms on, basic_publish returns once the broker has taken
        # responsibility for the message: here, once it is on disk.
        channel.confirm_delivery()
        channel.basic_publish(
            exchange="", routing_key="task_queue", body=task, properties=persistent
        )
        print(f" [x] Sent '{task}'")


if __name__ == "__main__":
    main()
