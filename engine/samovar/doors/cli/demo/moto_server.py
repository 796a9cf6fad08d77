"""moto's server as a program of its own: says where it listens, and ends when its stdin does.

Whoever started it holds the other end of stdin: however that one ends, this one follows.
"""

from __future__ import annotations

import logging
import sys


def main() -> None:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - half a second, only here

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.buffer.read()
    server.stop()


if __name__ == "__main__":
    main()
