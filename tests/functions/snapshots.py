"""What a function that starts from a template keeps of its init, and what it has of its own."""

import os
import random
import socket
import ssl
import tempfile
import uuid

FIRST = str(uuid.uuid4())
NODE = uuid.getnode()
LOG = open(os.path.join(tempfile.gettempdir(), "log"), "w+")  # noqa: SIM115  # left open on purpose
LOG.write("init\n")
LOG.flush()
os.mkdir(os.path.join(tempfile.gettempdir(), "sub"))
with open(os.path.join(tempfile.gettempdir(), "sub", "model"), "w") as model:
    model.write("weights")
os.symlink("sub/model", os.path.join(tempfile.gettempdir(), "link"))
AT_INIT = {
    "start": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
    "stream": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
}
ssl.RAND_bytes(8)
random.random()
uuid.uuid1()
tempfile.mktemp()
calls = 0


def draw(event, context):
    """Draw from every source of chance, then wait at the gate of `port`."""
    drawn = {
        "random": random.random(),
        "uuid1": str(uuid.uuid1()),
        "clock sequence": uuid.uuid1().clock_seq,
        "uuid4": str(uuid.uuid4()),
        "ssl": ssl.RAND_bytes(16).hex(),
        "name": next(tempfile._get_candidate_names()),
        "stream": context.log_stream_name,
        "in environment": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
    }
    with socket.create_connection(("127.0.0.1", event["port"]), timeout=60) as gate:
        gate.sendall(b"x\n")
        gate.recv(1)
    return {"drawn": drawn, "first": FIRST, "init": AT_INIT, "start": start()}


def start():
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]


def files(event, context):
    """Write to the file that the init left open, and say what is in /tmp."""
    global calls
    calls += 1
    LOG.write("call\n")
    LOG.flush()
    place = tempfile.gettempdir()
    with open(os.path.join(place, os.path.basename(LOG.name))) as file:
        lines = file.read().split()
    with open(os.path.join(place, "link")) as file:
        linked = file.read()
    with open(os.path.join(place, "calls"), "a") as file:
        file.write("x")
    return {
        "calls": calls,
        "in tmp": os.path.getsize(os.path.join(place, "calls")),
        "log": lines,
        "linked": linked,
        "names": sorted(name for name in os.listdir(place) if not name.startswith("log")),
    }


def spoil(event, context):
    """End as the event says, after a call of `files`."""
    seen = files(event, context)
    if event.get("end") == "exit":
        os._exit(3)
    if event.get("end") == "stay":
        import time

        time.sleep(600)
    return seen


def rights(event, context):
    """Who this is, and what it may do."""
    with open("/proc/self/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    with open("/dev/stdout", "w") as file:
        file.write("to /dev/stdout\n")
    return {
        "uid": os.getuid(),
        "pid": os.getpid(),
        "capabilities": [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")],
        "no_new_privs": status["NoNewPrivs"],
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()),
        "descriptors": sorted(map(int, os.listdir("/proc/self/fd"))),
    }
