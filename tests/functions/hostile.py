"""Handlers that pull the floor from under themselves, on purpose or by accident."""

import builtins
import fcntl
import gc
import json
import logging
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time

calls = 0
kept = []
inside = False


def do(event, context):
    """Do what the event says; answer how often this process was called."""
    global calls, inside
    inside = True
    calls += 1
    try:
        answer = WAYS[event](context) if event else None
        return calls if answer is None else answer
    finally:
        inside = False


def leave_thread(life):
    thread = threading.Thread(target=life, daemon=True)
    thread.start()
    kept.append(thread)


def dup2_over_the_streams():
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)


def fork_and_return():
    for _ in range(3):
        if os.fork() == 0:
            return "a child's answer"
    return None


def fork_and_raise():
    if os.fork() == 0:
        raise ValueError("a child's error")


def fork_in_a_thread():
    def life():
        if os.fork() == 0:
            do("", None)
            os._exit(9)

    leave_thread(life)
    kept[-1].join()


def reap():
    """Collect the children of earlier calls; tell how they ended."""
    ends = []
    while True:
        try:
            ends.append(os.waitstatus_to_exitcode(os.wait()[1]))
        except ChildProcessError:
            return sorted(ends)


def subprocesses_that_keep_the_output():
    kept.append(subprocess.Popen(["sleep", "60"]))
    subprocess.run(["sh", "-c", "sleep 60 &"], check=True)


def an_alarm_after_the_answer():
    def ring(*_):
        os.write(1, b"ring\n")
        if not inside:
            raise RuntimeError("in the worker's own code")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


def an_alarm_that_kills():
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.05)


def signals_ignored():
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            pass  # the C library's own


def a_thread_that_never_rests():
    def life():
        while True:
            kept[:] = kept[-10:]
            time.sleep(0.0005)

    leave_thread(life)


def trace():
    sys.settrace(lambda *_: None)
    sys.setprofile(lambda *_: None)
    threading.settrace(lambda *_: None)


def recurse(depth=0):
    return recurse(depth + 1)


def forget_modules():
    sys.modules.clear()


def replace_builtins():
    for name in ("print", "open", "input", "exec", "eval", "compile", "vars", "sorted", "sum"):
        setattr(builtins, name, None)
    json.dumps = json.loads = json.dump = json.load = None
    json.JSONEncoder.default = json.JSONEncoder.encode = json.JSONEncoder.iterencode = None
    json.JSONDecoder.decode = json.JSONDecoder.raw_decode = None
    logging.Formatter.format = logging.Logger.warning = None


def fail_with_builtins_replaced():
    replace_builtins()
    raise ValueError("all the same")


def exit_with_builtins_replaced():
    replace_builtins()
    sys.stderr.close()
    sys.exit("nobody hears it")


def no_environment():
    os.environ.clear()


def elsewhere():
    place = f"/proc/{os.getpid()}"
    os.chdir(place)


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def no_file_may_grow():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return "x" * 100_000


def little_memory():
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20),) * 2)
    return bytearray(64 << 20)


def exit_in_a_thread():
    leave_thread(lambda: os._exit(7))
    time.sleep(60)


def quit_a_thread():
    leave_thread(sys.exit)
    kept[-1].join()


def write_to_the_reply_pipe(data):
    os.write(1022, data)
    time.sleep(60)


def frame(kind, invocation, metadata=b"\x94\x00\x00\xa0\x00", payload=b"null"):
    header = struct.pack("<BBHIIQ", kind, 0, 1, len(metadata), len(payload), invocation)
    return header + metadata + payload


def garbage_and_a_forged_answer():
    """More of the one than is read at once, so that the other is still there at the end."""
    fcntl.fcntl(1022, fcntl.F_SETPIPE_SZ, 1 << 18)
    write_to_the_reply_pipe(b"garbage!" * 8192 + frame(19, 0, payload=b'"forged"'))


def flood():
    fcntl.fcntl(1022, fcntl.F_SETFL, os.O_NONBLOCK)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.write(1022, b"\xff" * 65536)
        except BlockingIOError:
            time.sleep(0.01)


def steal_requests():
    leave_thread(lambda: os.read(1021, 65536))


