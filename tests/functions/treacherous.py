"""A template that deceives its steward; `WAY` says how. What is patched is the worker's own."""

import os
import random
import socket
import struct
import threading
import time

TEMPLATE = 1019  # the descriptor of the worker's end
WAY = os.environ["WAY"]
HERE = os.getpid()
real_fork, real_write = os.fork, os.write


def between():
    """Whether this is the process that makes the walls, between the template and the worker."""
    return os.getppid() == HERE


def lie(tell):
    """Say other pids than the ones that are true."""

    def write(fd, data):
        if len(data) == 8 and fd > 2 and between():
            worker, first = struct.unpack("<ii", data)
            data = struct.pack("<ii", *tell(worker, first))
        return real_write(fd, data)

    os.write = write


def decoy():
    """A process that has lost its parent, and so is the steward's child as a worker would be."""
    read_end, write_end = os.pipe()
    child = real_fork()
    if child == 0:
        pid = real_fork()
        if pid == 0:
            os.setsid()
            time.sleep(60)
        real_write(write_end, struct.pack("<i", pid))
        os._exit(0)
    os.waitpid(child, 0)
    return struct.unpack("<i", os.read(read_end, 4))[0]


def name_decoy():
    pid = decoy()
    lie(lambda worker, first: (pid, first))


def fork_and(then):
    """Do `then` in between, once the worker is forked."""

    def fork():
        was_between = between()
        pid = real_fork()
        if pid and was_between:
            then(pid)
        return pid

    os.fork = fork


def say(data, again=False):
    """Send `data` when somebody asks for a context, and not what is asked for."""

    def send():
        with socket.socket(fileno=os.dup(TEMPLATE)) as steward:
            while True:
                steward.send(data(steward) if callable(data) else data)
                if not again:
                    return

    def fork():
        if os.getpid() == HERE:
            send()
            time.sleep(60)
        return real_fork()

    os.fork = fork


def keep_talking():
    def talk():
        with socket.socket(fileno=os.dup(TEMPLATE)) as steward:
            while True:
                steward.send(b"\xff" * 1000)

    fork_and(lambda _: None)
    original = os.fork

    def fork():
        if os.getpid() == HERE:
            threading.Thread(target=talk, daemon=True).start()
        return original()

    os.fork = fork


def descriptors(steward):
    socket.send_fds(steward, [b"x" * 16], [0, 1, 2])
    return b"y" * 16


def die(_):
    os.kill(HERE, 9)


def die_at_once():
    os.fork = lambda: os.kill(os.getpid(), 9)


def stop():
    def fork():
        os.kill(os.getpid(), 19)
        return real_fork()

    os.fork = fork


WAYS = {
    "the steward": lambda: lie(lambda worker, first: (1 if HERE < 10 else os.getppid(), first)),
    "the template": lambda: lie(lambda worker, first: (HERE, first)),
    "its first": lambda: lie(lambda worker, first: (first or HERE, worker)),
    "nobody": lambda: lie(lambda worker, first: (2**31 - 1, first)),
    "a decoy": name_decoy,
    "an error of its own": lambda: lie(lambda worker, first: (-(2**31), 0)),
    "no first": lambda: lie(lambda worker, first: (worker, 0 if first else 1)),
    "the first twice": lambda: lie(lambda worker, first: (worker, worker)),
    "garbage": lambda: say(b"garbage"),
    "too much": lambda: say(b"\xff" * 100_000),
    "another's answer": lambda: say(struct.pack("<qii", 12345, 2, 3)),
    "descriptors": lambda: say(descriptors),
    "a flood": lambda: say(b"\0" * 64, again=True),
    "talk": keep_talking,
    "close": lambda: say(lambda steward: os.close(TEMPLATE) or steward.shutdown(2) or b""),
    "death": lambda: fork_and(die),
    "death at once": die_at_once,
    "nothing": stop,
    "never an end": lambda: fork_and(lambda _: time.sleep(600)),
}
if os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start":
    WAYS[WAY]()


def handler(event, context):
    return random.random() < 1
