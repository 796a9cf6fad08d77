"""What attacks share: how a try ended, and what some of them do first."""

import ctypes
import errno
import os
import socket
import time

libc = ctypes.CDLL(None, use_errno=True)


def tried(attempt, *given):
    """«done», or the error's name."""
    try:
        attempt(*given)
    except OSError as error:
        return errno.errorcode.get(error.errno, "OSError")
    return "done"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def call(number, *given):
    """A bare system call."""
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in given]
    checked(libc.syscall(ctypes.c_long(number), *given))


def checked(result):
    """What a function of `libc` has returned; raises OSError where that says so."""
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")


def leave_daemon(port):
    """A grandchild in a session of its own, which says that it is there, and stays."""
    out = socket.create_connection(("127.0.0.1", port))
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            out.sendall(b"a grandchild is here\n")
            time.sleep(3600)
        os._exit(0)
    out.close()
