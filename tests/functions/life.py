"""How long things live: module globals, files in /tmp, the process."""

import os
import tempfile
import time

calls = 0
born = time.time()


def count(event, context):
    """Count calls in a global and in a file, and say who did it."""
    global calls
    calls += 1
    path = os.path.join(tempfile.gettempdir(), "calls")
    with open(path, "a") as file:
        file.write("x")
    return {
        "globals": calls,
        "tmp": os.path.getsize(path),
        "pid": os.getpid(),
        "born": born,
        "stream": context.log_stream_name,
    }


class CustomError(Exception):
    pass


def _deeper(text):
    raise CustomError(text)


def mixed(event, context):
    """As `count`, but ends as the event says."""
    seen = count(event, context)
    how = event.get("then", "return")
    if how == "raise":
        _deeper("no " + event.get("what", "luck"))
    if how == "unserialisable":
        return {"set": {1}}
    if how == "exit":
        os._exit(0)
    return seen


def nap(event, context):
    """Stay for `seconds`, then say which context this is."""
    time.sleep(event.get("seconds", 0.5))
    return count(event, context)
