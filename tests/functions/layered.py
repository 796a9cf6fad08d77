"""What a function finds of its layers. `tea` is a module that several places may bring."""

import ctypes
import os
import subprocess
import sys


def _attempt(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.strerror
    return None


def look(event, context):
    """Where modules come from, and where things are looked for."""
    found = {}
    for name in event.get("modules", ["tea"]):
        try:
            module = __import__(name, fromlist=["_"])
            found[name] = [getattr(module, "WHOSE", None), module.__file__]
        except ImportError:
            found[name] = None
    return {
        "found": found,
        "sys.path": sys.path,
        "PATH": os.environ["PATH"].split(":"),
        "libraries": os.environ["LD_LIBRARY_PATH"].split(":"),
        "opt": sorted(os.listdir("/opt")) if os.path.isdir("/opt") else None,
        "context": context.log_stream_name,
    }


def touch(event, context):
    """Tries to change what the layers have brought to `place`."""
    place = event["place"]
    return {
        "write": _attempt(open, f"{place}/python/tea.py", "w"),
        "create": _attempt(open, f"{place}/new", "w"),
        "remove": _attempt(os.unlink, f"{place}/python/tea.py"),
        "mode": oct(os.stat(place).st_mode),
    }


def brew(event, context):
    """A program of a layer, found by its name."""
    return subprocess.run(["teapot"], capture_output=True, text=True, check=True).stdout


def load(event, context):
    """A shared library of a layer, found by its name."""
    library = ctypes.CDLL("libteapot.so")
    library.floor.restype, library.floor.argtypes = ctypes.c_double, [ctypes.c_double]
    with open("/proc/self/maps", encoding="ascii") as maps:
        places = {line.split()[-1] for line in maps if "teapot" in line}
    return [library.floor(3.5), sorted(places)]


def die(event, context):
    """Ends its process if told to; the next one is in the same mounts."""
    if event.get("die"):
        os._exit(3)
    import tea

    return tea.WHOSE
