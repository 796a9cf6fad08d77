"""SnapStart's hooks, in the order of their registration, and what they do when told to."""

import os
import sys
import threading
import time

import snapshot_restore_py as snapshot

told = []
HOW = os.environ.get("HOW", "")


@snapshot.register_before_snapshot
def first_before():
    told.append("before 1")


@snapshot.register_before_snapshot
def second_before():
    told.append("before 2")
    if HOW == "before raises":
        raise ValueError("no snapshot of this")


def after(number, *, name):
    told.append(f"after {number} {name}")
    print("after", number, os.environ["AWS_LAMBDA_LOG_STREAM_NAME"])


snapshot.register_after_restore(after, 1, name="one")
snapshot.register_after_restore(after, 2, name="two")


@snapshot.register_after_restore
def last():
    if HOW == "after raises":
        raise ValueError("no restore of this")
    if HOW == "after exits":
        sys.exit(3)
    if HOW == "after stays":
        time.sleep(600)


if HOW == "init raises":
    raise ValueError("not today")
if HOW == "init exits":
    sys.exit(4)
if HOW == "init stays":
    print("staying")
    time.sleep(600)


def handler(event, context):
    return told


def at_fork():
    """What the module has registered with the interpreter."""
    told.append(f"forked {threading.active_count()}")


if HOW == "at fork":
    os.register_at_fork(after_in_child=at_fork)
