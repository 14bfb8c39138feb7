"""Dramatiq: actors with delays, retries that back off, priorities and its dead letter queues,
with a worker in this process."""

import threading
import time

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from steps import AMQP_URL, equal, step, unique

LIMIT = 60
QUEUE = unique("dramatiq")
broker = RabbitmqBroker(url=AMQP_URL, max_priority=5, confirm_delivery=True)
dramatiq.set_broker(broker)
heard = []
news = threading.Condition()
gate = threading.Event()


def note(word):
    with news:
        heard.append((word, time.time()))
        news.notify_all()


def words(count):
    """The next `count` of what was noted."""
    with news:
        assert news.wait_for(lambda: len(heard) >= count, LIMIT), f"{heard} and no more"
        said = heard[:count]
        del heard[:count]
    return said


@dramatiq.actor(queue_name=QUEUE)
def say(word):
    note(word)


@dramatiq.actor(queue_name=QUEUE, max_retries=2, min_backoff=50, max_backoff=100)
def fail(word):
    note(word)
    raise RuntimeError(word)


@dramatiq.actor(queue_name=QUEUE)
def hold():
    note("held")
    assert gate.wait(LIMIT), "nobody let it go"


def until_dead(count):
    """The letters that Dramatiq gave up lie in a queue that its own queue dead-letters to."""
    end = time.monotonic() + LIMIT
    while broker.get_queue_message_counts(QUEUE)[2] != count:
        assert time.monotonic() < end, broker.get_queue_message_counts(QUEUE)
        time.sleep(0.05)


def main():
    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=100)
    worker.start()
    with step("message"):
        say.send("now")
        equal([word for word, _ in words(1)], ["now"])
    with step("delay"):
        begin = time.time()
        say.send_with_options(args=("later",), delay=500)
        say.send("sooner")
        [(first, _), (second, at)] = words(2)
        equal((first, second), ("sooner", "later"))
        assert at - begin >= 0.5, at - begin
    with step("retries"):
        fail.send("again")
        equal([word for word, _ in words(3)], ["again"] * 3)
    with step("dead_letter"):
        until_dead(1)
    with step("priority"):
        hold.send()
        words(1)
        for n in range(10):
            say.send(f"low {n}")
        say.send_with_options(args=("high",), broker_priority=5)
        say.send("last")
        gate.set()
        said = [word for word, _ in words(12)]
        # The worker has taken some of the first before the others came.
        equal(said.index("high") < said.index("low 9"), True)
    with step("delete"):
        worker.stop()
        for queue in [QUEUE, f"{QUEUE}.DQ", f"{QUEUE}.XQ"]:
            broker.channel.queue_delete(queue)
        broker.close()
    print("done")


if __name__ == "__main__":
    main()
