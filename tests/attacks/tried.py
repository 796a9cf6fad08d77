"""What all attacks share: how a try ended."""

import errno


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
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in given]
    if libc.syscall(ctypes.c_long(number), *given) < 0:
        raise OSError(ctypes.get_errno(), "refused")
