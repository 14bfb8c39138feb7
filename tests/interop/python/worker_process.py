"""A Celery worker as a process of its own, and waiting for what it does."""

import os
import subprocess
import sys
import threading
import time

LIMIT = 60


def until(what, look):
    end = time.monotonic() + LIMIT
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {LIMIT} s")
        time.sleep(0.05)


class Worker:
    """Of the Celery application `app`, with one thread or process for tasks."""

    def __init__(self, app, name, pool, queues):
        self.name = f"celery@{name}-{os.getpid()}"
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", queues]
        command += ["-n", self.name, "-c", "1", "-P", pool, "-E", "-l", "DEBUG"]
        environment = dict(os.environ, PYTHONUNBUFFERED="1")
        here = os.path.dirname(os.path.abspath(__file__))
        self.process = subprocess.Popen(
            command, cwd=here, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.lines = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def said(self, *words):
        return any(all(word in line for word in words) for line in list(self.lines))

    def until_said(self, *words):
        def look():
            ended = self.process.poll()
            assert ended is None, f"{self.name} ended with {ended}: {''.join(self.lines[-20:])}"
            return self.said(*words)

        until(f"{self.name} says {words}", look)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
