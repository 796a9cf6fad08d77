"""Read what the engine keeps: records of functions, with their environments, and packages."""

import os

from tried import read, tried


def handler(event, context):
    return {
        "list": tried(os.listdir, event["data"]),
        "records": tried(read, event["records"]),
        "code of another": tried(read, event["code"]),
        "home": tried(os.listdir, event["home"]),
    }
