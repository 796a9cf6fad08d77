"""Look into processes of others, by every way that Linux has."""

import ctypes
import os

from tried import call, read, tried

PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
NUMBERS = {"x86_64": (101, 310, 438), "aarch64": (117, 270, 438)}
PTRACE, READV, GETFD = NUMBERS[os.uname().machine]


def memory(pid):
    with open(f"/proc/{pid}/maps") as file:
        begin = int(file.readline().split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as file:
        file.seek(begin)
        file.read(16)


def readv(pid):
    buffer = ctypes.create_string_buffer(16)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 16)
    call(READV, pid, ctypes.byref(vector), 1, ctypes.byref(vector), 1, 0)


def handler(event, context):
    found = {}
    for who in ("neighbour", "zygote", "engine"):
        pid = event[who]
        found |= {
            f"environment of the {who}": tried(read, f"/proc/{pid}/environ"),
            f"files of the {who}": tried(os.listdir, f"/proc/{pid}/fd"),
            f"root of the {who}": tried(os.listdir, f"/proc/{pid}/root"),
            f"memory of the {who}": tried(memory, pid),
            f"memory of the {who} by readv": tried(readv, pid),
            f"ptrace the {who}": tried(call, PTRACE, PTRACE_SEIZE, pid, 0, 0),
            f"signal the {who}": tried(os.kill, pid, 0),
        }
    found["processes seen"] = "others" if len(pids()) > 2 else "its own"
    found["descriptor of pid 1"] = tried(call, GETFD, pidfd(1), 0, 0)
    return found


def pids():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def pidfd(pid):
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1
