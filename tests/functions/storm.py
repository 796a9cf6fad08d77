"""Handlers for a storm: each says on a socket when it begins and when it ends, and does as told.

What is said stands in the socket's buffer when it is said: no kill takes it back. Times are taken
inside of the true ones, so that two of them never overlap unless the invocations did.
"""

import os
import socket
import sys
import tempfile
import time

import issue  # which edition of the code this is: a module that only the test's packages have

process = os.urandom(8).hex()


def _mark():
    """A name for this context: in its /tmp, so that it outlives the process as the context does."""
    place = os.path.join(tempfile.gettempdir(), "context")
    with open(f"{place}-{process}", "w") as file:
        file.write(os.urandom(8).hex())
    try:
        os.link(file.name, place)  # whole, or not at all
    except FileExistsError:
        pass
    with open(place) as file:
        return file.read()


def say(word, number):
    now = time.monotonic_ns()
    court.sendall(f"{word} {number} {now} {context} {process}\n".encode())


context = _mark()
court = socket.socket(socket.AF_UNIX)
court.connect("\0" + os.environ["COURT"])
say("init", os.environ["AWS_LAMBDA_FUNCTION_VERSION"])


def _fail(event):
    raise ValueError("as told")


def _take(event):
    """As many MB as told, page by page."""
    block = bytearray(event["mb"] << 20)
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
    return len(block)


ACTIONS = {
    "quick": lambda event: None,
    "slow": lambda event: time.sleep(event["ms"] / 1000),
    "fail": _fail,
    "exit": lambda event: os._exit(3),
    "leave": lambda event: sys.exit(4),
    "hang": lambda event: time.sleep(60),
    "take": _take,
    "echo": lambda event: event["text"],
}


def handler(event, context):
    number = event["number"]
    say("begin", number)
    try:
        return {
            "number": number,
            "request": context.aws_request_id,
            "issue": issue.number,
            "version": context.function_version,
            "came": ACTIONS[event["do"]](event),
        }
    finally:
        say("end", number)
