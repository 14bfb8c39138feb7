"""pika over TLS: both versions, with a certificate and without, with an authority and without."""

import os
import ssl

import pika

PORT = int(os.environ["PORT"])


def context(authority=True, certificate=True, version=None):
    made = ssl.create_default_context(cafile=os.environ["CA"] if authority else None)
    if certificate:
        made.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
    if version:
        made.minimum_version = made.maximum_version = version
    return made


def connect(made):
    options = pika.SSLOptions(made, "localhost")
    return pika.BlockingConnection(
        pika.ConnectionParameters("127.0.0.1", PORT, ssl_options=options, connection_attempts=1)
    )


def everyday_work(made):
    connection = connect(made)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("tls", exclusive=True)
    for size in (0, 10, 100_000, 2_000_000):
        body = b"x" * size
        channel.basic_publish("", "tls", body, mandatory=True)
        method, _, got = channel.basic_get("tls")
        assert got == body, size
        channel.basic_ack(method.delivery_tag)
    connection.close()


def refused(made):
    try:
        connect(made)
    except (pika.exceptions.AMQPError, ssl.SSLError, ConnectionError):
        return
    raise AssertionError("it was let in")


everyday_work(context(version=ssl.TLSVersion.TLSv1_2))
print("ok tls_1_2")
everyday_work(context(version=ssl.TLSVersion.TLSv1_3))
print("ok tls_1_3")
refused(context(certificate=False))
print("ok no_certificate")
refused(context(authority=False))
print("ok unknown_authority")
print("done")
