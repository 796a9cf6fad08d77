"""A handler that starts all that could outlive it; each of them holds a connection to the test."""

import ctypes
import os
import signal
import socket
import threading
import time

held = []
READY = os.pipe()


def handler(event, context):
    """Start `event["kinds"]`, each of which says its name at `event["port"]`, then end as
    `event["how"]` says."""
    port = event["port"]
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for kind in event["kinds"]:
        STARTS[kind](port, kind)
    for _ in event["kinds"]:
        os.read(READY[0], 1)  # behind the reply nothing is begun any more
    ENDS[event["how"]]()
    return "returned"


def _hold(port, kind):
    """Connect, and say who this is once there is nothing more to be done."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(kind.encode() + b"\n")
    held.append(connection)
    os.write(READY[1], b"x")


def _hold_for_ever(port, kind):
    os.closerange(0, READY[1])
    os.closerange(READY[1] + 1, 1024)
    _hold(port, kind)
    os.close(READY[1])
    while True:
        time.sleep(3600)


def _thread(port, kind):
    def live():
        _hold(port, kind)
        while True:
            time.sleep(3600)

    threading.Thread(target=live, daemon=True).start()


def _child(port, kind):
    if os.fork() == 0:
        _hold_for_ever(port, kind)


def _own_group(port, kind):
    if os.fork() == 0:
        os.setpgid(0, 0)
        _hold_for_ever(port, kind)


def _daemon(port, kind, generations=2):
    pid = os.fork()
    if pid == 0:
        for _ in range(generations):
            os.setsid()
            if os.fork():
                os._exit(0)
        _hold_for_ever(port, kind)
    os.waitpid(pid, 0)


def _spin():
    while True:
        pass


def _sleep_in_c():
    ctypes.PyDLL(None).sleep(3600)  # and keeps the interpreter's lock


STARTS = {
    "worker": _hold,
    "thread": _thread,
    "child": _child,
    "own group": _own_group,
    "daemon": _daemon,
    "daemon of a daemon": lambda port, kind: _daemon(port, kind, 5),
}
ENDS = {
    "return": lambda: None,
    "exit": lambda: os._exit(3),
    "spin": _spin,
    "sleep in C": _sleep_in_c,
    "sleep": lambda: time.sleep(3600),
}
