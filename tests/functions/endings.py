"""Ways for a handler to end that are not a return."""

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time

print("module line")
calls = 0


def end(event, context):
    """End in the way that `event["how"]` names; «count» counts calls in a global and in a file."""
    global calls
    calls += 1
    with open(os.path.join(tempfile.gettempdir(), "calls"), "a") as file:
        file.write("x")
        size = file.tell()
    print("handler line")
    ways = {
        "count": lambda: {"globals": calls, "tmp": size},
        "sys.exit(0)": lambda: sys.exit(0),
        "sys.exit()": lambda: sys.exit(),
        "sys.exit(3)": lambda: sys.exit(3),
        "sys.exit(text)": lambda: sys.exit("that was it"),
        "os._exit(5)": lambda: os._exit(5),
        "interrupt": _interrupt,
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "terminate": lambda: os.kill(os.getpid(), signal.SIGTERM),
        "segfault": lambda: ctypes.string_at(0),
        "abort": os.abort,
        "sleep": lambda: time.sleep(60),
        "atexit": _at_exit,
    }
    return ways[event["how"]]()


def _interrupt():
    raise KeyboardInterrupt


def _at_exit():
    atexit.register(print, "exit handler line")
    sys.exit(0)


def start_children(event, context):
    """Start a `sleep` with each of the arguments in `event`, further and further away from here."""
    devnull = subprocess.DEVNULL
    subprocess.Popen(["sleep", event["child"]])
    subprocess.run(["sh", "-c", f"sleep {event['grandchild']} &"], check=True)
    subprocess.Popen(["sleep", event["own session"]], start_new_session=True)
    subprocess.Popen(["sleep", event["no output"]], stdout=devnull, stderr=devnull)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 2048)
            os.execvp("sleep", ["sleep", event["daemon"]])
        os._exit(0)
    os.wait()
    kinds = ("child", "grandchild", "own session", "no output", "daemon")
    while not all(_runs(event[kind]) for kind in kinds):
        time.sleep(0.01)  # behind the reply nothing starts any more
    time.sleep(event["then sleep"])
    return "started"


def _runs(argument):
    """Whether a `sleep` with this argument is there."""
    wanted = f"sleep\0{argument}\0".encode()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if file.read() == wanted:
                    return True
        except OSError:
            continue
    return False
