"""Handlers that wait for the test: they call it at a port and go on when it says so."""

import os
import socket
import time

calls = 0
if delay := os.environ.get("INIT_SECONDS"):
    time.sleep(float(delay))


def wait(event, context):
    """Call at `port`, stay until told to go, then say which process this is."""
    global calls
    calls += 1
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", event["port"]), timeout=30) as door:
        door.sendall(context.log_stream_name.encode() + b"\n")
        door.recv(1)
    return {"calls": calls, "pid": os.getpid(), "began": began, "ended": time.monotonic()}
