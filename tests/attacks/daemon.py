"""Leave a grandchild in a session of its own, which holds a connection, and never return."""

import os
import socket
import time


def handler(event, context):
    out = socket.create_connection(("127.0.0.1", event["port"]))
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            out.sendall(b"a grandchild is here\n")
            time.sleep(3600)
        os._exit(0)
    out.close()
    time.sleep(3600)
