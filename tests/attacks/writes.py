"""Write where a function's files are not."""

import os

from tried import tried


def write(path):
    with open(path, "w") as file:
        file.write("mine")
    os.unlink(path)


def handler(event, context):
    task = os.environ["LAMBDA_TASK_ROOT"]
    return {
        "root": tried(write, "/mine"),
        "etc": tried(write, "/etc/mine"),
        "usr": tried(write, "/usr/mine"),
        "own code": tried(write, f"{task}/mine"),
        "data directory": tried(write, f"{event['data']}/mine"),
        "sysctl": tried(write, "/proc/sys/kernel/mine"),
        "tmp": tried(write, "/tmp/mine"),
    }
