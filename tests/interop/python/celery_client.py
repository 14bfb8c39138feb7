"""Celery: a worker with its events and control queues, and results over rpc://."""

import celery
from celery.contrib.testing.worker import start_worker
from steps import AMQP_URL, equal, step, unique

app = celery.Celery("interop", broker=AMQP_URL, backend="rpc://")
app.conf.task_default_queue = unique("celery")
app.conf.worker_hijack_root_logger = False
app.conf.broker_connection_retry_on_startup = False


@app.task
def add(a, b):
    return a + b


@app.task(bind=True, max_retries=1)
def second_try(self):
    if self.request.retries == 0:
        raise self.retry(countdown=0)
    return self.request.retries


def main():
    with start_worker(app, perform_ping_check=False, pool="threads", concurrency=2):
        with step("task"):
            equal(add.delay(2, 3).get(timeout=20), 5)
        with step("group"):
            results = celery.group(add.s(n, n) for n in range(10))().get(timeout=20)
            equal(results, [2 * n for n in range(10)])
        with step("retry"):
            equal(second_try.delay().get(timeout=20), 1)
        with step("control"):
            [reply] = app.control.ping(timeout=5, limit=1)
            equal(list(reply.values()), [{"ok": "pong"}])
        with step("delete"):
            with app.connection() as connection:
                connection.channel().queue_delete(app.conf.task_default_queue)
    print("done")


if __name__ == "__main__":
    main()
