"""What goes on behind the reply: threads and processes that count, each into a file in /tmp."""

import os
import subprocess
import sys
import threading
import time

TMP = os.environ.get("TMPDIR", "/tmp")
started = []
_COUNTS = """
import os, sys, time
if sys.argv[2] == "daemon":
    os.setsid()
    if os.fork():
        os._exit(0)
with open(sys.argv[1], "wb", buffering=0) as file:
    while True:
        file.write(b".")
        time.sleep(0.001)
"""


def handler(event, context):
    """Start what `event["start"]` names, each once; what all have counted so far."""
    for kind in event.get("start", ()):
        if kind not in started:
            started.append(kind)
            (_thread if kind == "thread" else _process)(kind)
            while not _count(kind):
                time.sleep(0.001)
    return {kind: _count(kind) for kind in started}


def _thread(kind):
    def live():
        with open(f"{TMP}/{kind}", "wb", buffering=0) as file:
            while True:
                file.write(b".")
                time.sleep(0.001)

    threading.Thread(target=live, daemon=True).start()


def _process(kind):
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", _COUNTS, f"{TMP}/{kind}", kind])
    if kind == "daemon":
        process.wait()


def _count(kind):
    try:
        return os.stat(f"{TMP}/{kind}").st_size
    except FileNotFoundError:
        return 0
