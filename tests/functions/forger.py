"""A handler that writes to its own wires what its worker would not; `way` says what."""

import os
import struct
import subprocess
import sys
import threading
import time

OUTPUT, REQUEST, REPLY, MEMORY = WIRES = (1020, 1021, 1022, 1023)
NAMES = dict(zip(("output", "request", "reply", "memory"), WIRES, strict=True))
calls = 0


def number():
    """That of this run, which the worker has been told."""
    frame = sys._getframe()
    while frame is not None:
        told = frame.f_locals.get("frame")
        if hasattr(told, "invocation"):
            return told.invocation
        frame = frame.f_back
    raise LookupError("no frame")


def result(run, payload=b'"forged"', kind=19, metadata=b"\x94\x00\x00\xa0\x00"):
    header = struct.pack("<BBHIIQ", kind, 0, 1, len(metadata), len(payload), run % 2**64)
    return header + metadata + payload


def forge(*pieces):
    for piece in pieces:
        os.write(REPLY, piece)


def hang(*pieces):
    forge(*pieces)
    time.sleep(60)


def later(what):
    def life():
        time.sleep(0.02)
        what()

    threading.Thread(target=life, daemon=True).start()


def go_on(run):
    """Answer, and then answer who comes next, whatever he may be called."""
    forge(result(run))
    for guess in range(1, 2000):
        forge(result(run + guess))
        time.sleep(0.001)


def dribble(run):
    for byte in result(run, b'"slow"'):
        forge(bytes([byte]))
        time.sleep(0.001)
    os._exit(5)


def grandchild():
    """Somebody who has left the session, and holds all the wires."""
    subprocess.Popen(["sleep", "60"], pass_fds=WIRES, start_new_session=True)
    os._exit(3)


def read_again(name):
    """Open one's own pipe at its other end, where the kernel allows it, and take from it."""
    try:
        fd = os.open(f"/proc/self/fd/{NAMES[name]}", os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError:
        return

    def take():
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            try:
                os.read(fd, 100)
            except BlockingIOError:
                pass

    threading.Thread(target=take, daemon=True).start()
    for _ in range(2000):
        os.write(OUTPUT, b"mine\n" * 10)


def flood(data, count):
    for _ in range(count):
        os.write(1, data)


WAYS = {
    "two at once": lambda run: hang(result(run) + result(run)),
    "two": lambda run: forge(result(run), result(run)),
    "the next one's, too": lambda run: hang(result(run) + result(run + 1)),
    "one and a half": lambda run: hang(result(run) + result(run)[:11]),
    "half": lambda run: hang(result(run)[:11]),
    "dribble": dribble,
    "go on": go_on,
    "another's refusal": lambda run: hang(result(run + 1, b"", 21, b"\x91\xa2no")),
    "a bomb": lambda run: hang(result(run, b"", 19, b"\x94" + b"\x91" * 60_000)),
    "grandchild": lambda _: grandchild(),
    "read replies": lambda _: read_again("reply"),
    "read output": lambda _: read_again("output"),
    "no newline": lambda _: flood(b"x" * 65536, 1600),
    "newlines": lambda _: flood(b"\n" * 65536, 100),
    "one byte": lambda _: flood(b"\n", 20_000),
    "half a record": lambda _: flood(b"\xff\xa5\x5a\xfe\0\0\0\1\x0f\xf5\1", 1),
    "empty records": lambda _: flood(b"\xff\xa5\x5a\xfe\0\0\0\1\0\1\0x" * 5000, 20),
    "close the output later": lambda _: later(lambda: os.close(OUTPUT)),
    "close the request later": lambda _: later(lambda: os.close(REQUEST)),
    "close the reply later": lambda _: later(lambda: os.close(REPLY)),
    "close the memory later": lambda _: later(lambda: os.close(MEMORY)),
}

if os.environ.get("CLOSE"):
    os.close(NAMES[os.environ["CLOSE"]])


def handler(event, context):
    """Answer how often this process was called."""
    global calls
    calls += 1
    if event:
        WAYS[event](number())
    return calls
