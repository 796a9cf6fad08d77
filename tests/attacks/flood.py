"""Write 64 MB to the log, without a line's end and with many."""

import os


def handler(event, context):
    for _ in range(32):
        os.write(1, b"x" * (1 << 20))
    for _ in range(32):
        os.write(1, b"x\n" * (1 << 19))
    return {"written": "done"}
