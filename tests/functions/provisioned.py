"""Handlers that tell a socket outside of each init and each invocation, and wait there if they
are to; they say how they came to be. With BROKEN in the environment the init fails."""

import json
import os
import socket


def testify(port, **facts):
    """Write one line to `port` and wait for the answer, or for the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as court:
        court.sendall(json.dumps(facts).encode() + b"\n")
        court.recv(1)


edition = os.environ.get("EDITION")
began_as = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
calls = 0
testify(int(os.environ["INIT_PORT"]), phase="init", edition=edition, type=began_as)
if os.environ.get("BROKEN"):
    raise ValueError("broken")
if os.environ.get("SOON") and began_as == "provisioned-concurrency":
    import threading

    threading.Timer(0.01, os._exit, (3,)).start()


def handler(event, context):
    """Say who this is; with `port` in the event it is told first, and waited for."""
    global calls
    calls += 1
    facts = {
        "edition": edition,
        "calls": calls,
        "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
        "version": context.function_version,
        "pid": os.getpid(),
    }
    if "port" in event:
        testify(event["port"], phase="invoke", **facts)
    return facts
