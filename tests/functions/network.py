"""Handlers that look at the network around them."""

import errno
import os
import socket
import time

runs = 0


def attempt(family, address):
    """«done», or the name of the error that it ended with."""
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(10)
        try:
            one.connect(address)
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))
    return "done"


def to_itself():
    """What comes of a talk with itself over the loopback device."""
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection(server.getsockname(), timeout=10) as client:
        client.sendall(b"tea")
        ours, _ = server.accept()
        with ours:
            return ours.recv(3).decode()


def interfaces(pid):
    """Those in the kernel's list for a process; None where it is not to be seen."""
    try:
        with open(f"/proc/{pid}/net/dev") as file:
            return sorted(line.split(":")[0].strip() for line in file if ":" in line)
    except OSError:
        return None


def listed():
    """Those that the files in /proc tell of: of this process and of pid 1."""
    return sorted({*interfaces("self"), *(interfaces(1) or ())})


def present():
    """Those that the kernel tells this process of."""
    return [name for _, name in socket.if_nameindex()]


at_init = [present(), listed()] if os.environ.get("LOOK_IN_INIT") else [None, None]


def look(event, context):
    """What there is. `hang`: and then don't return; `tcp`, `abstract`: whom to reach."""
    global runs
    runs += 1
    if event.get("hang"):
        time.sleep(600)
    found = {
        "runs": runs,
        "interfaces": present(),
        "listed": listed(),
        "itself": to_itself(),
        "internet": attempt(socket.AF_INET, ("192.0.2.1", 9)) if event.get("far") else None,
        "namespace": os.readlink("/proc/self/ns/net"),
        "start": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
        "api": os.environ["AWS_LAMBDA_RUNTIME_API"],
        "at init": at_init[0],
        "listed at init": at_init[1],
    }
    if "tcp" in event:
        found["tcp"] = attempt(socket.AF_INET, ("127.0.0.1", event["tcp"]))
    if "abstract" in event:
        found["abstract"] = attempt(socket.AF_UNIX, "\0" + event["abstract"])
    return found


def listen(event, context):
    """Listen by TCP and by a name, say so, and don't return."""
    servers = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
    servers[1].bind("\0" + event["name"])
    servers[1].listen()
    print("listens on", servers[0].getsockname()[1], "and no more", flush=True)
    time.sleep(600)


def either(event, context):
    """One of the two."""
    return listen(event, context) if "name" in event else look(event, context)