def spoil_the_shared_memory():
    for what in (os.ftruncate, os.posix_fallocate):
        try:
            what(1023, *((0,) if what is os.ftruncate else (0, 1 << 26)))
        except OSError:
            continue
        return "it worked"
    os.pwrite(1023, b"\xff" * (1 << 20), 0)
    return "x" * 100_000


def many_threads():
    go, started = threading.Event(), []
    for _ in range(2000):
        try:
            thread = threading.Thread(target=go.wait)
            thread.start()
        except RuntimeError:
            break  # that is all there is
        started.append(thread)
    go.set()
    for thread in started:
        thread.join()
    return len(started) > 500


def many_children():
    kept.extend(subprocess.Popen(["sleep", "60"]) for _ in range(200))


WAYS = {
    "close 0-2": lambda _: os.closerange(0, 3),
    "dup2 over 0-2": lambda _: dup2_over_the_streams(),
    "close all": lambda _: os.closerange(0, 65536),
    "close the reply pipe": lambda _: os.close(1022),
    "close the request pipe": lambda _: os.close(1021),
    "close the output": lambda _: os.close(1020),
    "close the memory": lambda _: os.close(1023),
    "fork and return": lambda _: fork_and_return(),
    "fork and raise": lambda _: fork_and_raise(),
    "fork in a thread": lambda _: fork_in_a_thread(),
    "reap": lambda _: reap(),
    "keep the output": lambda _: subprocesses_that_keep_the_output(),
    "alarm later": lambda _: an_alarm_after_the_answer(),
    "deadly alarm later": lambda _: an_alarm_that_kills(),
    "ignore signals": lambda _: signals_ignored(),
    "busy thread": lambda _: a_thread_that_never_rests(),
    "trace": lambda _: trace(),
    "recurse": lambda _: recurse(),
    "no gc": lambda _: gc.disable(),
    "no modules": lambda _: forget_modules(),
    "builtins": lambda _: replace_builtins(),
    "builtins, raise": lambda _: fail_with_builtins_replaced(),
    "builtins, exit": lambda _: exit_with_builtins_replaced(),
    "no environment": lambda _: no_environment(),
    "elsewhere": lambda _: elsewhere(),
    "few files": lambda _: few_files(),
    "no file may grow": lambda _: no_file_may_grow(),
    "too much at once": lambda _: bytearray(1 << 60),
    "little memory": lambda _: little_memory(),
    "exit in a thread": lambda _: exit_in_a_thread(),
    "quit a thread": lambda _: quit_a_thread(),
    "stop": lambda _: os.kill(os.getpid(), signal.SIGSTOP),
    "exec": lambda _: os.execvp("true", ["true"]),
    "garbage": lambda _: write_to_the_reply_pipe(b"garbage " * 100),
    "zeros": lambda _: write_to_the_reply_pipe(bytes(1000)),
    "giant frame": lambda _: write_to_the_reply_pipe(
        struct.pack("<BBHIIQ", 19, 0, 1, 2**32 - 1, 2**32 - 1, 0)
    ),
    "giant memory": lambda _: write_to_the_reply_pipe(
        struct.pack("<BBHIIQ", 19, 1, 1, 0, 2**32 - 1, 0)
    ),
    "bad metadata": lambda _: write_to_the_reply_pipe(frame(19, 0, b"\xc1")),
    "wrong metadata": lambda _: write_to_the_reply_pipe(frame(19, 0, b"\x94\xa0\xa0\xa0\xa0")),
    "garbage and a forged answer": lambda _: garbage_and_a_forged_answer(),
    "unknown kind": lambda _: write_to_the_reply_pipe(frame(200, 0)),
    "another's reply": lambda _: write_to_the_reply_pipe(frame(19, 12345)),
    "init again": lambda _: write_to_the_reply_pipe(frame(17, 0)),
    "half a frame": lambda _: os.write(1022, frame(19, 0)[:10]) and None,
    "garbage and an answer": lambda _: os.write(1022, b"garbage") and None,
    "flood": lambda _: flood(),
    "steal requests": lambda _: steal_requests(),
    "spoil the memory": lambda _: spoil_the_shared_memory(),
    "many threads": lambda _: many_threads(),
    "many children": lambda _: many_children(),
}
