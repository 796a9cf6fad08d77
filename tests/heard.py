"""What handlers say to a socket outside of all engines; it waits in the kernel until asked for."""

from __future__ import annotations

import json
import socket
from typing import Any


class Heard:
    """Datagrams, as they came."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._said: list[bytes] = []

    def all(self) -> list[bytes]:
        """Everything that was said so far."""
        while True:
            try:
                self._said.append(self._socket.recv(1 << 16))
            except BlockingIOError:
                return self._said

    def close(self) -> None:
        self._socket.close()


class Told(Heard):
    """The batches that handlers were given, as JSON with the `bodies` of their records."""

    def hear(self) -> list[dict[str, Any]]:
        return [json.loads(said) for said in self.all()]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.hear()

    @property
    def bodies(self) -> list[str]:
        return [body for event in self.hear() for body in event["bodies"]]
