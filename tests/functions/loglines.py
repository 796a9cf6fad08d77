"""Everything that writes: print, logging, subprocesses, descriptors, threads, and at odd times."""

import io
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

print("module line")
logging.warning("module warning")
logger = logging.getLogger("app.part")
ballast = None
turn = threading.Event()


def mixed(event, context):
    """One line after the other, each by another way, none of them flushed by hand."""
    print("1 print")
    logger.warning("2 logging")
    os.write(1, b"3 descriptor 1\n")
    print("4 print to stderr", file=sys.stderr)
    os.write(2, b"5 descriptor 2\n")
    subprocess.run(["sh", "-c", "echo 6 subprocess; echo 7 its stderr >&2"], check=True)
    print("8 no newline", end=";")
    sys.stdout.write("9 write\n")
    context.log("10 context.log\n")
    logger.error("11 two\nlines")
    print("12 unprintable \udcff")
    os.write(1, b"13 no utf-8 \xff\xfe\n")
    print("14 самовар")
    return "done"


def lines(event, context):
    """`count` lines of `width` characters, all of them `of`."""
    for number in range(event["count"]):
        print(f"{event.get('of', 'x')}{number:09d}".ljust(event["width"] - 1, "."))


def levels(event, context):
    """A record of each level, and those of a handler that calls basicConfig."""
    root = logging.getLogger()
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        root.log(level, "record")
    logging.basicConfig(format="mine: %(message)s", level=logging.DEBUG)
    root.warning("after basicConfig")
    before = root.level
    logging.basicConfig(format="mine: %(message)s", level=logging.DEBUG, force=True)
    root.debug("after force")
    return logging.getLevelName(before)


def fail(event, context):
    raise ValueError("no\nluck")


def streams(event, context):
    """Do something to the streams, then write as if nothing had happened."""
    kept = sys.stdout, sys.stderr
    if event == "replace":
        sys.stdout = sys.stderr = io.StringIO()
    if event == "none":
        sys.stdout = sys.stderr = None
    if event == "close":
        sys.stdout.close()
        sys.stderr.close()
    if event == "close descriptors":
        os.close(1)
        os.close(2)
    if event == "wrap":
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", line_buffering=True)
    if event == "original":
        sys.stdout = sys.__stdout__
    if event == "swap":
        sys.stdout, sys.stderr = sys.stderr, sys.stdout
    logging.warning("logged while %s", event)
    try:
        print("printed while", event)
    except Exception as error:
        return repr(error)
    finally:
        if event == "wrap":
            sys.stdout.detach()
        if event in ("replace", "none", "wrap"):
            sys.stdout, sys.stderr = kept
    return "printed"


def later(event, context):
    """Leave a thread that calls at `port` and writes when told to, and again in the next run."""
    if "port" not in event:
        print("second invocation")
        turn.set()
        for thread in threading.enumerate():
            if thread.name == "life":
                thread.join()
        print("second invocation ends")
        return

    def life():
        with socket.create_connection(("127.0.0.1", event["port"]), timeout=30) as door:
            door.sendall(b"a thread\n")
            door.recv(1)
            print("thread, between two invocations")
            door.sendall(b"written\n")
        turn.wait()
        print("thread, in the next invocation")

    threading.Thread(target=life, name="life").start()
    print("first invocation")


def fill(event, context):
    """Take `mb` of memory that is not shared with anybody, and end as the event says."""
    global ballast
    ballast = bytearray(b"x") * (event["mb"] << 20)
    if event.get("free"):
        ballast = None
    if event.get("then") == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if event.get("then") == "sleep":
        time.sleep(60)
