"""Close every descriptor there is."""

import os


def handler(event, context):
    os.closerange(0, 4096)
    return {"closed": "done"}
