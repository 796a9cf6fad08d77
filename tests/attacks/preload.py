"""Have a library of one's own loaded into whatever is started next."""

import os
import subprocess
import sys


def handler(event, context):
    os.environ["LD_PRELOAD"] = "/tmp/mine.so"
    os.environ["PYTHONSTARTUP"] = os.environ["PYTHONPATH"] = "/tmp"
    with open("/tmp/mine.so", "wb") as file:
        file.write(b"not a library")
    child = subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=False)
    return {"own child": "runs" if child.stdout == b"1\n" else "does not run"}
