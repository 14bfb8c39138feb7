"""Flower, the monitor of Celery: its page of the broker, which it has from the management API."""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile

import celery
from steps import AMQP_URL, equal, step, unique
from worker_process import until

QUEUE = os.environ.setdefault("CELERY_QUEUE", unique("flower"))
TASKS = 3

app = celery.Celery("flower_client", broker=AMQP_URL)
app.conf.task_default_queue = QUEUE


@app.task
def later():
    raise AssertionError("nobody works on this queue")


class Page(http.client.HTTPConnection):
    """Flower behind a socket in the file system, so that no port has to be free."""

    def __init__(self, path):
        super().__init__("flower", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


def page(path):
    """The page of the broker, as one line; nothing while it cannot be had."""
    connection = Page(path)
    try:
        connection.request("GET", "/broker")
        answer = connection.getresponse()
        return " ".join(answer.read().decode().split()) if answer.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


def main():
    directory = tempfile.mkdtemp()
    path = os.path.join(directory, "flower")
    for _ in range(TASKS):
        later.delay()
    command = [sys.executable, "-m", "celery", "-A", "flower_client", "flower"]
    command += [f"--unix-socket={path}", f"--broker-api=http://guest:guest@{os.environ['MANAGEMENT']}/api/"]
    here = os.path.dirname(os.path.abspath(__file__))
    flower = subprocess.Popen(command, cwd=here, stderr=subprocess.DEVNULL)
    try:
        with step("broker_page"):
            until("Flower answers", lambda: page(path))
        with step("queue_of_tasks"):
            row = f"<td>{QUEUE}</td> <td"
            # RabbitMQ's figures are some seconds old.
            until("its tasks are on the page", lambda: f">{TASKS}</td>" in page(path).partition(row)[2])
        with app.connection() as connection:
            equal(connection.channel().queue_delete(QUEUE), TASKS)
    finally:
        flower.kill()
        flower.wait()
        shutil.rmtree(directory)
    print("done")


if __name__ == "__main__":
    main()
