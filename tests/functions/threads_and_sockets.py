"""An init that leaves threads and sockets behind."""

import socket
import threading

PAIR = socket.socketpair()
LISTENING = socket.create_server(("127.0.0.1", 0))
CONNECTED = socket.create_connection(LISTENING.getsockname()[:2])
go = threading.Event()
threading.Thread(target=go.wait, name="poller", daemon=True).start()


def handler(event, context):
    return {
        "threads": [thread.name for thread in threading.enumerate()],
        "port": LISTENING.getsockname()[1],
    }
