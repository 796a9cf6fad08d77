"""Leave threads that go on when the handler has returned."""

import threading
import time


def life():
    until = time.monotonic() + 3600
    while time.monotonic() < until:
        sum(range(1000))


def handler(event, context):
    for _ in range(8):
        threading.Thread(target=life, daemon=True).start()
    return {"started": "done"}
