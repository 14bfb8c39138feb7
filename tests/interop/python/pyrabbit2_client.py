"""pyrabbit2: the management API as Python programs and test suites drive it."""

import os

from pyrabbit2.api import Client, PermissionError
from pyrabbit2.http import HTTPError
from steps import equal, step, unique

VHOST = unique("pyrabbit")
USER = unique("user")


def main():
    client = Client(os.environ["MANAGEMENT"], "guest", "guest")
    with step("broker"):
        equal(client.is_alive(), True)
        equal(client.get_whoami()["name"], "guest")
        equal(client.get_overview()["node"], client.get_nodes()[0]["name"])
    with step("vhost"):
        client.create_vhost(VHOST)
        assert VHOST in client.get_vhost_names()
        equal(client.get_vhost(VHOST)["name"], VHOST)
    with step("permissions"):
        client.set_vhost_permissions(VHOST, "guest", ".*", ".*", ".*")
        equal([given["user"] for given in client.get_vhost_permissions(VHOST)], ["guest"])
        assert VHOST in {given["vhost"] for given in client.get_user_permissions("guest")}
    with step("exchange"):
        client.create_exchange(VHOST, "x", "topic")
        equal(client.get_exchange(VHOST, "x")["type"], "topic")
    with step("queue"):
        client.create_queue(VHOST, "q", durable=True)
        equal(client.get_queue(VHOST, "q")["durable"], True)
    with step("binding"):
        client.create_binding(VHOST, "x", "q", "a.*")
        keys = {binding["routing_key"] for binding in client.get_queue_bindings(VHOST, "q")}
        equal(keys, {"q", "a.*"})
    with step("publish_and_get"):
        equal(client.publish(VHOST, "x", "a.b", "hello"), True)
        equal(client.publish(VHOST, "x", "nowhere", "hello"), False)
        [message] = client.get_messages(VHOST, "q", requeue=True)
        equal((message["payload"], message["routing_key"], message["exchange"]), ("hello", "a.b", "x"))
        equal(message["redelivered"], False)
        [message] = client.get_messages(VHOST, "q", requeue=False)
        equal(message["redelivered"], True)
        equal(client.get_messages(VHOST, "q"), [])
    with step("lists"):
        assert "q" in {queue["name"] for queue in client.get_queues(VHOST)}
        assert {"", "amq.topic", "x"} <= {exchange["name"] for exchange in client.get_exchanges(VHOST)}
        assert client.get_bindings()
        assert client.get_users()
        equal((client.get_connections() or [], client.get_channels() or []), ([], []))
    with step("purge"):
        client.publish(VHOST, "x", "a.b", "hello")
        client.purge_queue(VHOST, "q")
        equal(client.get_messages(VHOST, "q"), [])
    with step("users"):
        client.create_user(USER, "secret", tags="monitoring")
        other = Client(os.environ["MANAGEMENT"], USER, "secret")
        equal(other.get_whoami()["name"], USER)
        client.delete_user(USER)
        try:
            other.get_whoami()
            raise AssertionError("a deleted user is let in")
        except PermissionError:
            pass
    with step("missing"):
        try:
            client.get_queue(VHOST, "none")
            raise AssertionError("a queue that is not there")
        except HTTPError as error:
            equal(error.status, 404)
    with step("delete"):
        client.delete_binding(VHOST, "x", "q", "a.*")
        client.delete_queue(VHOST, "q")
        client.delete_exchange(VHOST, "x")
        client.delete_vhost(VHOST)
        assert VHOST not in client.get_vhost_names()
    print("done")


main()
