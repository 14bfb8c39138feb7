"""Celery: two worker processes with everything on that workers have by default
(events, gossip, mingle, remote control), and tasks with an ETA."""

import os
import time

import celery
from steps import AMQP_URL, equal, step, unique
from worker_process import LIMIT, Worker, until

QUEUE = os.environ.setdefault("CELERY_QUEUE", unique("celery-workers"))
app = celery.Celery("celery_workers", broker=AMQP_URL, backend="rpc://")
app.conf.task_default_queue = QUEUE
app.conf.worker_prefetch_multiplier = 1
app.conf.task_acks_late = True
app.conf.broker_connection_retry_on_startup = False


@app.task
def add(a, b):
    return a + b


@app.task
def later():
    raise AssertionError("not within this test")


def hear(kinds, act):
    """Waits until events of all these kinds came because of `act`."""
    seen = set()
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": lambda e: seen.add(e["type"])})
        with receiver.consumer_context() as (connection, _channel, _consumers):
            act()
            end = time.monotonic() + LIMIT
            while not kinds <= seen:
                if time.monotonic() > end:
                    raise AssertionError(f"{kinds - seen} missing of {seen}")
                try:
                    connection.drain_events(timeout=1)
                except TimeoutError:
                    pass


def main():
    workers = []
    try:
        first = Worker("celery_workers", "first", "solo", QUEUE)
        workers.append(first)
        first.until_said("ready.")
        second = Worker("celery_workers", "second", "solo", QUEUE)
        workers.append(second)
        with step("mingle"):
            second.until_said("mingle: sync complete")
            second.until_said("ready.")
        with step("gossip"):
            first.until_said(second.name, "joined the party")
        with step("ping"):
            replies = app.control.ping(timeout=LIMIT, limit=2)
            equal(sorted(name for reply in replies for name in reply), sorted([first.name, second.name]))
        with step("eta"):
            # More than both workers would hold if their prefetch counts did not grow.
            for _ in range(12):
                later.apply_async(countdown=3600)
            equal(add.delay(2, 3).get(timeout=LIMIT), 5)
        with step("inspect"):
            inspect = app.control.inspect(timeout=LIMIT, limit=2)
            equal(sum(len(tasks) for tasks in inspect.scheduled().values()), 12)
            [queue] = app.control.inspect([first.name], timeout=LIMIT, limit=1).active_queues()[first.name]
            equal(queue["name"], QUEUE)
        with step("events"):
            kinds = {"worker-heartbeat", "task-received", "task-started", "task-succeeded"}
            hear(kinds, lambda: add.delay(1, 1).get(timeout=LIMIT))
        with step("revoke"):
            task = later.apply_async(countdown=3600)
            app.control.revoke(task.id, reply=True, timeout=LIMIT, limit=2)
            until("the task is revoked", lambda: first.said(task.id) or second.said(task.id))
        with step("shutdown"):
            app.control.shutdown()
            for worker in workers:
                equal(worker.process.wait(timeout=LIMIT), 0)
        with step("delete"):
            with app.connection() as connection:
                equal(connection.channel().queue_delete(QUEUE), 13)
    finally:
        for worker in workers:
            worker.end()
    print("done")


if __name__ == "__main__":
    main()
