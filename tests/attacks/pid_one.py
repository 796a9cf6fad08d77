"""Signal what holds the namespace."""

import os
import signal

from tried import tried


def handler(event, context):
    # Where pid 1 is the host's, it is only asked whether it could be.
    number = signal.SIGKILL if event["own pid 1"] else 0
    return {"signal": tried(os.kill, 1, number), "alive": tried(os.kill, 1, 0)}
