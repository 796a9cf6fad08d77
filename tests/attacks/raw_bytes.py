"""Write what is no frame to every pipe."""

import os


def handler(event, context):
    for fd in range(3, 32):
        try:
            os.set_blocking(fd, False)
            os.write(fd, os.urandom(4096))
        except OSError:
            continue
    return {"written": "done"}
