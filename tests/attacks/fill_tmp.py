"""Fill /tmp beyond EphemeralStorage."""

import os

from tried import tried

MORE = 520 << 20


def handler(event, context):
    path = "/tmp/filler"
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        return {"fill": tried(os.posix_fallocate, fd, 0, MORE)}
    finally:
        os.close(fd)
        os.unlink(path)
