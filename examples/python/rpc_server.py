"""RPC, the server: answer each request on the queue its reply_to names."""

import os

import pika

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@localhost:5672/%2F")


def fibonacci(n):
    previous, current = 0, 1
    for _ in range(n):
        previous, current = current, previous + current
    return previous


def on_request(channel, method, properties, body):
    n = int(body)
    print(f" [.] fib({n})", flush=True)

    # The correlation id tells the client which of its requests this answers.
    channel.basic_publish(
        exchange="",
        routing_key=properties.reply_to,
        body=str(fibonacci(n)),
        properties=pika.BasicProperties(correlation_id=properties.correlation_id),
    )
    channel.basic_ack(delivery_tag=method.delivery_tag)


def main():
    with pika.BlockingConnection(pika.URLParameters(AMQP_URL)) as connection:
        channel = connection.channel()
        channel.queue_declare(queue="rpc_queue", durable=True)

        # Several servers share the load when each takes one request at a time.
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume(queue="rpc_queue", on_message_callback=on_request)

        print(" [x] Awaiting RPC requests", flush=True)
        channel.start_consuming()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print(" [*] Stopped")
