"""Celery: one worker with what applications ask of it every day: countdowns, retries that
wait, chains, chords, late acknowledgements, priorities, rate limits, revocation and remote
control. Results are files: a chord needs a backend that everyone can read."""

import os
import shutil
import tempfile
import time

import celery
from celery.exceptions import TaskRevokedError
from kombu import Queue
from steps import AMQP_URL, equal, step, unique
from worker_process import LIMIT, Worker, until

# The worker imports this file, too, with what its parent wrote into the environment.
HOME = os.environ.get("CELERY_HOME") or tempfile.mkdtemp()
os.environ["CELERY_HOME"] = HOME
PLAIN = os.environ.setdefault("CELERY_QUEUE", unique("celery-everyday"))
URGENT = PLAIN + ".urgent"
os.makedirs(f"{HOME}/results", exist_ok=True)

app = celery.Celery("celery_everyday", broker=AMQP_URL, backend=f"file://{HOME}/results")
app.conf.task_default_queue = PLAIN
app.conf.task_queues = [
    # Shared by workers and clients, and gone with the broker.
    Queue(PLAIN, routing_key=PLAIN, durable=False),
    Queue(URGENT, routing_key=URGENT, queue_arguments={"x-max-priority": 9}),
]
app.conf.worker_prefetch_multiplier = 1
app.conf.task_acks_late = True
app.conf.result_chord_retry_interval = 0.05
app.conf.broker_connection_retry_on_startup = False


@app.task
def add(a, b):
    return a + b


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=2)
def third_try(self):
    """Fails twice, and waits in between."""
    if self.request.retries < 2:
        raise self.retry(countdown=0.2)
    return time.time()


@app.task
def hold(name):
    """Keeps the worker until a file is there."""
    until(f"{name} is there", lambda: os.path.exists(f"{HOME}/{name}"))


@app.task
def note(word):
    with open(f"{HOME}/noted", "a", encoding="ascii") as noted:
        noted.write(f"{word}\n")


def let_go(name):
    with open(f"{HOME}/{name}", "w", encoding="ascii"):
        pass


def count(queue):
    with app.connection() as connection:
        return connection.channel().queue_declare(queue, passive=True).message_count


def retries():
    begin = time.time()
    ended = third_try.delay().get(timeout=LIMIT)
    assert ended - begin >= 0.4, f"two waits of 0.2 s in {ended - begin} s"


def countdown():
    begin = time.time()
    equal(add.apply_async((1, 2), countdown=0.5).get(timeout=LIMIT), 3)
    assert time.time() - begin >= 0.5


def chords():
    equal(celery.chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=LIMIT), 10)
    header = [add.s(n, n) for n in range(20)]
    equal(celery.chord(header)(total.s()).get(timeout=LIMIT), 380)


def priorities():
    held = hold.apply_async(("priorities",), queue=URGENT)
    until("the worker is busy", lambda: count(URGENT) == 0)
    for priority, words in [(1, ["l1", "l2"]), (9, ["h1", "h2"]), (5, ["m1"])]:
        for word in words:
            last = note.apply_async((word,), queue=URGENT, priority=priority)
    # All are there before the worker is let go.
    until("the tasks are queued", lambda: count(URGENT) == 5)
    let_go("priorities")
    held.get(timeout=LIMIT)
    until("all are noted", lambda: os.path.exists(f"{HOME}/noted") and len(noted()) == 5)
    last.get(timeout=LIMIT)
    equal(noted(), ["h1", "h2", "m1", "l1", "l2"])


def noted():
    with open(f"{HOME}/noted", encoding="ascii") as lines:
        return lines.read().split()


def holds(reply, worker, task):
    """Whether the task is among those that the worker tells of."""
    told = reply[worker.name]
    return task.id in [it.get("request", it)["id"] for it in told]


def control(worker):
    inspect = app.control.inspect([worker.name], timeout=LIMIT, limit=1)
    [registered] = inspect.registered().values()
    assert "celery_everyday.third_try" in registered, registered
    [stats] = inspect.stats().values()
    equal(stats["broker"]["transport"], "amqp")
    # It counts against the limit of what the worker may hold, which grows by it.
    later = add.apply_async((1, 1), countdown=3600)
    until("a task is scheduled", lambda: holds(inspect.scheduled(), worker, later))
    held = hold.delay("control")
    until("the task is active", lambda: holds(inspect.active(), worker, held))
    waiting = add.delay(1, 1)
    options = {"reply": True, "timeout": LIMIT, "limit": 1, "destination": [worker.name]}
    app.control.revoke([waiting.id, later.id], **options)
    [revoked] = inspect.revoked().values()
    equal({waiting.id, later.id} <= set(revoked), True)
    [limited] = app.control.rate_limit("celery_everyday.note", "100/s", **options)
    equal(limited[worker.name], {"ok": "new rate limit set successfully"})
    let_go("control")
    held.get(timeout=LIMIT)
    try:
        waiting.get(timeout=LIMIT)
    except TaskRevokedError:
        pass
    else:
        raise AssertionError("a revoked task was run")


def consumers(worker):
    """A queue is added to what the worker consumes, and taken from it again."""
    extra = PLAIN + ".extra"
    options = {"reply": True, "timeout": LIMIT, "limit": 1, "destination": [worker.name]}
    app.control.add_consumer(extra, **options)
    equal(add.apply_async((2, 2), queue=extra).get(timeout=LIMIT), 4)
    app.control.cancel_consumer(extra, **options)
    add.apply_async((2, 2), queue=extra)
    until("nobody takes it", lambda: count(extra) == 1)
    return extra


def redelivered(worker):
    """Killed in the middle of a task that it would have acknowledged afterwards, a worker leaves
    it to the next."""
    held = hold.delay("redelivered")
    inspect = app.control.inspect([worker.name], timeout=LIMIT, limit=1)
    until("the task is active", lambda: holds(inspect.active(), worker, held))
    worker.end()
    let_go("redelivered")
    successor = Worker("celery_everyday", "successor", "threads", QUEUES)
    held.get(timeout=LIMIT)
    # Only then is it told to shut down.
    successor.until_said("ready.")
    return successor


QUEUES = f"{PLAIN},{URGENT}"


def main():
    workers = [Worker("celery_everyday", "everyday", "threads", QUEUES)]
    worker = workers[0]
    try:
        worker.until_said("ready.")
        with step("retries_that_wait"):
            retries()
        with step("countdown"):
            countdown()
        with step("chain_and_chord"):
            chords()
        with step("priorities"):
            priorities()
        with step("remote_control"):
            control(worker)
        with step("consumers"):
            extra = consumers(worker)
        with step("late_acknowledgement"):
            workers.append(redelivered(worker))
        with step("delete"):
            app.control.shutdown()
            equal(workers[-1].process.wait(timeout=LIMIT), 0)
            with app.connection() as connection:
                for queue in [PLAIN, URGENT, extra]:
                    connection.channel().queue_delete(queue)
    finally:
        for worker in workers:
            worker.end()
        shutil.rmtree(HOME)
    print("done")


if __name__ == "__main__":
    main()
