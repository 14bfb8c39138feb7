"""How a client script reports: one line for each step that held.

A script prints `ok NAME` for every step and `done` at its end, and exits with 0;
at the first step that does not hold it says which and exits with a traceback.
"""

import contextlib
import os
import uuid

AMQP_URL = os.environ["AMQP_URL"]


@contextlib.contextmanager
def step(name):
    try:
        yield
    except BaseException:
        print(f"FAILED {name}", flush=True)
        raise
    print(f"ok {name}", flush=True)


def equal(seen, expected):
    if seen != expected:
        raise AssertionError(f"{seen!r} is not {expected!r}")


def unique(kind):
    """A name that no other run on the same broker uses."""
    return f"interop.{kind}.{uuid.uuid4().hex[:12]}"
