"""Handlers that try to make a mess of the output pipe."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading

logger = logging.getLogger()

# A header as the worker writes it, for 100 bytes that are not there.
FALSE_HEADER = b"\xff\xa5\x5a\xfe" + (1).to_bytes(4, "big") + (100).to_bytes(2, "big") + b"\0"
CHILD = "import os\nfor n in range(%d): os.write(1, b'child %%06d\\n' %% n)"


def hostile(event, context):
    """Garbage, false frames and half ones; an honest record behind each."""
    for number, garbage in enumerate(
        (
            os.urandom(100_000),
            FALSE_HEADER[:6],
            FALSE_HEADER + b"x" * 50,
            FALSE_HEADER[:4] * 250_000,
            FALSE_HEADER[:-1] + b"\1" + b"y" * 100,  # more to come, which never does
        )
    ):
        os.write(1, garbage)
        os.write(1, b"\n" * 5000)
        logger.warning("honest\nrecord %d", number)
    return "alive"


def crowd(event, context):
    """Long records, while children and threads write lines of their own."""
    children = [subprocess.Popen([sys.executable, "-c", CHILD % event["lines"]]) for _ in range(2)]

    def chat():
        for number in range(event["lines"]):
            os.write(1, b"thread %06d\n" % number)

    thread = threading.Thread(target=chat)
    thread.start()
    for number in range(event["records"]):
        logger.warning("%s", json.dumps({"n": number, "long": "r" * 50_000 + "\n"}))
    thread.join()
    for child in children:
        child.wait()


def forked(event, context):
    """A child of the worker's own logs a long record at the same time as the worker."""
    pid = os.fork()
    for number in range(20):
        logger.warning("%s %d %s", "child" if pid == 0 else "worker", number, "z" * 20_000)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def crossing(event, context):
    """Long records of a thread, of the handler and of a signal within those, all of one process."""

    def chat():
        for number in range(20):
            context.log(f"thread {number} {'t' * 50_000}")

    thread = threading.Thread(target=chat)
    signal.signal(signal.SIGALRM, lambda *_: logger.warning("signal %s", "s" * 9000))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    thread.start()
    for number in range(20):
        logger.warning("handler %d %s", number, "h" * 50_000)
    thread.join()
    signal.setitimer(signal.ITIMER_REAL, 0)


def nonblocking(event, context):
    """A child that makes the shared pipe non-blocking, and then much more than fits into it."""
    os.set_blocking(1, False)
    for number in range(100):
        logger.warning("%d %s", number, "b" * 20_000)


def stay(event, context):
    """Log, and then wait to be killed, or not."""
    print("before")
    logger.warning("two\nlines")
    if event.get("sleep"):
        threading.Event().wait(event["sleep"])


def prints(event, context):
    """Much more than a pipe holds, on a pipe that does not block, and with signals in between."""
    os.set_blocking(1, event != "nonblocking")
    if event == "signals":
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    for number in range(20):
        print(f"{number:02d}" + "p" * 300_000)
        print(f"{number:02d}" + "p" * 300_000, file=sys.stderr)
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.set_blocking(1, True)
